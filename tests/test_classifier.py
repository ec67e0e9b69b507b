"""KNetClassifier in the places where scikit-learn, pandas and cleanlab users put it, and under odd input"""
import io,pickle,warnings
import joblib,numpy as np,pandas as pd,pytest,torch
from hypothesis import HealthCheck,given,settings,strategies as st
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits,make_blobs
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV,cross_val_predict,cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from knet_nb import classifier
from knet_nb.annotators import read_answers
from knet_nb.classifier import KNetClassifier,find_label_issues,knn_graph,label_issues,worth_taking
from knet_nb.neighbors import KNNClassifier,nearest

def tiny(**kw): return KNetClassifier(**dict(dict(k_max=15, epochs=3, random_state=0, device='cpu')|kw))

@pytest.fixture(scope='module')
def data():
    x,y = make_blobs(300, centers=3, n_features=4, cluster_std=2., random_state=0)
    g = np.random.default_rng(0)
    return x.astype(np.float32),y,np.where(g.random(300)<.2, g.integers(0, 3, 300), y)

@pytest.fixture(scope='module')
def fitted(data): return tiny().fit(data[0], data[2])

@pytest.mark.filterwarnings('ignore')
def test_check_estimator():
    why = 'weights are those of votes: a sample of weight 2 is one neighbour that counts twice, not two neighbours'
    expected = {'check_sample_weight_equivalence_on_dense_data':why, 'check_sample_weight_equivalence_on_sparse_data':why}
    res = check_estimator(tiny(epochs=4, k_max=11), on_fail=None, expected_failed_checks=expected)
    bad = {o['check_name']:repr(o['exception'])[:300] for o in res if o['status'] not in ('passed','skipped','xfail')}
    assert not bad and sum(o['status']=='passed' for o in res)>40

def test_is_right(data):
    x,y,noisy = data
    m = KNetClassifier(random_state=0, device='cpu').fit(x, noisy)
    assert m.score(x, y)>(noisy==y).mean()+.02
    assert roc_auc_score(noisy!=y, -m.label_issues_.score)>.9
    assert m.knet_.k_max==101 and not m.knet_.training and m.knet_.mean.device.type=='cpu' and m.recall_==1

@pytest.mark.parametrize('make', [lambda **kw: KNNClassifier(k=15), lambda **kw: tiny(**kw)], ids=['kNN','kNet'])
def test_sample_weight(data, make):
    "Labels of weight 0 are as if they were not there; only the ratio of weights counts; wrong labels of low weight cost little"
    x,y,noisy = data
    keep = np.random.default_rng(1).random(300)<.8
    some,none = make().fit(x, noisy, sample_weight=keep*3.),make().fit(x[keep], noisy[keep])
    np.testing.assert_allclose(some.predict_proba(x), none.predict_proba(x), atol=1e-6)
    np.testing.assert_allclose(make().fit(x, noisy, sample_weight=np.full(300, .25)).predict_proba(x), make().fit(x, noisy).predict_proba(x), atol=1e-6)
    worse = np.where(np.random.default_rng(2).random(300)<.6, (y+1)%3, y)
    trusted = make().fit(x, worse, sample_weight=np.where(worse==y, 1, .1))
    assert trusted.score(x, y)>max(.9, make().fit(x, worse).score(x, y)+.2)
    if hasattr(some, 'label_issues_'): assert len(some.label_issues_)==300
    for bad,why in ((-np.ones(300), 'egative'), (np.zeros(300), 'no sample has a weight|at least one non-zero'), (np.ones(299), 'sample_weight'), (np.full(300, np.nan), 'NaN')):
        with pytest.raises(ValueError, match=why): make().fit(x, noisy, sample_weight=bad)

def test_sample_weight_in_a_pipeline(data):
    x,y,noisy = data
    w = np.where(noisy==y, 1, .1)
    p = make_pipeline(StandardScaler(), tiny()).fit(x, noisy, knetclassifier__sample_weight=w)
    assert p.score(x, y)>.9
    assert len(find_label_issues(x, noisy, sample_weight=w, epochs=2))==300

def test_pandas(data):
    x,y,noisy = data
    df = pd.DataFrame(x, columns=list('abcd'), index=[f'row {i}' for i in range(300)])
    names = pd.Series(noisy, index=df.index).map({0:'café',1:'naïve',2:'日本'})
    a,b = tiny().fit(df, names),tiny().fit(x, noisy)
    assert list(a.feature_names_in_)==list('abcd') and list(a.classes_)==['café','naïve','日本']
    assert a.label_issues_.index.equals(df.index) and (a.label_issues_.given==names).all()
    np.testing.assert_array_equal(a.pred_probs_, b.pred_probs_)
    np.testing.assert_array_equal(a.predict(df), a.classes_[b.predict(x)])
    with pytest.raises(ValueError, match='feature names'): a.predict(df[['b','a','c','d']])
    for y2 in (names.astype('category'), names.astype(object), names.to_numpy(), list(names)):
        assert list(tiny(epochs=1).fit(df, y2).classes_)==list(a.classes_)
    mixed = df.assign(a=df.a.astype('Float64'), b=(df.b>0), c=df.c.round().astype('int8'))
    assert tiny(epochs=1).fit(mixed, names).n_features_in_==4
    mixed.iloc[3,0] = pd.NA
    with pytest.raises(ValueError, match='NaN'): tiny().fit(mixed, names)

@pytest.mark.parametrize('make', [lambda y: y>0, lambda y: y*10-5, lambda y: y.astype(np.float64),
                                  lambda y: y.astype(np.uint8), lambda y: torch.as_tensor(y), lambda y: y.tolist()],
                         ids=['bool','ints with gaps','whole floats','uint8','tensor','list'])
def test_label_types(data, make):
    x,y,_ = data
    labels = make(y)
    m = tiny(epochs=8).fit(x, labels)
    assert m.classes_.dtype==np.asarray(labels).dtype and m.score(x, np.asarray(labels))>.8
    assert (m.label_issues_.given.to_numpy()==np.asarray(labels)).all()

@pytest.mark.parametrize('make', [lambda x: torch.as_tensor(x), lambda x: torch.as_tensor(x).bfloat16(), lambda x: x.astype(np.float16), lambda x: x.tolist(),
                                  lambda x: np.asfortranarray(x), lambda x: x.astype('>f4'), lambda x: (10*x).astype(np.int64), lambda x: x.astype(np.longdouble)],
                         ids=['tensor','bfloat16','half','list','fortran','big endian','ints','longdouble'])
def test_feature_types(data, make):
    x,y,_ = data
    m = tiny(epochs=8).fit(make(x), y)
    assert m.score(make(x), y)>.8 and m.pred_probs_.dtype==np.float32

def test_memmap_is_not_written_to(data, tmp_path):
    np.save(tmp_path/'x.npy', data[0])
    x = np.load(tmp_path/'x.npy', mmap_mode='r')
    np.testing.assert_array_equal(tiny().fit(x, data[2]).pred_probs_, tiny().fit(data[0], data[2]).pred_probs_)

def test_units_do_not_matter(data):
    x,y,_ = data
    p = tiny(epochs=8).fit(x, y).pred_probs_
    for scale,shift in ((1e-12,0),(1e12,0),(1e-3,-7),(1,1e9)):
        x2 = x.astype(np.float64)*scale+shift
        assert np.abs(tiny(epochs=8).fit(x2, y).pred_probs_-p).max()<.05, (scale,shift)

def test_random_state(data):
    x,_,noisy = data
    fit = lambda s: tiny(random_state=s).fit(x, noisy).pred_probs_
    assert (fit(1)==fit(1)).all() and (fit(1)!=fit(2)).any()
    assert (fit(np.random.RandomState(3))==fit(np.random.RandomState(3))).all()
    state = torch.get_rng_state()
    fit(0)
    assert torch.equal(state, torch.get_rng_state())
    np.random.seed(0); a = fit(None); np.random.seed(0); b = fit(None); c = fit(None)
    assert (a==b).all() and (b!=c).any()
    with pytest.raises(ValueError, match='cannot be used to seed'): fit('x')

def test_keeps_no_training_sample(data, fitted):
    x,_,noisy = data
    marked = np.concatenate([x, np.full((300,40), np.float32(123.456))+np.arange(300, dtype=np.float32)[:,None]], 1)
    m = tiny().fit(marked, noisy)
    raw = pickle.dumps(m)
    assert marked[7,4:].tobytes() not in raw and len(raw)<100_000
    for back in (pickle.loads(raw), clone(m).fit(marked, noisy)): np.testing.assert_array_equal(back.predict_proba(marked), m.predict_proba(marked))
    f = io.BytesIO(); joblib.dump(fitted, f); f.seek(0)
    np.testing.assert_array_equal(joblib.load(f).predict(x), fitted.predict(x))

def test_composition(data):
    x,y,noisy = data
    pipe = make_pipeline(StandardScaler(), tiny(epochs=2))
    grid = GridSearchCV(pipe, dict(knetclassifier__width=[4,'paper'], knetclassifier__k=[None,3]), cv=2, error_score='raise').fit(x, noisy)
    assert set(grid.best_params_)=={'knetclassifier__width','knetclassifier__k'} and grid.score(x, y)>.5
    assert len(cross_val_score(pipe, x, noisy, cv=2, error_score='raise'))==2
    assert cross_val_predict(pipe, x, noisy, cv=2, method='predict_proba').shape==(300,3)
    assert CalibratedClassifierCV(tiny(epochs=2), cv=2).fit(x, noisy).predict_proba(x).shape==(300,3)
    p = joblib.Parallel(2)(joblib.delayed(lambda s: tiny(random_state=s).fit(x, noisy).pred_probs_)(s) for s in (0,0))
    np.testing.assert_array_equal(*p)

def test_k(data, fitted):
    x,_,noisy = data
    assert tiny(k=7).fit(x, noisy).k_==7
    np.testing.assert_array_equal(fitted.predict_proba(x, [3,fitted.k_])[:,1], fitted.predict_proba(x))
    assert fitted.predict(x, [1,2]).shape==(300,2) and fitted.predict(x, np.int64(2)).shape==(300,)
    for k in (0,16,-1,1.5,True,'3',[1,16],[]):
        with pytest.raises(ValueError, match=r'k must be (a whole number in|whole and lie in) \[1, (k_max=)?15\]'): fitted.predict(x, k)
    small = tiny(k_max=101).fit(x[:20], noisy[:20])
    assert small.k_max_==10 and small.predict(x, 10).shape==(300,)
    with pytest.raises(ValueError, match=r'10\], got 11'): small.predict(x, 11)
    with pytest.raises(ValueError, match=r'k must be a whole number in \[1, 19\].*19 neighbours, got 25'): tiny(k_max=101, k=25).fit(x[:20], noisy[:20])
    own = tiny(k_max=101, include_self=True).fit(x[:20], noisy[:20])
    assert own.k_max_==10 and tiny(k_max=101, k=17).fit(x[:20], noisy[:20]).k_max_==17

@pytest.mark.parametrize('kw', [dict(k=0),dict(k=2.),dict(k=16),dict(k_max=0),dict(metric='l1'),dict(metric=None),dict(width='wide'),dict(width=-1),dict(width=None),dict(loss='mse'),
    dict(epochs=0),dict(epochs=1.5),dict(lr=0),dict(lr='a'),dict(lr=np.nan),dict(batch_size=1),dict(search='hnsw'),dict(recall=0),dict(recall=95)], ids=str)
def test_bad_parameters(data, kw):
    with pytest.raises(ValueError, match=f"{next(iter(kw))} must"): tiny(**kw).fit(data[0], data[2])

@pytest.mark.parametrize('kw', [dict(width=np.int64(3)),dict(k=np.int32(3)),dict(loss='kl'),dict(metric='cosine'),dict(width='paper'),dict(width=0),dict(include_self=True),
    dict(batch_size=64),dict(k_max=1),dict(k_max=1, include_self=True),dict(search='ivf'),dict(search='exact'),dict(progress=True),dict(lr=np.float32(.01))], ids=str)
def test_parameters(data, kw):
    m = tiny(**kw).fit(data[0], data[2])
    assert np.isfinite(m.pred_probs_).all() and m.score(data[0], data[1])>.4

def test_other_rows_are_refused(data, fitted):
    x,_,noisy = data
    for bad,msg in ((x[:,:2],'features'),(x*np.inf,'infinity|NaN'),(x[0],'1D'),(x[:0],'0 sample'),(np.full((2,4), 1e300),'1e15 deviations'),(x.astype(str)+'a','string|convert')):
        with np.errstate(all='ignore'),pytest.raises(ValueError, match=msg): fitted.predict(bad)
    for bad,msg in ((x[:5],'inconsistent'),(x.reshape(300,2,2),'dim 3')):
        with pytest.raises(ValueError, match=msg): tiny().fit(bad, noisy)

@pytest.mark.parametrize('scale', [2.**-60,2.**60,2.**100])
def test_units_do_not_matter(data, scale):
    x,_,noisy = data
    a,b = tiny().fit(x.astype(np.float32), noisy),tiny().fit((x*scale).astype(np.float32), noisy)
    np.testing.assert_allclose(a.pred_probs_, b.pred_probs_, atol=1e-3)
    with pytest.raises(ValueError, match='all zeros'): tiny(metric='cosine').fit(np.vstack([x[:-1],x[:1]*0]), noisy)
    for y,msg in ((noisy+.5,'Unknown label type'),(np.eye(3)[noisy],'y should be a 1d|1d array|multilabel|label type'),(np.where(noisy, np.nan, 1.),'203 labels are missing'),
                  (np.array(['a',5]*150, object),'one kind'),(np.array(['a',None]*150, object),'150 labels are missing, the first in row 1'),
                  (pd.Series(['a',pd.NA]*150),'NaN|labels are missing')):
        with pytest.raises(ValueError, match=msg): tiny().fit(x, y)

def test_small_sets():
    x = np.array([[0.],[.1],[.2],[10.],[10.1],[10.2]])
    m = tiny(epochs=30).fit(x, list('aaabbb'))
    assert list(m.predict([[0.],[11.]]))==['a','b'] and not m.label_issues_.is_issue.any()
    m = tiny().fit(x[:2], ['a','a']) # two samples, one class
    assert (m.predict(x)=='a').all() and (m.predict_proba(x)==1).all() and (m.label_issues_.score==1).all()
    with pytest.raises(ValueError, match='minimum of 2'): tiny().fit(x[:1], ['a'])
    with pytest.raises(ValueError, match='each of the 2 classes has one sample'): tiny().fit(x[[0,3]], ['a','b'])
    assert set(tiny(include_self=True).fit(x[[0,3]], ['a','b']).classes_)=={'a','b'}

def test_constant_and_equal_features(data):
    x,y,_ = data
    dead = np.concatenate([x, np.full((300,2), 5, np.float32)], 1)
    assert tiny(epochs=8).fit(dead, y).score(dead, y)>.8
    m = tiny().fit(np.ones((40,3)), np.arange(40)%4//3) # nothing to tell the classes by: the share of each
    assert np.abs(m.pred_probs_-[.75,.25]).max()<.1 and m.predict(np.ones((1,3)))==0
    assert np.abs(tiny(noise=None).fit(np.ones((40,3)), np.arange(40)%4//3).predict_proba(np.ones((1,3)))-[.75,.25]).max()<.1

@st.composite
def sets(draw):
    "Any small set, and whether it can be learnt from"
    g = np.random.default_rng(draw(st.integers(0, 10**6)))
    n,d = draw(st.integers(1, 40)),draw(st.integers(1, 5))
    x = g.normal(size=(n,d))*draw(st.sampled_from([1,1e-20,1e15]))
    kind = draw(st.sampled_from(['plain','plain','duplicates','constant','all equal','NaN','inf','huge']))
    if kind=='duplicates': x = x[g.integers(0, max(1, n//4), n)]
    if kind=='constant': x[:,0] = 7
    if kind=='all equal': x[:] = 1
    if kind in ('NaN','inf','huge'): x[g.integers(n),g.integers(d)] = dict(NaN=np.nan, inf=-np.inf, huge=1e30)[kind]
    if kind not in ('huge',) and np.abs(x[np.isfinite(x)]).max(initial=0)<1e3: x = x.astype(draw(st.sampled_from(['f8','f4','f2','>f8'])))
    names = draw(st.lists(st.text(max_size=8), min_size=1, max_size=6, unique=True))
    y = np.array(names, object)[g.integers(0, len(names), n)]
    return x,y,n>1 and kind not in ('NaN','inf')

few = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

@few
@given(sets(), st.sampled_from([1,3,10**9]), st.booleans(), st.sampled_from([None,1,5,10**9]))
def test_right_or_a_clear_error(case, k_max, include_self, k):
    x,y,fine = case
    n,classes = len(x),sorted(set(y))
    most = min(k_max, n-(not include_self)) # for k; and without one half of them
    cap = min(k_max, max(n//2, k or 1))
    fine = fine and (k is None or k<=most) and (include_self or len(classes)==1 or len(classes)<n)
    fit = lambda: tiny(epochs=1, width=2, k_max=k_max, k=k, include_self=include_self).fit(x, y)
    if not fine:
        with pytest.raises(ValueError) as e: fit()
        assert len(str(e.value))>20
        return
    m = fit()
    li = m.label_issues_
    assert list(m.classes_)==classes and m.k_max_==cap and 1<=m.k_<=cap and m.pred_probs_.shape==(n,len(classes))
    assert np.isfinite(m.pred_probs_).all() and np.abs(m.pred_probs_.sum(1)-1).max()<1e-5
    assert (li.given==y).all() and len(li)==n and li.score.between(0, 1).all() and (li.suggested!=li.given)[li.is_issue].all()
    assert (li.p_suggested>=li.p_given)[~li.is_issue].all() # an estimate may doubt the most probable label
    plain = label_issues([classes.index(o) for o in y], m.pred_probs_)
    assert (plain.p_suggested>=plain.p_given).all() and ((plain.score<.5)==(plain.suggested!=plain.given)).all() and (plain.suggested!=plain.given)[plain.is_issue].all()
    np.testing.assert_array_equal(m.predict(x[::-1])[::-1], m.predict(x))
    if len(classes)==1: assert not li.is_issue.any()

@few
@given(st.integers(1, 40), st.integers(1, 6), st.integers(0, 10**6), st.sampled_from(['wide','clean','never']))
def test_label_issues(n, L, seed, kind):
    g = np.random.default_rng(seed)
    p = g.dirichlet(np.full(L, .3), n)
    y = p.argmax(1) if kind=='clean' else g.integers(0, L, n)
    if kind=='never': p = np.eye(L)[np.zeros(n, int)] # every class but the first is never suggested, and has probability 0
    li = label_issues(y, p)
    assert (li.score.between(0, 1)).all() and (li.p_given<=li.p_suggested).all()
    if kind=='clean': assert not li.is_issue.any() and (li.score>=.5).all()

def test_cleanlab(data):
    filt = pytest.importorskip('cleanlab.filter', reason='cleanlab is not installed: pip install "cleanlab[datalab]"')
    x,y,noisy = data
    m = KNetClassifier(random_state=0, device='cpu').fit(x, noisy)
    theirs,ours = filt.find_label_issues(noisy, m.pred_probs_),m.label_issues_
    assert (noisy!=y)[theirs].mean()>.6 and (ours.is_issue&theirs).sum()>.6*min(ours.is_issue.sum(), theirs.sum())
    from cleanlab.classification import CleanLearning
    issues = CleanLearning(tiny(epochs=2), cv_n_folds=2).find_label_issues(x, noisy)
    assert len(issues)==300

@pytest.mark.filterwarnings('ignore')
def test_datalab(data, capsys):
    lab_ = pytest.importorskip('cleanlab', reason='cleanlab is not installed: pip install "cleanlab[datalab]"')
    pytest.importorskip('datasets', reason='Datalab needs datasets: pip install "cleanlab[datalab]"')
    x,_,noisy = data
    x = np.concatenate([x, x[:3]]); noisy = np.concatenate([noisy, noisy[:3]])
    lab = lab_.Datalab(dict(label=noisy), label_name='label')
    lab.find_issues(knn_graph=knn_graph(x, 12), pred_probs=tiny().fit(x, noisy).pred_probs_)
    same = lab.get_issues('near_duplicate')
    assert same.is_near_duplicate_issue[[0,1,2,300,301,302]].all() and set(same.near_duplicate_sets[0])=={300}
    assert {'label','outlier','near_duplicate'}<=set(lab.get_issue_summary().issue_type)

@pytest.mark.parametrize('metric', ['euclidean','cosine'])
def test_knn_graph(metric):
    from sklearn.neighbors import kneighbors_graph
    x = np.random.default_rng(0).normal(size=(200,5))+3
    x[7] = x[3]
    g = knn_graph(pd.DataFrame(x), 6, metric)
    want = kneighbors_graph(x, 6, mode='distance', metric=metric)
    assert g.shape==(200,200) and (np.diff(g.indptr)==6).all() and g.dtype==np.float64 and g[3,7]==0 and 7 in g.indices[g.indptr[3]:g.indptr[4]]
    assert (np.diff(g.data.reshape(200,6))>=0).all() and (g.indices.reshape(200,6)!=np.arange(200)[:,None]).all()
    np.testing.assert_allclose(g.data, np.sort(want.data.reshape(200,6), 1).ravel(), atol=1e-7)
    with pytest.raises(ValueError, match=r'k must be a whole number in \[1, 199\]'): knn_graph(x, 200)
    with pytest.raises(ValueError, match='NaN'): knn_graph(x*np.nan)

def test_large_sets_by_a_sample(data, monkeypatch):
    "What is done to sets of many rows, with the limits lowered"
    x,y,noisy = data
    monkeypatch.setattr(classifier, '_most_rows', 100); monkeypatch.setattr(classifier, '_slow', 0)
    m = KNetClassifier(k_max=30, random_state=0, device='cpu').fit(x, noisy)
    assert .95<=m.recall_<=1 and m.pred_probs_.shape==(300,3) and m.score(x, y)>.8 and len(m.label_issues_)==300
    assert KNetClassifier(k_max=30, random_state=0, device='cpu', search='exact', include_self=True).fit(x, noisy).score(x, y)>.8

@pytest.mark.parametrize('L,d,n,apart,wrong', [(2,10,1500,.5,0.), (2,1,400,1.5,.1), (6,3,600,1.5,.05), (3,10,400,1.,.05), (6,3,1500,2.,.05)])
def test_overlapping_classes_are_left_alone(L, d, n, apart, wrong):
    "Right labels where the features leave the class open look like wrong labels; taking the suggestions would spoil many"
    r = np.random.default_rng(0)
    true,mu = r.integers(0, L, n),r.normal(size=(L,d))
    x = apart*mu[true]/np.linalg.norm(mu, axis=1).mean()+r.normal(size=(n,d))
    given = np.where(r.random(n)<wrong, (true+1)%L, true)
    with pytest.warns(UserWarning, match='false alarms|tell the classes apart'): issues = find_label_issues(x, given, random_state=0)
    after = issues.suggested.where(issues.is_issue, given)
    assert (after!=true).mean()>wrong and worth_taking(issues)

@pytest.mark.parametrize('noise,rate', [('any',.3), ('next',.3), ('any',.1)])
def test_right_suggestions_are_taken(data, noise, rate):
    x,y = load_digits(return_X_y=True)
    r = np.random.default_rng(0)
    given = np.where(r.random(len(y))<rate, (y+(r.integers(1, 10, len(y)) if noise=='any' else 1))%10, y)
    issues = find_label_issues(x, given, random_state=0)
    assert worth_taking(issues)=='' and (issues.suggested.where(issues.is_issue, given)!=y).mean()<rate/3

def test_other_indexes(data):
    "Row by row, as in scikit-learn; the same names in another order are said"
    x,y = pd.DataFrame(data[0]),pd.Series(data[1])
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for o in (y,y.set_axis(y.index+7),y.set_axis(['a']*len(y)),y.to_numpy()): KNetClassifier(epochs=1).fit(x, o)
    with pytest.warns(UserWarning, match='same index in another order.*y.loc'): KNetClassifier(epochs=1).fit(x, y[::-1])

def test_columns_of_time(data):
    "Dates are refused by their name, whatever they are stored as"
    x = pd.DataFrame(data[0])
    for v in (pd.Timestamp('2026-01-01'),pd.Timestamp('2026-01-01', tz='UTC'),pd.Timedelta(3, 'D'),pd.Period('2026-01')):
        with pytest.raises(ValueError, match="column 'when' has no numbers.*encode it"): KNetClassifier().fit(x.assign(when=[v]*len(x)), data[1])

@pytest.mark.parametrize('y,says', [([-1,0,1,2],True), ([-1,1,2,3],True), ([-1,0],True), ([-1,1],False), ([-1,0,1],False), ([-2,-1,0],False), ([0,1],False)])
def test_minus_one(data, y, says):
    "It may stand for no label, as in scikit-learn; +1 and -1, or these and 0, are classes"
    y = np.resize(y, len(data[0]))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        KNetClassifier(epochs=1).fit(data[0], y)
    assert any('-1 is taken as a class' in str(o.message) for o in said)==says

def test_frames_of_answers():
    "Other names for the columns are said, not taken as annotators"
    d = pd.DataFrame(dict(sample=[0,0,1,1], annotator=list('abab'), label=[0,1,2,-1]))
    with pytest.warns(UserWarning, match='-1 is taken as a class.*leave such answers out, or put NaN'): read_answers(d)
    with pytest.raises(ValueError, match='there is no annotator, rename worker'): read_answers(d.rename(columns=dict(annotator='worker')))
    with pytest.raises(ValueError, match='there is no sample and no annotator, rename task, worker'): read_answers(d.rename(columns=dict(sample='task', annotator='worker')))
    named = d.rename(columns=dict(sample='item', annotator='worker', label='answer'))
    for o in (named,named.assign(worker=[1,2,1,2])):
        with pytest.raises(ValueError, match='If each row is one answer, name the columns sample, annotator, label'): read_answers(o, n=2)
    with pytest.raises(ValueError, match='0, 0, 1 and 1 more are neither'): read_answers(d, index=list('xy'))

@pytest.mark.filterwarnings('error')
def test_an_annotator_without_answers():
    "Has no accuracy, and does not change the others'"
    r = np.random.default_rng(0)
    true = r.integers(0, 3, 60)
    x = np.eye(3)[true]+.1*r.normal(size=(60,3))
    people = pd.DataFrame({n:np.where(r.random(60)<p, (true+1)%3, true) for n,p in dict(ann=.1, bob=.3, cy=.2).items()})
    some = KNetClassifier(random_state=0).fit_annotators(x, people).annotators_
    all = KNetClassifier(random_state=0).fit_annotators(x, people.assign(eve=np.nan)).annotators_
    pd.testing.assert_frame_equal(all[:3], some)
    assert all.annotator[3]=='eve' and all.answers[3]==0 and all[['accuracy','low','high']].iloc[3].isna().all()
