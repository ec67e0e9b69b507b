"The search against a float64 brute force, the votes against a naive loop"
import subprocess,sys
import numpy as np,pytest,torch
from hypothesis import given,settings,strategies as st
from knet_nb.neighbors import KNNClassifier,nearest,nearest_ivf,neighbor_labels,vote_targets,votes

few = settings(max_examples=40, deadline=None, derandomize=True)

def brute(b, q, metric):
    "(m, n) distances in float64, by differences of scaled rows"
    b,q = np.asarray(b, np.float64),np.asarray(q, np.float64)
    if metric=='cosine':
        unit = lambda o: (lambda c: c/np.linalg.norm(c, axis=1, keepdims=True))(o/np.abs(o).max(1, keepdims=True))
        b,q = unit(b),unit(q)
    s = max(np.abs(b).max(), np.abs(q).max()) or 1
    d = s*np.sqrt(((q[:,None]/s-b[None]/s)**2).sum(-1))
    return d if metric=='euclidean' else d*d/2

def check_nearest(b, q, k, metric, include_self=False, **kw):
    "Distances are those of float64, the k smallest, of distinct ids; ids of separated rows follow"
    within = q is None
    dists,ids = nearest(b, q, k=k, metric=metric, include_self=include_self, **kw)
    double = any(np.asarray(o).dtype==np.float64 for o in (b, b if within else q))
    D = brute(b, b if within else q, metric)
    if within and not include_self: np.fill_diagonal(D, np.inf)
    order = np.sort(D, 1)[:,:k]
    assert dists.dtype==(torch.float64 if double else torch.float32) and ids.dtype==torch.int64 and ids.shape==order.shape
    d,i = dists.double().numpy(),ids.numpy()
    assert (i>=0).all() and (i<len(b)).all() and all(len(set(r))==k for r in i.tolist())
    top = 1. if metric=='cosine' else np.abs(np.asarray(b, np.float64)).max()
    tol = 2e-9*order+1e-15*top
    assert (np.abs(np.take_along_axis(D, i, 1)-order)<=tol).all()
    assert (np.abs(d-order)<=tol+(0 if double else 1e-7*order+1e-44)).all()
    assert (d>=0).all() and (np.diff(d, axis=1)>=0).all()
    if within and not include_self: assert (i!=np.arange(len(b))[:,None]).all()

@st.composite
def cases(draw):
    g = np.random.default_rng(draw(st.integers(0, 10**6)))
    n,m,d = draw(st.integers(2, 40)),draw(st.integers(1, 30)),draw(st.integers(1, 12))
    kind = draw(st.sampled_from(['normal','duplicates','constant column','offset','all equal']))
    b,q = g.normal(size=(n,d)),g.normal(size=(m,d))
    if kind=='duplicates': b = b[g.integers(0, max(1, n//4), n)]
    if kind=='constant column': b[:,0] = q[:,0] = 3.
    if kind=='offset': b,q = b+1e6,q+1e6
    if kind=='all equal': b = np.ones((n,d))
    return b,(None if draw(st.booleans()) else q)

@few
@given(cases(), st.sampled_from(['euclidean','cosine']), st.sampled_from(['faiss','torch']), st.sampled_from([1,3000,1<<28]), st.booleans(), st.data())
def test_nearest(case, metric, backend, block, include_self, data):
    b,q = case
    k = data.draw(st.integers(1, len(b)-(q is None and not include_self)))
    check_nearest(b, q, k, metric, include_self, backend=backend, block=block)

def hard_case(seed):
    "(base, queries, k) of a random shape, scale, offset and dtype, as real sets have them and as nobody expects them"
    r = np.random.default_rng(seed)
    n,m,d = r.integers(2, 200),r.integers(1, 30),r.choice([1,2,3,17,64,300])
    x,q,kind = r.normal(size=(n,d)),r.normal(size=(m,d)),seed%10
    if kind==1: x[:n//2] += 10.**r.integers(2, 13); q[:m//2] += x[0,0] # clusters far apart
    if kind==2: s = 10.**r.integers(-300, 300); x,q = x*s,q*s
    if kind==3: x,q = [r.integers(0, 3, size=o.shape).astype(float) for o in (x,q)] # ties
    if kind==4: x[r.integers(n)] *= 10.**r.integers(3, 15) # one large row
    if kind==5: x = np.repeat(x[:max(1, n//5)], 5, 0)[:n]; q = x[r.integers(0, len(x), m)] # duplicates
    if kind==6: x,q = [x[:1]+1e-6*o for o in (x,q)] # near ties, away from the origin
    if kind==7: x,q = [o*10.**r.uniform(-12, 12, size=(len(o),1)) for o in (x,q)] # rows of all sizes
    if kind==8: x,q = [o*10.**r.uniform(-8, 8, size=(1,d)) for o in (x,q)] # columns in other units
    if kind==9: x = x[:1]+1e-10*r.integers(0, 9, size=x.shape); q = x[r.integers(0, len(x), m)] # nearly all the same
    if r.random()<.4 and max(np.abs(x).max(), np.abs(q).max())<1e37: x,q = x.astype(np.float32),q.astype(np.float32)
    x,q = [np.where(np.abs(o).max(1, keepdims=True)==0, o.dtype.type(1), o) for o in (x,q)]
    return x,q,int(r.integers(1, len(x)+1))

@pytest.mark.parametrize('start', range(0, 500, 50))
def test_exact_as_float64(start):
    for seed in range(start, start+50):
        x,q,k = hard_case(seed)
        for metric in ('euclidean','cosine'):
            for backend in ('torch','faiss'): check_nearest(x, q, k, metric, backend=backend, block=[1<<28,20_000][seed//10%2])

@few
@given(cases(), st.sampled_from(['euclidean','cosine']), st.sampled_from([1,3000,1<<28]), st.booleans(), st.sampled_from([None,1,5]), st.data())
def test_ivf_with_all_lists_is_exact(case, metric, block, include_self, n_lists, data):
    pytest.importorskip('faiss')
    b,q = case
    n_lists = n_lists and min(n_lists, len(b))
    k = data.draw(st.integers(1, len(b)-(q is None and not include_self)))
    rows = np.array(data.draw(st.lists(st.integers(0, len(b)-1), min_size=1, max_size=9))) if q is None else None
    d,i,recall = nearest_ivf(b, q, k=k, metric=metric, include_self=include_self, recall=1, n_lists=n_lists, block=block, rows=rows)
    d0 = nearest(b, q, k=k, metric=metric, include_self=include_self, rows=rows)[0]
    assert d.dtype==d0.dtype and i.dtype==torch.int64 and (i>=0).all() and (i<len(b)).all() and 0<=recall<=1
    assert (d-d0).abs().max()<=1e-9*max(1e-12, d0.max().item()) and all(len(set(r))==k for r in i.tolist())
    if rows is not None and not include_self: assert (i!=torch.as_tensor(rows)[:,None]).all()

def test_many_duplicates_lose_only_themselves():
    b = np.repeat(np.random.default_rng(0).normal(size=(3,4)), 20, 0)
    for backend in ('faiss','torch'):
        for block in (700,1<<28): check_nearest(b, None, 5, 'euclidean', backend=backend, block=block)

@pytest.mark.parametrize('backend', ['faiss','torch'])
def test_blas_sized(backend):
    b = np.random.default_rng(0).normal(size=(1500,24))+100
    check_nearest(b, None, 30, 'euclidean', backend=backend, block=200_000)
    check_nearest(b, b[:100]+.1, 30, 'cosine', backend=backend, block=200_000)

def test_dtypes_and_views(tmp_path):
    x = np.random.default_rng(0).integers(0, 200, (30,5))
    ref = nearest(x.astype(np.float32), k=4)[0]
    t = torch.from_numpy(x).float()
    for o in (x, x.astype('>f4'), x.astype(np.uint8), x.astype(np.longdouble), t.half(), t.bfloat16(), t.double(), t.clone().requires_grad_(), t.T.contiguous().T, x.tolist()):
        assert torch.equal(nearest(o, k=4)[0].float(), ref)
    m = np.memmap(tmp_path/'x.dat', np.float16, 'w+', shape=x.shape); m[:] = x
    assert torch.allclose(nearest(m, k=4, block=500)[0], ref, rtol=1e-5)

def test_session_precision_is_kept_and_not_used():
    b = np.random.default_rng(0).normal(size=(50,6))
    torch.set_float32_matmul_precision('medium')
    try:
        with torch.autocast('cpu', dtype=torch.bfloat16): check_nearest(b, None, 5, 'euclidean', backend='torch')
        assert torch.get_float32_matmul_precision()=='medium'
    finally: torch.set_float32_matmul_precision('highest')

def test_progress(capsys, monkeypatch):
    x = torch.randn(20,3)
    nearest(x, k=2); assert not capsys.readouterr().out
    assert torch.equal(nearest(x, k=2, progress=True, block=500)[1], nearest(x, k=2)[1]); assert capsys.readouterr()==('','') # nobody looks on
    monkeypatch.setattr('knet_nb.messages.can_see_bars', lambda: True)
    nearest(x, k=2, progress=True, block=500); out,err = capsys.readouterr(); assert not out and 'it/s' in err

def test_without_faiss(monkeypatch):
    x = torch.randn(20,3)
    ref = nearest(x, k=2)
    monkeypatch.setitem(sys.modules, 'faiss', None)
    assert torch.allclose(nearest(x, k=2)[0], ref[0], atol=1e-3)
    with pytest.raises(ImportError, match="backend='torch'"): nearest(x, k=2, backend='faiss')

@few
@given(st.integers(1,20), st.integers(1,15), st.sampled_from([2,5,300]), st.integers(0,999), st.integers(1,25))
def test_votes(n, k_max, L, seed, block):
    g = np.random.default_rng(seed)
    y = np.r_[L-1,g.integers(0, L, 40)]
    ids = g.integers(0, 41, (n,k_max))
    nl = neighbor_labels(torch.from_numpy(ids), y)
    assert nl.dtype==(torch.uint8 if L<=256 else torch.int16) and (nl.numpy()==y[ids]).all()
    ks = g.integers(1, k_max+1, 6).tolist()
    out = votes(nl, ks, L, block=block).numpy()
    for r in range(n):
        for c,k in enumerate(ks): np.testing.assert_array_equal(out[r,c], (np.bincount(y[ids[r,:k]], minlength=L)/np.float32(k)).astype(np.float32))
    k = torch.from_numpy(g.integers(1, k_max+1, n))
    each = votes(nl, range(1, k_max+1), L)[torch.arange(n),k-1]
    for check in (True,False): assert torch.equal(vote_targets(nl, k, L, check=check), each)

def test_many_classes():
    assert neighbor_labels(torch.tensor([[0]]), [40000]).dtype==torch.int64
    assert neighbor_labels(torch.tensor([[0]]), [255]).dtype==torch.uint8

x6 = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
nl6 = torch.zeros(6, 3, dtype=torch.uint8)
@pytest.mark.parametrize('match,call', [
    (r'\[1, 5\].*got 6', lambda: nearest(x6, k=6)), (r'\[1, 6\].*got 7', lambda: nearest(x6, x6, k=7)), ('got 0', lambda: nearest(x6, k=0)),
    ('got 2.5', lambda: nearest(x6, k=2.5)), ('row 2 has inf', lambda: nearest(x6, x6.index_fill(0, torch.tensor(2), torch.inf), k=1)),
    ('row 2 has -inf', lambda: nearest(x6.index_fill(0, torch.tensor(2), -torch.inf), k=1, block=1)), ('do not fit into float32', lambda: nearest(torch.tensor([[3e38],[-3e38]]), k=1)),
    ('queries: row 0 is all zeros', lambda: nearest(x6, torch.zeros(1,2), k=1, metric='cosine')), ('2 features', lambda: nearest(x6, torch.zeros(1,3), k=1)),
    (r'got shape \(6,\)', lambda: nearest(x6[:,0], k=1)), (r'got shape \(0, 2\)', lambda: nearest(x6[:0], k=1)), ('block', lambda: nearest(x6, k=1, block=0)),
    ('backend', lambda: nearest(x6, k=1, backend='annoy')), ('real numbers', lambda: nearest(np.array([['a']]), k=1)),
    ('found 9', lambda: neighbor_labels([[9]], [0,1])), ('whole numbers', lambda: neighbor_labels([[.5]], [0,1])), (r'\(n, k\)', lambda: neighbor_labels([0], [0,1])),
    (r'\[1, 3\], got 4', lambda: votes(nl6, [1,4], 2)), ('empty', lambda: votes(nl6, [], 2)), ('got 0', lambda: vote_targets(nl6, 0, 2)),
    (r'shape \(6,\)', lambda: vote_targets(nl6, torch.ones(5).long(), 2)), ('whole numbers', lambda: vote_targets(nl6, torch.ones(6), 2)),
    ('found 1', lambda: votes(nl6+1, 1, 1)), ('row 0 has nan', lambda: KNNClassifier(k=1).fit(x6*torch.nan, range(6))),
    ('found 5', lambda: KNNClassifier(k=1).fit(x6, range(6), n_classes=5)), ('6 samples', lambda: KNNClassifier().fit(x6, range(6)))])
def test_errors(match, call):
    with pytest.raises(ValueError, match=match): call()

def test_classifier_labels_and_ties():
    x = np.array([[0.],[1],[10],[11]])
    for y in (['b','b','a','a'], [7,7,-3,-3], torch.tensor([5,5,2,2]), [True,True,False,False]):
        c = KNNClassifier(k=2).fit(x, y)
        assert (c.predict(x)==np.asarray(y)).all() and c.k_max==4 and c.n_floats==4
        assert (c.predict(x, [4,1])[:,0]==c.classes_[0]).all() # a tie goes to the first class
        assert (c.predict(x, k=[4,1])[:,1]==np.asarray(y)).all() and c.score(x, np.asarray(y))==1
    assert c.predict_proba(x, [4]).shape==(4,1,2) and c.predict_proba(x, 4).shape==(4,2)

def test_classifier_unfitted():
    from sklearn.exceptions import NotFittedError
    with pytest.raises(NotFittedError): KNNClassifier().predict([[0.]])

@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_cuda():
    x = torch.randn(3000, 32, generator=torch.Generator().manual_seed(0))+50
    d0,i0 = nearest(x, k=20, backend='torch')
    d,i = nearest(x.cuda(), k=20, block=2_000_000)
    assert d.is_cuda and i.is_cuda and torch.allclose(d.cpu(), d0, atol=1e-3) and (i.cpu()==i0).float().mean()>.99
    assert nearest(x, k=20, device='cuda')[0].device.type=='cpu'
    nl = neighbor_labels(i, torch.arange(3000)%10)
    k = torch.randint(1, 21, (3000,), device='cuda')
    assert torch.equal(vote_targets(nl, k, 10, check=False).cpu(), vote_targets(nl.cpu(), k.cpu(), 10))
    with pytest.raises(ValueError, match='faiss searches on the CPU'): nearest(x.cuda(), k=2, backend='faiss')
