"""What the speed of the package rests on, as ratios of two things measured side by side in one run (medians).

    python benchmarks/speed.py

- cache: decoding a parquet set, against reading it again from the cache (CIFAR-10 if `KNET_DATA` has it, else a made-up set)
- knet: a fit of kNet by the fastai Learner, against the same steps in a bare loop (50,000 x 64 features, 3 epochs)
- search: exact search by torch, against faiss (20,000 x 64, k = 101)"""
import io,os,statistics,tempfile
from pathlib import Path
import numpy as np,pandas as pd,PIL.Image,torch,torch.nn.functional as F
from knet_nb.data import from_parquet,load_data,local_path
from knet_nb.knet import KNet,fit_knet
from knet_nb.neighbors import nearest,neighbor_labels,vote_targets
from common import clock,machine

def row(what, a, b): return dict(what=what, seconds=round(a,2), against=round(b,2), ratio=round(a/b,2))

def compare(what, slow, fast, n=3):
    "Medians of alternating runs, and their ratio"
    slow(); fast()
    return row(what, *map(statistics.median, zip(*[(clock(slow)[0],clock(fast)[0]) for _ in range(n)])))

def made_up(folder):
    rng,b = np.random.default_rng(0),io.BytesIO
    def png(a): f = b(); PIL.Image.fromarray(a).save(f, 'PNG'); return f.getvalue()
    for part,n in (('train',8000),('test',2000)):
        ims = [png(a) for a in rng.integers(0,256,(n,32,32,3),dtype=np.uint8)]
        pd.DataFrame(dict(image=ims, label=np.arange(n)%10)).to_parquet(folder/f'{part}.parquet')
    return lambda: from_parquet(folder)

def bare_loop(x, nl, epochs, bs):
    "kNet's training without fastai: Adam and a one-cycle rate"
    net = KNet(64, 10)
    opt = torch.optim.Adam(net.parameters(), 1e-2)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, 1e-2, total_steps=epochs*(len(x)//bs))
    for _ in range(epochs):
        for i in torch.randperm(len(x)).split(bs)[:len(x)//bs]:
            k = torch.randint(1, 102, (len(i),))
            F.cross_entropy(net(x[i], k), vote_targets(nl[i], k, 10, check=False)).backward()
            opt.step(); sched.step(); opt.zero_grad()

def main():
    torch.manual_seed(0)
    rows = []
    with tempfile.TemporaryDirectory() as t:
        os.environ['KNET_CACHE'] = f'{t}/cache'
        read = (lambda: load_data('cifar10')) if local_path('cifar10') else made_up(Path(t))
        first = clock(read)[0]
        again = statistics.median(clock(read)[0] for _ in range(3))
        rows.append(row('cache: first reading, against later ones', first, again))
    x,y = torch.randn(50000,64),torch.randint(10,(50000,))
    nl = neighbor_labels(torch.randint(50000,(50000,101)), y)
    fit = lambda **kwargs: fit_knet(x, nbr_labels=nl, n_classes=10, device='cpu', **kwargs)
    search = lambda backend: nearest(x[:20000], k=101, backend=backend, progress=False)
    rows.append(compare('knet: 3 epochs by Learner, against a bare loop', lambda: fit(epochs=3), lambda: bare_loop(x, nl, 3, 1024)))
    rows.append(compare('search: torch, against faiss', lambda: search('torch'), lambda: search('faiss')))
    rows.append(dict(what='kNet, 30 epochs over 50,000 x 64, seconds', seconds=round(clock(fit)[0],1)))
    print(f"{machine()}\n")
    print(pd.DataFrame(rows).fillna('').to_string(index=False))

if __name__=='__main__': main()
