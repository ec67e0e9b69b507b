"""The step of knet_nb.ieg: a Jacobian-vector product against double backward, side by side in one run.

    OMP_NUM_THREADS=2 python benchmarks/ieg_step.py

ResNet29, batch 32, 32 x 32 pixels, float32. Times are medians of alternating steps in one process; peak memory is what a
fresh process needs at most beyond its model and data. Printed last: the ratios. Exit status 1 where the meta step by
Jacobian-vector product takes more than 0.7 of the time of double backward, or not less memory."""
import json,resource,statistics,subprocess,sys
import pandas as pd,torch
from torch.func import functional_call
from knet_nb.backbones import resnet29
from knet_nb.data import LabeledData
from knet_nb.ieg import Probe,ieg_learner,meta_gradients,meta_gradients_double_backward,no_running_stats
from common import clock,machine

forms,bs = dict(jvp=meta_gradients, double_backward=meta_gradients_double_backward),32

def meta_step(form):
    "A function that does one meta step: from images to the derivatives"
    torch.manual_seed(0)
    model = resnet29().train().to(memory_format=torch.channels_last)
    params,image = dict(model.named_parameters()),lambda: torch.randn(bs,3,32,32).contiguous(memory_format=torch.channels_last)
    along = lambda: {k:torch.randn_like(p) for k,p in params.items()}
    args = image(),torch.randint(10, (bs,)),torch.randn(bs,10).softmax(1),image(),torch.randint(10, (bs,)),along()
    net = lambda p,x: functional_call(model, p, (x,))
    def step():
        with no_running_stats(model): forms[form](net, params, *args)
    return step

def train_step(form):
    "A function that does one whole training step of the callback"
    torch.manual_seed(0)
    x,y = torch.randint(256, (bs,3,32,32), dtype=torch.uint8),torch.arange(bs)%10
    learn = ieg_learner(LabeledData(x, y, x, y, range(10)), Probe(x, y, y, y), bs=bs, epochs=1, device='cpu', bf16=False,
                        double_backward=form!='jvp')
    def step():
        with learn.no_bar(),learn.no_logging(),learn.removed_cbs([c for c in learn.cbs if c.name=='ema']): learn.fit_recipe()
    learn._do_epoch_validate = lambda *a, **k: None # an epoch is one batch: only the training step is wanted
    return step

steps = dict(meta=meta_step, train=train_step)

def peak(what, form):
    "MiB that two steps need beyond what is there before them"
    most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/(2**20 if sys.platform=='darwin' else 1024)
    step,base = steps[what](form),most()
    step(); step()
    print(json.dumps(most()-base))

def peaks(what):
    "MiB of each form, each in a process of its own"
    child = lambda f: subprocess.run([sys.executable, __file__, what, f], check=True, capture_output=True, text=True)
    return [json.loads(child(f).stdout.splitlines()[-1]) for f in forms]

def seconds(what, n=7):
    "Medians of alternating steps"
    pair = [steps[what](f) for f in forms]
    for s in pair: s()
    return [statistics.median(t) for t in zip(*[[clock(s)[0] for s in pair] for _ in range(n)])]

def main():
    if len(sys.argv)==3: return peak(*sys.argv[1:])
    mem = {o:peaks(o) for o in steps} # first: a child's peak starts from what its parent has at that time
    sec = {o:seconds(o) for o in steps}
    cols = ['jvp, s','double backward, s','jvp, MiB','double backward, MiB']
    df = pd.DataFrame({o:dict(zip(cols, sec[o]+mem[o])) for o in steps}).T
    ratios = pd.DataFrame({o:dict(time=sec[o][0]/sec[o][1], memory=mem[o][0]/mem[o][1]) for o in steps}).T
    print(f"{machine()}\n\n{df.round(2).to_string()}\n\nJacobian-vector product over double backward:\n{ratios.round(2).to_string()}")
    return 0 if ratios.time['meta']<=.7 and ratios.memory['meta']<1 else 1

if __name__=='__main__': sys.exit(main())
