"Features from pretrained networks: by torchvision, timm and functions of one's own, without a network connection"
import io,pickle,urllib.error
from pathlib import Path
import numpy as np,pandas as pd,pytest,timm,torch,torchvision
from PIL import Image
from safetensors.torch import save_file
from knet_nb import features as F
from knet_nb.clean.command import CleanOptions,Cleaning,knet_clean
from knet_nb.clean.samples import read_samples
from knet_nb.deploy import DeployedKNet
from knet_nb.features import Extractor,image_features,pretrained
from labelled import digits,fails

pytestmark = [pytest.mark.usefixtures('alone'), pytest.mark.filterwarnings("ignore:.*is taken as a class")]

def photos(n=60, side=80):
    "Digits as photos in class folders, every tenth in a wrong one"
    x,given,true = digits(n, classes=('one','two','three'))
    for i,(a,c) in enumerate(zip(x, given)):
        f = Path('photos')/c/f'{i:03}.png'
        f.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(a).resize((side,side+i%2), Image.Resampling.BICUBIC).convert('RGB').save(f)
    return given!=true

class Mean(torch.nn.Module): # features that are easily checked
    def forward(self, x): return x.flatten(2).mean(2)

def mean(): return Mean(),dict(size=4, mean=(0,)*3, std=(1,)*3)
def plain(): return Mean()
def whole(): return Extractor(torch.nn.Flatten(), 'whole', size=48)
def odd(): return Mean(),dict(width=3)
def no_module(): return 3

@pytest.fixture
def offline(monkeypatch):
    def no(*a, **kw): raise urllib.error.URLError('Name or service not known')
    monkeypatch.setattr(torch.hub, 'download_url_to_file', no)
    monkeypatch.setenv('TORCH_HOME', 'hub')

def test_torchvision(offline, capsys):
    torch.save(torchvision.models.mobilenet_v3_small().state_dict(), 'm.pth')
    save_file(torchvision.models.mobilenet_v3_small().state_dict(), 'm.safetensors')
    for f in ('m.pth','m.safetensors'):
        e = pretrained('torchvision:mobilenet_v3_small', f)
        assert (e.size,e.shorter,e.interpolation,e.metric)==(224,256,'bilinear','cosine')
        assert image_features([np.zeros((30,40), np.uint8)], e).shape==(1,1024)
    assert e.key!=pretrained('torchvision:mobilenet_v3_small', 'm.pth').key # other weights
    with pytest.raises(ConnectionError, match='mobilenet_v3_small could not be downloaded.*--weights.*--backbone resnet20'): pretrained('torchvision:mobilenet_v3_small')
    photos()
    fails(capsys, ['photos','--out','out'], 'efficientnet_b0 could not be downloaded', '--weights', '--backbone resnet20')
    assert not Path('out/issues.csv').exists()

def test_hash_of_a_download(monkeypatch):
    "A download that is not what its name says is not used"
    def wrong(url, dst, *a, **kw): Path(dst).write_bytes(b'x'); raise RuntimeError('invalid hash value (expected "7f5810bc", got "00")')
    monkeypatch.setattr(torch.hub, 'download_url_to_file', wrong)
    monkeypatch.setenv('TORCH_HOME', 'hub')
    with pytest.raises(ConnectionError, match='invalid hash value'): pretrained('torchvision:efficientnet_b0')

def test_timm(monkeypatch):
    m = timm.create_model('test_vit', num_classes=10)
    save_file(m.state_dict(), 'v.safetensors')
    e = pretrained('timm:test_vit', 'v.safetensors')
    x = image_features([np.zeros((30,40), np.uint8)]*2, e)
    assert x.shape==(2,m.num_features) and torch.equal(x[0], x[1])
    assert torch.equal(e.model.state_dict()['cls_token'], m.state_dict()['cls_token'])
    with pytest.raises(ValueError, match="timm has no network 'test_vitt'. Did you mean 'test_vit"): pretrained('timm:test_vitt')
    with pytest.raises(FileNotFoundError, match='no such file of weights: gone.pth'): pretrained('timm:test_vit', 'gone.pth')
    monkeypatch.setenv('HF_HUB_OFFLINE', '1'); monkeypatch.setenv('HF_HOME', 'hf')
    def no(*a, **kw): raise OSError('cannot reach the hub')
    monkeypatch.setattr(timm, 'create_model', no)
    with pytest.raises(ConnectionError, match='timm:test_vit could not be downloaded .cannot reach the hub'): pretrained('timm:test_vit')

class Evil:
    def __reduce__(self): return Path.touch,(Path('ran'),)

@pytest.mark.parametrize('content, says', [(b'no weights', 'cannot be read as weights'), (pickle.dumps(Evil()), 'cannot be read as weights'), (None, 'no such file of weights'),
    (dict(a=torch.ones(1)), 'has no weights of'), ([1,2], 'has no weights of')])
def test_bad_weights(content, says):
    if isinstance(content, bytes): Path('w.pth').write_bytes(content)
    elif content is not None: torch.save(content, 'w.pth')
    with pytest.raises((ValueError,FileNotFoundError), match=says) as e: pretrained('torchvision:resnet18', 'w.pth')
    assert not Path('ran').exists() and '\n' not in str(e.value) and len(str(e.value))<300

def test_functions():
    e = pretrained('test_extractors:mean')
    assert image_features([np.full((5,7), 51, np.uint8)], e).tolist()==[pytest.approx([.2]*3)]
    assert pretrained('test_extractors:plain').size==224 and pretrained(e) is e
    assert pretrained('test_extractors:whole').size==48 # an Extractor that is made already
    with pytest.raises(ValueError, match='gives an Extractor, which has its weights already'): pretrained('test_extractors:whole', 'w.pth')
    for name,says in (('test_extractors:odd','gives width: known are'), ('test_extractors:no_module','must give a module'), ('test_extractors:gone','cannot be imported'), ('resnet18','names no pretrained network')):
        with pytest.raises(ValueError, match=says): pretrained(name)

def test_images_of_all_kinds():
    e = pretrained('test_extractors:mean')
    a = np.full((6,6,3), (255,0,51), np.uint8)
    b = io.BytesIO(); Image.fromarray(a).save(b, 'png')
    Path('a.png').write_bytes(b.getvalue())
    many = ['a.png', Path('a.png'), b.getvalue(), dict(bytes=b.getvalue(), path=None), dict(bytes=None, path='a.png'), Image.fromarray(a), a]
    x = image_features(many, e)
    torch.testing.assert_close(x, torch.tensor([[1,0,.2]]).expand(7, 3))
    shape = np.zeros((6,6,4), np.uint8); shape[2:4,2:4,3] = 255 # black on transparent
    assert 0<image_features([Image.fromarray(shape)], e).mean()<1

def test_cache(monkeypatch):
    "What is done is not done again, a changed file is; an interrupted run goes on"
    monkeypatch.setattr(F, 'block_size', 4)
    seen = []
    real = F.center_crop
    def crop(image, *a): seen.append(image); return real(image, *a)
    monkeypatch.setattr(F, 'center_crop', crop)
    files = [f'{i}.png' for i in range(10)]
    for i,f in enumerate(files): Image.fromarray(np.full((6,6), i, np.uint8)).save(f)
    want = [[i/255]*3 for i in range(10)]
    Path('6.png').rename('away')
    with pytest.raises(ValueError, match='image 6 .6.png. cannot be decoded'): image_features(files, 'test_extractors:mean')
    Path('away').rename('6.png'); seen.clear()
    torch.testing.assert_close(image_features(files, 'test_extractors:mean'), torch.tensor(want))
    assert sorted(seen)==files[4:] # the first four were kept
    seen.clear(); image_features(files, 'test_extractors:mean'); assert not seen
    Image.fromarray(np.full((6,6), 255, np.uint8)).save('2.png')
    assert image_features(files, 'test_extractors:mean')[2].tolist()==[1]*3
    with pytest.raises(ValueError, match='no images'): image_features([], 'test_extractors:mean')
    monkeypatch.setattr(F, 'save_tensors', lambda *a, **kw: (_ for _ in ()).throw(OSError(28, 'No space left on device')))
    with pytest.warns(UserWarning, match='could not be kept'): image_features(files[::-1], 'test_extractors:mean')

def test_which_network(monkeypatch):
    photos(side=60)
    asked = []
    monkeypatch.setattr('knet_nb.clean.command.pretrained', lambda name, weights: asked.append((name,weights)) or Extractor(*mean()[:1], name, **mean()[1]))
    c = lambda **kw: Cleaning(s, CleanOptions('photos', device='cpu', **kw))
    s = read_samples('photos') # of two sizes
    assert c().metric=='cosine' and c(metric='euclidean').metric=='euclidean' and asked[0]==('torchvision:efficientnet_b0',None)
    assert c(backbone='timm:x', weights='w').extractor and asked[-1]==('timm:x','w')
    assert c(backbone='mlp').extractor is None and c(backbone='mlp').metric=='euclidean'
    for kw,says in ((dict(backbone='resnet99'),'unknown backbone'), (dict(backbone='mlp', weights='w'),'are those of a pretrained network'), (dict(metric='l1'),'unknown metric')):
        with pytest.raises(ValueError, match=says): c(**kw)

def test_lite_finds_wrong_labels(capsys):
    "On photos of digits even a network that has never seen one is far better than chance, and nothing is trained on them"
    wrong = photos(120)
    d = knet_clean('photos', 'out', backbone='lite:lite0', device='cpu')
    assert 'lite:lite0, at 224x224 pixels, pretrained' in capsys.readouterr().out
    bad = d.path.map(lambda p: wrong[int(Path(p).stem)]).to_numpy(bool)
    assert bad[:12].mean()>.5
    assert not list(Path('out/stages').glob('network*'))
    about = pd.read_json('out/knet-clean.json', typ='series')
    assert about.features=='lite:lite0' and about.metric=='cosine' and about.recipe is None
    again = knet_clean('photos', 'out2', backbone='lite:lite0', device='cpu', quiet=True)
    pd.testing.assert_frame_equal(d, again)

def small_images(n=120):
    x,given,true = digits(n, classes=('one','two','three'))
    for i,(a,c) in enumerate(zip(x, given)):
        f = Path('small')/c/f'{i:03}.png'
        f.parent.mkdir(parents=True, exist_ok=True); Image.fromarray(a).save(f)

def test_small_images_are_tried_both_ways(monkeypatch, capsys):
    "By the given labels of held-out images; once, and again when labels change"
    small_images()
    monkeypatch.setattr('knet_nb.clean.command.default_extractor', 'test_extractors:mean')
    s,said = read_samples('small'),[]
    c = Cleaning(s, CleanOptions('small', device='cpu', quiet=True), said.append)
    [note] = [n for n in c.notes if n.startswith('Of the given labels of 24 held-out images')]
    other,own = [float(o[:-1]) for o in note.split() if o.endswith('%')]
    assert (c.extractor is not None)==(other>=own) and c.trained==(other<own) and len(said)==2
    assert Cleaning(s, CleanOptions('small', device='cpu', quiet=True), said.append).notes==c.notes and len(said)==2
    key = c._training_key('resnet20')
    assert Cleaning(s, CleanOptions('small', device='cpu', quiet=True, no_flip=True))._training_key('resnet20')!=key # is tried again
    for scores,name in (((.2,.9),'test_extractors:mean'), ((.9,.2),'resnet20'), ((.5,.5),'test_extractors:mean')):
        monkeypatch.setattr(Cleaning, '_compare', lambda *a: scores)
        c = Cleaning(s, CleanOptions('small', name+str(scores), device='cpu'))
        assert c.backbone_name==name and c.metric==('cosine' if c.extractor else 'euclidean')
    def fails_here(*a): raise AssertionError('not asked for')
    monkeypatch.setattr(Cleaning, '_compare', fails_here)
    assert Cleaning(s, CleanOptions('small', backbone='cnn', device='cpu')).trained

def test_small_images_without_a_connection(offline, capsys):
    "Said, not silent"
    small_images(60)
    c = Cleaning(read_samples('small'), CleanOptions('small', device='cpu'))
    assert c.backbone_name=='resnet20' and any(n.startswith('Only a network trained on these images was tried: the weights of torchvision:efficientnet_b0 could') for n in c.notes)

def test_deployed_with_its_network(offline):
    "One file, from photos to classes; a library's network is built by its name, one's own is given"
    photos(60)
    torch.save(torchvision.models.mobilenet_v3_small().state_dict(), 'm.pth')
    for kw,body in ((dict(backbone='torchvision:mobilenet_v3_small', weights='m.pth'),None), (dict(backbone='lite:lite0'),pretrained('lite:lite0').model)):
        d = knet_clean('photos', 'out'+kw['backbone'], device='cpu', quiet=True, **kw)
        path = Path('out'+kw['backbone'])/'deployed.safetensors'
        if body is not None:
            with pytest.raises(ValueError, match='body='): DeployedKNet.load(path)
        net = DeployedKNet.load(path, body)
        files = [Path('photos')/p for p in d.path]
        assert (net.predict(files)==d.suggested).mean()>.8
        net.knet.transition = None # votes, as in the report
        np.testing.assert_allclose(net.predict_proba(files).max(1).values, d.p_suggested, atol=5e-3)
    e = pretrained('torchvision:mobilenet_v3_small', 'm.pth')
    made = e.to_knet(files, list(d.given))
    made.export('made.onnx') # is compared with the module when it is written
    assert Path('made.onnx').stat().st_size>1e6
    assert made.classes==['one','three','two'] and made.predict_proba(files[0]).shape==(1,3)

def test_onnx_files():
    "A network as a file: batches of any size or of a fixed one; damaged files and other files are refused"
    onnx = pytest.importorskip('onnx'); pytest.importorskip('onnxruntime')
    from onnx import TensorProto,helper
    for name,b in (('free','b'),('fixed',4)):
        i,o = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n,s in (('x',[b,3,6,6]),('y',[b,3,1,1]))]
        g = helper.make_graph([helper.make_node('GlobalAveragePool', ['x'], ['y'])], 'g', [i], [o])
        onnx.save(helper.make_model(g, opset_imports=[helper.make_opsetid('', 13)], ir_version=8), f'{name}.onnx')
        e = pretrained(f'{name}.onnx')
        assert e.size==6
        x = image_features([np.full((6,6), i, np.uint8) for i in range(10)], e)
        want = (torch.arange(10)[:,None]/255-torch.tensor(e.mean))/torch.tensor(e.std)
        torch.testing.assert_close(x, want, atol=1e-5, rtol=1e-5)
    assert pretrained('free.onnx').key!=pretrained('fixed.onnx').key
    photos(40)
    d = knet_clean('photos', 'out', backbone='free.onnx', device='cpu', quiet=True)
    assert len(d)==40 and not Path('out/deployed.safetensors').exists()
    Path('bad.onnx').write_bytes(b'nothing')
    with pytest.raises(ValueError, match='bad.onnx cannot be run'): pretrained('bad.onnx')
    with pytest.raises(FileNotFoundError, match='gone.onnx'): pretrained('gone.onnx')

def test_loaders():
    "Batches as the network takes them, in order; a loader that mixes is refused"
    e,x = pretrained('test_extractors:mean'),torch.rand(10, 3, 4, 4)
    dl = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), batch_size=4)
    torch.testing.assert_close(image_features(dl, e, device='cpu'), x.flatten(2).mean(2))
    with pytest.raises(ValueError, match='shuffles'): image_features(torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), shuffle=True), e, device='cpu')

def test_learners():
    "Features of files as the learner transforms them, and its own label issues by file"
    from fastai.vision.all import ImageDataLoaders,Resize,vision_learner,resnet18
    wrong = photos(60)
    dls = ImageDataLoaders.from_folder('photos', valid_pct=.2, seed=0, item_tfms=Resize(32), bs=16, num_workers=0)
    learn = vision_learner(dls, resnet18, pretrained=False)
    files = sorted(Path('photos').rglob('*.png'))
    x = image_features([f.relative_to('photos') for f in files], learn, 'photos', progress=False)
    from knet_nb.features import extract_features
    torch.testing.assert_close(x, extract_features(learn.model, dls.test_dl(files)))
    with pytest.raises(ValueError, match='give it to image_features'): pretrained(learn)
    d = learn.label_issues(k_max=11, random_state=0)
    assert d.index.tolist()==[str(f) for f in dls.train_ds.items] and d.given.tolist()==[f.parent.name for f in dls.train_ds.items]
    d = learn.label_issues(dl=dls.valid, k_max=5, random_state=0)
    assert len(d)==len(dls.valid_ds) and list(d)==['given','suggested','p_given','p_suggested','score','is_issue']

def test_knet_run_on_a_pretrained_network(offline, capsys):
    "No training; by name with local weights, by a function of nothing, and as an object; refusals in one line"
    from knet_nb.study.experiments import Experiment
    from knet_nb.study.suite import main as run
    torch.save(torchvision.models.mobilenet_v3_small().state_dict(), 'm.pth')
    small = '--n-train 100 --ks 1,5 --k-max 11 --knet-epochs 2'.split()
    run(['--backbone','torchvision:mobilenet_v3_small','--weights','m.pth','--out','a',*small])
    assert 'kNet' in capsys.readouterr().out and not list(Path('a/stages').glob('preliminary*'))
    rows = pd.read_csv('a/results.csv')
    assert set(rows.metric)=={'cosine'} and set(rows.epochs_run)=={0} and rows.accuracy.notna().all() and rows.backbone[0].startswith('torchvision.mobilenet_v3_small-')
    run(['--backbone','test_extractors:mean','--out','b',*small])
    e = Experiment(data='digits', backbone=pretrained('test_extractors:mean'), n_train=100, ks=(1,5), k_max=11, knet_epochs=2, out='b', verbose=False)
    assert e.config.content('backbone')==Experiment(data='digits', backbone='test_extractors:mean').config.content('backbone')
    e.run() # the same run
    for argv,says in ((['--backbone','torchvision:mobilenet_v3_small'],'could not be downloaded'), (['--weights','m.pth'],'not of resnet20'),
                      (['--backbone','test_extractors:mean','--held-out','.2'],'learns nothing here'), (['--backbone','test_extractors:mean','--data','blobs'],'and blobs has none')):
        with pytest.raises(SystemExit) as x: run(argv)
        err = capsys.readouterr().err
        assert x.value.code==2 and says in err and err.count('\n')==1, err
