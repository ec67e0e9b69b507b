"IEG: a stopped training goes on bit for bit, its augmentation is torchvision's, and a probe is clean"
from dataclasses import replace
import pytest,torch
from fastai.basics import Callback,TensorImage,set_seed
from knet_nb.training import ResumableFit
from knet_nb.backbones import recipes
from knet_nb.data import load_data
from knet_nb.study.experiments import Experiment
from knet_nb.ieg import AutoAugmentBatch,ieg_learner,split_probe
from knet_nb.noise import corrupt,uniform_noise

@pytest.fixture(scope='module')
def parts():
    rest,probe = split_probe(load_data('digits').subset(260), 3)
    return rest,probe,corrupt(rest.y_train, uniform_noise(10, .8), seed=0).labels

class Stop(Callback):
    def before_epoch(self):
        if self.epoch==2: raise KeyboardInterrupt

def train(parts, cbs=None, seed=0, **kwargs):
    rest,probe,labels = parts
    set_seed(seed)
    learn = ieg_learner(rest, probe, labels, 'cnn', replace(recipes['ieg'], epochs=4, lr=.01, bs=50, min_steps=0), device='cpu', **kwargs)
    with learn.no_bar(),learn.no_logging(): learn.fit_recipe(cbs=cbs)
    return learn

@pytest.mark.parametrize('kwargs', [{}, dict(probe_bs=7), dict(last_layer=True)])
def test_resumed_bit_for_bit(parts, tmp_path, kwargs):
    whole = train(parts, **kwargs)
    with pytest.raises(KeyboardInterrupt): train(parts, [ResumableFit(tmp_path/'c.safetensors', every=0),Stop()], **kwargs)
    again = train(parts, ResumableFit(tmp_path/'c.safetensors', every=0), seed=9, **kwargs)
    for a,b in zip(whole.model.state_dict().values(), again.model.state_dict().values()): assert a.equal(b)
    assert whole.recorder.values==again.recorder.values

@pytest.mark.parametrize('channels', [1,3])
@pytest.mark.parametrize('policy', ['cifar10','svhn','imagenet'])
def test_autoaugment_is_torchvisions(policy, channels):
    "Every image of a batch is what torchvision makes of it alone with one of its sub-policies"
    aug = AutoAugmentBatch(policy)
    torch.manual_seed(0)
    x = torch.randint(256, (40,channels,16,16), dtype=torch.uint8)
    out = aug(TensorImage(x), split_idx=0)
    assert type(out) is TensorImage and out.dtype==torch.uint8 and out.shape==x.shape
    def every(im, steps): # all images that a sub-policy can give
        if not steps: return [im]
        (op,_,mag),rest = steps[0],steps[1:]
        levels,signed = aug.aa._AUGMENTATION_SPACE[op]
        m = 0. if mag is None else float(levels(10,16,16)[mag])
        ims = [im]+[aug.aa._apply_image_or_video_transform(im, op, s*m, aug.aa.interpolation, aug.aa._fill) for s in ((1,-1) if signed else (1,))]
        return [o for i in ims for o in every(i, rest)]
    for a,b in zip(x, out.as_subclass(torch.Tensor)):
        assert any(b.equal(o) for p in aug.policies for o in every(a[None], p) for o in o)

def test_bad_input(parts):
    rest,probe,labels = parts
    with pytest.raises(ValueError, match='unknown policy'): AutoAugmentBatch('mnist')
    for n in (0,-1,1.5,10**6):
        with pytest.raises(ValueError, match='n_per_class must be a whole number'): split_probe(rest, n)
    with pytest.raises(ValueError, match='probe images have shape'): ieg_learner(rest, replace(probe, x=probe.x[...,:4]), labels)
    with pytest.raises(ValueError, match='labels'): ieg_learner(rest, probe, labels[:-1])

def test_experiment(tmp_path):
    "Probe images are not among the training samples, and kNet stands on the averaged network's features"
    df = Experiment(recipe='ieg', n_train=300, backbone='cnn', epochs=2, lr=.01, rate=.8, probe=3, k_max=11, ks=(1,11), knet_epochs=2, device='cpu', out=tmp_path, progress=False, verbose=False).run()
    assert set(df.method)=={'base','knn','knet','fixed_knet'} and df.floats.max()==270*512
    with pytest.raises(ValueError, match="holds a run of another configuration"): Experiment(recipe='ieg', n_train=300, probe=4, out=tmp_path, progress=False).run()
    with pytest.raises(ValueError, match="not below the 270 training"): Experiment(recipe='ieg', n_train=300, probe=3, k_max=270, out=tmp_path/'b').run()
