"""Steps per second of Zhang et al.'s training, plain and with its passes compiled, alternating in one run. Made for a GPU, where
starting kernels can cost more than running them; printed last: the ratio.

    python benchmarks/ieg_compile.py [--device cuda] [--bs 100] [--backbone resnet29]"""
import statistics,time
from functools import partial
import torch
from fastcore.all import call_parse
from knet_nb.data import LabeledData
from knet_nb.ieg import Probe,ieg_learner
from common import machine

def clock(f, device):
    if device=='cuda': torch.cuda.synchronize()
    t = time.perf_counter(); f()
    if device=='cuda': torch.cuda.synchronize()
    return time.perf_counter()-t

def epoch_of(n_steps, bs, backbone, device, side=32, **kwargs):
    "A function that trains for some steps with the same learner"
    torch.manual_seed(0)
    x,y = torch.randint(256, (bs*n_steps,3,side,side), dtype=torch.uint8),torch.arange(bs*n_steps)%10
    data,probe = LabeledData(x, y, x[:bs], y[:bs], range(10)),Probe(x[:100], y[:100], y, y)
    learn = ieg_learner(data, probe, backbone=backbone, bs=bs, epochs=1, device=device, **kwargs)
    ieg = learn.ieg
    learn._do_epoch_validate = lambda *a, **k: None # only the training is wanted
    def step():
        with learn.no_bar(),learn.no_logging(): learn.fit_recipe()
    set_passes,made = ieg._set_passes,[]
    def once(): # compile once, not once a fit
        if not made: set_passes(); made.append((ieg.net,ieg.along,ieg.params))
        ieg.net,ieg.along,ieg.params = made[0]
    ieg._set_passes,step.learn = once,learn
    return step

@call_parse
def main(
    device:str='cuda', # cuda or cpu
    bs:int=100, # Batch size
    backbone:str='resnet29', # resnet29, resnet20 or cnn
    n_steps:int=50, # Steps a measurement
    n:int=5, # Measurements
):
    if device=='cuda' and not torch.cuda.is_available(): raise SystemExit('There is no GPU here; --device cpu measures the CPU')
    mode = 'reduce-overhead' if device=='cuda' else 'default'
    forms = [epoch_of(n_steps, bs, backbone, device), epoch_of(n_steps, bs, backbone, device, compile=partial(torch.compile, mode=mode))]
    for f in forms: f(); f()
    plain,compiled = [n_steps/statistics.median(t) for t in zip(*[[clock(f, device) for f in forms] for _ in range(n)])]
    print(f"{machine()}\n\nsteps per second: plain {plain:.2f}, compiled ({mode}) {compiled:.2f}")
    print(f"compiled over plain: {compiled/plain:.2f}")
