"What has to hold for any input"
import io,math,tempfile
from pathlib import Path
import numpy as np,pandas as pd,pytest,torch
from hypothesis import assume,given,settings,strategies as st
from PIL import Image
from fastai.vision.core import TensorImage,TensorImageBW
from knet_nb.loaders import Cutout,HFlip,PadCrop
from knet_nb.data import LabeledData,from_arrays,from_folder,from_frame,from_npz,from_parquet
from knet_nb.files import load_tensors,save_tensors
from knet_nb.knet import KNet,fit_knet
from knet_nb.noise import corrupt,load_noise,pairflip_noise,pdn_noise,random_asymmetric_noise,semantic_noise,toy_noise,uniform_noise

few = settings(max_examples=40, deadline=None, derandomize=True)
fewer = settings(few, max_examples=12)
seeds,rates = st.integers(0, 10**6),st.one_of(st.sampled_from([0,0.,1,1.]), st.floats(0, 1))

# noise

@st.composite
def matrices(draw, rows=None):
    "Rows that are probabilities, some of them with zeros, some with a certain class"
    L = draw(st.integers(2, 7))
    g = np.random.default_rng(draw(seeds))
    T = g.dirichlet(np.full(L, draw(st.sampled_from([.05,.5,5.]))), rows or L)
    T = np.where(g.random(T.shape)<draw(st.sampled_from([0,.5,.9])), 0, T)
    T[T.sum(1)==0,draw(st.integers(0, L-1))] = 1
    return T/T.sum(1, keepdims=True)

def check_noise(n, y, T_rows):
    "Labels, mask, rate and confusion agree, and no class of probability 0 was drawn"
    L = T_rows.shape[1]
    out,y = n.labels.numpy(),np.asarray(y)
    assert n.labels.dtype==torch.int64 and n.labels.shape==(len(y),) and out.min()>=0 and out.max()<L
    assert (n.clean.numpy()==y).all() and (n.flipped.numpy()==(out!=y)).all()
    assert math.isclose(n.rate, (out!=y).mean(), abs_tol=1e-12)
    C = np.zeros((L,L), int); np.add.at(C, (y,out), 1)
    assert (n.confusion.numpy()==C).all() and (T_rows[np.arange(len(y)),out]>0).all()
    return C

@few
@given(matrices(), st.integers(1, 300), seeds, st.booleans(), st.sampled_from([list,np.asarray,torch.as_tensor,lambda y: np.asarray(y,
       np.uint8)]))
def test_corrupt(T, n, seed, exact, kind):
    y = np.random.default_rng(seed).integers(0, len(T), n)
    before = y.copy()
    res = corrupt(kind(y), T, seed, exact)
    C = check_noise(res, before, T[before])
    assert (y==before).all() and corrupt(y, torch.as_tensor(T), seed, exact).labels.equal(res.labels)
    if exact: assert np.abs(C-np.bincount(y, minlength=len(T))[:,None]*T).max()<1+1e-6

@few
@given(st.integers(2, 200), seeds, st.booleans(), st.data())
def test_corrupt_by_sample(n, seed, exact, data):
    T = data.draw(matrices(n))
    y = np.random.default_rng(seed).integers(0, T.shape[1], n)
    T[np.arange(n),y] += .5; T /= T.sum(1, keepdims=True) # exact counts are for rows in which the old label stays possible
    res = corrupt(y, T, seed, exact, instance=True)
    check_noise(res, y, T)
    assert corrupt(y, T, seed, exact, instance=True).labels.equal(res.labels)
    if exact: assert abs(res.flipped.sum().item()-(1-T[np.arange(n),y]).sum())<=1.5

def test_drawn_shares():
    "The shares of a long draw are those of the matrix"
    T = np.random.default_rng(0).dirichlet(np.ones(4), 4)
    y = np.arange(80_000)%4
    for kw in (dict(T=T),dict(T=T[y], instance=True)):
        C = corrupt(y, seed=1, **kw).confusion.numpy()
        assert np.abs(C/20_000-T).max()<.015
    assert not corrupt(y, T, 1).labels.equal(corrupt(y, T, 2).labels)

makers = dict(uniform=lambda L,r,s: uniform_noise(L, r), exclusive=lambda L,r,s: uniform_noise(L, r, include_self=False),
              pairflip=lambda L,r,s: pairflip_noise(L, r), asymmetric=random_asymmetric_noise, toy=lambda L,r,s: toy_noise(L, r),
              semantic=lambda L,r,s: semantic_noise({i:(i+1)%L for i in range(0, L, 2)}, r, L))

@few
@given(st.sampled_from(list(makers)), st.integers(3, 30), rates, seeds)
def test_made_matrices(name, L, rate, seed):
    T = makers[name](L, rate, seed)
    assert T.shape==(L,L) and T.dtype==torch.float64 and (T>=0).all() and (T.sum(1)-1).abs().max()<1e-9
    off = 1-T.diagonal()
    want = rate*(L-1)/L if name=='uniform' else rate
    assert ((off[::2] if name=='semantic' else off)-want).abs().max()<1e-9
    y = torch.arange(4*L)%L
    for exact in (False,True):
        n = corrupt(y, T, seed, exact)
        if rate==0: assert not n.flipped.any()
        if rate==1 and name not in ('uniform','semantic'): assert n.flipped.all()

@few
@given(st.integers(3, 30), st.floats(.01, 1), seeds)
def test_random_asymmetric(L, rate, seed):
    T = random_asymmetric_noise(L, rate, seed)
    off = T.clone().fill_diagonal_(0).sort(1, descending=True)[0]
    assert (off[:,0]-2*rate/3).abs().max()<1e-9 and (off[:,1]-rate/3).abs().max()<1e-9 and not off[:,2:].any()
    assert random_asymmetric_noise(L, rate, seed).equal(T)
    assert L<6 or not random_asymmetric_noise(L, rate, seed+1).equal(T)

@few
@given(matrices(), st.sampled_from(['sum','negative','nan','inf','wide','tall','flat','deep']), seeds)
def test_bad_matrices(T, how, seed):
    L,i = len(T),seed%len(T)
    if how=='sum': T[i] *= 1+(1 if seed%2 else -1)*1e-4
    elif how=='negative': T[i,:2] = T[i,:2].sum()+.1,-.1
    elif how in ('nan','inf'): T[i,seed%L] = float(how)
    T = dict(wide=np.c_[T,np.zeros(L)], tall=np.r_[T,T[:1]], flat=T[0], deep=T[None]).get(how, T)
    with pytest.raises(ValueError): corrupt(np.arange(L), T)

@few
@given(matrices(), st.sampled_from([-1,0,5]), seeds)
def test_bad_labels(T, over, seed):
    y = np.random.default_rng(seed).integers(0, len(T), 20)
    y[seed%20] = over if over<0 else len(T)+over
    with pytest.raises(ValueError): corrupt(y, T)

@pytest.mark.parametrize('rate', [-.01,1.01,float('nan'),float('inf'),'x',None])
@pytest.mark.parametrize('make', list(makers.values())+[lambda L,r,s: pdn_noise(torch.rand(9,4), torch.arange(9)%3, r)])
def test_bad_rates(make, rate):
    with pytest.raises(ValueError): make(4, rate, 0)

@few
@given(st.integers(6, 60), rates, seeds, st.booleans())
def test_pdn(n, rate, seed, image):
    x = torch.rand(n, 1, 4, 4) if image else torch.randn(n, 5)*100
    y = torch.arange(n)%3
    P = pdn_noise(x, y, rate, seed, block=7)
    assert P.shape==(n,3) and (P>=0).all() and (P.sum(1)-1).abs().max()<1e-6 and pdn_noise(x, y, rate, seed).sub(P).abs().max()<1e-4
    check_noise(corrupt(y, P, seed, instance=True), y, P.numpy())

@few
@given(matrices(), st.integers(1, 50), seeds, st.booleans(), st.text(max_size=8))
def test_noise_roundtrip(T, n, seed, exact, note):
    a = corrupt(np.random.default_rng(seed).integers(0, len(T), n), T, seed, exact, note=note)
    with tempfile.TemporaryDirectory() as d:
        a.save(Path(d)/'n.npz')
        b = load_noise(Path(d)/'n.npz')
    assert a.labels.equal(b.labels) and a.clean.equal(b.clean) and (a.n_classes,a.seed,a.exact,a.note)==(b.n_classes,b.seed,b.exact,b.note)

# files

def same_or_refused(path, bad, read, same):
    "Whatever the file's bytes: `ValueError`, or what was saved"
    path.write_bytes(bad)
    try: got = read(path)
    except ValueError: return False
    assert same(got)
    return True

def damages(b):
    "Every truncation, and a flipped bit in every byte"
    for i in range(len(b)): yield b[:i]
    for i in range(len(b)): yield b[:i]+bytes([b[i]^(1<<i%7)])+b[i+1:]

def check_damages(path, read, same, every=1):
    good = path.read_bytes()
    assert same(read(path))
    for i,bad in enumerate(damages(good)):
        if i%every: continue
        try: unharmed = same_or_refused(path, bad, read, same)
        except Exception as e:
            how = 'truncated to' if i<len(good) else 'flipped at'
            raise AssertionError(f"{path.name}, {how} byte {i%len(good)} of {len(good)}: {type(e).__name__} {e}") from e
        assert not unharmed or i>=len(good), f'{path.name}, truncated to {i} of {len(good)} bytes, was taken for whole'

def test_damaged_tensors(tmp_path):
    ts,meta = dict(a=torch.arange(6.).view(2,3), b=torch.tensor([1,2,300])),dict(rate=.4, note='x', list=[1,[2.5]])
    save_tensors(tmp_path/'a.safetensors', ts, **meta)
    def same(o): return o[1]==meta and o[0].keys()==ts.keys() and all(o[0][k].equal(v) and o[0][k].dtype==v.dtype for k,v in ts.items())
    check_damages(tmp_path/'a.safetensors', load_tensors, same)

def test_damaged_knet(tmp_path):
    net = KNet(2, 3, 2, 9).eval()
    net.save(tmp_path/'k.safetensors')
    p = net.predict_proba(torch.ones(2,2), [1,5])
    def same(o): return o.predict_proba(torch.ones(2,2), [1,5]).equal(p) and (o.k_max,o.hidden)==(9,2)
    check_damages(tmp_path/'k.safetensors', KNet.load, same)

def test_damaged_noise(tmp_path):
    a = corrupt(torch.arange(12)%3, uniform_noise(3, .5), 1, note='n')
    a.save(tmp_path/'n.npz')
    check_damages(tmp_path/'n.npz', load_noise, lambda o: o.labels.equal(a.labels) and o.clean.equal(a.clean) and o.note=='n' and o.seed==1)

def test_damaged_npz_and_parquet(tmp_path, monkeypatch):
    "Truncated anywhere, a set's own file is refused (without checksums, flipped bits need not be seen)"
    monkeypatch.setenv('KNET_CACHE', str(tmp_path/'cache'))
    x,y = np.random.default_rng(0).normal(size=(12,2)).astype(np.float32),np.arange(12)%2
    np.savez(tmp_path/'a.npz', x=x, y=y)
    pd.DataFrame(dict(x=list(x), y=y)).to_parquet(tmp_path/'a.parquet')
    for name,read in (('a.npz',from_npz),('a.parquet',from_parquet)):
        good = (tmp_path/name).read_bytes()
        read(tmp_path/name)
        for i in [*range(0, len(good), 23),len(good)-1]:
            (tmp_path/name).write_bytes(good[:i])
            with pytest.raises(ValueError): read(tmp_path/name)

@pytest.mark.parametrize('meta', [None, {}, dict(other='1'), *[dict(knet_nb=o) for o in ('{}','[]','3','{','{"checksum": 1}')]])
def test_foreign_safetensors(tmp_path, meta):
    from safetensors.torch import save_file
    save_file(dict(a=torch.ones(2)), tmp_path/'a.safetensors', metadata=meta)
    for read in (load_tensors,KNet.load):
        with pytest.raises(ValueError): read(tmp_path/'a.safetensors')

@pytest.mark.parametrize('config', [None, {}, dict(d=2, n_classes=3, hidden=2, k_max=9, other=1), dict(d=2, n_classes=4, hidden=2,
       k_max=9), dict(d=-1, n_classes=3)])
def test_knet_file_of_another_kind(tmp_path, config):
    ts = KNet(2, 3, 2, 9).state_dict()
    save_tensors(tmp_path/'k.safetensors', ts, kind='KNet', **({} if config is None else dict(config=config)))
    with pytest.raises(ValueError): KNet.load(tmp_path/'k.safetensors')

# data

good_shapes = [(12,4),(12,8,8),(12,8,8,3),(12,3,8,8),(12,8,8,1),(12,1,8,8)]
shapes = [*good_shapes*2,(12,),(12,0),(12,2,8,8),(12,8,8,4),(12,1,1,1,1),(0,4),()]
dtypes = ['u1','i1','i4','>i4','i8','u2','u4','u8','f2','f4','>f4','f8','g','?','c8','O','U3','S3','M8[s]']
layouts = dict(plain=lambda a: a, fortran=np.asfortranarray, reversed=lambda a: a[::-1], mirrored=lambda a: a[...,::-1],
       strided=lambda a: a.repeat(2, 0)[::2],
               readonly=lambda a: (a.setflags(write=False), a)[1], nested=lambda a: a.tolist(), tensor=torch.as_tensor)

def build(shape, dtype, seed): return np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)

@settings(few, max_examples=250)
@given(st.sampled_from(shapes), st.sampled_from(['u1','f4']*6+dtypes), st.sampled_from(list(layouts)),
       st.sampled_from(['i8','u1','f4','U3','O','?']*2+dtypes),
       st.sampled_from(['plain','reversed','readonly','nested','tensor']), seeds)
def test_from_arrays(shape, dtype, layout, ydtype, ylayout, seed):
    x,y = build(shape, dtype, seed),(np.arange(shape[0] if shape else 1)%2).astype(ydtype)
    try: X,Y = layouts[layout](x),layouts[ylayout](y)
    except (IndexError,TypeError,ValueError,RuntimeError): assume(False) # there is no such array or tensor
    try: d = from_arrays(X, Y)
    except ValueError:
        usual_x = shape in good_shapes and dtype==('f4' if len(shape)==2 else 'u1') and layout in ('plain','fortran','readonly')
        usual_y = ydtype in ('i8','u1','f4','U3','O') and ylayout in ('plain','readonly','nested')
        assert not (usual_x and usual_y), 'a usual case was refused'
    else:
        assert isinstance(d, LabeledData) and d.n_classes==2 and len(d.x_train)+len(d.x_test)==12
        assert d.x_train.dtype==(torch.float32 if len(shape)==2 else torch.uint8) and d.x_train.ndim in (2,4)
        if d.is_image:
            x = x[...,::-1] if layout=='mirrored' else x
            x = x if len(shape)==3 or shape[1] in (1,3) else x.transpose(0,3,1,2)
            assert {o.numpy().tobytes() for o in torch.cat([d.x_train,d.x_test])}=={np.ascontiguousarray(o).tobytes() for o in x}

@pytest.mark.parametrize('layout', ['reversed','mirrored'])
def test_reversed_arrays_are_taken(layout):
    "BGR to RGB by x[...,::-1] is an ordinary thing to do"
    x = build((12,8,8,3), 'u1', 0)
    d = from_arrays(layouts[layout](x), np.arange(12)%2)
    assert d.shape==(3,8,8)

@few
@given(st.integers(2, 6), st.integers(0, 10), seeds)
def test_string_labels(L, extra, seed):
    g = np.random.default_rng(seed)
    names = g.permutation([f'c{i}' for i in range(L)]).tolist()
    y = np.array(names*2+g.choice(names, extra).tolist())
    x = np.arange(len(y), dtype=np.float32)[:,None].repeat(2, 1)
    d = from_arrays(x, y, x, y, classes=names)
    assert [d.classes[i] for i in d.y_train]==y.tolist() and d.classes==names
    d = from_arrays(x, y, x, y)
    assert d.classes==sorted(names) and [d.classes[i] for i in d.y_train]==y.tolist()

def png(a):
    b = io.BytesIO(); Image.fromarray(a).save(b, 'png')
    return b.getvalue()

@fewer
@given(st.booleans(), st.integers(4, 9), st.integers(4, 9), st.integers(2, 4), st.booleans(), seeds)
def test_every_way_in_gives_the_same(colour, h, w, L, with_test, seed):
    g = np.random.default_rng(seed)
    n,m = 5*L+3,2*L
    y = np.sort(np.r_[np.arange(5*L)%L,g.integers(0, L, 3)]); yt = np.sort(np.arange(m)%L) # a folder is read class by class
    x,xt = [g.integers(0, 256, (k,h,w,3) if colour else (k,h,w), dtype=np.uint8) for k in (n,m)]
    classes = [f'k{i}' for i in range(L)]
    with tempfile.TemporaryDirectory() as d, pytest.MonkeyPatch.context() as mp:
        mp.setenv('KNET_CACHE', d+'/cache')
        d = Path(d)
        parts = [('train',x,y)]+([('test',xt,yt)] if with_test else [])
        frames,files = [],[]
        (d/'shards').mkdir()
        for part,xs,ys in parts:
            df = pd.DataFrame(dict(image=list(map(png, xs)), label=[classes[i] for i in ys]))
            df.to_parquet(d/'shards'/f'{part}.parquet')
            frames.append(df)
            at = []
            for i,(b,c) in enumerate(zip(df.image, df.label)):
                f = (d/'folder'/part if with_test else d/'folder')/c/f'{i:04}.png'
                f.parent.mkdir(parents=True, exist_ok=True); f.write_bytes(b)
                at.append(str(f.relative_to(d)))
            files.append(df.assign(image=at))
        arrays = dict(x_train=x, y_train=y)|(dict(x_test=xt, y_test=yt) if with_test else {})
        np.savez(d/'a.npz', classes=np.array(classes), **arrays)
        second = lambda o: o[1] if with_test else None
        pil = frames[0].assign(image=[Image.open(io.BytesIO(b)) for b in frames[0].image])
        arr = [o.assign(image=list(a)) for o,a in zip(frames, (x,xt))]
        res = [from_arrays(*arrays.values(), classes=classes), from_npz(d/'a.npz'), *[from_folder(d/'folder') for _ in range(2)],
               *[from_parquet(d/'shards') for _ in range(2)], from_frame(frames[0], test=second(frames)),
               from_frame(files[0], test=second(files), folder=d), from_frame(pil, test=second(arr)), from_frame(arr[0], test=second(arr))]
    ref = res[0]
    assert ref.shape==(3 if colour else 1,h,w) and (not with_test or (ref.x_train.numpy().transpose(0,2,3,1).reshape(x.shape)==x).all())
    for o in res[1:]:
        assert o.classes==classes
        for k in ('x_train','y_train','x_test','y_test'): assert getattr(o,k).equal(getattr(ref,k)), (o,k)

# kNet

@settings(few, max_examples=25)
@given(st.integers(1, 20), st.integers(1, 9), st.sampled_from([None,'paper',1,5]), st.integers(1, 40), st.integers(1, 50),
       st.sampled_from([8,50,999]), seeds,
       st.data())
def test_predictions_are_distributions(d, L, hidden, k_max, n, bs, seed, data):
    torch.manual_seed(seed)
    net = KNet(d, L, hidden, k_max)
    net.mean.normal_(); net.std.uniform_(.1, 3)
    net.bn.running_var.uniform_(.5, 2)
    ks = data.draw(st.one_of(st.integers(1, k_max), st.lists(st.integers(1, k_max), min_size=1, max_size=6)))
    x = torch.randn(n, d)*data.draw(st.sampled_from([1e-3,1.,1e3]))
    training = data.draw(st.booleans()); net.train(training)
    p = net.predict_proba(x, ks, bs=bs)
    each = [ks] if isinstance(ks, int) else ks
    if isinstance(ks, int):
        assert p.shape==(n,L) and net.predict(x, ks).shape==(n,)
        p = p[:,None]
    assert p.shape==(n,len(each),L) and p.dtype==torch.float32 and net.training==training
    assert (p>=0).all() and (p.sum(-1)-1).abs().max()<1e-5
    for kind in (np.asarray,torch.as_tensor,tuple): assert net.predict_proba(x, kind(each), bs=bs).equal(p)
    for c,k in enumerate(each): assert torch.allclose(net.predict_proba(x, k), p[:,c], atol=1e-6)
    assert net.predict(x, ks).equal(net.predict_proba(x, ks).argmax(-1))
    for bad in (0,k_max+1,[1,k_max+1],[],-1,[1.5]):
        with pytest.raises(ValueError): net.predict_proba(x, bad)
    with tempfile.TemporaryDirectory() as t:
        net.save(Path(t)/'k.safetensors')
        back = KNet.load(Path(t)/'k.safetensors')
    assert not back.training and back.predict_proba(x, each, bs=bs).equal(p)
    assert (back.d,back.n_classes,back.hidden,back.k_max,back.fixed_k)==(d,L,net.hidden,k_max,None)

@fewer
@given(st.sampled_from(['constant','duplicates','one constant column','large','tiny','offset','one-hot']), st.integers(2, 70),
       st.integers(1, 5),
       st.sampled_from([None,1]), st.sampled_from(['ce','kl']), st.booleans(), seeds)
def test_degenerate_features(kind, n, d, fixed_k, loss, one_class, seed):
    g = np.random.default_rng(seed)
    x = g.normal(size=(n,d))
    if kind=='constant': x[:] = .1
    elif kind=='duplicates': x = x[g.integers(0, 2, n)]
    elif kind=='one constant column': x[:,0] = 1e4
    elif kind=='one-hot': x = np.eye(d)[g.integers(0, d, n)]
    else: x = dict(large=x*1e15, tiny=x*1e-30, offset=x+1e6)[kind]
    y = np.zeros(n, int) if one_class else g.integers(0, 2, n)
    x = torch.as_tensor(x, dtype=torch.float32)
    net = fit_knet(x, y, 3, k_max=n-1, fixed_k=fixed_k, loss=loss, epochs=2, seed=seed) # class 2 has no sample
    for q in (x,x[:1],torch.randn(5, d)):
        p = net.predict_proba(q, [1,n-1])
        assert p.isfinite().all() and (p.sum(-1)-1).abs().max()<1e-5

def test_knet_needs_more_samples_than_k_max():
    for k_max in (10,11):
        with pytest.raises(ValueError): fit_knet(torch.randn(10,2), torch.arange(10)%2, k_max=k_max)
    assert fit_knet(torch.randn(10,2), torch.arange(10)%2, k_max=10, include_self=True, epochs=1).k_max==10

# augmentations

@st.composite
def batches(draw):
    b,c,h,w = draw(st.integers(1, 12)),draw(st.sampled_from([1,3])),draw(st.integers(2, 12)),draw(st.integers(2, 12))
    torch.manual_seed(draw(seeds))
    return (TensorImage if c==3 else TensorImageBW)(torch.randint(1, 256, (b,c,h,w), dtype=torch.uint8))

def aug(t, x):
    "The training batch's transform; type, shape and input are kept, and validation is left alone"
    before = x.clone()
    y = t(x, split_idx=0)
    assert type(y) is type(x) and y.dtype==torch.uint8 and y.shape==x.shape and x.equal(before) and t(x, split_idx=1).equal(before)
    return y.as_subclass(torch.Tensor).numpy()

@few
@given(batches(), st.integers(0, 5), st.integers(0, 255))
def test_pad_crop_gives_a_window(x, pad, fill):
    y,(b,c,h,w) = aug(PadCrop(pad, fill), x),x.shape
    p = np.full((b,c,h+2*pad,w+2*pad), fill, np.uint8)
    p[:,:,pad:pad+h,pad:pad+w] = x.numpy()
    for i in range(b): assert any((y[i]==p[i,:,r:r+h,s:s+w]).all() for r in range(2*pad+1) for s in range(2*pad+1))

def test_pad_crop_takes_every_window():
    x = TensorImage(torch.arange(1, 17, dtype=torch.uint8).view(1,1,4,4).repeat(400,3,1,1))
    assert len({o.tobytes() for o in aug(PadCrop(1), x)})==9

@few
@given(batches(), st.sampled_from([0,.5,1]))
def test_hflip_mirrors_or_not(x, p):
    y,x = aug(HFlip(p), x),x.numpy()
    mirrored = (y==x[...,::-1]).all((1,2,3))
    assert (mirrored|(y==x).all((1,2,3))).all()
    if p!=.5: assert (y==(x[...,::-1] if p else x)).all()

def test_hflip_mirrors_half():
    x = TensorImage(torch.randint(1, 256, (2000,1,2,2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)))
    x[:,:,:,0] = 0
    assert 850<(aug(HFlip(), x)[:,0,0,1]==0).sum()<1150

@few
@given(batches(), st.integers(1, 9))
def test_cutout_clears_a_square(x, size):
    y,x,(h,w) = aug(Cutout(size), x),x.numpy(),x.shape[2:]
    hole = (y==0)
    assert (hole==hole[:,:1]).all() and (y[~hole]==x[~hole]).all()
    for o in hole[:,0]:
        r,c = o.any(1).nonzero()[0],o.any(0).nonzero()[0]
        assert len(r) and r[-1]-r[0]+1==len(r)<=size and c[-1]-c[0]+1==len(c)<=size and o.sum()==len(r)*len(c) # its centre is inside
        for at,m in ((r,h),(c,w)): assert len(at)==size or at[0]==0 or at[-1]==m-1 # smaller only where the border cuts it
