"Two processes train as one with batches twice as large, stop together and go on; on CPUs, by gloo"
import json,os,shutil,subprocess,sys
import numpy as np,pytest

pytest.importorskip('accelerate')
pytestmark = [pytest.mark.usefixtures('alone'), pytest.mark.skipif(sys.platform=='win32', reason='gloo is not built in there')]

common = """
import json,os
from contextlib import nullcontext
from fastai.basics import *
from knet_nb.backbones import Recipe,preliminary_learner
from knet_nb.data import load_data
from knet_nb.files import OutOfTime
from knet_nb.ieg import ieg_learner,split_probe
from knet_nb.training import EMA,ResumableFit,quiet

class Watch(Callback):
    order = 95
    def __init__(self): self.losses,self.sizes = [],[]
    def before_epoch(self): torch.manual_seed(self.epoch) # loaders of several processes draw random numbers of their own
    def after_batch(self):
        if self.training: self.losses.append(self.loss.item()); self.sizes.append(len(self.xb[0]))

plain = Recipe(3, 'one_cycle', lr=.1, augment=False, min_steps=14)
data = load_data('digits').subset(301, 50)
def net(n_classes, channels): # without batchnorm, which processes share on GPUs alone
    return nn.Sequential(nn.Conv2d(channels, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(72, n_classes))

def train(bs, backbone=net, recipe=plain, cbs=(), within=nullcontext, bf16=False, **kwargs):
    set_seed(0)
    learn = preliminary_learner(data, backbone, recipe=recipe, bs=bs, device='cpu', bf16=bf16, **kwargs)
    watch = Watch()
    with within(learn),quiet(learn): learn.fit_recipe(cbs=[watch,*cbs])
    rows = [list(map(float, r)) for r in learn.recorder.values]
    weights = torch.cat([p.detach().flatten() for p in learn.model.parameters()]).tolist()
    return dict(losses=watch.losses, sizes=watch.sizes, rows=rows, weights=weights, lr=learn.recorder.lrs[-1], steps=len(learn.dls.train))
"""

pair = common+"""
rank = int(os.environ['RANK'])
torch.distributed.init_process_group('gloo', init_method='file://'+os.path.abspath('store'), rank=rank, world_size=2)
from fastai.distributed import DistributedDL
def broadcast(self, t, rank): # fastai's goes through a GPU
    t = LongTensor(t)
    torch.distributed.broadcast(t, rank)
    return t.tolist()
DistributedDL._broadcast = broadcast
shared = dict(within=lambda learn: learn.distrib_ctx(cpu=True, sync_bn=False))

res = dict(whole=train(32, **shared))
late = ResumableFit('fit.safetensors', every=1e6, until=None if rank else 0.) # by the clock of the first alone
try: train(32, cbs=[late], **shared)
except OutOfTime as e: res['stopped'] = str(e)
torch.distributed.barrier()
if not rank: shutil.copy('fit.safetensors', 'copy.safetensors')
res['resumed'] = train(32, cbs=[ResumableFit('fit.safetensors', every=0)], **shared)
few = Recipe(8, 'step', lr=.05, stop_at=.6)
res['all'] = train(32, 'cnn', few, bf16=True, cbs=[EMA(.5)], **shared)
def fails(f):
    try: f()
    except ValueError as e: return str(e)
res['few'] = fails(lambda: train(200, **shared))
ieg = ieg_learner(*split_probe(load_data('digits').subset(300), 2, 0), backbone=net, epochs=1, device='cpu')
def fit_ieg():
    with shared['within'](ieg),quiet(ieg): ieg.fit_recipe()
res['ieg'] = fails(fit_ieg)
Path(f'out{rank}.json').write_text(json.dumps(res))
torch.distributed.destroy_process_group()
"""

@pytest.fixture(scope='module')
def both(tmp_path_factory):
    "What each of two processes says, and their folder"
    folder = tmp_path_factory.mktemp('pair')
    (folder/'train.py').write_text(pair)
    env = os.environ|dict(WORLD_SIZE='2', MASTER_ADDR='localhost', MASTER_PORT='0', ACCELERATE_USE_CPU='true', # met by `store`, no port
                          OMP_NUM_THREADS='1', KNET_CACHE=str(folder/'cache'))
    if sys.platform=='linux': env['GLOO_SOCKET_IFNAME'] = 'lo' # no need to resolve the machine's name
    start = lambda r: subprocess.Popen([sys.executable,'train.py'], cwd=folder, env=env|dict(RANK=str(r), LOCAL_RANK=str(r)),
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    kids = [start(r) for r in range(2)]
    try: said = [k.communicate(timeout=240)[0] for k in kids]
    finally:
        for k in kids: k.kill()
    assert [k.returncode for k in kids]==[0,0], '\n'.join(said)
    return [json.loads((folder/f'out{r}.json').read_text()) for r in range(2)],folder

@pytest.fixture(scope='module')
def one():
    "`train` in this process"
    names = {}
    exec(common, names)
    return names['train'],names

def curve(runs): return np.mean([r['losses'] for r in runs], 0) # a loss is the mean over the samples of all
def same(a, b): np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)

def test_curve_is_that_of_one_process(both, one):
    two,ref = [o['whole'] for o in both[0]],one[0](64)
    assert ref['sizes']==[64]*16 and [o['sizes'] for o in two]==[[32]*16]*2 # four steps an epoch, and four epochs for 14 steps
    same(curve(two), ref['losses'])
    assert ref['losses'][-1]<.7*ref['losses'][0]
    for o in two:
        same(o['weights'], ref['weights']); same(o['rows'], ref['rows']); same(o['lr'], ref['lr'])
        assert o['steps']==301//32 # the loader is one's own again

def test_processes_stop_together_and_go_on(both):
    for o in both[0]:
        assert 'stopped after epoch 1 of 4' in o['stopped']
        same(o['resumed']['weights'], o['whole']['weights']); same(o['resumed']['rows'], o['whole']['rows'])
        assert len(o['resumed']['losses'])==12

def test_checkpoint_of_two_goes_on_in_one(both, one):
    train,names = one
    shutil.copy(both[1]/'copy.safetensors', 'fit.safetensors')
    same(train(64, cbs=[names['ResumableFit']('fit.safetensors', every=1e6)])['weights'], both[0][0]['whole']['weights'])

def test_callbacks(both):
    "bfloat16, averaged weights, and the end of a training that depends on what is fitted"
    a,b = [o['all'] for o in both[0]]
    assert a['weights']==b['weights'] and a['rows']==b['rows'] # but for the running statistics of batchnorm
    assert 1<=len(a['rows'])<8 and len(a['losses'])==4*len(a['rows'])

def test_refusals(both):
    for o in both[0]:
        assert o['few']=='2 processes with batches of 200 need 400 samples, there are 301: choose a smaller bs'
        assert 'trains in one process: leave out distrib_ctx' in o['ieg']
