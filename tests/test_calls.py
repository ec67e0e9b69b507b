"""Random calls of the public functions: a valid one gives what an oracle gives, and one with a spoilt argument is refused by
us, with a ValueError or TypeError. 20 functions, 100 calls of each kind."""
import traceback,warnings
from pathlib import Path
import numpy as np,pandas as pd,pytest,torch
from hypothesis import given,seed,settings,strategies as st
from scipy.spatial.distance import cdist
from knet_nb.all import (KNNClassifier,KNet,KNetClassifier,LabeledData,choose_k,corrupt,fit_knet,from_arrays,label_issues,nearest,
    neighbor_labels,pairflip_noise,pdn_noise,random_asymmetric_noise,thumbnail,uniform_noise,vote_targets,votes)

pytestmark = pytest.mark.slow
many = settings(max_examples=106, deadline=None, derandomize=True, database=None)

# Arguments

def features(r, n=None, d=None):
    x = r.normal(size=(n or r.integers(6, 40), d or r.integers(1, 8)))*10.**r.integers(-3, 4)
    return x if r.random()<.5 else x.astype(np.float32)

def as_any(r, x):
    "An array as users have it: array, tensor, list"
    return [lambda: x, lambda: torch.from_numpy(np.array(x)), lambda: x.tolist()][r.integers(3)]()

def some_labels(r, n, L): return np.r_[np.arange(L),r.integers(0, L, n)][:max(n, L)][:n]

# Calls: (function, arguments by name, oracle or None); the oracle takes the result

def brute(b, q, metric):
    b,q = np.asarray(b, float),np.asarray(q, float)
    if metric=='euclidean': return cdist(q, b)
    b,q = (o/np.linalg.norm(o, axis=1, keepdims=True) for o in (b,q))
    return cdist(q, b)**2/2

def call_nearest(r):
    x,metric = features(r),('euclidean','cosine')[r.integers(2)]
    q,k = features(r, d=x.shape[1]),int(r.integers(1, len(x)+1))
    def right(res):
        D = np.sort(brute(x, q, metric), 1)[:,:k]
        np.testing.assert_allclose(res[0], D, rtol=1e-6, atol=1e-9*D.max())
    return nearest, dict(base=as_any(r, x), queries=as_any(r, q), k=k, metric=metric), right

def call_within(r):
    x = features(r)
    k = int(r.integers(1, len(x)))
    def right(res):
        D = brute(x, x, 'euclidean'); np.fill_diagonal(D, np.inf)
        np.testing.assert_allclose(res[0], np.sort(D, 1)[:,:k], rtol=1e-6, atol=1e-12)
        assert (res[1].numpy()!=np.arange(len(x))[:,None]).all()
    return nearest, dict(base=as_any(r, x), k=k, backend=[None,'torch','faiss'][r.integers(3)]), right

def neighbours(r):
    n,k,L = r.integers(1, 30),r.integers(1, 12),int(r.integers(2, 6))
    return torch.from_numpy(r.integers(0, L, (n,k))).to([torch.uint8,torch.int64][r.integers(2)]),L

def count(nl, k, L): return np.stack([np.bincount(o[:k], minlength=L)/k for o in nl.numpy()])

def call_votes(r):
    nl,L = neighbours(r)
    ks = r.integers(1, nl.shape[1]+1, 3).tolist()
    def right(res):
        for c,k in enumerate(ks): np.testing.assert_allclose(res[:,c], count(nl, k, L), atol=1e-6)
    return votes, dict(neighbor_labels=nl, ks=ks, n_classes=L), right

def call_vote_targets(r):
    nl,L = neighbours(r)
    k = int(r.integers(1, nl.shape[1]+1))
    return vote_targets, dict(neighbor_labels=nl, k=k, n_classes=L), lambda res: np.testing.assert_allclose(res, count(nl, k, L), atol=1e-6)

def call_choose_k(r):
    nl,L = neighbours(r)
    y = r.integers(0, L, len(nl))
    def right(k):
        hits = [(count(nl, i, L).argmax(1)==y).sum() for i in range(1, nl.shape[1]+1)]
        assert hits[k-1]==max(hits)
    return choose_k, dict(neighbor_labels=nl, labels=as_any(r, y), n_classes=L), right

def call_neighbor_labels(r):
    y = r.integers(0, 9, r.integers(1, 30))
    ids = r.integers(0, len(y), (5,3))
    return neighbor_labels, dict(ids=torch.from_numpy(ids), labels=as_any(r, y)), lambda res: np.testing.assert_array_equal(res, y[ids])

def call_uniform(r):
    L,p = int(r.integers(2, 9)),float(r.random())
    return uniform_noise, dict(n_classes=L, rate=p), lambda T: np.testing.assert_allclose(T, (1-p)*np.eye(L)+p/L, atol=1e-6)

def call_pairflip(r):
    L,p = int(r.integers(2, 9)),float(r.random())
    return pairflip_noise, dict(n_classes=L, rate=p), lambda T: np.testing.assert_allclose(T, (1-p)*np.eye(L)+p*np.roll(np.eye(L), 1, 1), atol=1e-6)

def call_asymmetric(r):
    L,p = int(r.integers(3, 9)),float(r.random())
    def right(T):
        T = np.asarray(T)
        np.testing.assert_allclose(T.sum(1), 1, atol=1e-6); np.testing.assert_allclose(np.diag(T), 1-p, atol=1e-6)
    return random_asymmetric_noise, dict(n_classes=L, rate=p, seed=int(r.integers(99))), right

def call_corrupt(r):
    L = int(r.integers(2, 6))
    y,T = some_labels(r, 200, L),r.dirichlet(np.ones(L), L)
    def right(res):
        assert (T[y,res.labels.numpy()]>0).all() and (res.clean.numpy()==y).all()
        for c in range(L): assert np.abs(np.bincount(res.labels[y==c], minlength=L)-T[c]*(y==c).sum()).max()<1+1e-6
    return corrupt, dict(labels=as_any(r, y), T=as_any(r, T), seed=int(r.integers(99)), exact=True), right

def call_pdn(r):
    L = int(r.integers(2, 5))
    x,y = features(r, 60, 4),some_labels(r, 60, L)
    def right(T): np.testing.assert_allclose(np.asarray(T).sum(1), 1, atol=1e-5); assert T.shape==(60,L) and (T>=0).all()
    return pdn_noise, dict(x=as_any(r, x), labels=as_any(r, y), rate=float(r.uniform(.05, .6)), seed=int(r.integers(99)), n_classes=L), right

def call_knn(r):
    L = int(r.integers(2, 5))
    x = features(r, 30)
    y,k = some_labels(r, 30, L),int(r.integers(1, 31))
    names = np.array(['a','b','c','d'])[y] if r.random()<.5 else y
    def right(p):
        order = np.argsort(brute(x, x, 'euclidean'), 1, kind='stable')[:,:k]
        np.testing.assert_allclose(p, np.stack([np.bincount(y[o], minlength=L)/k for o in order]), atol=1e-6)
    return (lambda X,y,k: KNNClassifier(k).fit(X, y).predict_proba(X)), dict(X=as_any(r, x), y=names if r.random()<.5 else names.tolist(), k=k), right

def distributions(r, n, L): return r.dirichlet(np.ones(L), n)

def call_label_issues(r):
    L = int(r.integers(2, 6))
    y,p = some_labels(r, 40, L),distributions(r, 40, L)
    def right(res):
        np.testing.assert_allclose(res.p_given, p[np.arange(40),y], rtol=1e-5)
        assert (res.given==y).all() and res.is_issue.dtype==bool and res.score.between(-1, 1).all()
    return label_issues, dict(labels=as_any(r, y), pred_probs=as_any(r, p)), right

def call_knet(r):
    d,L,k_max = int(r.integers(1, 9)),int(r.integers(2, 6)),int(r.integers(1, 50))
    x,ks = r.normal(size=(7,d)).astype(np.float32),r.integers(1, k_max+1, 2).tolist()
    net = KNet(d, L, k_max=k_max).eval()
    def right(p):
        assert p.shape==(7,2,L) and (p>=0).all()
        np.testing.assert_allclose(p.sum(-1), 1, atol=1e-5)
        one = net(torch.from_numpy(x), torch.full((7,), ks[1])).softmax(1)
        np.testing.assert_allclose(p[:,1], one.detach(), atol=1e-5)
    return (lambda X,k: net.predict_proba(X, k)), dict(X=as_any(r, x), k=ks), right

def call_fit_knet(r):
    L = int(r.integers(2, 4))
    y = some_labels(r, 60, L)
    x = (np.eye(L)[y]*9+r.normal(size=(60,L))*.1).astype(np.float32)
    def right(net): assert (np.asarray(net.predict(x, 3)).ravel()==y).mean()>.95
    return fit_knet, dict(features=as_any(r, x), labels=as_any(r, y), n_classes=L, k_max=5, epochs=20, lr=.1, bs=64, seed=int(r.integers(99))), right

def call_classifier(r):
    L = int(r.integers(2, 4))
    y = some_labels(r, 60, L)
    x = np.eye(L)[y]*9+r.normal(size=(60,L))*.1
    names = np.array(['x','y','z'])[y]
    def right(m): assert (m.predict(x)==names).mean()>.95 and list(m.classes_)==['x','y','z'][:L]
    fit = lambda X,y,**kw: KNetClassifier(**kw).fit(X, y)
    return fit, dict(X=as_any(r, x), y=names if r.random()<.5 else names.tolist(), k_max=5, epochs=20, lr=.1, batch_size=64, random_state=int(r.integers(99))), right

def call_from_arrays(r):
    n,c = int(r.integers(15, 30)),int(r.choice([1,3]))
    x,y = r.integers(0, 256, (n,8,8,c), dtype=np.uint8),some_labels(r, n, 3)
    y[:6] = 0,0,1,1,2,2 # a test part takes two of each class
    def right(data):
        both,x_all = torch.cat([data.x_train,data.x_test]),torch.from_numpy(x).permute(0,3,1,2)
        assert both.shape==x_all.shape and both.dtype==torch.uint8 and len(data.classes)==3
        key = lambda t: sorted(map(bytes, t.contiguous().view(n, -1).numpy()))
        assert key(both)==key(x_all)
    return from_arrays, dict(x=x, y=as_any(r, y)), right

def call_thumbnail(r):
    x = r.integers(0, 256, (12,9,3), dtype=np.uint8)
    return thumbnail, dict(image=x, side=int(r.integers(8, 64))), lambda s: s.startswith('data:image/') or 1/0

def call_data(r):
    x = torch.from_numpy(r.integers(0, 256, (12,1,8,8), dtype=np.uint8))
    y = torch.from_numpy(some_labels(r, 12, 3))
    def right(d): assert len(d.x_train)==12 and d.n_classes==3 and torch.equal(d.y_train, y)
    return LabeledData, dict(x_train=x, y_train=y, x_test=x[:3], y_test=y[:3], classes=list('abc')), right

calls = [call_nearest,call_within,call_votes,call_vote_targets,call_choose_k,call_neighbor_labels,call_uniform,call_pairflip,
         call_asymmetric,call_corrupt,call_pdn,call_knn,call_label_issues,call_knet,call_fit_knet,call_classifier,call_from_arrays,
         call_thumbnail,call_data]

# Spoilt arguments: every one of these has to be refused

nan,inf = float('nan'),float('inf')
counts = [0,-1,1.5,nan,inf,'x',[],{},10**12,object(),1+2j]
numbers = [nan,inf,-1.,'x',[],{},None,object(),1j]
words = ['l3',5,nan,[],b'euclidean']
seeds_ = ['x',1.5,nan,[],{}]

def with_value(a, v):
    a = np.array(a, dtype=object if v is None or isinstance(v, str) else float)
    a.flat[a.size//2] = v
    return a

def spoilt_rows(a):
    "Features (n, d) that are none"
    a = np.asarray(a)
    yield from (with_value(a, v) for v in (nan,inf,-inf,None,'a'))
    yield from (a[:,:,None],a[:0],a[:,:0],a+1j,a.astype(str),None,'rows',5,{},a[0,0],[[1.],[1.,2.]],object())

def spoilt_labels(a):
    "Labels (n,) that are none, or not as many as there are samples"
    a = np.asarray(a)
    yield from (a[:-1],np.r_[a,a[:1]],a[:0],np.stack([a,a], 1),None,5,'labels',{},object(),a.tolist()[:-1]+[None],a.tolist()[:-1]+[nan])

def spoilt_codes(a):
    "Labels in [0, L) that are none"
    a = np.asarray(a)
    yield from (with_value(a, v) for v in (-1,.5,nan,10**12))
    yield from spoilt_labels(a)

def spoilt_shares(a):
    "Rows of probabilities that are none"
    a = np.asarray(a)
    yield from (with_value(a, v) for v in (nan,inf,-.1,2.,'a',None))
    yield from (a[:,:,None],a[:0],a*2,a-1,None,'T',3,{},object())

def spoilt_votes(a):
    yield from (a[0],a[:0],a.float()+.5,a.float()*nan,None,'x',{},object(),a.to(torch.int64)-300)

def spoilt_images(a):
    yield from (np.asarray(a)[:0],np.asarray(a).astype(str),np.asarray(a)*(1+1j),None,5,{},object(),'x',
                np.full(np.shape(a), nan),np.zeros((*np.shape(a)[:3],2), np.uint8))

spoils = dict(k=counts, ks=[*counts,[0],[1,10**9],None], n_classes=counts, k_max=counts, epochs=counts[1:8], bs=counts[:8], batch_size=counts[:8],
    side=counts, rate=[*numbers,1.5], lr=numbers, metric=words, backend=['x',5,[]], seed=seeds_, random_state=seeds_, base=spoilt_rows,
    queries=lambda a: (o for o in spoilt_rows(a) if o is not None), X=spoilt_rows, x=spoilt_rows, features=spoilt_rows, y=spoilt_labels,
    labels=spoilt_codes, T=spoilt_shares, pred_probs=spoilt_shares, neighbor_labels=spoilt_votes,
    ids=lambda a: (a[0],a[:0],a.float(),a-99,a+99,None,'x',{},object()), image=[np.zeros((4,4,2), np.uint8),np.zeros(4),None,5,{},object(),np.full((4,4,3), nan)],
    exact=[], x_train=spoilt_images, x_test=spoilt_images, y_train=spoilt_codes, y_test=spoilt_codes, classes=[[],['a'],5,['a','a','b'],object()])
def code_of_none(a): return (o for o in spoilt_codes(a) if np.size(o) in (0,1) or with_bad(o)) # as many others are labels of other samples
own = dict(call_from_arrays=dict(x=spoilt_images), call_corrupt=dict(labels=code_of_none), call_thumbnail=dict(image=[]),
           call_pdn=dict(x=lambda a: (o for o in spoilt_rows(a) if getattr(o, 'ndim', 0)<3)), call_neighbor_labels=dict(labels=lambda a: (o for o in spoilt_codes(a) if np.size(o) in (0,1) or with_bad(o))),
           call_classifier=dict(k_max=[0,-1,1.5,'x']), call_fit_knet=dict(k_max=counts), call_knet=dict(k=[*counts,[0],[1,10**9]]))

def with_bad(o):
    "Is there a value in it that is no label at all?"
    try: a = np.asarray(o, float)
    except (TypeError,ValueError): return True
    return a.ndim!=1 or not np.isfinite(a).all() or (a<0).any() or (a%1!=0).any()

ours = str(Path(__file__).resolve().parents[1]/'knet_nb')
def from_us(e):
    "Was the error raised on purpose: by this package, or by scikit-learn's own checks?"
    at = traceback.extract_tb(e.__traceback__)[-1].filename
    return 'knet_nb' in at or 'sklearn/utils' in at or 'sklearn/base' in at

@pytest.mark.parametrize('call', calls, ids=lambda f: f.__name__)
def test_valid(call):
    @seed(0)
    @many
    @given(st.integers(0, 2**32-1))
    def run(s):
        f,args,right = call(np.random.default_rng(s))
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            res = f(**args)
        right(res)
    run()

@pytest.mark.parametrize('call', calls, ids=lambda f: f.__name__)
def test_spoilt(call):
    wrong = {}
    for s in range(106):
        r = np.random.default_rng([s,1])
        f,args,_ = call(r)
        name = list(args)[r.integers(len(args))]
        bad = own.get(call.__name__, {}).get(name, spoils[name])
        bad = list(bad(args[name])) if callable(bad) else bad
        if not bad: continue
        v = bad[r.integers(len(bad))]
        what = f'{name}={str(v)[:60]!r} ({type(v).__name__})'
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                f(**{**args,name:v})
        except (ValueError,TypeError) as e:
            if not from_us(e): wrong[what] = f'{type(e).__name__} not of ours, {traceback.extract_tb(e.__traceback__)[-1].filename}: {e}'
        except Exception as e: wrong[what] = f'{type(e).__name__}: {e}'
        else: wrong[what] = 'accepted'
    assert not wrong, '\n'.join(f'{k}: {v}'[:300] for k,v in wrong.items())
