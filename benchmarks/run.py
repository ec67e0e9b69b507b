"""How fast the package is: each row pairs two things in one run, checks that both give the same answer, and says which ratio was the goal.

    pip install 'knet_nb[dev]'
    python benchmarks/run.py            # a quarter of an hour on two cores, with nothing else running
    python benchmarks/run.py --quick    # a fifth of the rows, one repetition: to see that it works
    python benchmarks/run.py --only predict,start

Medians of alternating runs; the large search runs once. Rows go to results/benchmarks/results.csv (or --out); those of the same names are replaced. A ratio says how
long ours takes in units of the other; goals of predictions are the other way round, how many times faster. Images are made up."""
import sys
from pathlib import Path
sys.path.insert(0, str(Path(__file__).resolve().parents[1]/'tests')) # the pretrained network of the tests
import os,statistics,subprocess,tempfile
import numpy as np,pandas as pd,torch,torch.nn.functional as F
from dataclasses import replace
from fastcore.all import call_parse
from knet_nb.data import from_arrays
from knet_nb.knet import KNet,fit_knet
from knet_nb.neighbors import KNNClassifier,nearest,neighbor_labels,vote_targets
from knet_nb.study.results import environment
from common import clock,read_rows,results_folder,write_rows

class Sizes:
    def __init__(self, quick): self.n,self.times,self.epochs = (10_000,1,6) if quick else (50_000,5,30)

def medians(times, *fs):
    "Median seconds of each function; they take turns, after one run each that does not count"
    for f in fs: f()
    return [statistics.median(o) for o in zip(*[[clock(f)[0] for f in fs] for _ in range(times)])]

def clusters(n, d, L=10, seed=0):
    "Features (n, d) float32 of classes, labels of which a fifth is drawn at random, and the true ones"
    g = np.random.default_rng(seed)
    true = g.integers(0, L, n)
    x = (g.normal(size=(L,d))[true]+g.normal(size=(n,d))*2).astype(np.float32)
    return torch.as_tensor(x),torch.as_tensor(np.where(g.random(n)<.2, g.integers(0, L, n), true)),true

def search(s):
    "Exact neighbours, k = 101: ours are those of float64"
    import faiss
    for d,goal in ((64,.8),(256,.5),(512,.4)):
        x,*_ = clusters(s.n, d)
        a = x.numpy()
        ours,theirs = nearest(x, k=101, progress=False),faiss.knn(a, a, 102)
        far = np.sqrt(np.maximum(theirs[0][:,-1], 0))
        assert np.abs(ours[0][:,-1].numpy()-far).max()<1e-2*far.max(), 'not the same neighbours'
        o,t = medians(min(s.times, 3), lambda: nearest(x, k=101, progress=False), lambda: faiss.knn(a, a, 102))
        if d==64:
            by_torch = lambda: nearest(x, k=101, backend='torch', progress=False)
            assert torch.equal(by_torch()[0], ours[0]), 'other distances'
            b,c = medians(min(s.times, 3), by_torch, lambda: nearest(x, k=101, backend="faiss", progress=False))
            yield dict(what=f'exact search by torch, {s.n:,} x {d}', against='by faiss', ours=b, theirs=c, ratio=b/c, goal=None)
        yield dict(what=f'exact search, {s.n:,} x {d}', against='faiss flat (float32)', ours=o, theirs=t, ratio=o/t, goal=goal)

def with_stats(net, x):
    net.mean.copy_(x.mean(0)); net.std.copy_(x.std(0))
    return net

def bare_loop(x, nl, epochs, bs):
    "The steps of kNet's training without fastai"
    net = with_stats(KNet(x.shape[1], 10), x).to(x.device).train()
    opt = torch.optim.Adam(net.parameters(), 1e-2)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, 1e-2, total_steps=epochs*(len(x)//bs))
    for _ in range(epochs):
        for i in torch.randperm(len(x), device=x.device).split(bs)[:len(x)//bs]:
            k = torch.randint(1, 102, (len(i),), device=x.device)
            F.cross_entropy(net(x[i], k), vote_targets(nl[i], k, 10, check=False)).backward()
            opt.step(); sched.step(); opt.zero_grad()
    return net.eval()

def training(s):
    "kNet, 30 epochs over 50,000 x 256"
    from sklearn.neural_network import MLPClassifier
    few,own,_ = clusters(5000, 256)
    nl = neighbor_labels(nearest(few, k=101, progress=False)[1], own)
    x,y,nl = few.repeat(s.n//5000, 1),own.repeat(s.n//5000),nl.repeat(s.n//5000, 1)
    fit = lambda: fit_knet(x, nbr_labels=nl, n_classes=10, epochs=s.epochs, device='cpu')
    mlp = lambda: MLPClassifier((16,), batch_size=1024, max_iter=s.epochs, n_iter_no_change=s.epochs, random_state=0).fit(x.numpy(), y.numpy())
    loop = lambda: bare_loop(x, nl, s.epochs, 1024)
    assert (fit().predict(x, 51)==loop().predict(x, 51)).float().mean()>.9, 'another kNet'
    o,m,b = medians(min(s.times, 3), fit, mlp, loop)
    what = f'kNet, {s.epochs} epochs over {s.n:,} x 256'
    yield dict(what=what, against='MLPClassifier of scikit-learn, own labels as targets', ours=o, theirs=m, ratio=o/m, goal=1.)
    yield dict(what=what, against='a bare torch loop of the same steps', ours=o, theirs=b, ratio=o/b, goal=1.15)

def predict(s):
    "10,000 answers at k = 51, 64 features"
    import faiss
    from sklearn.neighbors import KNeighborsClassifier
    x,y,_ = clusters(s.n+10_000, 64)
    base,labels,new = x[:s.n],y[:s.n],x[s.n:]
    net = fit_knet(base, labels, 10, epochs=5, device='cpu')
    flat,sk = KNNClassifier(51).fit(base, labels),KNeighborsClassifier(51, algorithm='brute').fit(base, labels)
    hnsw = faiss.IndexHNSWFlat(64, 32); hnsw.hnsw.efConstruction,hnsw.hnsw.efSearch = 40,64
    hnsw.add(base.numpy())
    index = faiss.IndexFlatL2(64); index.add(base.numpy())
    def vote(ids): return F.one_hot(labels[torch.as_tensor(ids)], 10).sum(1).argmax(1)
    def by_faiss(ix): return vote(ix.search(new.numpy(), 51)[1])
    ours = lambda: net.predict(new, 51)
    same = lambda a,b: (torch.as_tensor(np.asarray(a))==torch.as_tensor(np.asarray(b))).float().mean()
    assert same(by_faiss(index), flat.predict(new))>.99 and same(by_faiss(index), sk.predict(new))>.99, 'another vote'
    o,a,b,c = medians(s.times, ours, lambda: by_faiss(index), lambda: sk.predict(new.numpy()), lambda: by_faiss(hnsw))
    for name,t,goal in (('faiss flat',a,700),('KNeighborsClassifier of scikit-learn',b,600),('faiss HNSW, ef 64',c,120)):
        yield dict(what=f'10,000 predictions, {s.n:,} x 64 training samples, k = 51', against=name, ours=o, theirs=t, ratio=t/o, goal=goal)

def growth(s):
    "A thousand answers at k = 51, 64 features, of ever more training samples: what is searched grows, kNet does not"
    import faiss
    few = s.times==1
    x,y,_ = clusters(21_000 if few else 1_001_000, 64)
    new = x[-1000:]
    net = fit_knet(x[:10_000], y[:10_000], 10, epochs=5, device='cpu')
    for n in (2000,20_000) if few else (10_000,31_623,100_000,316_228,1_000_000):
        index = faiss.IndexFlatL2(64); index.add(x[:n].numpy())
        vote = lambda: F.one_hot(y[torch.as_tensor(index.search(new.numpy(), 51)[1])], 10).sum(1).argmax(1)
        assert (net.predict(new, 51)==vote()).float().mean()>.8, 'another vote'
        o,t = medians(min(s.times, 3), lambda: net.predict(new, 51), vote)
        yield dict(what=f'1,000 predictions, {n:,} x 64 training samples, k = 51', against='faiss flat', n=n, ours=o, theirs=t, ratio=t/o, goal=None)

def large_search(s):
    "Neighbours at recall .95 of a part of the rows, once each: ours, a graph and codes, with building and tuning"
    import faiss
    from knet_nb.neighbors import nearest_ivf
    from large import make
    n,m = (20_000,2000) if s.times==1 else (300_000,40_000)
    with tempfile.TemporaryDirectory() as t:
        make(n, 64, 10, f'{t}/x.npy') # 300 clusters of 12 dimensions: more like what networks give
        x = torch.as_tensor(np.load(f'{t}/x.npy'))
    rows = torch.arange(0, n, n//m)[:m]
    true = nearest(x, k=101, rows=rows[:500], progress=False)[1]
    found = lambda ids: np.mean([len(np.intersect1d(a, b)) for a,b in zip(ids[:500], true.numpy())])/101
    o,(_,ids,recall) = clock(lambda: nearest_ivf(x, k=101, rows=rows, progress=False))
    assert recall>=.95 and found(ids.numpy())>.94, 'fewer neighbours'
    q = x[rows].numpy()
    def tuned(index, set_to, values): # answers at the first of the values that is enough; a query finds itself too
        for v in values:
            set_to(v)
            if found(index.search(q[:500], 102)[1])>=.95: break
        return index.search(q, 102)[1]
    def graph():
        index = faiss.IndexHNSWFlat(64, 32); index.hnsw.efConstruction = 80
        index.add(x.numpy())
        return tuned(index, lambda ef: setattr(index.hnsw, 'efSearch', ef), (128,192,256,384,512,768))
    def codes():
        index = faiss.index_factory(64, f'IVF{round(2*n**.5)},PQ32x4fs,RFlat')
        index.train(x.numpy()); index.add(x.numpy())
        index.k_factor,lists = 4,faiss.downcast_index(index.base_index)
        return tuned(index, lambda probes: setattr(lists, 'nprobe', probes), (8,16,32,64,128))
    t,seen = clock(graph)
    assert found(seen)>=.95, 'the graph finds fewer neighbours'
    c,seen = clock(codes)
    assert found(seen)>=.95, 'codes find fewer neighbours'
    e,_ = clock(lambda: nearest(x, k=101, rows=rows, progress=False))
    what = f'{len(rows):,} of {n:,} x 64 rows, k = 101, recall .95 (inverted file)'
    yield dict(what=what, against='faiss HNSW of that recall', ours=o, theirs=t, ratio=o/t, goal=None)
    yield dict(what=what, against='faiss IVF-PQ with refinement, of that recall', ours=o, theirs=c, ratio=o/c, goal=None)
    yield dict(what=what, against='exact search', ours=o, theirs=e, ratio=o/e, goal=None)

def one_query(s):
    "A single row, one thread: seconds are per answer"
    x,y,_ = clusters(5000, 64)
    net = fit_knet(x, y, 10, epochs=3, device='cpu').eval()
    n = 200 if s.times==1 else 2000
    def each(f): return np.quantile([clock(lambda i=i: f(i))[0] for i in range(n)][20:], [.5,.99])
    with torch.inference_mode(): p = each(lambda i: net(x[i:i+1], 51))
    out = [('KNet (torch)',p)]
    try:
        import onnxruntime
        with tempfile.TemporaryDirectory() as t:
            class Fixed(torch.nn.Module):
                def __init__(self): super().__init__(); self.net = net
                def forward(self, x): return self.net(x, 51)
            torch.onnx.export(Fixed(), (x[:1],), f'{t}/k.onnx', dynamo=True, verbose=False)
            o = onnxruntime.SessionOptions(); o.intra_op_num_threads = 1
            run = onnxruntime.InferenceSession(f'{t}/k.onnx', o)
            name = run.get_inputs()[0].name
            a = x.numpy()
            assert np.abs(run.run(None, {name:a[:1]})[0]-net(x[:1], 51).detach().numpy()).max()<1e-4, 'another answer'
            out.append(('ONNX file (onnxruntime)',each(lambda i: run.run(None, {name:a[i:i+1]}))))
    except ImportError: print('onnxruntime is not there: its row is left out')
    for name,(p50,p99) in out:
        yield dict(what=f'one query, {name}', against='median, and 99th percentile', ours=p50, theirs=p99, ratio=p50*1e6, goal=100 if 'ONNX' in name else None)

def whole_fit(s):
    "From features to label issues"
    from cleanlab.classification import CleanLearning
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from knet_nb.classifier import KNetClassifier
    x,y,true = map(np.asarray, clusters(s.n, 64))
    ours = lambda: KNetClassifier(random_state=0, device='cpu').fit(x, y)
    theirs = lambda: CleanLearning(LogisticRegression(max_iter=200), seed=0).find_label_issues(x, y)
    auroc = lambda score: roc_auc_score(y!=true, -score)
    assert auroc(ours().label_issues_.score)>=auroc(theirs().label_quality)-.001, 'a worse ranking'
    o,t = medians(min(s.times, 3), ours, theirs)
    yield dict(what=f'KNetClassifier.fit, {s.n:,} x 64', against="cleanlab's five-fold recipe", ours=o, theirs=t, ratio=o/t, goal=1.)

def start(s):
    "Seconds until a command or an import is done, in a fresh process"
    def run(*args): return lambda: subprocess.run([sys.executable,*args], check=True, stdout=subprocess.DEVNULL, env=os.environ|dict(PYTHONWARNINGS='ignore'))
    torch_alone = run('-c','import torch')
    for name,args,goal in (('knet-clean --help',('-c','import sys; sys.argv=["knet-clean","--help"]\nfrom knet_nb.start import clean\nclean()'),.5),
                           ('knet-run --help',('-c','import sys; sys.argv=["knet-run","--help"]\nfrom knet_nb.start import run\nrun()'),.5),
                           ('import knet_nb.classifier',('-c','import knet_nb.classifier'),1.5)):
        o,t = medians(s.times, run(*args), torch_alone)
        yield dict(what=name, against='import torch', ours=o, theirs=t, ratio=o, goal=goal)

def training_images(s):
    "ResNet20: an epoch with our loader and augmentation, over as many steps on one batch that stays"
    from knet_nb.backbones import preliminary_learner
    n = 1024 if s.times==1 else 5120
    g = torch.Generator().manual_seed(0)
    data = from_arrays(torch.randint(256, (n,3,32,32), dtype=torch.uint8, generator=g), torch.randint(10, (n,), generator=g),
                       torch.zeros(10,3,32,32, dtype=torch.uint8), torch.arange(10))
    learn = preliminary_learner(data, 'resnet20', device='cpu')
    model,batch = learn.model.train(),next(iter(learn.dls.train))
    steps = len(learn.dls.train)
    opt = torch.optim.SGD(model.parameters(), .01)
    def step(x, y):
        F.cross_entropy(model(x), y).backward(); opt.step(); opt.zero_grad()
    batch = [o.as_subclass(torch.Tensor) for o in batch]
    def fixed():
        for _ in range(steps): step(*batch)
    def epoch():
        for x,y in learn.dls.train: step(x.as_subclass(torch.Tensor), y.as_subclass(torch.Tensor))
    o,t = medians(min(s.times, 3), epoch, fixed)
    yield dict(what=f'ResNet20, {steps*len(batch[0]):,} images with loader and augmentation', against='one fixed batch', ours=o, theirs=t, ratio=t/o, goal=.95)

def image_files(s):
    "Features of JPEG files by EfficientNet-Lite0 at 160 pixels, over the network alone on one batch"
    import PIL.Image
    from knet_nb.features import image_features,pretrained
    e,n = replace(pretrained('lite:lite0'), size=160, shorter=182),64 if s.times==1 else 512
    g = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as t:
        for i in range(n):
            small = PIL.Image.fromarray(g.integers(0, 256, (12,16,3), dtype=np.uint8))
            small.resize((512,384), PIL.Image.Resampling.BICUBIC).save(f'{t}/{i:03}.jpg', quality=90)
        files = [f'{t}/{i:03}.jpg' for i in range(n)]
        batch,net = torch.rand(8,3,160,160),e.model.eval()
        files_in = lambda: image_features(files, e, device='cpu', cache=False, progress=False)
        def alone():
            with torch.inference_mode():
                for _ in range(n//8): net(batch)
        assert files_in().shape[0]==n
        o,a = medians(min(s.times, 3), files_in, alone)
    yield dict(what=f'features of {n} JPEGs of 512 x 384, Lite0 at 160 pixels', against='the network on one fixed batch', ours=o, theirs=a, ratio=a/o, goal=.9)

def cache(s):
    "Reading a parquet set of images for the first time, over later times, when they have been decoded"
    import io,PIL.Image
    from knet_nb.data import from_parquet
    g = np.random.default_rng(0)
    def png(a):
        f = io.BytesIO(); PIL.Image.fromarray(a).save(f, 'PNG')
        return f.getvalue()
    with tempfile.TemporaryDirectory() as t:
        os.environ['KNET_CACHE'] = f'{t}/cache'
        for part,n in (('train',s.n//6),('test',s.n//25)):
            images = [png(a) for a in g.integers(0, 256, (n,32,32,3), dtype=np.uint8)]
            pd.DataFrame(dict(image=images, label=np.arange(n)%10)).to_parquet(f'{t}/{part}.parquet')
        first,data = clock(lambda: from_parquet(t))
        assert torch.equal(from_parquet(t).x_train, data.x_train), 'other images'
        again, = medians(s.times, lambda: from_parquet(t))
    yield dict(what='reading a parquet set of images again', against='the first time', ours=again, theirs=first, ratio=again/first, goal=None)

parts = dict(search=search, large=large_search, training=training, predict=predict, growth=growth, query=one_query, fit=whole_fit, start=start, images=training_images, files=image_files, cache=cache)

@call_parse
def main(
    quick:bool=False, # Small sizes, one repetition
    only:str='', # Only these parts, such as predict,start
    threads:int=2, # Of torch and faiss
    out:str=None, # Folder (default: results/benchmarks)
):
    torch.set_num_threads(threads)
    path,rows = results_folder('benchmarks', out)/'results.csv',[]
    path.parent.mkdir(parents=True, exist_ok=True)
    old = read_rows(path)
    for name,f in parts.items():
        if only and name not in only.split(','): continue
        for r in f(Sizes(quick)):
            met = None if r['goal'] is None else (r['ratio']>=r['goal'] if name in ('predict','images','files') else r['ratio']<=r['goal'])
            rows.append(dict(part=name, n=None)|r|dict(met=met, quick=quick)|environment())
            print({k:round(v, 4) if isinstance(v, float) else v for k,v in rows[-1].items() if k in ('what','against','ours','theirs','ratio','goal','met')}, flush=True)
        kept = old if not len(old) else old[~old.what.isin([r['what'] for r in rows])]
        write_rows(pd.concat([kept,pd.DataFrame(rows)], ignore_index=True), path) # after each part
