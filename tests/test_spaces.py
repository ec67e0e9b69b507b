"The space of the classes: that no label has had a part in its own sample's place, odd features, and which space is taken"
import numpy as np,pandas as pd,pytest
from sklearn.datasets import load_wine
from knet_nb.classifier import KNetClassifier
from knet_nb.spaces import agreeing,better_space,class_space

def two(n=300, d=8, seed=0):
    "Two classes that differ in the first column only, a tenth of the labels wrong"
    g = np.random.default_rng(seed)
    true = g.integers(0, 2, n)
    x = g.normal(size=(n,d)); x[:,0] = 3*true+g.normal(size=n)
    return x,np.where(g.random(n)<.1, 1-true, true),true

def wines():
    x,true = load_wine(return_X_y=True)
    g = np.random.default_rng(0)
    return x,np.where(g.random(178)<.2, g.integers(0, 3, 178), true),true

def test_units_do_not_matter():
    x,y,_ = two()
    z = class_space(x, y, 2)
    np.testing.assert_allclose(class_space(x*np.logspace(-20, 20, 8)+5*np.logspace(-20, 20, 8), y, 2), z, atol=1e-3)
    assert z.dtype==np.float32 and np.abs(np.exp(z).sum(1)-1).max()<1e-5

def test_own_label_has_no_part():
    "The labels of a fold say nothing of where its samples lie: with labels by chance the places tell nothing of them"
    g = np.random.default_rng(0)
    hits = [(class_space(g.normal(size=(200,400)), y, 2).argmax(1)==y).mean() for y in g.integers(0, 2, (10,200))]
    assert np.mean(hits)<.55

@pytest.mark.parametrize('spoil', ['constant','all equal','duplicates','huge','float16','few of one class','memmap','more features'])
def test_odd_features(spoil, tmp_path):
    x,y,_ = two()
    if spoil=='constant': x[:,3] = 7
    if spoil=='all equal': x[:] = 1
    if spoil=='duplicates': x = x[np.arange(300)//3]
    if spoil=='huge': x[5,2] = 1e30
    if spoil=='float16': x = x.astype(np.float16)
    if spoil=='few of one class': y[:7] = 2
    if spoil=='more features': x = np.c_[x,np.random.default_rng(0).normal(size=(300,600))]
    if spoil=='memmap':
        m = np.memmap(tmp_path/'x', x.dtype, 'w+', shape=x.shape); m[:] = x; x = m
    L = int(y.max())+1
    z = class_space(x, y, L)
    assert np.isfinite(z).all() and z.shape==(300,2)
    np.testing.assert_array_equal(z, class_space(x, y, L))
    for space in ('auto','classes'):
        m = KNetClassifier(space=space, epochs=2, random_state=0, device='cpu').fit(x, y)
        assert m.space_ in ('features','classes') and np.isfinite(m.pred_probs_).all()

def test_which_is_taken():
    x,y,true = wines()
    m = KNetClassifier(random_state=0, device='cpu').fit(x, y)
    assert m.space_=='classes' and m.agreement_['classes']>m.agreement_['features']+.1
    old = KNetClassifier(space='features', random_state=0, device='cpu').fit(x, y)
    assert old.space_=='features' and list(old.agreement_)==['features'] and m.score(x, true)>old.score(x, true)+.1
    assert m.contradictions_.equals(old.contradictions_) and (m.outliers_==old.outliers_).all() # those are of the features
    scaled = (x-x.mean(0))/x.std(0)
    assert KNetClassifier(random_state=0, device='cpu').fit(scaled, y).space_=='features'
    assert KNetClassifier(random_state=0, device='cpu').fit(pd.DataFrame(x), y, sample_weight=np.r_[np.zeros(30),np.ones(148)]).space_=='classes'

def test_when_there_is_no_choice():
    x,y,_ = two()
    assert better_space(x, np.zeros(300, int), 1)==(None,{})
    assert better_space(x, np.arange(300), 300)[0] is None and better_space(x, np.arange(300)//5, 60)[0] is None
    with pytest.raises(ValueError, match='0 of 60 classes have ten samples'): KNetClassifier(space='classes').fit(x, np.arange(300)//5)
    with pytest.raises(ValueError, match="space must be 'auto' or 'features' or 'classes', got 'both'"): KNetClassifier(space='both').fit(x, y)
    for folds in (0,1,2.5):
        with pytest.raises(ValueError, match='folds must be a whole number of 2 or more'): class_space(x, y, 2, folds=folds)

def test_weights_vote():
    "Labels of weight near 0 have no say in whether neighbours agree"
    x,_,true = two()
    y,w = true.copy(),np.ones(300); y[::2],w[::2] = 1-y[::2],1e-6
    assert agreeing(x[:,:1], y, 2, 20, weights=w)[1::2].mean()>.85>agreeing(x[:,:1], y, 2, 20)[1::2].mean()

def test_no_better_than_chance(recwarn):
    "Features without the classes in them are said to be so; good ones are not, also with most labels wrong or classes of different sizes"
    g = np.random.default_rng(0)
    def fit(x, y):
        recwarn.clear()
        m = KNetClassifier(epochs=2, random_state=0, device='cpu').fit(x, y)
        assert m.by_chance_==any('do not tell the classes apart' in str(w.message) for w in recwarn)
        return m.by_chance_
    noise = g.normal(size=(500,8))
    assert fit(noise, np.arange(500)%2) and fit(noise, np.arange(500)%7) and fit(noise, (np.arange(500)%20==0).astype(int))
    x,y,true = two()
    mostly = np.where(g.random(300)<.6, g.integers(0, 2, 300), true)
    assert not fit(x, y) and not fit(x, mostly) and not fit(x[:30], true[:30])
    rare = np.r_[np.flatnonzero(true==0),np.flatnonzero(true==1)[:12]]
    assert not fit(x[rare,:1], y[rare]) and not fit(x, np.zeros(300, int))
