"""What the package does on a GPU: each row pairs two things in one run and, where that has a meaning, checks first that both give
the same answer.

    python benchmarks/gpu.py --budget 9m --out DIR    # again and again, until nothing is left
    python benchmarks/gpu.py --device cpu --quick     # tiny sizes, without a GPU: to see that every part runs
    python benchmarks/gpu.py --only training,search   # of training, search, knet, ieg, features, paper

It needs the package, and for `paper` the sets of images below `KNET_DATA`; nothing is downloaded. A row goes to DIR/results.csv
(default: results/gpu) as soon as it is measured, and what is there is not measured again. Last come units of the paper's experiments
(as `knet-run --suite paper --tier gpu` in DIR/paper, from the last checkpoint on), those that tell most first.

Medians of runs that take turns, after runs that do not count; whenever the clock is read the device has finished. `ours` and `theirs`
are in `unit`, `spread` is by how much the slowest run of the less steady of both is slower than its fastest."""
import statistics,tempfile,time,traceback
import numpy as np,pandas as pd,torch,torch.nn.functional as F
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from fastcore.all import call_parse,noop
from knet_nb.backbones import preliminary_learner
from knet_nb.classifier import KNetClassifier
from knet_nb.data import LabeledData,local_path
from knet_nb.features import Extractor,image_features
from knet_nb.knet import fit_knet
from knet_nb.neighbors import nearest,neighbor_labels
from knet_nb.study.config import Config
from knet_nb.study.results import environment
from knet_nb.study.suite import Suite,seconds_of,suite_configs
from common import clock,read_rows,results_folder,rows_like,write_rows
from ieg_compile import epoch_of
from run import bare_loop,clusters

class Skipped(Exception): "Why a row cannot be measured here"

@dataclass
class Row:
    "A pair, and how to make it: `pair` gives two functions, and how many of `unit` a run of them is (of seconds: None)"
    what:str
    against:str
    unit:str
    pair:callable
    needs:float=60 # seconds that a GPU may take, at a guess: with less time it is not begun
    times:int=5 # runs

class Sizes:
    "How much is measured, and where"
    def __init__(self, quick, device):
        self.quick,self.device,self.gpu = quick,device,device.startswith('cuda')
        self.steps,self.agree = (2,.6) if quick else (50,.9)
        self.batches,self.side,self.pixels = ([8],8,64) if quick else ([128,1024],32,224)
        self.searches = [(400,16,400),(2000,8,50)] if quick else [(50_000,512,50_000),(1_000_000,64,10_000)]
        self.n,self.epochs,self.k = (400,4,101) if quick else (50_000,30,101)
        self.images,self.net,self.ieg = (6,'resnet18',('cnn',10,1)) if quick else (4096,'resnet50',('resnet29',100,50))
    def wait(self):
        if self.gpu: torch.cuda.synchronize(self.device)
    def compile(self, f, mode='default'): # without a GPU the compiler alone would take minutes
        return torch.compile(f, mode=mode) if self.gpu or not self.quick else torch.compile(f, backend='eager')

def timings(s, times, *fs):
    "Seconds of each function, in turns, after some that do not count"
    def once(f):
        s.wait()
        return clock(lambda: (f(), s.wait()))[0]
    for f in fs:
        for _ in range(max(1, times//2)): once(f)
    return list(zip(*[[once(f) for f in fs] for _ in range(times)]))

def check_close(a, b, most, what):
    "Relative distance of two tensors; not a number never passes"
    a,b = [torch.as_tensor(o).double().cpu() for o in (a,b)]
    far = ((a-b).norm()/b.norm()).item()
    assert far<=most, f'{what}: relative distance {far:.2g}'

def made_up(n, size):
    x,y = torch.randint(256, (n,3,size,size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)),torch.arange(n)%10
    return LabeledData(x, y, x[:10], torch.arange(10), range(10))

def make_step(model, bf16=False, wrap=noop):
    "A training step: (x, y) -> loss; with bf16 in channels_last, too"
    if bf16: model = model.to(memory_format=torch.channels_last)
    net,opt = wrap(model),torch.optim.SGD(model.parameters(), .01, momentum=.9)
    layout = torch.channels_last if bf16 else torch.contiguous_format
    def step(x, y):
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16): out = net(x.contiguous(memory_format=layout))
        loss = F.cross_entropy(out.float(), y)
        loss.backward(); opt.step(); opt.zero_grad()
        return loss.detach()
    return step

warm_graph = 3 # steps before a graph is recorded, as allocators and the momentum need them

def graphed(step, *batch):
    "The same step, recorded and then played back; what it reads stays in its place"
    if not batch[0].is_cuda: raise Skipped('CUDA graphs need a GPU')
    held,side,graph = [o.clone() for o in batch],torch.cuda.Stream(),torch.cuda.CUDAGraph()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(warm_graph): step(*held)
    torch.cuda.current_stream().wait_stream(side)
    with torch.cuda.graph(graph): loss = step(*held)
    def play(*new):
        for old,o in zip(held, new): old.copy_(o)
        graph.replay()
        return loss
    return play

forms = { # name -> (sizes, model, batch) -> step, and steps that it has taken already
    'float32':lambda s,m,b: (make_step(m),0),
    'channels_last bf16':lambda s,m,b: (make_step(m, True),0),
    'channels_last bf16, compiled':lambda s,m,b: (make_step(m, True, s.compile),0),
    'channels_last bf16, CUDA graph':lambda s,m,b: (graphed(make_step(m, True), *b),warm_graph)}

def training_pair(s, form, bs):
    learn = preliminary_learner(made_up(s.steps*bs, s.side), 'resnet20', bs=bs, device=s.device)
    train,model = learn.dls.train,learn.model.train()
    bare = lambda b: [o.as_subclass(torch.Tensor) for o in b]
    batch,ref = bare(next(iter(train))),make_step(deepcopy(model))
    step,taken = forms[form](s, model, batch)
    want = [ref(*batch).item() for _ in range(taken+3)][taken:]
    check_close([step(*batch).item() for _ in want], want, .05, f'losses of three steps, {form}')
    def epoch():
        for b in train: step(*bare(b))
    def still():
        for _ in range(s.steps): step(*batch)
    return epoch,still,s.steps*bs

def training(s):
    for bs in s.batches:
        for form in forms:
            what = f'ResNet20, {form}, batches of {bs}, our loader and augmentation'
            yield Row(what, 'the same step on one fixed batch', 'images/s', partial(training_pair, s, form, bs))

def search_data(s, n, d, m):
    "Features on the device, and the rows that are asked"
    x = clusters(n, d)[0].to(s.device)
    rows = None if m==n else torch.randperm(n, generator=torch.Generator().manual_seed(0))[:m]
    return x,x if rows is None else x[rows],lambda: nearest(x, k=s.k, rows=rows, progress=False)

def against_product(s, n, d, m):
    x,q,ours = search_data(s, n, d, m)
    far = torch.cdist(q[:50].double(), x.double()).topk(s.k+1, largest=False)[0][:,1:]
    check_close(ours()[0][:50], far, 1e-5, 'distances')
    def product():
        for b in q.split(max(1, (1<<28)//n)): b@x.T
    return ours,product,None

def against_faiss(s, n, d, m):
    import faiss
    x,q,ours = search_data(s, n, d, m)
    base,asked = x.cpu().numpy(),q.cpu().numpy()
    theirs = lambda: faiss.knn(asked, base, s.k+1)
    check_close(ours()[0][:,-1], np.sqrt(np.maximum(theirs()[0][:,-1], 0)), 1e-3, 'distances of the last neighbours')
    return ours,theirs,None

def search(s):
    for size in s.searches:
        what = 'exact search, {:,} x {}, {:,} queries, k = {}'.format(*size, s.k)
        yield Row(what, 'the products of float32 alone', 's', partial(against_product, s, *size))
        yield Row(what, 'faiss-cpu', 's', partial(against_faiss, s, *size), 120, 3)

def check_agree(s, a, b): assert (share := (a==b).mean())>s.agree, f'only {share:.0%} of the answers are the same'

def knet_data(s):
    x,own,_ = clusters(s.n, 256)
    x = x.to(s.device)
    return x,neighbor_labels(nearest(x, k=s.k, progress=False)[1].cpu(), own)

def knet_pair(s, other):
    "`fit_knet` with neighbours at hand, against `other` of features, neighbours' labels and batch size"
    (x,nl),bs = knet_data(s),min(1024, s.n//4)
    fit = lambda device: fit_knet(x.to(device), nbr_labels=nl, n_classes=10, epochs=s.epochs, bs=bs, device=device)
    ours,theirs = lambda: fit(s.device),other(fit, x, nl.to(s.device), bs)
    a,b = [f().cpu().predict(x.cpu(), 51).numpy() for f in (ours,theirs)]
    check_agree(s, a, b)
    return ours,theirs,None

def classifier_pair(s):
    x,y,_ = map(np.asarray, clusters(s.n, 64))
    fit = lambda device: KNetClassifier(random_state=0, epochs=s.epochs, device=device).fit(x, y)
    ours,theirs = lambda: fit(s.device),lambda: fit('cpu')
    check_agree(s, ours().predict(x), theirs().predict(x))
    return ours,theirs,None

def knet(s):
    what,cpu = f'kNet, {s.epochs} epochs over {s.n:,} x 256',"the same on the machine's CPU"
    loop = lambda fit,x,nl,bs: lambda: bare_loop(x, nl, s.epochs, bs)
    yield Row(what, 'a bare torch loop of the same steps', 's', partial(knet_pair, s, loop))
    yield Row(what, cpu, 's', partial(knet_pair, s, lambda fit,*_: lambda: fit('cpu')), 240, 3)
    yield Row(f'KNetClassifier.fit, {s.n:,} x 64', cpu, 's', partial(classifier_pair, s), 240, 3)

def ieg_pair(s, mode):
    backbone,bs,n = s.ieg
    wrap = partial(s.compile, mode=mode)
    ours,theirs = [epoch_of(n, bs, backbone, s.device, s.side, **o) for o in (dict(compile=wrap),{})]
    def first_loss(f):
        torch.manual_seed(1)
        f()
        return float(f.learn.recorder.smooth_loss.value)
    check_close(first_loss(ours), first_loss(theirs), .1, 'losses')
    return ours,theirs,n

def ieg(s):
    backbone,bs,_ = s.ieg
    for mode in ('default','reduce-overhead') if s.gpu else ('default',):
        what = f"Zhang et al.'s training, {backbone}, batches of {bs}, compiled ({mode})"
        yield Row(what, 'as it is', 'steps/s', partial(ieg_pair, s, mode), 240)

def photos(folder, n):
    import PIL.Image
    g = np.random.default_rng(0)
    for i in range(n):
        small = PIL.Image.fromarray(g.integers(0, 256, (12,16,3), dtype=np.uint8))
        small.resize((512,384), PIL.Image.Resampling.BICUBIC).save(f'{folder}/{i:05}.jpg', quality=90)
    return sorted(map(str, Path(folder).glob('*.jpg')))

def alone(s, model, bs):
    "The network on one batch that stays, as often as all images need"
    batch = torch.rand(bs, 3, s.pixels, s.pixels, device=s.device).contiguous(memory_format=torch.channels_last)
    def f():
        net = model.to(s.device, memory_format=torch.channels_last)
        with torch.inference_mode(),torch.autocast(batch.device.type, torch.bfloat16, enabled=s.gpu):
            for i in range(0, s.images, bs): net(batch[:s.images-i]).float().cpu()
    return f

def features_pair(s):
    from torchvision.models import get_model
    torch.manual_seed(0)
    model,folder = get_model(s.net, weights=None),tempfile.TemporaryDirectory() # is gone with the function that reads it
    files,e,bs = photos(folder.name, s.images),Extractor(model, s.net, s.pixels, penultimate=True),64 if s.gpu else 8
    read = lambda files=files,device=s.device,**kw: image_features(files, e, folder.name, bs, device, cache=False, progress=False, **kw)
    want = read(files[:16], 'cpu', bf16=False)
    check_close(read(files[:16]), want, .05, 'features')
    with torch.backends.cudnn.flags(allow_tf32=False): found = read(files[:16], bf16=False)
    check_close(found-want.mean(0), want-want.mean(0), .01, 'what tells features apart') # random weights see little of an image
    return read,alone(s, model, bs),s.images

def features(s):
    what = f'features of {s.images:,} JPEGs of 512 x 384, {s.net} (random weights) at {s.pixels} pixels'
    yield Row(what, 'the network alone on one fixed batch', 'images/s', partial(features_pair, s), 120)

def tells_most(c): # Zhang et al.'s network at uniform noise: what no CPU has trained at full size
    return (c.recipe!='ieg', c.noise!='uniform', c.data!='cifar10', c.rate)

def paper_units(s, root):
    "Units whose data are at hand"
    if s.quick:
        tiny = dict(probe=2, n_train=150, epochs=1, k_max=5, ks=(1,5), knet_epochs=1, controls=True, device=s.device)
        return [Config('digits', 'uniform', .4, backbone='cnn', recipe='ieg', **tiny)]
    units = suite_configs('paper', 'gpu', (0,), device=s.device, root=root)
    return sorted((c for c in units if local_path(c.data, root)), key=tells_most)

def paper(s, out, root, seconds):
    "Units for as long as there is time; how many are left"
    suite = Suite(paper_units(s, root), out, command='python benchmarks/gpu.py')
    if suite.left and seconds>0: suite.run(seconds)
    return len(suite.left)

parts = dict(training=training, search=search, knet=knet, ieg=ieg, features=features)

def measured(s, row):
    "The numbers of a row"
    torch.compiler.reset() # what another size was compiled for makes sizes variable, which is slower
    try: *fs,n = row.pair()
    except Skipped as e: return dict(note=str(e))
    runs = timings(s, 1 if s.quick else row.times, *fs)
    ours,theirs = [n/o if n else o for o in map(statistics.median, runs)]
    return dict(ours=ours, theirs=theirs, ratio=ours/theirs, spread=max(max(o)/min(o) for o in runs)-1)

class Table:
    "Rows in a file that grows by one at a time"
    def __init__(self, path, s):
        self.path,self.same = path,dict(quick=s.quick, device=s.device, hardware=environment()['hardware'])
        path.parent.mkdir(parents=True, exist_ok=True)
    def has(self, part, row):
        df = read_rows(self.path)
        return len(df)>0 and rows_like(df, part=part, what=row.what, against=row.against, **self.same).any()
    def add(self, part, row, s):
        took,found = clock(lambda: measured(s, row))
        new = dict(part=part, what=row.what, against=row.against, unit=row.unit)|found
        new |= dict(seconds=took, threads=torch.get_num_threads())|environment()|self.same
        write_rows(pd.concat([read_rows(self.path),pd.DataFrame([new])], ignore_index=True), self.path)
        print({k:round(v, 4) if isinstance(v, float) else v for k,v in new.items() if k in ('what','against','unit',*found)}, flush=True)

def run_rows(todo, s, table, end):
    "Measure the rows for which there is time; how many are left, and how many of them have failed"
    done = failed = 0
    for part,row in todo:
        left,needs = end-time.perf_counter(),row.needs if s.gpu and not s.quick else 0
        if left<=needs:
            if left>0: print(f'left for later, as it may take {needs} s: {row.what}, against {row.against}')
            continue
        try: table.add(part, row, s); done += 1
        except Exception: # the others do not have to wait for it
            failed += 1
            print(f'{row.what}, against {row.against}, has failed:\n{traceback.format_exc()}', flush=True)
    return len(todo)-done,failed

def check_device(device):
    if device.startswith('cuda') and not torch.cuda.is_available():
        raise SystemExit('There is no GPU here: start it on a machine with one, or try all parts in small with --device cpu --quick')

@call_parse
def main(
    budget:str='9m', # Stop before this time is over, such as 90s or 9m; the same command goes on from there
    only:str='', # Only these parts, such as training,search
    quick:bool=False, # Tiny sizes, one repetition: to see that it works
    device:str='cuda', # cuda or cpu
    root:str=None, # Folder of data sets (default: the environment variable KNET_DATA)
    out:str=None, # Folder (default: results/gpu)
):
    check_device(device)
    s,end,out = Sizes(quick, device),time.perf_counter()+.95*seconds_of(budget),results_folder('gpu', out)
    asked = only.split(',') if only else [*parts,'paper']
    if odd := set(asked)-{*parts,'paper'}: raise SystemExit(f"unknown parts {', '.join(sorted(odd))}: known are {', '.join(parts)}, paper")
    table = Table(out/'results.csv', s)
    todo = [(p,r) for p in asked if p in parts for r in parts[p](s) if not table.has(p, r)]
    left,failed = run_rows(todo, s, table, end)
    units = paper(s, out/'paper', root, end-time.perf_counter()) if 'paper' in asked else 0
    print(f'{left} rows and {units} units are left'+('; the same command goes on with them' if left+units else ''))
    if failed: raise SystemExit(f'{failed} rows have failed')
