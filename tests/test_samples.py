"Folders and tables of labelled samples: what is read, what is noted, what is refused"
import json
from pathlib import Path
import numpy as np,pandas as pd,pyarrow as pa,pyarrow.parquet as pq,pytest
from PIL import Image
from knet_nb.clean.command import knet_clean
from knet_nb.clean.samples import read_samples
from labelled import fails,folder,page_data,png,quick,table

pytestmark = pytest.mark.usefixtures('alone')

def test_train_part():
    folder('set/train', n=60)
    folder('set/test', n=30)
    s = read_samples('set')
    assert len(s)==60 and all(p.startswith('train/') for p in s.ids.path) and 'Only the part train/' in s.notes[0]
    (Path('vehicles')/'train').mkdir(parents=True)
    for c in ('train','bus'):
        for i in range(3): (Path('vehicles')/c).mkdir(exist_ok=True); Image.new('L', (8,8), 40*i).save(f'vehicles/{c}/{i}.png')
    assert read_samples('vehicles').classes==['bus','train'] # a class may have that name

def test_sizes():
    folder('set', n=30)
    assert read_samples('set').x.shape==(30,1,8,8) and read_samples('set', size=12).x.shape==(30,1,12,12)
    Image.new('RGB', (300,200), 'red').save(Path('set')/'null'/'photo.jpg')
    assert read_samples('set').x.shape==(31,3,64,64)

def test_columns_without_a_name(capsys):
    df,_ = table(60)
    df.to_csv('a.csv') # pandas' own index: a column with an empty name
    knet_clean('a.csv', 'out', fix='suggest', quiet=True)
    assert Path('out/cleaned.csv').read_text().splitlines()[0]==Path('a.csv').read_text().splitlines()[0]
    assert 'p18' in json.load(open('out/knet-clean.json'))['features'] and '' not in json.load(open('out/knet-clean.json'))['features']

wrong_tables = {
    'no label': (dict(x=[1.,2.]*5, kind=list('ab')*5), [], r'which column is the label.*--label.*it could be kind \(2 values\), x \(2 values\)$'),
    'two labels': (dict(x=[1.,2.]*5, label=list('ab')*5, target=list('ba')*5), [], 'label, target could be.*--label'),
    'missing label': (dict(x=[1.,2.]*5, label=list('ababa')+['']+list('baba')), [], 'a.csv: 1 label is missing, the first in row 5, counted from 0: fill'),
    'one class': (dict(x=[1.,2.]*5, label=['a']*10), [], "all 10 samples have the label 'a'"),
    'no features': (dict(text=list('xy')*5, label=list('ab')*5), [], 'no column has numbers, vectors or images'),
    'missing number': (dict(x=['1','2','NA','4']*3, label=list('ab')*6), [], r"a\.csv, row 2, counted from 0: column 'x' has no value \(3 rows in all\): fill it in"),
    'infinite number': (dict(x=['1','2','inf','4']*3, label=list('ab')*6), [], 'row 2'),
    'text as features': (dict(x=[1.,2.]*5, t=list('xy')*5, label=list('ab')*5), ['--features','x,t'], "column 't'"),
    'unknown pattern': (dict(x=[1.,2.]*5, label=list('ab')*5), ['--features','z*'], r"no column fits 'z\*'\. There are x$"),
    'unknown label': (dict(x=[1.,2.]*5, label=list('ab')*5), ['--label','lable'], r"no column 'lable'\. Did you mean 'label'\? It has x, label"),
    'two vectors': (dict(u=['[1,2]']*10, v=['[1,2]']*10, label=list('ab')*5), [], 'u, v could be.*--embedding'),
    'unequal vectors': (dict(u=['[1,2]']*9+['[1]'], label=list('ab')*5), [], 'row 9, counted from 0: .*1 number,'),
    'bad vector': (dict(u=['[1,2]']*9+['[1,'], label=list('ab')*5), [], 'row 9'),
    'nan in a vector': (dict(u=['[1,2]']*9+['[1,NaN]'], label=list('ab')*5), [], 'row 9'),
    'both': (dict(u=['[1,2]']*10, x=[1]*10, label=list('ab')*5), ['--features','x','--embedding','u'], 'not both'),
    'mistyped label': (dict(alcohol=[i/7 for i in range(10)], Cultivar=list('ab')*5), ['--label','cultivr'], r"no column 'cultivr'\. Did you mean 'Cultivar'\? It has alcohol, Cultivar"),
    'mistyped features': (dict(alcohol=[i/7 for i in range(10)], label=list('ab')*5), ['--features','alkohol'], "no column fits 'alkohol'. Did you mean 'alcohol'"),
    'mistyped embedding': (dict(emb=['[1,2]']*10, v=['[1,2]']*10, label=list('ab')*5), ['--embedding','embd'], "no column 'embd'. Did you mean 'emb'"),
    'mistyped image': (dict(file=['a.png']*10, label=list('ab')*5), ['--image','fiel'], "no column 'fiel'. Did you mean 'file'"),
    'mistyped image beside features': (dict(file=['a.png']*10, x=range(10), label=list('ab')*5), ['--features','x','--image','fiel'], "no column 'fiel'. Did you mean 'file'"),
    'mistyped image beside vectors': (dict(file=['a.png']*10, v=['[1,2]']*10, label=list('ab')*5), ['--image','fiel'], "no column 'fiel'. Did you mean 'file'"),
    'two images': (dict(u=['a.png']*10, v=['b.png']*10, label=list('ab')*5), [], 'u, v could be.*--image'),
    'no such image': (dict(u=['a.png']*10, label=list('ab')*5), [], r'10 of 10 images.*a\.png'),
    'no rows': (dict(x=[], label=[]), [], 'no rows'),
    'fix': (dict(x=[1.,2.]*5, label=list('ab')*5), ['--fix','guess'], "'guess'.*suggest, drop, keep"),
    'metric': (dict(x=[1.,2.]*5, label=list('ab')*5), ['--metric','far'], "'far'.*cosine"),
    'prices as labels': (dict(x=[1.,2.]*15, y=[i/7+.1 for i in range(30)]), [], r"labels must be classes.*'y' has 30 different numbers in 30 rows \(0\.1, 0\.2429.*--label.*it could be x"),
    'prices that repeat': (dict(x=[1.,2.]*30, y=[.5]*31+[i/7+.1 for i in range(29)]), [], "'y' has 30 different numbers in 60 rows"),
    'numbers that hardly repeat': (dict(x=[1.,2.]*15, y=[i//3 if i<9 else i for i in range(30)]), [], "'y' has 24 different values in 30 rows"),
    'names as labels': (dict(x=[1.,2.]*15, kind=list('ab')*15, y=[f'name {i}' for i in range(30)]), [], r"'y' has 30 different values.*it could be kind \(2 values\), x \(2 values\)$"),
    'only constants': (dict(x=[1]*10, id=range(5,15), t=['x']*10, label=list('ab')*5), [], r"no column has numbers.*x \(constant\), id \(row numbers\), t \(text\)"),
    'k_max': (dict(x=[1.,2.]*5, label=list('ab')*5), ['--k-max','0'], 'k_max.*got 0'),
    'thumbs': (dict(x=[1.,2.]*5, label=list('ab')*5), ['--thumbs','-1'], 'got -1')}

@pytest.mark.parametrize('what', wrong_tables)
def test_wrong_tables(capsys, what):
    cols,args,says = wrong_tables[what]
    pd.DataFrame(cols).to_csv('a.csv', index=False)
    fails(capsys, ['a.csv','--out','out',*args], says)
    assert not Path('out').exists()

def test_the_label_is_among_the_first(capsys):
    "Of many columns those are named that could be the label, not those that stand first"
    r = np.random.default_rng(0)
    n = 178
    df = pd.DataFrame(dict(customer_id=r.permutation(n)+10000)|{f'm{i}':r.normal(size=n) for i in range(14)}|dict(magnesium=r.integers(70, 150, n), hue=r.integers(70, 140, n)/100, note=[f'n {i}' for i in range(n)],
                      cultivar=np.arange(n)%3+1, region=list('ab')*(n//2), one=1, v=['[1,2]']*n))
    df.to_csv('a.csv', index=False)
    pq.write_table(pa.Table.from_pandas(df.assign(v=[[1.,2.]]*n, d=[dict(x=1)]*n)), 'a.parquet')
    for f in ('a.csv','a.parquet'):
        fails(capsys, [f,'--out','out'], r"label= \(--label\); it could be region \(2 values\), cultivar \(3 values\); there are also customer_id, m0, m1, m2, m3 and 1[456] more$")

def test_ids_are_no_features():
    r = np.random.default_rng(0)
    ids,n = r.permutation(60)+7000,60
    df = pd.DataFrame(dict(x=r.normal(size=n), customer_id=ids, orderId=ids[::-1], ID=ids%59, type_ID=np.arange(n)%5, weight_g=ids, half_id=ids+.5, label=np.arange(n)%2))
    df.to_csv('a.csv', index=False); df.to_parquet('a.parquet')
    for f in ('a.csv','a.parquet'):
        s = read_samples(f)
        assert s.columns==['x','type_ID','weight_g','half_id'] and s.features_note().endswith('; not used: customer_id, orderId, ID (an id)')
        assert read_samples(f, features='customer_id,x').columns==['customer_id','x']

def test_the_label_in_numbers_is_no_feature():
    "A column of its codes would say that every label is right"
    df,_ = table(60)
    df['code'] = pd.factorize(df.label)[0]*10
    df.to_csv('a.csv', index=False); df.to_parquet('a.parquet')
    for f in ('a.csv','a.parquet'):
        s = read_samples(f)
        assert 'code' not in s.columns and s.unused['code']=='one value for each label'
        assert read_samples(f, features='code').columns==['code']
    df.loc[0,'code'] = 30
    df.to_csv('a.csv', index=False)
    assert 'code' in read_samples('a.csv').columns

def test_wrong_files(capsys):
    for name,content,says in (('a.csv', b'', r'a\.csv'), ('b.csv', b'x;label\n1;a\n', r'^knet-clean: the columns of b\.csv are separated by semicolons'), ('c.csv', b'x,x,label\n1,2,a\n', "2 columns 'x'"),
                              ('d.csv', b'x,label\n1,2,3\n4,5,6\n', 'more fields'), ('e.parquet', b'PAR1', r'e\.parquet'), ('f.txt', b'', r'one of \.csv, \.parquet'),
                              ('g.csv', b'x,label\n\xff,a\n', r'g\.csv is not text in UTF-8: save it as that'),
                              ('h.csv', 'x,label\n1,a\n'.encode('utf-16'), r'h\.csv is not text in UTF-8'), ('i.csv', b'x;label\n1,5;a\n', 'separated by semicolons: save it with commas')):
        Path(name).write_bytes(content)
        fails(capsys, [name,'--out','out'], says)
    fails(capsys, ['nowhere','--out','out'], 'nowhere')
    Path('void').mkdir()
    fails(capsys, ['void','--out','out'], 'class folders')
    folder('single', lambda i: f'{i:02}.png', n=30, classes=('a','b','c'))
    for i,f in enumerate(sorted(Path('single').rglob('*.png'))): (Path('single')/f'c{i//2 if i<6 else i}').mkdir(exist_ok=True); f.rename(Path('single')/f'c{i//2 if i<6 else i}'/f.name)
    fails(capsys, ['single','--out','out'], '27 class folders have 30 images')
    folder('set', n=30)
    fails(capsys, ['set','--out','out','--label','x'], '--label')
    for o in (['--backbone','vgg'], ['--recipe','slow'], ['--epochs','0'], ['--device','toaster'], ['--recipe','ieg'], ['--seed','-1']): fails(capsys, ['set','--out','out',*o], o[1])
    assert not Path('out').exists()

def features_note(path): return read_samples(path).features_note()

def test_columns_that_are_not_used():
    "Each is named with the reason, whatever the features are; many are cut short"
    df,_ = table(60)
    df = df.drop(columns=['id','p24','p39']).assign(one=7, when='2026-01-01', income=['12','13','unknown']*20, **{f't{i}':'x' for i in range(9)})
    df.to_csv('a.csv', index=False)
    assert features_note('a.csv').endswith("not used: name, when, t0 and 8 more (text), empty (empty), one (constant), income (not all numbers: 'unknown' in row 2 and 19 more)")
    t = pa.table(dict(a=np.arange(60)%7, b=[None]*60, c=pa.array([2.]*60), d=[dict(x=1)]*60, e=[True]*60, f=pa.array([None]*60, 'float64'), label=np.arange(60)%2))
    pq.write_table(t, 'a.parquet')
    assert features_note('a.parquet')=='Features: 1 column, standardised (a); not used: b, f (empty), c, e (constant), d (no numbers)'
    pq.write_table(t.append_column('v', pa.array([[1.,i] for i in range(60)])), 'b.parquet')
    assert features_note('b.parquet').endswith("vectors of 'v'; not used: a, b, c and 3 more (there are vectors)")
    assert read_samples('a.csv', features='p*').features_note().endswith('(not named)')
    pq.write_table(pa.table(dict(im=[png(np.full((8,8), i, np.uint8)) for i in range(60)], age=range(60), label=np.arange(60)%2)), 'c.parquet')
    assert features_note('c.parquet')=='Features: learned from the images, at 8x8 pixels; not used: age (there are images)'
    d = read_samples('a.csv'); assert 'one' not in d.columns and d.features.shape==(60,len(d.columns))

def test_odd_labels_are_noted(capsys, recwarn):
    "Some classes of one sample go on, with a note; and scikit-learn has nothing to say to the user"
    df,_ = table(60)
    df['label'] = ['a','b']*29+['c','d']; df.loc[0,'label'] = 'e'
    df.to_csv('a.csv', index=False)
    issues = knet_clean('a.csv', 'out', quiet=True)
    lone = issues[issues.given.isin(['c','d','e'])]
    assert len(lone)==3 and not lone.is_issue.any() and (lone.suggested==lone.given).all()
    assert any(n.startswith("3 of 5 classes have one sample (c, d, e), about which nothing can be said; is 'label' the column of classes") for n in page_data('out/report.html')['notes'])
    df.assign(label=np.arange(60)%4/2).to_csv('b.csv', index=False)
    assert 'The labels are numbers with fractions (0, 0.5, 1 and 1 more), and each is taken as a class' in read_samples('b.csv').notes
    folder('set', n=60)
    for f in sorted(Path('set').rglob('*.png'))[::5]: d = Path('set')/f'only {f.stem}'; d.mkdir(); f.rename(d/f.name)
    for c in ('null','één','二'):
        for f in sorted(Path('set',c).iterdir())[:-4]: f.write_bytes(b'broken') # then more than half of the images are a class of their own
    knet_clean('set', 'of set', skip_broken=True, **quick)
    assert not [w for w in recwarn if 'unique classes' in str(w.message)]

def test_labels_that_are_no_numpy_file(tmp_path):
    "Says what the file is, and never to unpickle it"
    np.save(tmp_path/'x.npy', np.zeros((4,2)))
    (tmp_path/'lab.csv').write_text('label\nbee\ncat\n')
    np.save(tmp_path/'objects.npy', np.array(['bee','cat']*2, object))
    for label,why in (('lab.csv','another kind of file'), ('objects.npy',r"save texts with \.astype\(str\)")):
        with pytest.raises(ValueError, match=why) as e: read_samples(tmp_path/'x.npy', label=str(tmp_path/label))
        assert label in str(e.value) and 'pickle' not in str(e.value)
    with pytest.raises(FileNotFoundError, match='none.npy: there is no such file of labels'): read_samples(tmp_path/'x.npy', label='none.npy')
    (tmp_path/'a.npz').write_text('no archive')
    with pytest.raises(ValueError, match='another kind of file'): read_samples(tmp_path/'a.npz')
