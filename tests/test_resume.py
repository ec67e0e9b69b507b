"kill -9, damaged files and leftovers: the same command gives the table of a run that nothing happened to"
import os,random,re,shutil,sys,time
import pandas as pd,pytest
from knet_nb.files import load_tensors,save_tensors
from knet_nb.study.experiments import Experiment
from forked import Children

pytestmark = pytest.mark.skipif(sys.platform=='win32', reason='needs POSIX signals')

args = '--n-train 400 --backbone cnn --epochs 3 --k-max 31 --ks 1,11,31 --knet-epochs 3 --device cpu'.split()
def cli(out): return f"from knet_nb.study.experiments import main; main({[*args,'--out',str(out)]!r})"
def csv(out): return pd.read_csv(out/'results.csv', dtype=str).drop(columns='seconds')
def same(a, b): pd.testing.assert_frame_equal(a, b, check_exact=True)

@pytest.fixture(scope='module')
def kids(tmp_path_factory):
    with Children(KNET_CACHE=str(tmp_path_factory.mktemp('cache'))) as c: yield c

@pytest.fixture(scope='module')
def whole(kids, tmp_path_factory):
    "Folder, table and seconds of an undisturbed run"
    out = tmp_path_factory.mktemp('whole')
    [(rc,secs,said)] = kids.run(cli(out))
    assert rc==0, said
    return out,csv(out),secs

def test_two_runs_are_equal(kids, whole, tmp_path):
    [(rc,_,said)] = kids.run(cli(tmp_path))
    assert rc==0, said
    same(csv(tmp_path), whole[1])

def test_ten_random_kills(kids, whole, tmp_path):
    seed,moments,out = 0,[],tmp_path/'run0'
    r = random.Random(seed)
    for i in range(60):
        moments.append(1.2*r.random()*whole[2])
        [(rc,_,said)] = kids.run(cli(out), kill=moments[-1])
        assert rc in (0,-9), (seed,moments,said)
        if rc==0: # the run was faster than the kill: a new folder, so that there is something to interrupt
            same(csv(out), whole[1])
            out = tmp_path/f'run{i+1}'
        else: moments[-1] = round(moments[-1], 3),'killed'
        if sum(isinstance(m, tuple) for m in moments)==10: break
    else: pytest.fail(f'not killed ten times: seed {seed}, moments {moments}')
    [(rc,_,said)] = kids.run(cli(out))
    assert rc==0, (seed,moments,said)
    try: same(csv(out), whole[1])
    except AssertionError as e: raise AssertionError(f'seed {seed}, moments {moments}') from e

def dies_at_replace(n, after, code):
    "`code`, killed just before or after its n-th file is put into its place"
    return f"""
import os,signal
real,seen = os.replace,[0]
def replace(*a):
    seen[0] += 1
    die = seen[0]=={n}
    if die and not {after}: os.kill(os.getpid(), signal.SIGKILL)
    real(*a)
    if die: os.kill(os.getpid(), signal.SIGKILL)
os.replace = replace
{code}"""

def test_killed_around_every_write(kids, whole, tmp_path):
    n_stages = len(list((whole[0]/'stages').iterdir()))
    stages = lambda: len(list((tmp_path/'stages').glob('[!.]*')))
    def die(n, after):
        [(rc,_,said)] = kids.run(dies_at_replace(n, after, cli(tmp_path)))
        assert rc==-9, said
    die(1, False)
    assert [p.name[:13] for p in tmp_path.iterdir()]==['.config.json.']
    for i in range(n_stages):
        if i%2==0: die(2, False); assert stages()==i
        die(2, True); assert stages()==i+1
    for n,name in ((2,'results.csv'),(3,'results.parquet'),(4,'accuracy.png')):
        die(n, False); assert not (tmp_path/name).exists() and list(tmp_path.glob(f'.{name}.*'))
    [(rc,_,said)] = kids.run(cli(tmp_path))
    assert rc==0, said
    same(csv(tmp_path), whole[1])

def fit(out, ckpt, die='', seed=0):
    return f"""
import os,signal
from fastai.basics import *
from knet_nb.training import ResumableFit,rng_state
from knet_nb.backbones import preliminary_learner
from knet_nb.data import load_data
from knet_nb.files import save_tensors
def stop(): os.kill(os.getpid(), signal.SIGKILL)
trained = []
class Watch(Callback):
    order = 90
    def after_batch(self):
        if not self.training: return
        if not self.iter: trained.append(self.epoch)
        if {die=='batch'} and self.epoch==3 and self.iter==1: stop()
    def after_epoch(self):
        if {die=='epoch'} and self.epoch==1: stop()
if {die=='write'}: os.replace = lambda *a: stop()
set_seed({seed})
learn = preliminary_learner(load_data('digits').subset(300), 'cnn', epochs=5, device='cpu')
resumable = [ResumableFit({str(ckpt)!r}, every=0, key='a')] if {bool(ckpt)} else []
with learn.no_bar(),learn.no_logging(): learn.fit_recipe(cbs=[Watch(),*resumable])
values = [list(map(float,v)) for v in learn.recorder.values]
save_tensors({str(out)!r}, learn.model.state_dict()|{{'rng':rng_state()[0]['torch']}}, values=values, trained=trained)
"""

def test_killed_training_goes_on_bit_for_bit(kids, tmp_path):
    ckpt,done = tmp_path/'fit.safetensors',tmp_path/'done.safetensors'
    [(rc,_,said)] = kids.run(fit(done, ''))
    assert rc==0, said
    ref,rmeta = load_tensors(done)
    assert rmeta['trained']==[0,1,2,3,4]
    done.unlink()
    for seed,die,saved in ((0,'epoch',1),(1,'batch',2),(2,'write',2)):
        [(rc,_,said)] = kids.run(fit(done, ckpt, die, seed))
        assert rc==-9 and load_tensors(ckpt)[1]['epoch']==saved and not done.exists(), said
    [(rc,_,said)] = kids.run(fit(done, ckpt, seed=3))
    assert rc==0, said
    got,meta = load_tensors(done)
    assert meta['trained']==[3,4] and meta['values']==rmeta['values']
    assert set(got)==set(ref) and not [k for k in ref if not got[k].equal(ref[k])]

# From here on in this process, on a configuration that takes a second
tiny = dict(data='blobs', backbone='mlp', n_train=150, rate=.3, epochs=2, k_max=7, ks=(1,5), knet_epochs=2, device='cpu', progress=False)
names = 'noise','preliminary','features','fitted','neighbors','knet','fixed_knet_1'
def go(out): return Experiment(out=out, **tiny).run().drop(columns='seconds')

@pytest.fixture(scope='module')
def small(tmp_path_factory):
    out = tmp_path_factory.mktemp('small')
    return out,go(out)

@pytest.fixture
def again(small, tmp_path):
    "A copy of the finished run's folder to damage, and its table"
    return shutil.copytree(small[0], tmp_path/'run'),small[1]

def stage(out, name): return next((out/'stages').glob(f'{name}-*[0-9a-f].safetensors'))

def truncate(b): return b[:len(b)*2//3]
def empty(b): return b''
def flip_data(b): return b[:-5]+bytes([b[-5]^4])+b[-4:]
def rename(b): return b.replace(b'seconds', b'secondz')
def change_number(b): # one digit in the metadata: of what the table says, where the stage has such a number
    m = next(filter(None, (re.search(rb'(?:rate|noisy_train_accuracy)\\": 0\.(\d)', b), re.search(rb'base_weights\\": (\d)', b),
                           re.search(rb'seconds\\": [\d.]*(\d)', b))))
    return b[:m.start(1)]+(b'1' if m[1]!=b'1' else b'2')+b[m.end(1):]
def garbage(b): return random.Random(0).randbytes(len(b))

@pytest.mark.parametrize('damage', [truncate,empty,flip_data,rename,change_number,garbage])
def test_damaged_stages_are_made_again(again, damage, capsys):
    out,ref = again
    for name in names:
        p = stage(out, name)
        good = p.read_bytes()
        bad = damage(good)
        assert bad!=good
        p.write_bytes(bad)
    before = {p.name for p in (out/'stages').iterdir()}
    same(go(out), ref)
    said = capsys.readouterr().out
    for name in names:
        assert stage(out, name).name in said, f'{name}: the damage was not noticed'
        load_tensors(stage(out, name)) # whole again
    assert {p.name for p in (out/'stages').iterdir()}==before

def test_only_the_damaged_stage_is_made_again(again, capsys):
    out,ref = again
    for name in names:
        p = stage(out, name)
        p.write_bytes(truncate(p.read_bytes()))
        same(go(out), ref)
        said = capsys.readouterr().out
        assert [n for n in names if f'\n  {n}: ' in said]==[name]

def test_foreign_and_damaged_checkpoints(again):
    out,ref = again
    p = stage(out, 'preliminary')
    ckpt = p.with_suffix('.checkpoint.safetensors')
    other = load_tensors(p)[0]
    for make in (lambda: save_tensors(ckpt, {f'model.{k}':v*0 for k,v in other.items()}, key='another', n_epoch=2, epoch=0),
                 lambda: ckpt.write_bytes(p.read_bytes()[:1000]), lambda: ckpt.write_bytes(b'')):
        make(); p.unlink()
        same(go(out), ref)
        assert not ckpt.exists()

def test_leftover_files(again):
    out,ref = again
    left = []
    for p in [stage(out, n) for n in names]+[out/'config.json', out/'results.csv', out/'accuracy.png']:
        for tag,age in (('young',0),('old',3*86400)):
            left.append(p.with_name(f'.{p.name}.{tag}.tmp{p.suffix}'))
            left[-1].write_bytes(p.read_bytes()[:50])
            os.utime(left[-1], (time.time()-age,)*2)
    for n in names[1::2]: stage(out, n).unlink()
    same(go(out), ref)
    gone = [p for p in left if not p.exists()]
    written = {'config.json','results.csv','accuracy.png',*(stage(out, n).name for n in names[1::2])}
    assert {p.name for p in gone}=={f'.{w}.old.tmp{w[w.rindex("."):]}' for w in written}

@pytest.mark.parametrize('text', ['', '{"data": "bl', 'null', '[]'])
def test_damaged_config(again, text):
    out,ref = again
    (out/'config.json').write_text(text)
    same(go(out), ref)
    assert '"blobs"' in (out/'config.json').read_text()
