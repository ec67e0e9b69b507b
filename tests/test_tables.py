"Tables as people have them: indices, missing labels, several labels, names that a csv changes, columns in another order"
import io,os,re
from pathlib import Path
import numpy as np,pandas as pd,pytest,scipy.sparse as sp,torch
from PIL import Image
from knet_nb.checks import encode_labels,odd_classes
from knet_nb.classifier import KNetClassifier,find_label_issues,label_issues
from knet_nb.clean.cleaner import LabelCleaner
from knet_nb.clean.command import knet_clean
from knet_nb.clean.samples import read_samples,read_table
from knet_nb.tables import _formula,csv_names,names_from_csv
from knet_nb.data import from_arrays,from_frame,load_data
from knet_nb.knet import KNet,fit_knet
from knet_nb.neighbors import KNNClassifier,nearest
from knet_nb.study.suite import main as suite_main
from labelled import fails
from hypothesis import given,settings,strategies as st

pytestmark = pytest.mark.usefixtures('alone')

def blobs(n=120, L=3, d=6, seed=0):
    r,y = np.random.default_rng(seed),np.arange(n)%L
    return r.normal(size=(L,d))[y]*3+r.normal(size=(n,d)),y

x,y = blobs()
df = pd.DataFrame(x, columns=list('abcdef')).assign(label=y)

indices = dict(shuffled=df.sample(frac=1, random_state=0), filtered=df[df.a<df.a.quantile(.9)], named=df.set_index(pd.Index(np.random.default_rng(1).permutation(120), name='case')),
    floats=df.set_index(pd.Index(np.linspace(0, 1, 120), name='time')), text=df.set_index(pd.Index([f's{i}' for i in range(120)])),
    multi=df.set_index([pd.Index(np.arange(120)%7, name='site'), pd.Index(np.arange(120)[::-1], name='visit')]))

@pytest.mark.parametrize('name', indices)
def test_an_index_is_no_feature(name):
    t = indices[name]
    t.to_parquet('t.parquet')
    s = read_table('t.parquet')
    assert s.columns==list('abcdef') and s.features.shape==(len(t),6)
    knet_clean('t.parquet', 'out', quiet=True)
    k = KNet.load('out/model.safetensors')
    assert list(k.columns)==list('abcdef') and k.d==6
    back = pd.read_parquet('out/cleaned.parquet')
    pd.testing.assert_frame_equal(back.drop(columns='label'), t.drop(columns='label')) # and is kept
    if name=='named': assert read_table('t.parquet', features='a,case').columns==['a','case'] # unless it is named
    pd.DataFrame(dict(x=list(x.astype(np.float32)), label=y), index=np.arange(120)[::-1]).to_parquet('v.parquet')
    assert load_data('v.parquet').shape==(6,)

names = [['None','cat','dog'],['NA','EU','US'],['null','nan'],['01','02','10'],['True','False'],['1e1','10'],['1','2.5'],['-1','0','1'],['+1','1'],['7','cat'],
    ['=1+1','@x','-y',"'=z"],['a b',' c'],["'tis","''"],['#NA','inf','-inf'],['1_0','0x1','١'],['0','1','2'],['tab\tbed','cat,dog','say "x"']]

@pytest.mark.parametrize('classes', names, ids=' '.join)
def test_names_come_back(classes):
    "From a folder through our csvs and pandas to the widget, and through our own reader"
    r = np.random.default_rng(0)
    for i,c in enumerate(classes):
        (Path('set')/c).mkdir(parents=True)
        for j in range(8): a = r.integers(0, 60, (12,12,3)).astype(np.uint8); a[...,i%3] += 150; Image.fromarray(a).save(Path('set')/c/f'{j}.png')
    frame = knet_clean('set', 'out', epochs=1, quiet=True)
    ranked = pd.read_csv('out/issues.csv')
    truth = [Path(p).parent.name for p in ranked.path]
    assert frame.given.tolist()==truth and all((Path('set')/p).exists() for p in ranked.path)
    cleaner = LabelCleaner(ranked, [Path('set')/p for p in ranked.path], path=None)
    assert list(map(str, cleaner.labels().label))==truth
    cleaner.apply(truth if isinstance(cleaner.values[0], str) else list(map(int, truth)))
    for f in ('issues','cleaned'):
        cells = pd.read_csv(f'out/{f}.csv', dtype=str, keep_default_na=False)
        text = cells.to_numpy().ravel()
        assert not [o for o in text if o.startswith(_formula) and not o.lstrip('-').replace('.', '').isdigit() and 'e-' not in o]
    column = pd.read_csv('out/issues.csv', dtype=str, keep_default_na=False).given
    assert names_from_csv(column).tolist()==truth

@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(st.characters(blacklist_categories=('Cs',), blacklist_characters='\r\n\0'), min_size=1, max_size=8), min_size=2, max_size=6, unique=True))
def test_any_names_come_back(classes):
    text = pd.DataFrame(dict(label=csv_names(classes))).to_csv(index=False)
    back = names_from_csv(pd.read_csv(io.StringIO(text)).label).tolist()
    assert list(map(str, back))==classes
    assert all(isinstance(o, str) or str(int(o))==c for o,c in zip(back, classes))

def texts(**other): return df.assign(label=np.array(['cat','dog','owl'])[y], **other)

@pytest.mark.parametrize('missing', ['NA','nan','N/A','null','None','?'])
def test_missing_labels_are_noted(missing):
    t = texts()
    t.assign(label=t.label.where(t.index>3, missing)).to_csv('t.csv', index=False)
    assert any(f"'{missing}' is taken as a class: if it stands for a missing label" in n for n in read_table('t.csv').notes)
    with pytest.warns(UserWarning, match='is taken as a class'): from_arrays(x.astype(np.float32), t.label.where(t.index>3, missing).tolist())

def test_blanks_and_case_are_noted():
    t = texts()
    t.assign(label=t.label.where(t.index%7>0, t.label+' ')).to_csv('w.csv', index=False)
    assert any("'cat' and 'cat ' are taken as 2 classes" in n for n in read_table('w.csv').notes)
    assert odd_classes(['Cat','cat'])==["'Cat' and 'cat' are taken as 2 classes, they differ in blanks or case alone"]
    assert odd_classes(['a','b',1,2])==[]

several = [['dog','wet'],['cat'],['owl','wet']]*40

def test_several_labels_are_refused():
    df.assign(label=several).to_parquet('m.parquet')
    with pytest.raises(ValueError, match="column 'label' has several labels a row.*--label"): read_table('m.parquet')
    for labels in (several,np.array(several, object),pd.Series(several),[('a','b')]*120,[{'a'}]*120):
        for f in (encode_labels,lambda l: from_arrays(x.astype(np.float32), l),lambda l: KNNClassifier(k=3).fit(x, l)):
            with pytest.raises(ValueError, match='a sample must have one label|one-dimensional'): f(labels)

@pytest.mark.parametrize('gone', [None,np.nan,pd.NA])
@pytest.mark.parametrize('kind', ['text','numbers'])
def test_labels_that_are_none(gone, kind):
    labels = (['a','b','c'] if kind=='text' else [10,9,2])*40
    labels[7] = gone
    for l in (labels,np.array(labels, object),pd.Series(labels)):
        for f in (encode_labels,lambda l: from_arrays(x.astype(np.float32), l),lambda l: KNNClassifier(k=3).fit(x, l),lambda l: KNetClassifier().fit(x, l),
                  lambda l: find_label_issues(x, l),lambda l: from_frame(pd.DataFrame(dict(x=list(x), label=l)))):
            with pytest.raises(ValueError, match='1 label is missing, the first in row 7'): f(l)

def test_whole_numbers_in_object_arrays():
    labels = np.array([10,9,2]*40, object)
    assert encode_labels(labels)[1]==[2,9,10] and encode_labels(labels, codes=True)[0].tolist()==labels.tolist()
    assert KNNClassifier(k=3).fit(x, labels).classes_.tolist()==KNetClassifier(epochs=1).fit(x, labels).classes_.tolist()==[2,9,10]

def test_order_of_columns():
    t = pd.DataFrame(x[:,:3]*[1,20,.1], columns=['age','income','rate'])
    other,less = t[['rate','age','income']],t[['age','rate']]
    knn,clf = KNNClassifier(k=5).fit(t, y),KNetClassifier(random_state=0).fit(t, y)
    clf.knet_.save('k.safetensors')
    k = KNet.load('k.safetensors')
    assert knn.feature_names_in_.tolist()==k.columns==list(t)
    for m in (knn,k): assert np.array_equal(m.predict_proba(t), m.predict_proba(other.assign(more=1)))
    with pytest.raises(ValueError, match='feature names'): clf.predict(other)
    with pytest.raises(ValueError, match='feature names'): knn.predict(less)
    with pytest.raises(ValueError, match='takes the columns age, income, rate: income is missing'): k.predict(less)
    assert np.array_equal(knn.predict(t.to_numpy()), knn.predict(t)) and not hasattr(knn.fit(t.to_numpy(), y), 'feature_names_in_')

every = dict(KNNClassifier=lambda X: KNNClassifier(k=3).fit(X, y).predict_proba(X), nearest=lambda X: nearest(X, k=3)[1].numpy(),
    KNetClassifier=lambda X: KNetClassifier(epochs=2, random_state=0).fit(X, y).predict_proba(X), fit_knet=lambda X: fit_knet(X, y, k_max=5, epochs=2).predict_proba(X).numpy(),
    find_label_issues=lambda X: find_label_issues(X, y, epochs=2, random_state=0).score.to_numpy())

@pytest.mark.parametrize('name', every)
def test_sparse_and_text(name):
    f = every[name]
    want = f(x)
    for X in (sp.csr_matrix(x),sp.coo_array(x),torch.tensor(x).to_sparse()): assert np.array_equal(f(X), want)
    with pytest.raises(ValueError, match="is sparse, and 745 GB without: make its columns fewer.*TruncatedSVD"): f(sp.csr_matrix((10**5,10**6)))
    with pytest.raises(ValueError, match="column 'city' has no numbers .'Paris'.: leave it out, or encode it"): f(df.assign(city='Paris'))

@pytest.mark.parametrize('p', [np.zeros((2,2)),np.full((2,3), .1),np.array([[2,-1],[.5,.5]]),np.full((2,2), np.nan)])
def test_rows_that_are_no_distributions(p):
    with pytest.raises(ValueError, match='pred_probs'): label_issues([0,1], p)

def all_kinds():
    "The same samples in every form that both commands take"
    v,text = x.astype(np.float32),np.array(['cat','dog','eel'])[y]
    pd.DataFrame(v, columns=list('abcdef')).assign(label=text).to_csv('numbers.csv', index=False)
    pd.DataFrame(v, columns=list('abcdef')).assign(label=text).to_parquet('numbers.parquet')
    pd.DataFrame(dict(embedding=[str(o) for o in v.tolist()], label=text)).to_csv('vectors.csv', index=False)
    pd.DataFrame(dict(embedding=list(v), label=text)).to_parquet('vectors.parquet')
    np.savez('arrays.npz', x=v, y=text); np.savez('parts.npz', x_train=v, y_train=text, x_test=v[:9], y_test=text[:9])
    np.save('x.npy', v); np.save('y.npy', text)
    r = np.random.default_rng(0)
    pics = [r.integers(0, 60, (10+i%3,12,3)).astype(np.uint8)+np.uint8(60*c) for i,c in enumerate(y)]
    for i,(a,c) in enumerate(zip(pics, text)): (Path('folder')/c).mkdir(parents=True, exist_ok=True); Image.fromarray(a).save(f'folder/{c}/{i}.png')
    pd.DataFrame(dict(file=[f'folder/{c}/{i}.png' for i,c in enumerate(text)], label=text)).to_csv('paths.csv', index=False)
    pd.DataFrame(dict(image=[(Path('folder')/c/f'{i}.png').read_bytes() for i,c in enumerate(text)], label=text)).to_parquet('bytes.parquet')
    np.savez('images.npz', x=np.stack([p[:10] for p in pics]), y=text)
    return ['numbers.csv','numbers.parquet','vectors.csv','vectors.parquet','arrays.npz','parts.npz','x.npy'],['folder','paths.csv','bytes.parquet','images.npz']

@pytest.mark.filterwarnings('ignore:.*resized to 64x64')
def test_both_commands_take_the_same():
    vectors,images = all_kinds()
    for f in vectors+images:
        s,d = read_samples(f),load_data(f)
        assert s.classes==d.classes==['cat','dog','eel'] and len(s)==120, f
        assert len(d.x_train)+len(d.x_test)==(129 if f=='parts.npz' else 120), f
        shape = tuple((s.features if f in vectors else s.x).shape[1:])
        assert shape==d.shape==((6,) if f in vectors else (3,10,12) if f=='images.npz' else (3,64,64)), f
        if f in ('arrays.npz','x.npy','vectors.csv'): torch.testing.assert_close(s.features, torch.from_numpy(x).float())
        assert ('Labels are those of y.npy' in s.notes)==(f=='x.npy'), f

@pytest.mark.filterwarnings('ignore:.*resized to 64x64')
def test_arrays_through_both_commands(capsys):
    all_kinds()
    res = knet_clean('arrays.npz', 'out', quiet=True)
    back = pd.read_csv('out/cleaned.csv')
    assert len(res)==120 and list(back)[:3]==['row','label','given'] and back.row.tolist()==list(range(120))
    knet_clean('x.npy', 'out2', label='y.npy', quiet=True)
    assert (Path('out/issues.csv').read_bytes(),Path('out/cleaned.csv').read_bytes())==(Path('out2/issues.csv').read_bytes(),Path('out2/cleaned.csv').read_bytes())
    knet_clean('images.npz', 'out3', quiet=True, backbone='mlp', epochs=1)
    assert 'data:image' in Path('out3/report.html').read_text()
    for f,more in (('numbers.csv',['--features','a,b']),('x.npy',['--label','y.npy']),('folder',[])):
        suite_main(f'--data {f} --backbone mlp --epochs 1 --knet-epochs 1 --ks 1,5 --k-max 5 --out run-{Path(f).stem}'.split()+more)
        assert len(pd.read_csv(next(Path(f'run-{Path(f).stem}').rglob('results.csv'))))==7
    assert load_data('numbers.csv', features='a,b').shape==(2,)

@pytest.mark.parametrize('argv, says', [(['folder','--label','x'],'names a column of a table, folder is a folder'), (['arrays.npz','--features','a'],'names a column of a table'),
    (['numbers.csv','--label','lable'],"no column 'lable'. Did you mean 'label'"), (['x.npy','--label','gone.npy'],'gone.npy'), (['z.npy'],'no file of labels beside it')])
def test_both_refuse_the_same(argv, says, capsys):
    all_kinds(); Path('sub').mkdir(); np.save('sub/z.npy', x)
    if argv[0]=='z.npy': argv = ['sub/z.npy']
    fails(capsys, argv+['--out','out'], says)
    with pytest.raises(SystemExit) as e: suite_main(['--backbone','mlp','--out','run','--data',*argv])
    err = capsys.readouterr().err
    assert e.value.code==2 and re.search(says, err) and 'Traceback' not in err

def test_formulas_of_ones_own(capsys):
    "Are written as they came, and that is said"
    t = df.assign(note=['=SUM(A1)','-1','@me','- x']+['fine']*116, g=-x[:,0])
    t.to_csv('t.csv', index=False)
    s = read_table('t.csv')
    assert [o for o in s.notes if 'formula' in o]==["3 cells may be run as a formula by a spreadsheet (=SUM(A1)): cleaned.csv has the table's cells as they came"]
    knet_clean('t.csv', 'out', quiet=True)
    assert pd.read_csv('out/cleaned.csv', dtype=str).note.tolist()==t.note.tolist()
