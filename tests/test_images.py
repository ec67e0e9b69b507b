"Images of every kind reach readers, thumbnails, widgets and deployed models as a person sees them"
import base64,io,os,warnings
from pathlib import Path
import numpy as np,pandas as pd,pytest
from PIL import Image,ImageDraw
from knet_nb.clean.samples import read_folder,read_samples
from knet_nb.data import class_images,from_frame,load_data
from knet_nb.deploy import _as_array
from knet_nb.images import Pictures,as_seen,image_size,open_image,stack_images,thumbnail

pytestmark = pytest.mark.usefixtures('alone')
ramp = np.tile(np.arange(16, dtype=np.float64)/15, (12,1)) # grey levels from 0 to 1, 12 x 16
steps = (ramp*255).round()

def shape(mode, colour, ground=0):
    "A disc whose form is in the alpha channel alone"
    im = Image.new(mode, (16,12), ground)
    ImageDraw.Draw(im).ellipse((3,2,12,9), fill=colour)
    return im

def palette():
    im = Image.new('P', (16,12), 0)
    im.putpalette([0,0,0, 0,0,0]+[0]*762)
    ImageDraw.Draw(im).ellipse((3,2,12,9), fill=1)
    return im

def turned(how):
    im = Image.fromarray(steps.astype(np.uint8)).convert('RGB')
    undo = {2:Image.Transpose.FLIP_LEFT_RIGHT, 3:Image.Transpose.ROTATE_180, 6:Image.Transpose.ROTATE_90, 8:Image.Transpose.ROTATE_270}
    im,exif = im.transpose(undo[how]),Image.Exif()
    exif[0x0112] = how
    return im,dict(exif=exif)

disc = np.asarray(shape('L', 255))>0
kinds = { # name -> image, file, how it is saved, and the grey values that are to be seen
    '16 bits': (Image.fromarray((ramp*65535).round().astype(np.uint16)), 'png', {}, steps),
    '12 bits': (Image.fromarray((ramp*4095).round().astype(np.uint16)), 'png', {}, steps),
    '16 bits, dark': (Image.fromarray((ramp*16383).round().astype(np.uint16)), 'tif', {}, steps*16383/65535),
    '16 bits, big-endian': (Image.fromarray((ramp*65535).round().astype('>u2')), 'tif', {}, steps),
    '32 bits': (Image.fromarray((ramp*1e6).round().astype(np.int32)), 'tif', {}, steps),
    'signed': (Image.fromarray((ramp*2000-1000).round().astype(np.int32)), 'tif', {}, steps),
    'fractions': (Image.fromarray(ramp.astype(np.float32)), 'tif', {}, steps),
    'floats': (Image.fromarray((ramp*200-100).astype(np.float32)), 'tif', {}, steps),
    'floats to 255': (Image.fromarray((ramp*255).astype(np.float32)), 'tif', {}, steps),
    'black on nothing': (shape('RGBA', (0,0,0,255)), 'png', {}, 255*~disc),
    'white on nothing': (shape('RGBA', (255,255,255,255)), 'png', {}, 255*disc),
    'grey with alpha': (shape('LA', (0,255)), 'png', {}, 255*~disc),
    'palette': (palette(), 'png', dict(transparency=0), 255*~disc),
    'palette with alphas': (palette(), 'png', dict(transparency=bytes([0,255]+[255]*254)), 255*~disc),
    'one colour is none': (shape('RGB', (0,0,0), (9,9,9)), 'png', dict(transparency=(9,9,9)), 255*~disc),
    'one grey is none': (shape('L', 0, 9), 'png', dict(transparency=9), 255*~disc),
    'gif': (palette(), 'gif', dict(transparency=0), 255*~disc),
    'webp': (shape('RGBA', (0,0,0,255)), 'webp', dict(lossless=True), 255*~disc),
    'half': (Image.new('RGBA', (16,12), (0,0,0,128)), 'png', {}, np.full((12,16), 127)),
    'opaque': (Image.new('RGBA', (16,12), (70,70,70,255)), 'png', {}, np.full((12,16), 70)),
    'one bit': (Image.fromarray(disc), 'png', {}, 255*disc),
    'CMYK': (Image.fromarray(steps.astype(np.uint8)).convert('RGB').convert('CMYK'), 'tif', {}, steps),
} | {f'orientation {o}': (turned(o)[0], 'png', turned(o)[1], steps) for o in (2,3,6,8)}

def decoded(uri): return as_seen(Image.open(io.BytesIO(base64.b64decode(uri.partition(',')[2]))))
def grey(a): return np.asarray(a).astype(float).reshape(12, 16, -1)

@pytest.mark.parametrize('name', kinds)
def test_all_see_the_same(name):
    im,ext,how,want = kinds[name]
    files = [Path('set')/c/f'{i}.{ext}' for c in 'ab' for i in range(5)]
    for f in files: f.parent.mkdir(parents=True, exist_ok=True); im.save(f, **how)
    data,f = files[0].read_bytes(),str(files[0])
    df = pd.DataFrame(dict(image=[o.read_bytes() for o in files], label=list('aaaaabbbbb')))
    df.to_parquet('set.parquet')
    paths = pd.DataFrame(dict(image=[str(o) for o in files], label=list('aaaaabbbbb')))
    paths.to_csv('paths.csv', index=False)
    seen = dict(folder=load_data('set').x_train[0], clean=read_folder('set').x[0], frame=from_frame(df).x_train[0],
        parquet=load_data('set.parquet').x_train[0], paths=from_frame(paths).x_train[0], table=read_samples('paths.csv').x[0])
    seen = {k:v.permute(1,2,0).numpy() for k,v in seen.items()}
    seen |= dict(stack=stack_images([data], 'x')[0], thumbnail=decoded(thumbnail(f)), deployed=_as_array(f, (1,12,16), None), deployed_rgb=_as_array(data, (3,12,16), None),
        picture=Image.open(io.BytesIO(Pictures([f]).get(0, 16)[0])))
    for k,v in seen.items(): assert abs(grey(v)-want[...,None]).max()<=1, (k, grey(v)[5,:,0])
    assert image_size(f)==(16,12)

def test_what_is_given_stays_as_it_is():
    im = shape('RGBA', (0,0,0,255))
    before = im.tobytes()
    thumbnail(im); Pictures([im]).get(0, 8); stack_images([im], 'x', size=4)
    assert (im.size, im.mode, im.tobytes())==((16,12), 'RGBA', before)

@pytest.mark.parametrize('dtype', ['float32','float64','int64','uint16','bool'])
def test_arrays_in_frames_are_bytes(dtype):
    df = pd.DataFrame(dict(image=list(np.zeros((10,8,8), dtype)), label=[0,1]*5))
    with pytest.raises(ValueError, match=f'row 0.*images must be uint8 in 0..255, got {dtype}'): from_frame(df)

def test_grey_and_colour(tmp_path):
    "Mixed within a file, over shards and over parts"
    r = np.random.default_rng(0)
    def png(rgb):
        f = io.BytesIO(); Image.fromarray(r.integers(0, 256, (6,6,3)[:2+rgb]).astype(np.uint8)).save(f, 'png')
        return f.getvalue()
    def shard(name, rgb): pd.DataFrame(dict(image=[png(rgb) for _ in range(8)], label=list('ab')*4)).to_parquet(f'shards/{name}.parquet')
    Path('shards').mkdir()
    for name,rgb in (('train-0',0),('train-1',1),('test-0',0)): shard(name, rgb)
    d = load_data('shards')
    assert d.x_train.shape==(16,3,6,6) and d.x_test.shape==(8,3,6,6) and (d.x_test[:,0]==d.x_test[:,2]).all()
    for part,rgb in (('train',1),('test',0)):
        for i in range(6): f = Path('set')/part/'ab'[i%2]/f'{i}.png'; f.parent.mkdir(parents=True, exist_ok=True); f.write_bytes(png(rgb))
    d = load_data('set')
    assert d.x_train.shape==(6,3,6,6) and d.x_test.shape==(6,3,6,6)

def test_what_is_left_out_is_said(monkeypatch):
    import mimetypes
    monkeypatch.setattr(mimetypes, 'types_map', {}) # another machine
    for i in range(12): f = Path('set')/'ab'[i%2]/f'{i}.webp'; f.parent.mkdir(parents=True, exist_ok=True); Image.new('RGB', (8,8), (i,0,0)).save(f)
    for o in ('a/photo.heic','b/notes.txt','loose.webp'): (Path('set')/o).write_bytes((Path('set')/'a'/'0.webp').read_bytes())
    os.symlink('nowhere', 'set/a/gone.png')
    said = ['2 files left out: not called as images are (.heic, .txt)', '1 file left out: in no class folder', '1 file left out: links that lead nowhere']
    s = read_folder('set')
    assert len(s)==12 and s.notes[:3]==said
    with pytest.warns(UserWarning, match='heic.*in no class folder'): assert len(load_data('set').x_train)==9

def test_links():
    for c in 'ab':
        for i in range(6): f = Path('set')/c/f'{i}.png'; f.parent.mkdir(parents=True, exist_ok=True); Image.new('L', (8,8), 40*i).save(f)
    (Path('far')/'deep').mkdir(parents=True)
    for i in range(6): Image.new('L', (8,8), 30*i).save(f'far/deep/{i}.png')
    for link,to in (('a/up','..'),('b/up','..'),('a/twice','../b'),('c','../far'),('a/round','../../far'),('b/again.png','../a/0.png')): os.symlink(to, f'set/{link}')
    os.symlink('../set', 'far/back') # and back
    found,_ = class_images('set')
    assert len(found)==18 and [c for _,c in found].count('b')==6
    assert len({os.path.realpath(f) for f,_ in found})==18

def test_parts_and_classes():
    def fill(root, n=4):
        Path(root).mkdir(parents=True)
        for i in range(n): Image.new('L', (8,8), 40*i).save(f'{root}/{i}.png')
    for c in ('train','test','bus'): fill(f'vehicles/{c}', 6)
    assert load_data('vehicles').classes==read_folder('vehicles').classes==['bus','test','train']
    for c in ('train/cat','train/test','test/cat','test/test','extra/cat','trainers/cat'): fill(f'pets/{c}')
    with pytest.warns(UserWarning, match='extra, trainers was not looked at'): d = load_data('pets')
    assert d.classes==['cat','test'] and len(d.x_train)==8 and len(d.x_test)==8 and d.clean_test

@pytest.mark.parametrize('name', ['test','values','validated','trainee','tests-0'])
def test_parquet_of_any_name(name):
    pd.DataFrame(dict(x=list(np.random.default_rng(0).normal(size=(40,3))), label=[0,1]*20)).to_parquet(f'{name}.parquet')
    assert len(load_data(f'{name}.parquet').x_train)==32

def test_pipes_and_floods(monkeypatch):
    os.mkfifo('pipe.png')
    with pytest.raises(ValueError, match='pipe.png is no regular file'): open_image('pipe.png')
    with pytest.raises(ValueError, match='row 0 .pipe.png.: the image cannot be decoded .*no regular file'): stack_images(['pipe.png'], 'x')
    Image.new('L', (40,30)).save('large.png')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        with pytest.raises(ValueError, match='40 x 30 pixels, at most 1,000 are read'): open_image('large.png')
    assert thumbnail('large.png') is None
