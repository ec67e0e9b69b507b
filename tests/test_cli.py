"`knet-run` as its user meets it: one line for whatever is wrong, and a table, a csv, a parquet and a figure otherwise"
import io,json,os,re,signal,subprocess,sys,time,urllib.error,urllib.request
from dataclasses import fields
import numpy as np,pandas as pd,pytest
from PIL import Image
import knet_nb.backbones as B,knet_nb.noise as N
import knet_nb.study.experiments as E,knet_nb.study.results as R
from knet_nb.study.config import Config
from knet_nb.noise import cifar10n_labels
from knet_nb.study.suite import main

quick = '--data blobs --n-train 150 --backbone mlp --epochs 1 --k-max 7 --ks 1,5 --knet-epochs 1 --device cpu'.split()
image_quick = [*quick,'--backbone','cnn','--n-train','30']

pytestmark = pytest.mark.usefixtures('alone')

def fails(capsys, argv, *says):
    "Exit status 2 and one line, which `says` these things"
    with pytest.raises(SystemExit) as e: main([str(o) for o in argv])
    err = capsys.readouterr().err
    assert e.value.code==2 and err.startswith('knet-run: ') and err.count('\n')==1 and err.endswith('\n') and 'Traceback' not in err, err
    assert len(err)<700, err
    for s in says: assert re.search(s, err), (s,err)

wrong = {
    '--nope 3':'--nope', 'surplus':'surplus', '--rate':'--rate', '--rate x':"--rate.*'x'", '--epochs 2.5':"--epochs.*'2.5'",
    '--seeds 0,a':"--seeds.*'0,a'", '--ks 1;5':"--ks.*'1;5'", '--rate 1.5':r'\[0, 1\], got 1.5', '--rate -0.1':r'got -0.1',
    '--rate nan':'got nan',
    '--noise loud':"'loud'.*uniform", '--backbone vgg':"'vgg'.*resnet20", '--recipe slow':"'slow'.*fast",
    '--metric manhattan':"'manhattan'.*cosine",
    '--loss mse':"'mse'.*kl", '--data nosuch':"'nosuch'.*digits", '--hidden wide':"paper.*'wide'", '--hidden -3':'got .-3.',
    '--ks 1,8':'k_max=7.*got 8',
    '--ks 0,5':'got 0', '--ks ,':'ks', '--k-max 0 --ks 1':'k_max.*got 0', '--epochs 0':'epochs.*at least 1', '--bs 0':'bs.*at least 1',
    '--knet-epochs 0':'knet_epochs.*got 0', '--seeds ,':'seed', '--n-train 2':'n_train.*got 2', '--n-train -5':'got -5',
    '--n-train 0':'got 0',
    '--n-train 99999':'got 99999', '--data cifar10 --root nowhere':'nowhere.*KNET_DATA', '--noise semantic':"semantic map for 'blobs'",
    '--backbone resnet20':"2-d vectors.*'mlp'", '--device toaster':'toaster', '--noise cifar10n_worse':'50,000 training images', '--ieg-p -1':'ieg_p.*got -1'}

@pytest.mark.parametrize('args', wrong)
def test_wrong_arguments(capsys, args): fails(capsys, [*quick,*args.split()], wrong[args])

@pytest.mark.parametrize('k_max', ['150','1499','1500'])
def test_k_max_against_the_training_samples(capsys, tmp_path, k_max):
    "Refused before anything is trained"
    fails(capsys, [*quick,'--k-max',k_max,'--out','run'], k_max, '150')
    assert not list(tmp_path.glob('run/stages/preliminary*'))

@pytest.mark.skipif(E.torch.cuda.is_available(), reason='there is a GPU')
def test_no_such_device(capsys): fails(capsys, [*quick,'--device','cuda'], '(?i)cuda|nvidia')

def png(a):
    b = io.BytesIO(); Image.fromarray(a).save(b, 'png')
    return b.getvalue()
def frame(n=60):
    x = np.random.default_rng(0).integers(0, 256, (n,8,8,3), dtype=np.uint8)
    return pd.DataFrame(dict(image=list(map(png, x)), label=np.arange(n)%3))
def parquet_bytes(): b = io.BytesIO(); frame().to_parquet(b); return b.getvalue()
def npz_bytes(**kw):
    b = io.BytesIO(); np.savez(b, **kw)
    return b.getvalue()
x8,y8 = np.random.default_rng(0).integers(0, 256, (60,8,8), dtype=np.uint8),np.arange(60)%3
def npy_bytes(): b = io.BytesIO(); np.save(b, x8); return b.getvalue()
def flipped(b, i): return b[:i]+bytes([b[i]^1])+b[i+1:]

good_npz,good_parquet = npz_bytes(x=x8, y=y8),parquet_bytes()
nan7 = np.where(np.arange(60)==7, np.nan, 1.)[:,None].repeat(4, 1)
broken_files = {
    'no parquet': ('a.parquet', b'PAR1 and nothing else', 'a.parquet'), 'empty parquet': ('a.parquet', b'', 'a.parquet'),
    'half a parquet': ('a.parquet', good_parquet[:3000], 'a.parquet'), 'empty npz': ('a.npz', b'', 'a.npz'),
    'no npz': ('a.npz', b'PK\x03\x04 and nothing else', 'a.npz'), 'half an npz': ('a.npz', good_npz[:2000], 'a.npz'),
    'a flipped bit': ('a.npz', flipped(good_npz, 2000), 'a.npz'), 'an npy': ('a.npz', npy_bytes(), 'a.npz'),
    'pickled objects': ('a.npz', npz_bytes(x=np.array([{}]*60), y=y8), 'a.npz'), 'no labels': ('a.npz', npz_bytes(x=x8), 'y_train'),
    'unequal lengths': ('a.npz', npz_bytes(x=x8, y=y8[:50]), '60 samples but 50 labels'),
    'float images': ('a.npz', npz_bytes(x=x8.astype('float32'), y=y8), 'uint8'), 'text': ('a.npz', npz_bytes(x=np.full((60,4), 'a'),
    y=y8), 'number'),
    'nan': ('a.npz', npz_bytes(x=nan7, y=y8), 'row 7'), 'no samples': ('a.npz', npz_bytes(x=x8[:0], y=y8[:0]), 'empty'),
    'negative labels': ('a.npz', npz_bytes(x=x8, y=y8-1), r'\[0.*found -1'), 'half labels': ('a.npz', npz_bytes(x=x8, y=y8+.5),
    'whole numbers'),
    'absent classes': ('a.npz', npz_bytes(x=x8, y=y8*2, x_test=x8, y_test=y8*2), 'class 1, 3'),
    'huge labels': ('a.npz', npz_bytes(x=x8, y=y8*10**6, x_test=x8, y_test=y8*10**6), 'class'), 'a text file': ('a.txt', b'hello',
    'expected .csv, .parquet, .npz')}

@pytest.mark.parametrize('what', broken_files)
def test_broken_files(capsys, tmp_path, what):
    name,content,says = broken_files[what]
    (tmp_path/name).write_bytes(content)
    fails(capsys, [*image_quick,'--data',tmp_path/name], says)

@pytest.mark.parametrize('broken', [b'not an image', b'', frame().image[1][:-40]])
def test_an_image_that_does_not_decode(capsys, tmp_path, broken):
    df = frame()
    df.at[41,'image'] = broken
    df.to_parquet(tmp_path/'a.parquet')
    fails(capsys, [*image_quick,'--data',tmp_path/'a.parquet'], r'a\.parquet, row 41\b')
    for i,b in enumerate(df.image):
        f = tmp_path/'set'/f'c{i%3}'/f'{i:02}.png'
        f.parent.mkdir(parents=True, exist_ok=True); f.write_bytes(b)
    fails(capsys, [*image_quick,'--data',tmp_path/'set'], r'row 53\b', r'41\.png') # a row of a folder is no help without the file's name

@pytest.mark.parametrize('df,says', [
    (frame().rename(columns=dict(label='kind')), 'which column is the label.*kind'),
    (frame().drop(columns='image').assign(z='text'), 'no column has numbers, vectors or images'), (frame().assign(other=frame().image).rename(columns=dict(image='z')), 'which column is the image'),
    (frame().assign(label=[None]+[1.]*59), 'row 0'), (frame().iloc[:0], 'no rows')])
def test_unusable_frames(capsys, tmp_path, df, says):
    df.to_parquet(tmp_path/'a.parquet')
    fails(capsys, [*image_quick,'--data',tmp_path/'a.parquet'], says)

def test_folders_that_are_no_set(capsys, tmp_path):
    (tmp_path/'void').mkdir()
    fails(capsys, [*quick,'--data',tmp_path/'void'], 'no images in class folders')
    (tmp_path/'file').write_text('')
    fails(capsys, [*quick,'--out',tmp_path/'file'], 'file')

def test_folder_of_another_configuration(capsys):
    main([*quick,'--out','run'])
    before = (open('run/results.csv').read(), open('run/config.json').read())
    for a,b in dict(rate='.3', noise='pairflip', backbone='cnn', epochs='2').items():
        fails(capsys, [*quick,f'--{a}',b,'--out','run'], 'another configuration', a)
    assert before==(open('run/results.csv').read(), open('run/config.json').read())
    main([*quick,'--out','run','--ks','1,7']) # this is another table of the same run
    assert 'preliminary' not in capsys.readouterr().out.split('seed 0')[-1]

@pytest.mark.parametrize('args', [['--data','cifar10'],['--data','svhn'],['--data','fashion_mnist']])
def test_no_network(capsys, monkeypatch, args):
    asked = []
    def no(*a, **k):
        asked.append(a)
        raise urllib.error.URLError('no route to host')
    monkeypatch.setattr(urllib.request, 'urlopen', no)
    fails(capsys, [*quick,*args], 'KNET_DATA', '--root|root=')
    assert asked

def test_no_network_for_human_labels(monkeypatch):
    def no(*a, **k): raise urllib.error.URLError('no route to host')
    monkeypatch.setattr(urllib.request, 'urlopen', no)
    with pytest.raises(ConnectionError, match='KNET_DATA'): cifar10n_labels()

def test_labels_that_may_be_wrong_in_the_test_part(capsys, tmp_path):
    frame().to_parquet(tmp_path/'a.parquet')
    main([*image_quick,'--data',str(tmp_path/'a.parquet'),'--noise','none'])
    assert 'set aside from yours' in capsys.readouterr().out
    np.savez(tmp_path/'b.npz', x_train=x8, y_train=y8, x_test=x8, y_test=y8)
    main([*image_quick,'--data',str(tmp_path/'b.npz'),'--noise','none'])
    assert 'set aside from yours' not in capsys.readouterr().out

@pytest.mark.parametrize('columns', ['80','120','180'])
def test_help(capsys, monkeypatch, columns):
    monkeypatch.setenv('COLUMNS', columns)
    with pytest.raises(SystemExit) as e: main(['--help'])
    out,err = capsys.readouterr()
    assert e.value.code==0 and not err
    assert max(map(len, out.splitlines()))<=200
    for f in fields(Config): assert re.search(rf'^  --{f.name.replace("_","-")}\b.*?\s\w+ \w+', out, re.M|re.S), f.name
    for name in (*N.noise_names[:7],*B.backbones,'mlp','fast','paper','cosine','kl'): assert re.search(rf'\b{name}\b', out), name
    assert '--pdb' not in out

def test_a_run(capsys, tmp_path):
    main([*quick,'--seeds','0,1','--controls','--out','run'])
    out,err = capsys.readouterr()
    assert not err
    df,text = pd.read_csv('run/results.csv'),open('run/results.csv').read()
    assert pd.read_parquet('run/results.parquet').to_csv(index=False)==text
    full = ['method','accuracy','weights','floats','seconds','seed','noise_rate','device','versions','hardware']
    assert len(df)==2*(3+4*2) and not df[full].isna().any().any()
    assert df.accuracy.between(0,100).all() and (df.seconds>=0).all() and set(df.k.dropna())=={1,5} and df.noise_rate.between(.1,.5).all()
    with Image.open('run/accuracy.png') as im:
        im.load()
        assert im.format=='PNG' and min(im.size)>300 and len(im.convert('RGB').getcolors(1<<24))>20
    table = out[out.index('weights'):].splitlines()
    assert table[0].split()==['weights','k=1','k=5','seconds']
    for m,label in R.method_names.items():
        line = next(l for l in table[1:] if l.startswith('mlp' if m=='base' else label+' '))
        for k in (1,5):
            a = df[(df.method==m)&((df.k==k)|(m in R.no_k))].accuracy
            assert f'{a.mean():.2f} ± {a.std():.2f}' in line, (line,a)
    for f in ('results.csv','accuracy.png'): assert str(E.Path('run')/f) in out
    assert sorted(os.listdir('run'))==['accuracy.png','config.json','results.csv','results.parquet','stages']
    assert json.load(open('run/config.json'))['data']=='blobs'
    main([*quick,'--seeds','0,1','--controls','--out','run'])
    again = capsys.readouterr().out
    assert again[again.index('weights'):]==out[out.index('weights'):] and open('run/results.csv').read()==text
    assert 'knet:' in out and 'knet:' not in again

def test_images_from_a_folder(capsys, tmp_path):
    for i,b in enumerate(frame().image):
        f = tmp_path/'set'/f'c{i%3}'/f'{i:02}.png'
        f.parent.mkdir(parents=True, exist_ok=True); f.write_bytes(b)
    main([*image_quick,'--data',str(tmp_path/'set')])
    [csv] = tmp_path.glob('runs/set-uniform-0.4-cnn-*/results.csv')
    assert len(pd.read_csv(csv))==7

def test_stopped_by_the_user(capsys, monkeypatch):
    def stop(self): raise KeyboardInterrupt
    monkeypatch.setattr(E.Experiment, 'run', stop)
    with pytest.raises(SystemExit) as e: main(quick)
    err = capsys.readouterr().err
    assert e.value.code==130 and err.count('\n')==1

def process(*args):
    env = {k:v for k,v in os.environ.items() if k!='PYTHONWARNINGS'}
    cmd = [sys.executable,'-c','from knet_nb.start import run; run()',*args]
    return subprocess.run(cmd, capture_output=True, text=True, env=env)

@pytest.mark.skipif(sys.platform=='win32', reason='has no such signal')
def test_interrupted_while_loading():
    "At any moment: one line, no traceback"
    code = "from knet_nb.start import {}; print(flush=True); {}()"
    ps = [subprocess.Popen([sys.executable,'-W','ignore','-c',code.replace('{}',f),'nowhere'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
          for f in ('run','clean')]
    for p in ps: p.stdout.readline()
    for p,s in zip(ps, (.4,.6)): # seconds, of the two to ten that loading takes
        time.sleep(s); p.send_signal(signal.SIGINT)
    for p,prog in zip(ps, ('knet-run','knet-clean')): assert (p.communicate()[1], p.returncode)==(f'{prog}: stopped\n', 130)

def test_as_a_process():
    "The exit status and the one line, with no import's warning beside it"
    r = process(*quick, '--rate', '7')
    assert (r.returncode,r.stdout)==(2,'') and r.stderr.count('\n')==1 and 'got 7.0' in r.stderr, r.stderr

def test_output_to_a_file():
    "No remains of progress bars, and nothing on stderr"
    r = process(*image_quick, '--data', 'digits', '--n-train', '100')
    assert r.returncode==0 and not r.stderr, r.stderr
    assert not re.search('[█\r\x1b]', r.stdout), r.stdout
