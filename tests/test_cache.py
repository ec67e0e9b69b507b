"Decoded images are kept once, whole, and for as long as the files are the same"
import hashlib,io,os,sys,time
import numpy as np,pandas as pd,pytest
from PIL import Image
import knet_nb.data as D
from knet_nb.data import load_data
from knet_nb.files import load_tensors
from forked import Children

posix = pytest.mark.skipif(sys.platform=='win32', reason='needs POSIX signals')
n = 60
def images(seed=0): return np.random.default_rng(seed).integers(0, 256, (n,9,9,3), dtype=np.uint8)
def png(a):
    b = io.BytesIO(); Image.fromarray(a).save(b, 'png')
    return b.getvalue()

def make(kind, where, seed=0):
    "The path of a set of `images(seed)`: the first two thirds are the train part; and what x_train has to be"
    x,y,m = images(seed),np.arange(n)%3,n*2//3
    where.mkdir(parents=True, exist_ok=True)
    for part,at in (('train',range(m)),('test',range(m,n))):
        if kind=='parquet':
            pd.DataFrame(dict(image=[png(x[i]) for i in at], label=[int(y[i]) for i in at])).to_parquet(where/f'{part}.parquet')
        else:
            for i in at:
                f = where/part/f'c{y[i]}'/f'{i:03}.png'
                f.parent.mkdir(parents=True, exist_ok=True); f.write_bytes(png(x[i]))
    order = np.arange(m) if kind=='parquet' else np.concatenate([np.arange(c, m, 3) for c in range(3)])
    return where,x[order].transpose(0,3,1,2)

@pytest.fixture
def cache(tmp_path, monkeypatch):
    "The cache's folder, and how often images were decoded"
    monkeypatch.setenv('KNET_CACHE', str(tmp_path/'cache'))
    calls,real = [],D.stack_images
    monkeypatch.setattr(D, 'stack_images', lambda *a, **k: (calls.append(1), real(*a, **k))[1])
    return tmp_path/'cache'/'decoded',calls

def kept(folder): return sorted(p.name for p in folder.glob('[!.]*'))
def temps(folder): return [p for p in folder.glob('.*')]

@pytest.fixture(scope='module')
def kids():
    with Children() as c: yield c

def child(path, cache, wrap=''):
    return f"""
import os,signal,time,hashlib
from pathlib import Path
os.environ['KNET_CACHE'] = {str(cache.parent)!r}
import knet_nb.data as D,knet_nb.files as F,knet_nb.images as I
{wrap}
d = D.load_data({str(path)!r})
print(hashlib.sha1(b''.join(getattr(d,k).numpy().tobytes() for k in ('x_train','y_train','x_test','y_test'))).hexdigest())
"""

def digest(d):
    return hashlib.sha1(b''.join(getattr(d,k).numpy().tobytes() for k in ('x_train','y_train','x_test','y_test'))).hexdigest()

meet = """
def meet(what): # both processes come here before either goes on
    Path(f'MARK/{what}-{os.getpid()}').touch()
    t = time.monotonic()
    while len(list(Path('MARK').glob(f'{what}-*')))<2:
        assert time.monotonic()-t<60, 'the other process did not come'
        time.sleep(.001)
save,replace = F.save_tensors,os.replace
def save_both(*a, **k): meet('save'); save(*a, **k)
def replace_both(*a): meet('replace'); replace(*a)
F.save_tensors,os.replace = save_both,replace_both
"""

@posix
@pytest.mark.parametrize('kind', ['parquet','folder'])
def test_two_processes_at_once(kids, cache, tmp_path, kind, monkeypatch):
    path,x = make(kind, tmp_path/'set')
    (tmp_path/'mark').mkdir()
    both = kids.run(*[child(path, cache[0], meet.replace('MARK', str(tmp_path/'mark')))]*2)
    assert [o[0] for o in both]==[0,0], both
    assert len(kept(cache[0]))==1 and not temps(cache[0])
    d = load_data(path)
    assert not cache[1] and (d.x_train.numpy()==x).all()
    monkeypatch.setenv('KNET_CACHE', str(tmp_path/'other'))
    fresh = load_data(path)
    assert cache[1] and {o[2].strip() for o in both}=={digest(d)}=={digest(fresh)}

dying = dict(
    decoding="""
opened,real = [],I.open_image
def one(*a):
    opened.append(1)
    if len(opened)==10: os.kill(os.getpid(), signal.SIGKILL)
    return real(*a)
I.open_image = one""",
    writing="""
real = F.save_file
def half(t, f, **k):
    real(t, f, **k)
    b = Path(f).read_bytes()
    Path(f).write_bytes(b[:len(b)//2])
    os.kill(os.getpid(), signal.SIGKILL)
F.save_file = half""",
    moving="os.replace = lambda *a: os.kill(os.getpid(), signal.SIGKILL)")

@posix
@pytest.mark.parametrize('when', dying)
def test_killed(kids, cache, tmp_path, when):
    path,x = make('folder', tmp_path/'set')
    [(rc,_,said)] = kids.run(child(path, cache[0], dying[when]))
    assert rc==-9 and not kept(cache[0]), said
    left = temps(cache[0])
    assert len(left)==(when!='decoding')
    for p in left: os.utime(p, (time.time()-2*86400,)*2)
    assert (load_data(path).x_train.numpy()==x).all() and len(cache[1])==2
    assert len(kept(cache[0]))==1 and not temps(cache[0]) # the killed process' file is old enough to go
    assert (load_data(path).x_train.numpy()==x).all() and len(cache[1])==2

def test_a_young_leftover_stays(cache, tmp_path):
    "It may be another process' that is still writing"
    path,_ = make('folder', tmp_path/'set')
    load_data(path)
    p = cache[0]/kept(cache[0])[0]
    young = p.with_name(f'.{p.name}.x.tmp.safetensors'); young.touch(); p.unlink()
    load_data(path)
    assert young.exists() and len(cache[1])==4

@pytest.mark.parametrize('kind', ['parquet','folder'])
@pytest.mark.parametrize('what', ['content','content of the same size','time','added'])
def test_changed_files(cache, tmp_path, kind, what):
    path,x = make(kind, tmp_path/'set')
    assert (load_data(path).x_train.numpy()==x).all()
    decoded = len(cache[1])
    load_data(path)
    assert len(cache[1])==decoded
    files = sorted(p for p in path.rglob('*') if p.is_file())
    times = {p:p.stat().st_mtime_ns for p in files}
    if what=='time': os.utime(files[0], ns=(times[files[0]]+10**9,)*2)
    elif what=='added':
        new = images(5)[0]
        if kind=='folder': (path/'train'/'c0'/'zz.png').write_bytes(png(new))
        else: pd.DataFrame(dict(image=[png(new)], label=[0])).to_parquet(path/'train_more.parquet')
        x = np.insert(x, n*2//9+1 if kind=='folder' else len(x), new.transpose(2,0,1), 0)
    else:
        _,x = make(kind, path, seed=1)
        for p in files: os.utime(p, ns=(times[p]+(10**9 if 'same' in what else 10**6),)*2)
    assert (load_data(path).x_train.numpy()==x).all()
    assert len(cache[1])==2*decoded+(what=='added' and kind=='parquet')

@pytest.mark.parametrize('kw', [dict(size=5), dict(classes=['c2','c0','c1'])])
def test_other_ways_of_reading_are_kept_apart(cache, tmp_path, kw, monkeypatch):
    path,_ = make('folder', tmp_path/'set')
    load_data(path)
    got = load_data(path, **kw)
    monkeypatch.setenv('KNET_CACHE', str(tmp_path/'other'))
    want = load_data(path, **kw)
    assert got.classes==want.classes and got.x_train.equal(want.x_train) and got.y_train.equal(want.y_train)

def test_random_split_is_kept_by_its_seed(cache, tmp_path):
    path,_ = make('folder', tmp_path/'set')
    a,b = load_data(path/'train', seed=0),load_data(path/'train', seed=1)
    assert not a.x_train.equal(b.x_train) and load_data(path/'train', seed=0).x_train.equal(a.x_train)
    assert len(load_data(path/'train', test_size=.5).x_test)>len(a.x_test)

def _flip(b): return b[:-7]+bytes([b[-7]^1])+b[-6:]
@pytest.mark.parametrize('damage', [lambda b: b[:-1], lambda b: b[:len(b)//2], lambda b: b[:3], lambda b: b'', _flip])
def test_damaged_cache_is_made_again(cache, tmp_path, damage):
    path,x = make('parquet', tmp_path/'set')
    load_data(path)
    p = cache[0]/kept(cache[0])[0]
    good = p.read_bytes()
    p.write_bytes(damage(good))
    assert (load_data(path).x_train.numpy()==x).all() and len(cache[1])==4
    assert len(kept(cache[0]))==1
    load_tensors(p)

def test_no_place_for_the_cache(tmp_path, monkeypatch):
    path,x = make('folder', tmp_path/'set')
    (tmp_path/'file').write_text('not a folder')
    monkeypatch.setenv('KNET_CACHE', str(tmp_path/'file'))
    with pytest.warns(UserWarning, match='set KNET_CACHE'): d = load_data(path)
    assert (d.x_train.numpy()==x).all()

@pytest.mark.skipif(not hasattr(os, 'geteuid') or os.geteuid()==0, reason='root may write anywhere')
def test_read_only_cache(cache, tmp_path):
    path,x = make('folder', tmp_path/'set')
    cache[0].mkdir(parents=True); cache[0].chmod(0o500)
    try:
        with pytest.warns(UserWarning, match='set KNET_CACHE'): d = load_data(path)
    finally: cache[0].chmod(0o700)
    assert (d.x_train.numpy()==x).all() and not kept(cache[0])
