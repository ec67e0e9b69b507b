"Kills, full disks, flipped bits, tables that point elsewhere: what is stored stays whole, and whoever is asked answers in one line"
import json,os,shutil,subprocess,sys,warnings
from pathlib import Path
import numpy as np,pandas as pd,pytest,torch
from PIL import Image
from forked import Children
from labelled import fails,folder,quick,table
from knet_nb.clean.command import knet_clean
from knet_nb.clean.decisions import Decisions
from knet_nb.clean.samples import read_table
from knet_nb.data import from_arrays,load_data
from knet_nb.deploy import DeployedKNet,feature_net
from knet_nb.files import load_rows,load_tensors,save_rows,save_tensors
from knet_nb.knet import KNet,fit_knet
from knet_nb.noise import load_noise,make_noise
from knet_nb.plots import save_plot
from knet_nb.study.results import plot_accuracy

pytestmark = pytest.mark.usefixtures('alone')

def results(out): return {p.name:p.read_bytes() for p in sorted(Path(out).iterdir()) if p.is_file() and p.name[0]!='.'}

killer = """
import os,signal
real,seen = os.replace,[0]
def replace(*a):
    seen[0] += 1
    if seen[0]=={n}: os.kill(os.getpid(), signal.SIGKILL)
    real(*a)
os.replace = replace
"""
clean = "from knet_nb.clean.command import main\nmain(['a.csv','--out',{out!r},'--quiet'])"
merge = "from knet_nb.study.suite import main\nmain(['--merge','a','b','--out',{out!r}])"

def killed_everywhere(code, most):
    "The code is killed before each replacement of a file, then run again: the results are those of a run that was let be"
    with Children() as c:
        rc,_,text = c.run(code.format(out='good'))[0]
        assert rc==0, text
        good = results('good')
        for n in range(1, most):
            out = f'out-{n}'
            rc,_,text = c.run(killer.format(n=n)+code.format(out=out))[0]
            if rc==0: return n-1 # there are no more
            assert rc==-9, text
            rc,_,text = c.run(code.format(out=out))[0]
            assert rc==0 and 'Traceback' not in text, (n,text)
            assert results(out)==good, n
    raise AssertionError(f'more than {most} files are replaced')

@pytest.mark.skipif(sys.platform!='linux', reason='kills forks')
def test_knet_clean_killed_at_every_file():
    table(60)[0].to_csv('a.csv', index=False)
    assert killed_everywhere(clean, 12)>=7

def rows(seed): return pd.DataFrame(dict(data='digits', noise='uniform', rate=.4, backbone='mlp', recipe='fast', include_self=False, seed=seed, method=['base','knn'],
                                         k=pd.array([None,5], 'Int64'), accuracy=[.5,.6+.01*seed]))

@pytest.mark.skipif(sys.platform!='linux', reason='kills forks')
def test_merge_killed_at_every_file():
    for i,f in enumerate('ab'): Path(f).mkdir(); save_rows(rows(i), f'{f}/results.parquet')
    assert killed_everywhere(merge, 6)>=2

limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({n},{n}))\n"

@pytest.mark.skipif(sys.platform!='linux', reason='limits the size of files')
@pytest.mark.parametrize('what', ['table','photos','run'])
def test_full_disk(what):
    "One line, and with room again the same command goes on to the same results"
    table(60)[0].to_csv('a.csv', index=False)
    folder('set', n=60)
    code = dict(table=clean, photos=clean.replace("'a.csv'", "'set','--backbone','mlp','--epochs','2','--device','cpu'"),
        run="from knet_nb.study.suite import main\nmain('--data digits --backbone mlp --epochs 1 --knet-epochs 1 --ks 1,5 --k-max 5 --out'.split()+[{out!r}])")[what]
    env = "import os; os.environ['KNET_CACHE'] = {cache!r}\n"
    with Children() as c:
        rc,_,text = c.run(env.format(cache='cache')+code.format(out='good'))[0]
        assert rc==0, text
        for n in dict(table=(20000,), photos=(1000,60000), run=(20000,))[what]:
            out = f'out{n}'
            rc,_,text = c.run(env.format(cache=out+'c')+limited.format(n=n)+code.format(out=out))[0]
            assert 'Traceback' not in text and (rc==0 or rc==2 and 'knet-' in text.splitlines()[-1]), (n,rc,text[-600:])
            rc,_,text = c.run(env.format(cache=out+'c')+code.format(out=out))[0]
            assert rc==0, (n,text[-600:])
            same = {k for k in results('good') if k.endswith(('.csv','model.safetensors'))}
            drop = lambda k,v: pd.read_csv(Path(v)/k).drop(columns='seconds', errors='ignore').to_csv() if k.endswith('.csv') else (Path(v)/k).read_bytes()
            for k in same: assert drop(k, out)==drop(k, 'good'), (n,k)

def made():
    "A file of each kind, how it is read, and what of it counts"
    data = load_data('digits').subset(60, 20)
    x,y = data.x_train.flatten(1).float(),data.y_train
    net = fit_knet(x, y, k_max=5, epochs=1)
    net.classes = data.classes
    net.save('knet.safetensors')
    body = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8), torch.nn.ReLU(), torch.nn.Linear(8, 10))
    dep = DeployedKNet(feature_net(body, data.x_test[:2].float()), fit_knet(torch.randn(60, 8), y, k_max=5, epochs=1), data.classes, (1,8,8), 3, None, 255.)
    dep.save('deployed.safetensors')
    noisy = make_noise('uniform', data, rate=.3)
    noisy.save('noisy.npz')
    save_tensors('stage.safetensors', dict(a=torch.arange(9.), b=y), note='x', seconds=1.5)
    save_rows(rows(0), 'rows.parquet')
    given,names = np.arange(30)%3,['cat','cut','dog']
    def decisions(p): return Decisions(given, names, p)
    d = decisions('decisions.csv')
    for i in range(20): d.add([i,i+3], [2+i%3]*2, given[[i,i+3]])
    def of_decisions(p): d = decisions(p); return d.kind.tolist(),d.label.tolist(),len(d)
    def of_knet(p): k = KNet.load(p); return k.predict_proba(x[:3]).tolist(),k.classes,k.k,k.columns
    def of_deployed(p): d = DeployedKNet.load(p, body=body); return d.predict_proba(data.x_test[:3]).tolist(),d.classes,d.k
    def of_noise(p): o = load_noise(p); return o.labels.tolist(),o.clean.tolist(),o.n_classes,o.seed,o.exact,o.note
    def of_stage(p): t,m = load_tensors(p); return {k:v.tolist() for k,v in t.items()},m
    def of_rows(p): return load_rows(p).to_csv()
    return {'knet.safetensors':of_knet,'deployed.safetensors':of_deployed,'noisy.npz':of_noise,'stage.safetensors':of_stage,'rows.parquet':of_rows,'decisions.csv':of_decisions}

@pytest.mark.parametrize('name', ['knet.safetensors','deployed.safetensors','noisy.npz','stage.safetensors','rows.parquet','decisions.csv'])
def test_flipped_bits(name):
    "What is read is what was stored, or is refused"
    read = made()[name]
    want,data,r,noticed = read(name),Path(name).read_bytes(),np.random.default_rng(0),0
    for at in r.integers(0, 8*len(data), 300):
        bad = bytearray(data)
        bad[at//8] ^= 1<<at%8
        Path('bad'+name).write_bytes(bad)
        try:
            with warnings.catch_warnings(): warnings.simplefilter('error', UserWarning); got = read('bad'+name)
        except (ValueError,UserWarning) as e: noticed += 1; assert 'bad'+name in str(e), e
        else: assert got==want, at
    for n in (0,1,len(data)//2,len(data)-1):
        Path('bad'+name).write_bytes(data[:n])
        if name=='decisions.csv' and n>100: continue # a torn step: see test_widgets
        with pytest.raises(ValueError, match='bad'): read('bad'+name)
    assert noticed>150

def test_damaged_stages_and_cache():
    "knet-clean makes again what it cannot read"
    folder('set', n=60)
    want = knet_clean('set', 'out', **quick)
    r = np.random.default_rng(0)
    for f in [*Path('out/stages').glob('*.safetensors'),*Path(os.environ['KNET_CACHE']).rglob('*.safetensors')]:
        data = bytearray(f.read_bytes())
        data[r.integers(200, len(data))] ^= 4
        f.write_bytes(data)
        pd.testing.assert_frame_equal(knet_clean('set', 'out', **quick), want)

def pictures():
    Path('set').mkdir(); Path('away').mkdir()
    r = np.random.default_rng(0)
    for i in range(20): Image.fromarray(r.integers(0, 255, (8,8)).astype(np.uint8)).save(f'set/{i}.png')
    Image.new('L', (8,8), 77).save('away/secret.png')
    return [f'{i}.png' for i in range(20)]

@pytest.mark.parametrize('how', ['above','absolute','link'])
def test_images_outside(how, capsys):
    paths = pictures()
    if how=='link': os.symlink('../away/secret.png', 'set/link.png')
    paths[4] = dict(above='../away/secret.png', absolute=str(Path('away/secret.png').resolve()), link='link.png')[how]
    pd.DataFrame(dict(image=paths, label=list('ab')*10)).to_csv('set/t.csv', index=False)
    fails(capsys, ['set/t.csv','--out','out'], 'row 4, counted from 0: the image .* lies outside the table.s folder', '--allow-outside')
    assert not Path('out/report.html').exists()
    assert len(read_table('set/t.csv', allow_outside=True))==20
    paths[4] = str(Path('set/4.png').resolve()) # an absolute path to where the others are
    pd.DataFrame(dict(image=paths, label=list('ab')*10)).to_csv('set/t.csv', index=False)
    assert len(read_table('set/t.csv'))==20

def test_a_pipe_is_not_waited_for(capsys):
    paths = pictures()
    os.mkfifo('set/pipe.png')
    paths[3] = 'pipe.png'
    pd.DataFrame(dict(image=paths, label=list('ab')*10)).to_csv('set/t.csv', index=False)
    fails(capsys, ['set/t.csv','--out','out'], 'pipe.png .*no regular file')

def test_bars_are_for_those_who_look():
    code = "from knet_nb.all import *\nnearest(torch.randn(3000,8), k=3, progress=True)\nfit_knet(torch.randn(300,4), torch.arange(300)%2, k_max=5, epochs=2, progress=True)\nprint('done')"
    r = subprocess.run([sys.executable,'-W','ignore','-c',code], capture_output=True, text=True)
    assert (r.stdout, r.returncode)==('done\n', 0) and not r.stderr.strip()

@pytest.mark.parametrize('main', ['knet_nb.clean.command','knet_nb.study.suite'])
def test_version_and_interrupts(main, capsys, monkeypatch):
    import importlib,argparse,knet_nb
    run = importlib.import_module(main).main
    with pytest.raises(SystemExit) as e: run(['--version'])
    assert e.value.code==0 and knet_nb.__version__ in capsys.readouterr().out
    def stop(*args, **kwargs): raise KeyboardInterrupt
    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', stop)
    with pytest.raises(SystemExit) as e: run(['--help'])
    assert e.value.code==130 and 'stopped' in capsys.readouterr().err

def test_dollars_in_names(tmp_path):
    save_plot(plot_accuracy(rows(0).assign(data='d$^$', k_max=5)), tmp_path/'a.png')

def test_umask_is_left_alone(monkeypatch):
    "It belongs to all threads of a process"
    monkeypatch.setattr(os, 'umask', lambda *a: pytest.fail('umask was set'))
    save_tensors('a.safetensors', dict(a=torch.ones(2)))
    assert os.stat('a.safetensors').st_mode&0o600==0o600

def test_unreadable_cache(monkeypatch):
    folder('set', n=60)
    import knet_nb.files as files
    def denied(path): raise PermissionError(13, 'Permission denied', str(path))
    monkeypatch.setattr(files, 'load_tensors', denied)
    with pytest.warns(UserWarning, match='could not be read from .*set KNET_CACHE'): assert len(load_data('set').x_train)

hostile = [None,[],{},'x',-1,10**400,1.5,[[]],{'a':1},True,'x'*1000,10**9,'del']

@pytest.mark.parametrize('name', ['knet.safetensors','deployed.safetensors'])
def test_hostile_metadata(name):
    "A right checksum over wrong metadata: read, or refused in one line"
    import copy
    made()
    body = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8), torch.nn.ReLU(), torch.nn.Linear(8, 10))
    tensors,meta = load_tensors(name)
    def places(o, at=()):
        for k in o if isinstance(o, dict) else range(len(o)) if isinstance(o, list) else (): yield (*at,k); yield from places(o[k], (*at,k))
    refused = 0
    for at in places(meta):
        for bad in hostile:
            m = copy.deepcopy(meta); o = m
            for k in at[:-1]: o = o[k]
            if bad=='del': del o[at[-1]]
            else: o[at[-1]] = bad
            save_tensors('bad.safetensors', tensors, **m) if 'path' not in m and 'tensors' not in m else None
            try:
                if name[0]=='k': KNet.load('bad.safetensors').predict_proba(torch.zeros(2,64))
                else: DeployedKNet.load('bad.safetensors', body=body).predict_proba(torch.zeros(2,1,8,8).byte())
            except ValueError as e: refused += 1; assert len(str(e).splitlines())<3
    assert refused>50

@pytest.mark.parametrize('meta', [b'['*100000, b'{}', b'[1,2]', b'{"info":[1]}', b'{"info":{"features":{"label":{"names":"ab"}}}}', b'{"info":{"features":{"label":7}}}', b'\xff', b'9'*5000])
def test_hostile_schema(meta):
    import pyarrow as pa,pyarrow.parquet as pq
    r = np.random.default_rng(0)
    t = pa.table(dict(a=r.normal(size=20), b=r.normal(size=20), label=[0,1]*10))
    pq.write_table(t.replace_schema_metadata({b'huggingface':meta, b'pandas':meta}), 't.parquet')
    s = read_table('t.parquet')
    assert s.columns==['a','b'] and len(knet_clean('t.parquet', 'out', quiet=True))==20

def test_hostile_cells():
    for cell in ('['*100000, '['+'9'*400+',1]', '[1e999,2]', '{"a":1}', '[[1],[2]]'):
        pd.DataFrame(dict(v=['[1,2]']*9+[cell], label=list('ab')*5)).to_csv('v.csv', index=False)
        with pytest.raises(ValueError, match='v.csv') as e: read_table('v.csv')
        assert len(str(e.value))<400
    pd.DataFrame(dict(v=['1','2']*4+['9'*400,'3'], label=list('ab')*5)).to_csv('n.csv', index=False)
    with pytest.raises(ValueError, match="row 8, counted from 0: column 'v' has no finite number"): read_table('n.csv')

def test_wide_tables():
    r = np.random.default_rng(0)
    wide = pd.DataFrame(r.normal(size=(10,3000)).round(3), columns=[f'x{i}' for i in range(3000)]).assign(label=list('ab')*5)
    wide.to_csv('w.csv', index=False); wide.to_parquet('w.parquet')
    for f in ('w.csv','w.parquet'): assert read_table(f).features.shape==(10,3000)
    Path('d.csv').write_text(','.join(['x']*3000)+',label\n'+','.join(['1']*3000)+',a\n')
    with pytest.raises(ValueError, match="has 3000 columns 'x': rename one"): read_table('d.csv')

def test_a_download_that_broke_off(monkeypatch):
    "It leaves nothing that a later run stumbles over"
    import knet_nb.data as data,torchvision.datasets as tv
    from scipy.io import savemat
    r = np.random.default_rng(0)
    tried,utils = [],tv.utils
    def part(url, d, name, md5):
        tried.append((url,md5))
        savemat(Path(d)/name, dict(X=r.integers(0, 256, (32,32,3,40)).astype(np.uint8), y=np.arange(40)[:,None]%10+1))
    def breaks(url, d, name, md5): tried.append((url,md5)); (Path(d)/name).write_bytes(b'half'); raise RuntimeError('the connection was lost')
    monkeypatch.setattr(utils, 'download_url', breaks)
    for _ in range(2):
        with pytest.raises(ConnectionError, match='svhn is not in a local root and could not be downloaded .the connection was lost'): load_data('svhn')
    assert not list((Path(os.environ['KNET_CACHE'])/'downloads').iterdir())
    (safe,md5),(plain,same) = tried[:2] # over https first; without it the md5 sum alone has to do
    assert (safe,md5)==('https'+plain.removeprefix('http'),same) and md5==tv.SVHN.split_list['train'][2]
    monkeypatch.setattr(utils, 'download_url', part)
    assert len(load_data('svhn').x_train)==40
    assert sorted(p.name for p in (Path(os.environ['KNET_CACHE'])/'downloads').iterdir())==['test_32x32.mat','train_32x32.mat']
    found = data._addresses('fashion_mnist', tv)
    assert len(found)==4 and all(safe.startswith('https://') and len(md5)==32 and f.parent.name=='raw' for (safe,_),f,md5 in found)
