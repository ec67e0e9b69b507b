"What users of fastai and torch expect of loaders and learners"
import builtins
from pathlib import Path
import numpy as np,pytest,torch
from IPython.display import display
from fastai.vision.all import (CategoryBlock,ClassificationInterpretation,CrossEntropyLossFlat,DataBlock,DataLoaders,ImageBlock,Learner,Normalize,
    PILImage,RandomSplitter,Resize,Tensor,aug_transforms,get_image_files,imagenet_stats,load_learner,nn,parent_label,resnet18,vision_learner)
from fastai.vision.widgets import ImageClassifierCleaner
from torch.utils.data import BatchSampler,DataLoader,RandomSampler,SequentialSampler,Subset,SubsetRandomSampler,TensorDataset,WeightedRandomSampler
from knet_nb.backbones import preliminary_learner
from knet_nb.data import from_arrays,load_data
from knet_nb.deploy import DeployedKNet,_rounding
from knet_nb.features import extract_features,fitted_share,plain_loader

pytestmark = pytest.mark.usefixtures('alone')
r = np.random.default_rng(0)
ds = TensorDataset(torch.arange(1000.)[:,None].expand(-1,4).clone(), torch.arange(1000)%3)
same = nn.Sequential(nn.Identity(), nn.Linear(4,3)) # its features are its inputs

class Backwards(torch.utils.data.Sampler):
    def __iter__(self): return iter(range(199, -1, -2))
    def __len__(self): return 100

@pytest.mark.parametrize('name,kwargs', dict(shuffle=dict(shuffle=True), drop_last=dict(drop_last=True), subset=dict(sampler=SubsetRandomSampler(range(500))),
    weighted=dict(sampler=WeightedRandomSampler([1.]*1000, 1000)), drawn=dict(sampler=RandomSampler(ds, replacement=True))).items())
def test_mixed_loaders_are_refused(name, kwargs):
    with pytest.raises(ValueError, match='the loader (shuffles|drops the last samples): give one that reads all in order'):
        extract_features(same, DataLoader(ds, batch_size=300, **kwargs), bf16=False)

@pytest.mark.parametrize('rows,loader', [(range(1000), DataLoader(ds, 300)), (range(900), DataLoader(Subset(ds, range(900)), 300, drop_last=True)),
    (range(199,-1,-2), DataLoader(ds, 30, sampler=Backwards())), ([3,3,3,1], DataLoader(ds, 2, sampler=[3,3,3,1])),
    (range(1000), DataLoader(ds, batch_size=None)), (list(range(1000))*2, DataLoader(ds, 300, sampler=list(range(1000))*2))])
def test_rows_are_those_that_come(rows, loader):
    if loader.batch_size is None: loader = DataLoader(ds, batch_sampler=BatchSampler(SequentialSampler(ds), 7, False))
    assert extract_features(same, loader, bf16=False)[:,0].tolist()==list(rows)

@pytest.mark.parametrize('rows,kwargs', [(range(1000), dict(shuffle=True, drop_last=True)), (range(100,300), dict(sampler=SubsetRandomSampler(range(100,300)))),
    (range(0,1000,2), dict(sampler=WeightedRandomSampler([1.,0.]*500, 50))), (range(1,200,2), dict(sampler=Backwards())),
    (range(50), dict(batch_sampler=[list(range(25,50)), list(range(25))])), (range(1000), dict(sampler=RandomSampler(ds, num_samples=10)))])
def test_training_samples(rows, kwargs):
    "Each sample that the training loader can draw, once and in order"
    dl = DataLoader(ds, **kwargs if 'batch_sampler' in kwargs else dict(batch_size=64)|kwargs)
    with plain_loader(DataLoaders(dl, dl)) as plain: assert torch.cat([b[0][:,0] for b in plain]).tolist()==list(rows)

def test_samples_set_aside_stay_aside():
    "Two samplers over one set: the labels of the other half never reach kNet"
    y = torch.arange(200)%3
    x = torch.randn(200,6)+5*nn.functional.one_hot(y, 6)
    wrong = y.clone(); wrong[100:] = (y[100:]+1)%3
    halves = [DataLoader(TensorDataset(x, wrong), 20, sampler=SubsetRandomSampler(range(a, a+100))) for a in (0,100)]
    torch.manual_seed(0)
    learn = Learner(DataLoaders(*halves), nn.Sequential(nn.Flatten(), nn.Linear(6,32), nn.ReLU(), nn.Linear(32,3)), loss_func=nn.CrossEntropyLoss(), lr=1e-2)
    with learn.no_bar(),learn.no_logging(): learn.fit(20)
    know = (learn.model(x[:100]).argmax(1)==y[:100]).float().mean()
    assert abs(fitted_share(learn)-know)<.02
    for labels in (None,wrong): # of the half, or of all
        net = learn.to_knet(k_max=11, epochs=20, normalize=False, labels=labels)
        assert (net.predict_proba(x[:100]).argmax(1)==y[:100]).float().mean()>.9

sets = dict(grey=(lambda: load_data('digits').subset(200, 40), 'cnn'), points=(lambda: load_data('blobs').subset(200, 40), 'mlp'),
    colour=(lambda: from_arrays(r.integers(0, 256, (60,12,12,3)).astype(np.uint8), [f'c{i%3}' for i in range(60)]), 'cnn'))

@pytest.mark.parametrize('name', sets)
def test_learner(name, capsys, monkeypatch):
    monkeypatch.setattr(builtins, 'display', display, raising=False) # as in a notebook
    make,arch = sets[name]
    data = make()
    learn = preliminary_learner(data, arch, epochs=1)
    with learn.no_bar(),learn.no_logging(): learn.fit_recipe()
    probs = learn.get_preds()[0]
    learn.export('learn.pkl')
    again = load_learner('learn.pkl')
    with again.no_bar():
        assert again.predict(data.x_test[0])[0]==data.classes[probs[0].argmax()]
        assert torch.allclose(again.get_preds(dl=again.dls.test_dl(data.x_test))[0], probs, atol=1e-6)
    with learn.no_bar():
        found = ClassificationInterpretation.from_learner(learn)
        assert found.confusion_matrix().sum()==len(data.y_test)
        losses,rows = found.top_losses(3)
        items = found.top_losses(3, items=True)[2]
        assert [np.array_equal(o.x, data.x_test[i]) for o,i in zip(items, rows)]==[True]*3
        found.plot_top_losses(4); found.print_classification_report(); found.plot_confusion_matrix(); learn.show_results()
        assert 'macro avg' in capsys.readouterr().out
        if data.is_image: assert len(ImageClassifierCleaner(learn, max_n=4).iw.widget.children)

def photos(n=24, hw=(70,90)):
    for c in range(3):
        Path(f'set/c{c}').mkdir(parents=True)
        for i in range(n): PILImage.create(r.normal(60+60*c, 30, (*hw,3)).clip(0, 255).astype(np.uint8)).save(f'set/c{c}/{i}.png')
    return Path('set')

@pytest.mark.parametrize('tfms', [[], [Normalize.from_stats(*imagenet_stats)]])
@pytest.mark.parametrize('size,method', [(48,'crop'), (16,'squish'), (48,'pad')])
def test_presizing(tfms, size, method):
    "Resized on the CPU and again in batches: the module sees what the learner sees, also of files"
    block = DataBlock((ImageBlock,CategoryBlock), get_items=get_image_files, get_y=parent_label, splitter=RandomSplitter(.1, seed=0),
                      item_tfms=Resize(64, method), batch_tfms=aug_transforms(size=size)+tfms)
    learn = vision_learner(block.dataloaders(photos(), bs=16, num_workers=0), resnet18, pretrained=False, normalize=False)
    with learn.no_bar(),learn.no_logging(): learn.fit(1)
    with pytest.warns(UserWarning, match='k_max is lowered from 101 to 32: of 65 samples at most half are asked'): net = learn.to_knet(epochs=5)
    files = list(get_image_files('set')[:9])
    want = learn.dls.test_dl(files, num_workers=0).one_batch()[0].as_subclass(Tensor)
    assert torch.allclose(net.prepare(net.as_batch(files)), want, atol=1e-4)
    net.save('net.safetensors')
    assert torch.equal(DeployedKNet.load('net.safetensors', body=learn.model).predict_proba(files), net.predict_proba(files))
    if size==16 and tfms: net.export('net.onnx')

class Cancels(nn.Module):
    "Differences of large numbers, in which float32 has lost most digits"
    def __init__(self): super().__init__(); self.a,self.b = nn.Linear(64,32),nn.Linear(32,16)
    def forward(self, x): h = self.a(x.flatten(1)); return self.b((h+3e4)-3e4+h*1e-3)

def test_onnx_check_knows_rounding(monkeypatch):
    torch.manual_seed(0)
    data = from_arrays(r.integers(0, 256, (80,8,8)).astype(np.uint8), np.arange(80)%2)
    learn = Learner(data.dls(device='cpu', bs=16), nn.Sequential(Cancels(), nn.Linear(16,2)), loss_func=CrossEntropyLossFlat())
    net = learn.to_knet(epochs=30, k_max=21)
    assert _rounding(net, data.x_test[:4])>2e-5
    net.export('net.onnx')
    import knet_nb.deploy as deploy
    run = deploy._run_onnx
    monkeypatch.setattr(deploy, '_run_onnx', lambda *a: lambda *x: run(*a)(*x)+.01)
    with pytest.raises(RuntimeError, match='net2.onnx is not written'): net.export('net2.onnx')
    assert not Path('net2.onnx').exists()
