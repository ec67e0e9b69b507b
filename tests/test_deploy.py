"Networks from elsewhere, files that are killed while they are written, servers without torch, and what a learner must keep"
import importlib.util,json,random,subprocess,sys,threading
import numpy as np,PIL.Image,pytest,torch
from copy import deepcopy
from pathlib import Path
from fastai.basics import CrossEntropyLossFlat,DataLoaders,Datasets,Learner,TensorCategory,Transform
from fastai.data.block import MultiCategoryBlock,RegressionBlock
from fastai.data.transforms import Normalize,get_image_files
from fastai.vision.augment import RandTransform,RandomResizedCropGPU,Resize,aug_transforms
from fastai.vision.core import PILImage,TensorImage,imagenet_stats
from fastai.vision.data import ImageDataLoaders
from fastai.vision.learner import vision_learner
from forked import Children
from sklearn.datasets import load_digits
from torch import nn
from torchvision.models import resnet18
from knet_nb.features import extract_features,fitted_share
from knet_nb.backbones import mlp,preliminary_learner,resnet20
from knet_nb.files import checksum
from knet_nb.data import from_arrays
import knet_nb.deploy as deploy
from knet_nb.deploy import DeployedKNet,FeatureNet,feature_net
from knet_nb.knet import KNet

small = dict(k_max=15, epochs=2)

@pytest.fixture(scope='module', autouse=True)
def one_thread():
    n = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n)

def tiny(): return DeployedKNet(feature_net(mlp(4,2).eval(), torch.rand(2,4)), KNet(64,2), 'ab', (4,))

@pytest.fixture(scope='module')
def images(): # as large as CIFAR-10's, so that the files are too
    g = np.random.default_rng(0)
    return from_arrays(g.integers(0, 256, (100,3,32,32), dtype=np.uint8), np.arange(100)%10, g.integers(0, 256, (10,3,32,32), dtype=np.uint8), np.arange(10),
                       classes=['airplane','automobile','bird','cat','deer','dog','frog','horse','ship','truck'], name='noise')

@pytest.fixture(scope='module')
def learn20(images): return preliminary_learner(images, 'resnet20', device='cpu')

@pytest.fixture(scope='module')
def knet20(learn20): return learn20.to_knet(**small)

@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path,d = tmp_path_factory.mktemp('pngs'),load_digits()
    for c in range(3):
        (path/f'digit {c}').mkdir()
        for i,im in enumerate(d.images[d.target==c][:30]): PIL.Image.fromarray((im*15.9).astype(np.uint8)).resize((32,32)).convert('RGB').save(path/f'digit {c}'/f'{i}.png')
    return path

def vision(folder, batch_tfms='default', **kwargs):
    tfms = [*aug_transforms(size=None), Normalize.from_stats(*imagenet_stats, cuda=False)] if batch_tfms=='default' else batch_tfms
    dls = ImageDataLoaders.from_folder(folder, valid_pct=.2, seed=0, bs=16, item_tfms=Resize(32), batch_tfms=tfms, num_workers=0, device='cpu')
    return vision_learner(dls, resnet18, pretrained=False, **kwargs)

@pytest.fixture(scope='module')
def learn18(folder): return vision(folder)

@pytest.fixture(scope='module')
def knet18(learn18): return learn18.to_knet(**small)

# --- what goes in

def test_resnet20(learn20, knet20, images):
    x,xn = images.x_test,learn20.dls.valid.one_batch()[0]
    want = knet20.knet.predict_proba(extract_features(learn20, 'test', bf16=False), 7)
    for n in (1,7,10):
        for o in (x[:n], x[:n].float()/255, x[:n].permute(0,2,3,1).numpy()):
            assert torch.allclose(knet20.predict_proba(o, 7), want[:n], atol=1e-5)
        assert knet20(x[:n], 7).shape==(n,10)
    assert set(knet20.predict(x))<=set(images.classes)
    plain = learn20.to_knet(normalize=False, **small)
    assert torch.allclose(plain.predict_proba(xn, 7), want, atol=1e-5)
    assert plain.k==knet20.k

def test_vision_learner(learn18, knet18, folder):
    assert knet18.classes==['digit 0','digit 1','digit 2'] and knet18.shape==(3,32,32)
    files = get_image_files(folder)[:9]
    dl = learn18.dls.test_dl(files)
    want = knet18.knet.predict_proba(extract_features(learn18.model, dl.one_batch()[0], bf16=False), 5)
    assert torch.allclose(knet18.predict_proba(list(files), 5), want, atol=1e-5)
    assert torch.allclose(knet18.predict_proba([PILImage.create(f) for f in files], 5), want, atol=1e-5)
    assert knet18.predict(files[0], [1,15]).shape==(1,2)

def test_features_are_read_without_augmentation(learn18, knet18):
    "The data set gives what the valid loader would give for the same files, in their order"
    with deploy.plain_loader(learn18.dls) as dl: xs,ys = zip(*dl)
    want = learn18.dls.test_dl(learn18.dls.train.items, with_labels=True)
    assert torch.equal(torch.cat(xs), torch.cat([b[0] for b in want])) and torch.equal(torch.cat(ys), torch.cat([b[1] for b in want]))
    assert learn18.dls.train.dataset.split_idx==0
    torch.manual_seed(5); random.seed(5)
    again = learn18.to_knet(**small)
    for a,b in zip(again.state_dict().values(), knet18.state_dict().values()): assert torch.equal(a, b)

@pytest.mark.parametrize('which', ['learn20','learn18'])
def test_learner_is_left_alone(which, request):
    learn = request.getfixturevalue(which)
    learn.model.train(); list(learn.model.modules())[-1].eval()
    state = lambda: (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist(), [m.training for m in learn.model.modules()],
                     [len(m._forward_hooks)+len(m._forward_pre_hooks) for m in learn.model.modules()], [id(o) for o in (learn.model, learn.dls, *learn.dls.loaders, learn.opt)],
                     checksum(learn.model.state_dict()), [p.requires_grad for p in learn.model.parameters()], learn.cbs.map(type),
                     getattr(learn.dls.train.dataset,'split_idx',0), learn.dls.train.rng.getstate())
    before = state()
    learn.to_knet(**small)
    assert state()==before
    with pytest.raises(ValueError, match="no layer 'none'"): learn.to_knet(layer='none', **small)
    assert state()==before

def test_labels(learn20, images):
    y = torch.roll(images.y_train, 3)
    a = learn20.to_knet(labels=y, **small)
    b = learn20.to_knet(labels=[images.classes[i] for i in y], **small)
    assert torch.equal(a.predict_proba(images.x_test), b.predict_proba(images.x_test))
    for bad,why in (([0]*99, '100 samples but 99 labels'), ([10]*100, r'lie in \[0, 10\), found 10'), (['cow']*100, "'cow'.*not among the 10 classes")):
        with pytest.raises(ValueError, match=why): learn20.to_knet(labels=bad, **small)
    named = learn20.to_knet(classes=range(10), include_self=True, hidden=8, metric='cosine', **small)
    assert named.classes==list(range(10)) and named.knet.hidden==8
    with pytest.warns(UserWarning, match='k_max is lowered from 101 to 50: of 100 samples at most half are asked'): many = learn20.to_knet(epochs=2)
    assert many.knet.k_max==50
    for k_max in (0,-1,2.5,None): # and no number is taken for another
        with pytest.raises(ValueError, match='k_max must be a whole number'): learn20.to_knet(k_max=k_max)
    with pytest.raises(ValueError, match=r'whole number in \[1, 15\], got 16'): learn20.to_knet(k=16, **small)

def test_vectors(tmp_path):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(80, 5, generator=g)*torch.tensor([1.,10,100,1,1])+50
    data = from_arrays(x, (x[:,0]>50).long(), classes=['low','high'])
    learn = preliminary_learner(data, 'mlp', device='cpu')
    knet = learn.to_knet(**small)
    want = knet.knet.predict_proba(extract_features(learn, 'test', bf16=False), 3)
    assert knet.div is None and torch.allclose(knet.predict_proba(data.x_test, 3), want, atol=1e-5)
    knet.save(tmp_path/'a.safetensors')
    assert torch.equal(DeployedKNet.load(tmp_path/'a.safetensors').predict_proba(x), knet.predict_proba(x))
    knet.export(tmp_path/'a.pt2', data.x_test, k=3)
    assert torch.allclose(torch.export.load(tmp_path/'a.pt2').module()(data.x_test[:1]), want[:1], atol=1e-5)
    plain = learn.to_knet(normalize=False, **small)
    plain.export(tmp_path/'plain.pt2')
    xn = learn.dls.valid.one_batch()[0]
    assert torch.allclose(torch.export.load(tmp_path/'plain.pt2').module()(xn), plain.predict_proba(xn), atol=1e-5)
    with pytest.raises(ValueError, match='not uint8'): knet.export(tmp_path/'b.pt2', uint8=True)
    with pytest.raises(ValueError, match='got torch.uint8'): knet.predict(x.byte())

def test_loaders_of_torch():
    g = torch.Generator().manual_seed(0)
    ds = torch.utils.data.TensorDataset(torch.randn(60, 1, 8, 8, generator=g), torch.arange(60)%4)
    dls = DataLoaders(torch.utils.data.DataLoader(ds, batch_size=16, shuffle=True, drop_last=True), torch.utils.data.DataLoader(ds, batch_size=16))
    learn = Learner(dls, resnet20(4, 1), loss_func=CrossEntropyLossFlat())
    knet = learn.to_knet(**small)
    assert knet.classes==[0,1,2,3] and not knet.normalize
    with torch.no_grad(): want = knet.knet.true_classes(knet.knet(extract_features(learn.model.eval(), ds.tensors[0], bf16=False), knet.k).softmax(1))
    assert torch.allclose(knet.predict_proba(ds.tensors[0].to(next(knet.parameters()).device)), want, atol=1e-5)

class Negative(Transform):
    order = 50
    def encodes(self, x:TensorImage): return 1-x

def test_batches_that_cannot_be_baked_in(folder):
    learn = vision(folder, [RandomResizedCropGPU(24), Negative(), Normalize.from_stats(*imagenet_stats, cuda=False)])
    with pytest.raises(ValueError, match='RandomResizedCropGPU.*Negative.*do more to a batch.*normalize=False'): learn.to_knet(**small)
    knet = learn.to_knet(normalize=False, **small)
    assert knet.shape==(3,24,24) and knet.predict_proba(learn.dls.valid.one_batch()[0]).shape==(16,3)
    bare = vision(folder, []).to_knet(**small) # fastai divides by 255 in any case
    assert bare.div==255 and torch.equal(bare.mean, torch.zeros(1))

def test_targets_and_inputs_that_do_not_fit(folder):
    files = get_image_files(folder)
    dls = ImageDataLoaders.from_lists(folder, files, [float(i) for i in range(len(files))], y_block=RegressionBlock, item_tfms=Resize(32), num_workers=0, bs=8, device='cpu')
    learn = vision_learner(dls, resnet18, pretrained=False, n_out=1)
    with pytest.raises(ValueError): learn.to_knet(**small)
    multi = ImageDataLoaders.from_lists(folder, files, [['a','b']]*len(files), y_block=MultiCategoryBlock, item_tfms=Resize(32), num_workers=0, bs=8, device='cpu')
    with pytest.raises(ValueError, match='one class for each sample'): vision_learner(multi, resnet18, pretrained=False).to_knet(**small)
    empty = Learner(dls.new_empty(), resnet20(3), loss_func=CrossEntropyLossFlat())
    with pytest.raises(ValueError, match='the loader has 0 samples'): empty.to_knet(**small)
    ds = torch.utils.data.TensorDataset(torch.randn(30,4), torch.randn(30,4), torch.zeros(30).long())
    two = DataLoaders(*[torch.utils.data.DataLoader(ds, batch_size=8)]*2)
    with pytest.raises(ValueError, match='one float input and one target'): Learner(two, nn.Linear(4,2), loss_func=CrossEntropyLossFlat()).to_knet(**small)

@pytest.mark.parametrize('bad,why', [
    (torch.zeros(2,3,32,31).byte(), r'\(n, 3, 32, 32\), got \(2, 3, 32, 31\)'), (torch.zeros(3,32,32).byte(), r'got \(3, 32, 32\)'), (torch.zeros(2,1,32,32).byte(), r'got \(2, 1, 32, 32\)'),
    (torch.zeros(2,3,32,32).long(), 'got torch.int64'), (torch.full((2,3,32,32), -2.), r'lie in \[0, 1\], found -2'), (torch.full((2,3,32,32), 200.), 'found 200'),
    (torch.full((2,3,32,32), torch.nan), 'NaN'), (torch.zeros(0,3,32,32), 'empty'), ([], 'got none'), ([np.zeros((8,8,3), np.uint8)], r'got \(1, 8, 8, 3\)')])
def test_bad_input(knet20, bad, why):
    with pytest.raises(ValueError, match=why): knet20.predict(bad)

def test_modes_and_ks(knet20, images):
    want = knet20.predict_proba(images.x_test, [1,15])
    for mode in (True,False):
        knet20.train(mode)
        assert torch.equal(knet20.predict_proba(images.x_test, [1,15]), want) and knet20.training==mode
    with torch.no_grad(): each = knet20(images.x_test, torch.tensor([1,15]*5))
    assert torch.allclose(each, want[torch.arange(10), torch.arange(10)%2], atol=1e-6)
    for bad in (0, 16, 1.5, True, 'a'):
        with pytest.raises(ValueError, match=r'k must be a whole number in \[1, 15\]'): knet20(images.x_test, bad)
        with pytest.raises(ValueError, match=r'k must be a whole number'): knet20.k = bad

# --- networks from elsewhere

class Odd(nn.Module):
    "The last linear layer is neither the last layer nor the last to be made"
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, 4)
        self.conv,self.unused = nn.Conv2d(1, 6, 3),nn.Linear(2, 2)
    def forward(self, x): return self.head(self.conv(x).relu().mean((2,3))).view(-1,2,2).flatten(1).log_softmax(1)

def test_tap(tmp_path):
    x = torch.rand(5,1,8,8)
    feats = feature_net(Odd().eval(), x)
    assert (feats.at,feats.how)==('head','before') and torch.equal(feats(x), extract_features(feats.model, x, layer=None, bf16=False))
    knet = DeployedKNet(feats, KNet(6, 4, k_max=9), list('abcd'), (1,8,8), 3)
    xs = [torch.rand(3,1,8,8) for _ in range(8)]
    with torch.no_grad(): want,got = [knet(o) for o in xs],[None]*8
    def serve(i):
        with torch.no_grad():
            for _ in range(20): got[i] = knet(xs[i])
    threads = [threading.Thread(target=serve, args=(i,)) for i in range(8)]
    for t in threads: t.start()
    for t in threads: t.join()
    for a,b in zip(want, got): assert torch.allclose(a, b, atol=1e-6)
    knet.export(tmp_path/'odd.pt2', x)
    assert torch.allclose(torch.export.load(tmp_path/'odd.pt2').module()(x[:1]), knet(x[:1]), atol=1e-5)
    knet.save(tmp_path/'odd.safetensors')
    assert torch.equal(DeployedKNet.load(tmp_path/'odd.safetensors', body=Odd()).predict_proba(x), knet.predict_proba(x))

def test_named_layer(learn18, tmp_path):
    knet = learn18.to_knet(layer='0.5', **small) # a convolution: mean over places
    x = torch.rand(4,3,32,32)
    want = extract_features(learn18.model, (x-knet.mean)/knet.std, layer='0.5', bf16=False)
    with torch.no_grad(): assert torch.allclose(knet.features(knet.prepare(x)), want, atol=1e-5)
    with pytest.raises(ValueError, match="no layer 'fc'"): FeatureNet(learn18.model, 'fc')

def test_foreign_body(learn18, knet18, folder, tmp_path):
    path = tmp_path/'r18.safetensors'
    knet18.save(path)
    with pytest.raises(ValueError, match='pass body=.*learn.model'): DeployedKNet.load(path)
    body = deepcopy(learn18.model)
    with torch.no_grad():
        for p in body.parameters(): p.zero_()
    rng = torch.get_rng_state()
    back = DeployedKNet.load(path, body=body)
    files = list(get_image_files(folder)[:7])
    assert torch.equal(back.predict_proba(files), knet18.predict_proba(files)) and not any(p.any() for p in body.parameters())
    assert torch.equal(torch.get_rng_state(), rng)
    for wrong in (resnet18(num_classes=3), resnet20(3)):
        with pytest.raises(ValueError, match='does not fit the body'): DeployedKNet.load(path, body=wrong)

@pytest.mark.parametrize('name', ['resnet20','cnn','resnet29'])
def test_own_bodies_are_rebuilt(name, tmp_path):
    body = deploy.backbones[name](7, 1)
    knet = DeployedKNet(feature_net(body.eval(), torch.rand(2,1,16,16)), KNet(body[-1].in_features, 7), range(7), (1,16,16))
    knet.save(tmp_path/'a.safetensors')
    x = torch.rand(3,1,16,16)
    assert torch.equal(DeployedKNet.load(tmp_path/'a.safetensors').predict_proba(x), knet.predict_proba(x))

# --- files

_serve = '''
import sys
for name in ('torch','faiss','fastai','knet_nb','onnx','sklearn'): sys.modules[name] = None
import json,numpy as np,onnxruntime
model,x = onnxruntime.InferenceSession(sys.argv[1]),np.load(sys.argv[2])
meta = model.get_modelmeta().custom_metadata_map
assert json.loads(meta['shape'])==list(x.shape[1:])==model.get_inputs()[0].shape[1:]
assert [o.shape[0] for o in (*model.get_inputs(),*model.get_outputs())]==['batch']*2
ps = [model.run(None, {model.get_inputs()[0].name:o})[0] for o in (x,x[:1],x[:7])]
assert not {'torch','faiss','knet_nb'}&{m for m,v in sys.modules.items() if v is not None}
try: model.run(None, {model.get_inputs()[0].name:x[:,:,:-1]})
except Exception as e: print(json.dumps(dict(error=str(e), meta=meta, p=[p.tolist() for p in ps])))
'''

def test_onnx_needs_neither_torch_nor_knet(knet20, images, tmp_path):
    pytest.importorskip('onnxruntime'); pytest.importorskip('onnxscript')
    path = tmp_path/'m.onnx'
    knet20.export(path, images.x_test, k=9)
    knet20.save(tmp_path/'m.safetensors')
    assert [p.name for p in tmp_path.iterdir() if p.name not in ('m.onnx','m.safetensors')]==[] # weights inside
    for p in tmp_path.iterdir(): assert 1e6<p.stat().st_size<1.5e6
    raw = path.read_bytes()
    for s in (str(Path(deploy.__file__).parent), str(Path(torch.__file__).parent), str(Path.home())+'/', str(tmp_path)): assert s.encode() not in raw
    np.save(tmp_path/'x.npy', images.x_test.numpy())
    res = subprocess.run([sys.executable,'-c',_serve,str(path),str(tmp_path/'x.npy')], capture_output=True, text=True)
    assert res.returncode==0, res.stderr
    res = json.loads(res.stdout)
    want = knet20.predict_proba(images.x_test, 9).numpy()
    for n,p in zip((10,1,7), res['p']): assert np.abs(np.array(p)-want[:n]).max()<1e-5 and len(p)==n
    meta = res['meta']
    assert json.loads(meta['classes'])==images.classes and meta['k']=='9' and meta['dtype']=='uint8' and 'dimension' in res['error']
    assert np.allclose(json.loads(meta['normalization'])['mean'], knet20.mean.flatten())

def test_onnx_of_a_vision_learner(knet18, folder, tmp_path):
    ort = pytest.importorskip('onnxruntime'); pytest.importorskip('onnxscript')
    knet18.export(tmp_path/'m.onnx', uint8=False, any_k=True)
    x = knet18.as_batch(list(get_image_files(folder)[:7]))
    m = ort.InferenceSession(tmp_path/'m.onnx', providers=['CPUExecutionProvider'])
    for k in (1,8,15):
        for n in (1,7): assert np.abs(m.run(None, dict(images=x[:n].float().numpy()/255, k=np.array(k)))[0]-knet18.predict_proba(x[:n], k).numpy()).max()<1e-5
    assert np.array_equal(*[m.run(None, dict(images=x.float().numpy()/255, k=np.array(k)))[0] for k in (15,99)])

def test_pt2(knet20, images, tmp_path):
    path = tmp_path/'m.pt2'
    knet20.export(path, uint8=False)
    m = torch.export.load(path).module()
    for n in (1,7): assert torch.allclose(m(images.x_test[:n].float()/255), knet20.predict_proba(images.x_test[:n]), atol=1e-5)
    assert str(Path(deploy.__file__).parent).encode() not in path.read_bytes()
    with pytest.raises(Exception): m(torch.rand(2,3,32,31))

def test_missing_extras(knet20, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxscript', None)
    with pytest.raises(ImportError, match=r"onnxscript: pip install 'knet_nb\[onnx\]'"): knet20.export(tmp_path/'m.onnx')
    assert not list(tmp_path.iterdir())

def test_a_file_that_differs_is_not_written(tmp_path, monkeypatch):
    class Off:
        def __init__(self, run): self.run = run
        def __call__(self, *a): return self.run(*a)+2e-5
    monkeypatch.setitem(deploy._writers, '.pt2', lambda *a, f=deploy._write_pt2: Off(f(*a)))
    (tmp_path/'m.pt2').write_bytes(b'old')
    with pytest.raises(RuntimeError, match='m.pt2 is not written.*differ'): tiny().export(tmp_path/'m.pt2')
    assert [(p.name,p.read_bytes()) for p in tmp_path.iterdir()]==[('m.pt2',b'old')]

def test_a_network_that_cannot_be_traced(tmp_path):
    class Fixed(nn.Sequential):
        def forward(self, x): return super().forward(x)*len(x)/len(x)
    knet = DeployedKNet(feature_net(Fixed(nn.Flatten(), nn.Linear(4,4), nn.Linear(4,2)).eval(), torch.rand(2,4)), KNet(4,2), 'ab', (4,))
    knet.features.model.forward = lambda x: x.reshape(4,4)
    with pytest.raises(RuntimeError, match='free batch size'): knet.export(tmp_path/'m.pt2')
    assert not list(tmp_path.iterdir())

_killed = '''
import os,signal
from pathlib import Path
import knet_nb.deploy as d,knet_nb.files as files,torch
torch.set_num_threads(1)
path = Path({path!r})
def half(f, at):
    def write(*args, **kwargs):
        f(*args, **kwargs)
        p = Path(args[at])
        p.write_bytes(p.read_bytes()[:p.stat().st_size//2])
        os.kill(os.getpid(), signal.SIGKILL)
    return write
files.save_file = half(files.save_file, 1)
torch.export.save = half(torch.export.save, 1)
if path.suffix=='.onnx':
    import torch.onnx
    torch.onnx.ONNXProgram.save = half(torch.onnx.ONNXProgram.save, 1)
d.DeployedKNet.load({model!r}).export(path)
'''

@pytest.mark.skipif(sys.platform=='win32', reason='SIGKILL')
def test_killed_while_writing(tmp_path):
    knet = tiny()
    knet.save(tmp_path/'m.safetensors')
    names = ['a.safetensors','a.onnx' if importlib.util.find_spec('onnxscript') else 'a.pt2']
    for n in names: (tmp_path/n).write_bytes(b'old')
    with Children(OMP_NUM_THREADS='1') as c: res = c.run(*[_killed.format(path=str(tmp_path/n), model=str(tmp_path/'m.safetensors')) for n in names])
    for (rc,_,out) in res: assert rc==-9, out
    assert {p.name:p.read_bytes() for p in tmp_path.iterdir() if not p.name.startswith('.') and p.name!='m.safetensors'}=={n:b'old' for n in names}
    knet.export(tmp_path/'a.safetensors')
    assert torch.equal(DeployedKNet.load(tmp_path/'a.safetensors').predict_proba(torch.ones(1,4)), knet.predict_proba(torch.ones(1,4)))

@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_cuda(images, tmp_path):
    learn = preliminary_learner(images, 'resnet20', device='cuda')
    knet = learn.to_knet(**small)
    assert next(learn.model.parameters()).is_cuda and not next(knet.parameters()).is_cuda
    want = knet.predict_proba(images.x_test)
    assert torch.allclose(knet.cuda().predict_proba(images.x_test), want, atol=1e-3)
    knet.export(tmp_path/'m.pt2')

def test_features_of_augmented_loaders_are_not_augmented():
    class Shake(RandTransform):
        split_idx = 0
        def encodes(self, x:TensorImage): return x+torch.randn_like(x)
    x = torch.rand(40, 3, 8, 8)
    ds = Datasets(range(40), [[lambda i: TensorImage(x[i])], [lambda i: TensorCategory(i%2)]], splits=(list(range(32)),list(range(32,40))))
    learn = Learner(ds.dataloaders(bs=8, after_item=[Shake()], device='cpu'), nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), loss_func=CrossEntropyLossFlat())
    torch.testing.assert_close(extract_features(learn, 'train', bf16=False), x[:32].flatten(1))
    assert 0<=fitted_share(learn)<=1
