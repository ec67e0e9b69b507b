"`knet-clean` as its user meets it: what it reads, what it writes, what it refuses; and its page in a browser"
import base64,csv,hashlib,io,json,os,re,shutil,subprocess,sys
from functools import partial
from pathlib import Path
import numpy as np,pandas as pd,pyarrow as pa,pyarrow.parquet as pq,pytest,torch
from PIL import Image
from sklearn.datasets import load_digits
import knet_nb.clean.command as R
from knet_nb.deploy import DeployedKNet
from knet_nb.knet import KNet
from knet_nb.clean.command import knet_clean,main
from knet_nb.clean.page import label_report
from knet_nb.clean.samples import read_samples

quick = dict(backbone='mlp', epochs=2, quiet=True, device='cpu')

pytestmark = pytest.mark.usefixtures('alone')

def digits(n=300, classes=('null','één','二')):
    "Digits 0, 1 and 2 as images, and class names of which every tenth is wrong"
    d = load_digits()
    keep = np.flatnonzero(d.target<3)[:n]
    y = d.target[keep]
    given = np.where(np.arange(len(y))%10==0, (y+1)%3, y)
    return (d.images[keep]*(255/16)).astype(np.uint8),np.asarray(classes, object)[given],np.asarray(classes, object)[y]

def png(a):
    b = io.BytesIO(); Image.fromarray(a).save(b, 'png')
    return b.getvalue()

def folder(root, names=lambda i: f'{i:03}.png', **kw):
    x,given,true = digits(**kw)
    for i,(a,c) in enumerate(zip(x, given)):
        f = Path(root)/c/names(i)
        f.parent.mkdir(parents=True, exist_ok=True); f.write_bytes(png(a))
    return x,given,true

def checksums(path):
    "Of every file and its time"
    path = Path(path)
    return {str(p):(hashlib.blake2b(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns) for p in ([path] if path.is_file() else sorted(path.rglob('*'))) if p.is_file()}

def page_data(path): return json.loads(re.search('id="data">(.*?)</script>', Path(path).read_text(encoding='utf-8'), re.S)[1])

def fails(capsys, argv, *says):
    "Exit status 2 and one line, which `says` these things"
    with pytest.raises(SystemExit) as e: main([str(o) for o in argv])
    err = capsys.readouterr().err
    assert e.value.code==2 and err.startswith('knet-clean: ') and err.count('\n')==1 and 'Traceback' not in err and len(err)<700, err
    for s in says: assert re.search(s, err), (s,err)

def test_folder():
    x,given,true = folder('set')
    before = checksums('set')
    res = knet_clean('set', 'out', **quick|dict(epochs=15))
    assert checksums('set')==before
    assert sorted(os.listdir('out'))==['cleaned.csv','deployed.safetensors','issues.csv','knet-clean.json','model.safetensors','report.html','stages']
    df = pd.read_csv('out/issues.csv', keep_default_na=False)
    assert list(df)==['path',*R.issue_cols] and len(df)==300 and set(df.path)=={f'{c}/{i:03}.png' for i,c in enumerate(given)}
    assert (df.path==res.path).all() and df.is_issue.is_monotonic_decreasing
    for _,g in df.groupby('is_issue'): assert g.score.is_monotonic_increasing
    num = df.path.str.extract(r'(\d+)\.png')[0].astype(int).to_numpy(copy=True)
    assert (df.given==given[num]).all() and df.score.between(0,1).all()
    wrong = given[num]!=true[num]
    assert wrong[:20].mean()>.8 and (df.suggested[:20]==true[num][:20]).mean()>.8
    clean = pd.read_csv('out/cleaned.csv', keep_default_na=False).set_index('path').loc[df.path]
    assert (clean.label.to_numpy()==np.where(df.is_issue, df.suggested, df.given)).all() and (clean.given.to_numpy()==df.given).all()
    m,d = KNet.load('out/model.safetensors'),DeployedKNet.load('out/deployed.safetensors')
    p = d.predict_proba(torch.tensor(x)[num,None])
    assert m.n_classes==3 and m.classes==d.classes==sorted(set(given)) and d.k==json.load(open('out/knet-clean.json'))['k']
    col = df.given.map({c:i for i,c in enumerate(d.classes)}).to_numpy(copy=True)
    np.testing.assert_allclose(p[np.arange(300),col], df.p_given, atol=2e-3)

def test_names_of_all_kinds():
    "Quotes, tags, line breaks, other scripts, right-to-left, and bytes that are no text"
    names = ['"quoted" & \'single\'','<img src=x onerror=alert(1)>','zwei\nZeilen','日本語 ファイル','e\u0301','\u202egnp.exe','a,b;c','=1+1',b'caf\xe9'.decode('utf-8', 'surrogateescape'),'%41#?']
    def name(i): return f'{names[i%10]}{i}.png'.replace('/','')
    folder('set', name, n=60, classes=('<script>alert(1)</script>'.replace('/','⁄'),'b & "c"','\u05d0'))
    knet_clean('set', 'out', **quick)
    with open('out/issues.csv', newline='', encoding='utf-8', errors='surrogateescape') as f: rows = list(csv.DictReader(f))
    assert len(rows)==60 and all((Path('set')/r['path']).is_file() for r in rows)
    page = Path('out/report.html').read_text(encoding='utf-8')
    assert '<img src=x' not in page and '<script>alert' not in page and page.count('<script')==2 and page.count('</script')==2
    assert {r[0] for r in page_data('out/report.html')['rows']}=={r['path'] for r in rows}

def test_output_names_no_text(capsys):
    "A terminal that cannot show a name is no reason to stop"
    folder(b'caf\xe9'.decode('utf-8', 'surrogateescape'), n=30)
    knet_clean(b'caf\xe9'.decode('utf-8', 'surrogateescape'), 'out', **quick|dict(quiet=False))
    assert r'caf\udce9' in capsys.readouterr().out

def test_again_from_stored_stages(capsys, monkeypatch):
    folder('set', n=60)
    said = lambda: re.findall(r'^  (network|issues): ', capsys.readouterr().out, re.M)
    loud = quick|dict(quiet=False)
    a = knet_clean('set', 'out', **loud)
    assert said()==['network','issues']
    first = {n:Path(f'out/{n}').read_bytes() for n in ('issues.csv','report.html','model.safetensors','deployed.safetensors')}
    b = knet_clean('set', 'out', **loud)
    assert said()==[] and a.equals(b)
    assert first=={n:Path(f'out/{n}').read_bytes() for n in first}
    knet_clean('set', 'out', **loud, k_max=7)
    assert said()==['issues']
    knet_clean('set', 'out', **loud|dict(seed=1))
    assert said()==['network','issues']
    shutil.rmtree('out')
    knet_clean('set', 'out', **loud)
    assert first=={n:Path(f'out/{n}').read_bytes() for n in first} # and the same from nothing

def test_stopped_training_goes_on(monkeypatch, capsys):
    folder('set', n=60)
    starts,stop = [],True
    class Watch(R.SayEpochs):
        order = 90
        def after_epoch(self):
            if self.epoch==2 and stop: raise KeyboardInterrupt
        def after_fit(self): starts.append(self.learn.resumable_fit.start)
    monkeypatch.setattr(R, 'SayEpochs', Watch)
    monkeypatch.setattr(R, 'ResumableFit', partial(R.ResumableFit, every=0))
    with pytest.raises(SystemExit) as e: main('set --out out --backbone mlp --epochs 5 --device cpu'.split())
    assert e.value.code==130 and sorted(os.listdir('out'))==['stages'] and 'goes on' in capsys.readouterr().err
    stop = False
    starts.clear()
    a = knet_clean('set', 'out', **quick|dict(epochs=5))
    assert starts==[3] and not list(Path('out/stages').glob('*checkpoint*'))
    assert a.equals(knet_clean('set', 'again', **quick|dict(epochs=5)))

def test_train_part():
    folder('set/train', n=60)
    folder('set/test', n=30)
    s = read_samples('set')
    assert len(s)==60 and all(p.startswith('train/') for p in s.ids.path) and 'Only the part train/' in s.notes[0]
    (Path('vehicles')/'train').mkdir(parents=True)
    for c in ('train','bus'):
        for i in range(3): (Path('vehicles')/c).mkdir(exist_ok=True); Image.new('L', (8,8), 40*i).save(f'vehicles/{c}/{i}.png')
    assert read_samples('vehicles').classes==['bus','train'] # a class may have that name

def test_broken_images(capsys):
    folder('set', n=60)
    files = sorted(Path('set').rglob('*.png'))
    files[3].write_bytes(b'no image'); files[40].write_bytes(files[40].read_bytes()[:70]); files[50].write_bytes(b'')
    fails(capsys, ['set','--out','out'], '3 of 60 images', re.escape(files[3].relative_to('set').as_posix()), '--skip-broken')
    assert not Path('out').exists()
    before = checksums('set')
    res = knet_clean('set', 'out', skip_broken=True, **quick)
    assert checksums('set')==before and len(res)==57 and files[3].relative_to('set').as_posix() not in set(res.path)
    [note] = [n for n in page_data('out/report.html')['notes'] if 'cannot be decoded' in n]
    assert note.startswith('3 of 60') and files[50].name in note
    for f in files: f.write_bytes(b'')
    fails(capsys, ['set','--out','out','--skip-broken'], '60 of 60')

def test_sizes():
    folder('set', n=30)
    assert read_samples('set').x.shape==(30,1,8,8) and read_samples('set', size=12).x.shape==(30,1,12,12)
    Image.new('RGB', (300,200), 'red').save(Path('set')/'null'/'photo.jpg')
    assert read_samples('set').x.shape==(31,3,64,64)

def table(n=120):
    x,given,true = digits(n)
    cols = [f'p{i}' for i in range(18,46,3)]
    return pd.DataFrame(x.reshape(n,-1)[:,18:46:3], columns=cols).assign(name=[f'"{i}", né' for i in range(n)], id=range(1000,1000+n), empty='', label=given),true

def test_csv():
    df,true = table()
    df.to_csv('a.csv', index=False)
    before = checksums('a.csv')
    res = knet_clean('a.csv', 'out', quiet=True)
    assert checksums('a.csv')==before and list(res)==['row',*R.issue_cols] and sorted(res.row)==list(range(120))
    assert not Path('out/deployed.safetensors').exists()
    read = lambda p: pd.read_csv(p, dtype=str, keep_default_na=False)
    a,b,by_row = read('a.csv'),read('out/cleaned.csv'),res.set_index('row').sort_index()
    assert list(a)==list(b) and a.drop(columns='label').equals(b.drop(columns='label')) # 'null' and '' stay what they are
    assert (b.label==np.where(by_row.is_issue, by_row.suggested, by_row.given)).all() and by_row.is_issue.any()
    knet_clean('a.csv', 'out', fix='drop', quiet=True)
    assert a[~by_row.is_issue].reset_index(drop=True).equals(read('out/cleaned.csv'))
    knet_clean('a.csv', 'out', fix='keep', quiet=True)
    kept = read('out/cleaned.csv')
    assert kept.drop(columns='is_issue').equals(a) and (kept.is_issue=='True').tolist()==by_row.is_issue.tolist()
    d = page_data('out/report.html')
    assert d['columns'][:5]==['p24','p39','name','id','empty'] and d['thumbs']==[] and len(d['rows'])==120 and 'not used: p24, p39 (constant), name (text), id (row numbers), empty (empty)' in d['notes'][0]
    about = json.load(open('out/knet-clean.json'))
    p = KNet.load('out/model.safetensors').predict_proba(torch.tensor(a[about['features']].astype('float32').to_numpy()), about['k'])
    np.testing.assert_allclose(p.max(1).values, by_row.p_suggested, atol=1e-4) # the model takes the columns as they are

def test_columns_without_a_name(capsys):
    df,_ = table(60)
    df.to_csv('a.csv') # pandas' own index: a column with an empty name
    knet_clean('a.csv', 'out', quiet=True)
    assert Path('out/cleaned.csv').read_text().splitlines()[0]==Path('a.csv').read_text().splitlines()[0]
    assert 'p18' in json.load(open('out/knet-clean.json'))['features'] and '' not in json.load(open('out/knet-clean.json'))['features']

def test_csv_with_embeddings_and_images():
    x,given,_ = folder('set', n=60)
    paths = [f'set/{c}/{i:03}.png' for i,c in enumerate(given)]
    emb = [json.dumps(np.round(a.flatten()/255, 3).tolist()) for a in x]
    pd.DataFrame(dict(file=paths, target=given)).to_csv('images.csv', index=False)
    res = knet_clean('images.csv', 'a', **quick)
    assert list(res)[:2]==['row','path'] and set(res.path)==set(paths) and Path('a/deployed.safetensors').exists()
    pd.DataFrame(dict(file=paths, emb=emb, target=given)).to_csv('both.csv', index=False)
    knet_clean('both.csv', 'b', quiet=True)
    d = page_data('b/report.html')
    assert not Path('b/deployed.safetensors').exists() and len(d['thumbs'])==60 and all(d['thumbs']) and '64-d vectors' in d['notes'][0]

def test_parquet():
    x,given,true = digits(120)
    code = pd.Categorical(given).codes.astype('int16')
    emb = (x.reshape(120,-1)/255).astype('float32')
    t = pa.table(dict(uid=pa.array([f'u{i}' for i in range(120)]), emb=pa.FixedSizeListArray.from_arrays(emb.ravel(), 64), label=code,
                      nested=[dict(a=i, b=[i]*2) for i in range(120)], when=pd.date_range('2026', periods=120, tz='UTC')))
    info = dict(info=dict(features=dict(label=dict(names=['one','null','two'], _type='ClassLabel'))))
    t = t.replace_schema_metadata({'huggingface':json.dumps(info)})
    pq.write_table(t, 'a.parquet')
    before,t = checksums('a.parquet'),pq.read_table('a.parquet') # a list's item has another name in a file
    res = knet_clean('a.parquet', 'out', quiet=True)
    assert checksums('a.parquet')==before and set(res.given)=={'one','null','two'}
    c = pq.read_table('out/cleaned.parquet')
    assert c.schema.equals(t.schema, check_metadata=True) and c.drop_columns('label').equals(t.drop_columns('label'))
    by_row = res.set_index('row').sort_index()
    name = {'one':0,'null':1,'two':2}
    assert c['label'].to_pylist()==np.where(by_row.is_issue, by_row.suggested.map(name), by_row.given.map(name)).tolist() and by_row.is_issue.sum()>5
    knet_clean('a.parquet', 'out', fix='drop', quiet=True)
    assert pq.read_table('out/cleaned.parquet').equals(t.filter(~by_row.is_issue.to_numpy()))
    knet_clean('a.parquet', 'out', fix='keep', quiet=True)
    k = pq.read_table('out/cleaned.parquet')
    assert k.select(t.column_names).equals(t) and k['is_issue'].to_pylist()==by_row.is_issue.tolist()
    assert page_data('out/report.html')['columns']==['uid','nested','when']

@pytest.mark.parametrize('kind', ['bytes','hub','category'])
def test_parquet_with_images(kind):
    x,given,_ = digits(60)
    ims = [png(a) for a in x]
    ims[7] = b'broken'
    if kind=='hub': ims = [dict(bytes=b, path=f'{i}.png') for i,b in enumerate(ims)]
    df = pd.DataFrame(dict(image=ims, label=pd.Categorical(given) if kind=='category' else given))
    df.to_parquet('a.parquet')
    t = pq.read_table('a.parquet')
    with pytest.raises(ValueError, match=r'1 of 60 images cannot be decoded: (row 7|7\.png) \(.*\)' + ('$' if kind=='hub' else r'\. Rows are counted from 0$')): knet_clean('a.parquet', 'out', **quick)
    res = knet_clean('a.parquet', 'out', skip_broken=True, **quick)
    c = pq.read_table('out/cleaned.parquet')
    assert 7 not in set(res.row) and c.schema==t.schema and c['image'].to_pylist()==[v for i,v in enumerate(t['image'].to_pylist()) if i!=7]
    assert len(page_data('out/report.html')['thumbs'])==59

wrong_tables = {
    'no label': (dict(x=[1.,2.]*5, kind=list('ab')*5), [], r'which column is the label.*--label.*it could be kind \(2 values\), x \(2 values\)$'),
    'two labels': (dict(x=[1.,2.]*5, label=list('ab')*5, target=list('ba')*5), [], 'label, target could be.*--label'),
    'missing label': (dict(x=[1.,2.]*5, label=list('ababa')+['']+list('baba')), [], 'a.csv: 1 label is missing, the first in row 5, counted from 0: fill'),
    'one class': (dict(x=[1.,2.]*5, label=['a']*10), [], "all 10 samples have the label 'a'"),
    'no features': (dict(text=list('xy')*5, label=list('ab')*5), [], 'no column has numbers, vectors or images'),
    'missing number': (dict(x=['1','2','NA','4']*3, label=list('ab')*6), [], r"a\.csv, row 2, counted from 0: column 'x' has no finite number \('NA'; 3 rows\)"),
    'infinite number': (dict(x=['1','2','inf','4']*3, label=list('ab')*6), [], 'row 2'),
    'text as features': (dict(x=[1.,2.]*5, t=list('xy')*5, label=list('ab')*5), ['--features','x,t'], "column 't'"),
    'unknown pattern': (dict(x=[1.,2.]*5, label=list('ab')*5), ['--features','z*'], r"no column fits 'z\*'\. There are x, label"),
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
        fails(capsys, [f,'--out','out'], r"label= \(--label\); it could be region \(2 values\), cultivar \(3 values\), magnesium \(\d\d values\); there are also customer_id, m0, m1, m2, m3 and 1[345] more$")

def test_options_come_before_the_data(capsys, monkeypatch):
    "What is wrong with an option is said before anything is read"
    def read(*a, **k): raise AssertionError('was read')
    monkeypatch.setattr(R, 'read_samples', read)
    table(60)[0].to_csv('a.csv', index=False)
    for o in (['--backbone','vgg'], ['--recipe','slow'], ['--recipe','ieg'], ['--epochs','0'], ['--device','toaster'], ['--metric','far'], ['--seed','-1'], ['--k-max','0'], ['--size','0'],
              ['--thumbs','-1'], ['--fix','guess']): fails(capsys, ['a.csv','--out','out',*o], re.escape(o[1]))
    with pytest.raises(AssertionError, match='was read'): main(['a.csv','--out','out'])
    assert not Path('out').exists()

def test_k_max_beyond_the_samples(capsys):
    table(60)[0].to_csv('a.csv', index=False)
    knet_clean('a.csv', 'out', k_max=1000)
    says = 'k_max is 59, not 1,000: a sample has no more neighbours among 60'
    assert says in capsys.readouterr().out and says in page_data('out/report.html')['notes'] and KNet.load('out/model.safetensors').k_max==59
    knet_clean('a.csv', 'out', k_max=59)
    assert 'k_max' not in capsys.readouterr().out

def test_ids_are_no_features():
    r = np.random.default_rng(0)
    ids,n = r.permutation(60)+7000,60
    df = pd.DataFrame(dict(x=r.normal(size=n), customer_id=ids, orderId=ids[::-1], ID=ids%59, type_ID=np.arange(n)%5, weight_g=ids, half_id=ids+.5, label=np.arange(n)%2))
    df.to_csv('a.csv', index=False); df.to_parquet('a.parquet')
    for f in ('a.csv','a.parquet'):
        s = read_samples(f)
        assert s.columns==['x','type_ID','weight_g','half_id'] and s.notes[-1].endswith('; not used: customer_id, orderId, ID (an id)')
        assert read_samples(f, features='customer_id,x').columns==['customer_id','x']

@pytest.mark.parametrize('kind', ['csv','parquet'])
def test_says_what_is_there(capsys, kind):
    "The line on cleaned.csv is what is in the file"
    df,_ = table()
    df = df.assign(is_issue='of mine')
    (df.to_csv if kind=='csv' else df.to_parquet)(f'a.{kind}', index=False)
    def said(**kw):
        res = knet_clean(f'a.{kind}', 'out', **kw)
        clean = pd.read_csv('out/cleaned.csv', keep_default_na=False) if kind=='csv' else pd.read_parquet('out/cleaned.parquet')
        return re.search(rf'out/cleaned.{kind}: (.*)', capsys.readouterr().out)[1],res,clean
    text,res,clean = said()
    assert text==f'the table with {(clean.label!=df.label).sum()} labels replaced' and res.is_issue.sum()==(clean.label!=df.label).sum()>1
    text,res,clean = said(fix='drop')
    assert text==f'the table without the {120-len(clean)} flagged rows' and len(clean)<119
    text,res,clean = said(fix='keep')
    assert text=='the table with a column is_issue_' and clean.is_issue_.sum()==res.is_issue.sum()

def test_says_what_is_there_of_images(capsys):
    folder('set', n=90)
    said = lambda: re.search(r'out/cleaned.(?:csv|parquet): (.*)', capsys.readouterr().out)[1]
    loud = quick|dict(quiet=False, epochs=10)
    n = knet_clean('set', 'out', **loud).is_issue.sum()
    clean = pd.read_csv('out/cleaned.csv', keep_default_na=False)
    assert said()==f'paths and labels, {n} labels replaced' and n==(clean.label!=clean.given).sum()>1
    knet_clean('set', 'out', fix='drop', **loud)
    assert said()==f'paths and labels without the {n} flagged images'
    knet_clean('set', 'out', fix='keep', **loud)
    assert said()=='paths and labels with a column is_issue'
    x,given,_ = digits(60)
    pd.DataFrame(dict(image=[b'broken',*map(png, x[1:])], label=given)).to_parquet('a.parquet')
    shutil.rmtree('out')
    res = knet_clean('a.parquet', 'out', skip_broken=True, fix='drop', **quick|dict(quiet=False))
    out = capsys.readouterr().out
    assert '; 1 row with a broken image is left out\n' in out and 'left out: row 0. Rows are counted from 0\n' in out and len(pd.read_parquet('out/cleaned.parquet'))==59-res.is_issue.sum()

def test_wrong_files(capsys):
    for name,content,says in (('a.csv', b'', r'a\.csv'), ('b.csv', b'x;label\n1;a\n', 'separated by commas'), ('c.csv', b'x,x,label\n1,2,a\n', "2 columns 'x'"),
                              ('d.csv', b'x,label\n1,2,3\n4,5,6\n', 'more fields'), ('e.parquet', b'PAR1', r'e\.parquet'), ('f.txt', b'', r'\.csv or a \.parquet'),
                              ('g.csv', b'x,label\n\xff,a\n', r'g\.csv cannot be read')):
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

def test_where_results_may_not_go(capsys, tmp_path):
    folder('set', n=30)
    before = checksums('set')
    (tmp_path/'link').symlink_to(tmp_path/'set')
    for out in ('set','set/issues','link/issues','set/../set/x'): fails(capsys, ['set','--out',out], 'within the data')
    os.chdir('set')
    fails(capsys, ['.'], 'within the data') # the default folder would be in it too
    os.chdir('..')
    assert checksums('set')==before and not Path('set/issues').exists()
    table(60)[0].to_csv('cleaned.csv', index=False)
    fails(capsys, ['cleaned.csv','--out','.'], 'replace the data')
    Path('mine').mkdir(); Path('mine/report.html').write_text('of mine')
    fails(capsys, ['set','--out','mine'], 'did not write')
    knet_clean('cleaned.csv', 'out', quiet=True)
    was = checksums('out')
    fails(capsys, ['set','--out','out'], 'has the results on')
    assert checksums('out')==was
    knet_clean('out/cleaned.csv', 'out2', quiet=True) # cleaned again
    fails(capsys, ['out/cleaned.csv','--out','out'], 'replace the data')

def test_no_images_comes_before_other_results(capsys):
    "The default folder has the results of other data: what is wrong with the images is said all the same"
    table(60)[0].to_csv('a.csv', index=False)
    knet_clean('a.csv', quiet=True)
    Path('void/train/a').mkdir(parents=True); Path('flat').mkdir(); Path('hidden/.a').mkdir(parents=True)
    for f in ('flat/1.png','hidden/.a/1.png','void/train/a/.1.png','void/train/a/1.txt'): Path(f).write_bytes(png(np.zeros((8,8), np.uint8)))
    for d in ('void','flat','hidden'): fails(capsys, [d], f'{d} has no images in class folders')
    fails(capsys, ['nowhere'], 'no such file or folder')
    folder('set', n=30)
    fails(capsys, ['set'], 'has the results on')

def features_note(path): return next(n for n in read_samples(path).notes if n.startswith('Features'))

def test_columns_that_are_not_used():
    "Each is named with the reason, whatever the features are; many are cut short"
    df,_ = table(60)
    df = df.drop(columns=['id','p24','p39']).assign(one=7, when='2026-01-01', income=['12','13','unknown']*20, **{f't{i}':'x' for i in range(9)})
    df.to_csv('a.csv', index=False)
    assert features_note('a.csv').endswith('not used: name, when, t0 and 8 more (text), empty (empty), one (constant), income (not all numbers)')
    t = pa.table(dict(a=np.arange(60)%7, b=[None]*60, c=pa.array([2.]*60), d=[dict(x=1)]*60, e=[True]*60, f=pa.array([None]*60, 'float64'), label=np.arange(60)%2))
    pq.write_table(t, 'a.parquet')
    assert features_note('a.parquet')=='Features: 1 column, standardised (a); not used: b, f (empty), c, e (constant), d (no numbers)'
    pq.write_table(t.append_column('v', pa.array([[1.,i] for i in range(60)])), 'b.parquet')
    assert features_note('b.parquet').endswith("vectors of 'v'; not used: a, b, c and 3 more (there are vectors)")
    assert read_samples('a.csv', features='p*').notes[0].endswith('(not named)')
    pq.write_table(pa.table(dict(im=[png(np.full((8,8), i, np.uint8)) for i in range(60)], age=range(60), label=np.arange(60)%2)), 'c.parquet')
    assert features_note('c.parquet')=='Features: learned from the images, at 8x8 pixels; not used: age (there are images)'
    d = read_samples('a.csv'); assert 'one' not in d.columns and d.features.shape==(60,len(d.columns))

def test_odd_labels_are_noted(capsys, recwarn):
    "Some classes of one sample go on, with a note; and scikit-learn has nothing to say to the user"
    df,_ = table(60)
    df['label'] = ['a','b']*29+['c','d']; df.loc[0,'label'] = 'e'
    df.to_csv('a.csv', index=False)
    knet_clean('a.csv', 'out', quiet=True)
    assert any(n.startswith("3 of 5 classes have one sample, about which nothing can be said; is 'label' the column of classes") for n in page_data('out/report.html')['notes'])
    df.assign(label=np.arange(60)%4/2).to_csv('b.csv', index=False)
    assert 'The labels are numbers with fractions (0, 0.5, 1 and 1 more), and each is taken as a class' in read_samples('b.csv').notes
    folder('set', n=60)
    for f in sorted(Path('set').rglob('*.png'))[::5]: d = Path('set')/f'only {f.stem}'; d.mkdir(); f.rename(d/f.name)
    for c in ('null','één','二'):
        for f in sorted(Path('set',c).iterdir())[:-4]: f.write_bytes(b'broken') # then more than half of the images are a class of their own
    knet_clean('set', 'of set', skip_broken=True, **quick)
    assert not [w for w in recwarn if 'unique classes' in str(w.message)]

def test_one_is_no_plural(capsys):
    folder('set', n=60)
    sorted(Path('set').rglob('*.png'))[5].write_bytes(b'broken')
    knet_clean('set', 'out', **quick|dict(epochs=1, quiet=False, skip_broken=True))
    said = capsys.readouterr().out
    assert ': 1 epoch\n' in said and '59 samples, 3 classes' in said and 'cannot be decoded and was left out' in said
    label_report(frame(1, 1), 'a.html', images=[b'broken'])
    d = page_data('a.html')
    assert d['subtitle']=='1 of 1 label looks wrong' and d['notes']==['1 image could not be read for a thumbnail.']
    label_report(frame(3, 1), 'b.html', values=pd.DataFrame(np.zeros((3,13))), rows=2)
    assert page_data('b.html')['notes']==['The page lists the 2 most doubtful of 3 samples (option rows).','The table shows 12 columns, 1 was left out.']

def test_a_full_disk_leaves_the_old_results(monkeypatch):
    table(60)[0].to_csv('a.csv', index=False)
    knet_clean('a.csv', 'out', quiet=True)
    was = {k:v for k,v in checksums('out').items() if 'stages' not in k}
    def full(*a, **k): raise OSError(28, 'No space left on device')
    for broken in ('_to_csv','fill_page'):
        with monkeypatch.context() as m:
            m.setattr(R, broken, full)
            with pytest.raises(OSError): knet_clean('a.csv', 'out', fix='drop', quiet=True)
        assert {k:v for k,v in checksums('out').items() if 'stages' not in k}==was

def test_killed_while_writing(tmp_path):
    "As a process, at any file: the results are the old ones or the new ones, never half a file, and the next run completes them"
    df,_ = table(60)
    df.to_csv('a.csv', index=False)
    knet_clean('a.csv', 'good', quiet=True)
    good = {n:Path('good',n).read_bytes() for n in os.listdir('good') if n!='stages'}
    shutil.copytree('good/stages', 'out/stages') # killed trainings are tested elsewhere
    kills = 2,4,7 # of five results, two of them with a temporary file of their own
    code = f"""
import json,os,signal
from knet_nb.clean.command import main
real,seen = os.replace,[0]
def run(n): # killed before the n-th file takes its place
    def replace(*a):
        seen[0] += 1
        if seen[0]==n: os.kill(os.getpid(), signal.SIGKILL)
        real(*a)
    os.replace = replace
    main(['a.csv','--out','out','--quiet'])
def files(): return {{p:open('out/'+p,'rb').read().hex() for p in os.listdir('out') if p[0]!='.' and p!='stages'}}
for n in {kills}: # nothing has been computed before these forks
    pid = os.fork()
    if not pid: run(n); os._exit(0)
    rc = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    json.dump([rc,files()], open(f'{{n}}.json','w'))
main(['a.csv','--out','out'])
"""
    env = {k:v for k,v in os.environ.items() if k!='PYTHONWARNINGS'}
    r = subprocess.run([sys.executable,'-c',code], capture_output=True, text=True, env=env)
    assert r.returncode==0 and not r.stderr and '60 samples, 3 classes' in r.stdout and 'out/report.html' in r.stdout and not re.search('[\r\x1b]', r.stdout), (r.stdout,r.stderr)
    for n in kills:
        rc,there = json.load(open(f'{n}.json'))
        assert rc==-9 and all(bytes.fromhex(v)==good[k] for k,v in there.items()) and len(there)<5, (n,rc)
    assert good=={n:Path('out',n).read_bytes() for n in os.listdir('out') if n!='stages' and not n.startswith('.')}

def test_help(capsys):
    with pytest.raises(SystemExit) as e: main(['--help'])
    out = capsys.readouterr().out
    assert e.value.code==0 and '--pdb' not in out
    for o in ('--out','--fix','--thumbs','--skip-broken','--no-flip','--backbone','--embedding'): assert re.search(rf'{o}\b', out), o
    assert "row is a row's place in the table, counted from 0 below the head" in ' '.join(out.split())

# The page

nasty = ['</script><script>document.title="broken"</script>','<img src=x onerror="document.title=\'broken\'">','\u202eclass & "quotes"','cat']

def frame(n, flagged=None):
    rng = np.random.default_rng(0)
    g = rng.integers(0, 4, n)
    p = rng.random((n,2)).round(3)
    index = [f'dir/{i:05}.png' if i%2 else f'dir/"{i}" <b>.png' for i in range(n)]
    names = np.asarray(nasty, object)
    return pd.DataFrame(dict(given=names[g], suggested=names[(g+1+rng.integers(0,3,n))%4], p_given=p[:,0], p_suggested=p[:,1], score=p[:,0],
                             is_issue=np.arange(n)<(n if flagged is None else flagged)), index=index)

def images(n):
    y,x = np.mgrid[:24,:24]
    return [((x*(i%7+1)+y*(i%5+1))%256).astype(np.uint8) for i in range(n)]

def test_thumbnails_left_out():
    d = frame(50)
    label_report(d, 'a.html', images=images(50), thumbs=20, rows=30)
    got = page_data('a.html')
    assert len(got['thumbs'])==20 and len(got['rows'])==30
    assert any('30 most doubtful of 50' in n for n in got['notes']) and any('10 were left out' in n for n in got['notes'])
    order = R.rank_issues(d)
    assert [r[0] for r in got['rows']]==d.index[order[:30]].tolist()
    first = Image.open(io.BytesIO(base64.b64decode(got['thumbs'][0].split(',')[1])))
    assert (np.asarray(first)==images(50)[order[0]]).all()
    label_report(d, 'b.html', images=[b'broken']*50)
    assert any('50 images could not be read' in n for n in page_data('b.html')['notes'])

def test_no_samples_and_no_issues():
    label_report(frame(30, 0), 'a.html')
    got = page_data('a.html')
    assert got['matrix']['classes']==[] and ['flagged','0'] in got['numbers'] and ['estimated noise rate','0.0%'] in got['numbers']
    label_report(frame(30).iloc[:0], 'b.html', classes=nasty)
    assert page_data('b.html')['rows']==[]
    with pytest.raises(ValueError, match='missing'): label_report(frame(30), 'c.html', classes=['cat'])
    with pytest.raises(ValueError, match='30 samples|images'): label_report(frame(30), 'c.html', images=images(29))
    assert not Path('c.html').exists()

@pytest.fixture(scope='module')
def browser():
    api = pytest.importorskip('playwright.sync_api', reason='the browser test needs playwright: pip install playwright')
    exe = next(filter(None, map(shutil.which, ('chromium','chromium-browser','google-chrome'))), None)
    if not exe: pytest.skip('the browser test needs chromium on the PATH')
    with api.sync_playwright() as p:
        b = p.chromium.launch(executable_path=exe, args=['--no-sandbox'])
        yield b
        b.close()

@pytest.fixture
def open_page(browser, request):
    "A page of a file, without a network; whatever it reports or asks for is an error"
    contexts,trouble = [],[]
    def go(path, **kw):
        c = browser.new_context(offline=True, **dict(viewport=dict(width=1280, height=1000))|kw)
        contexts.append(c)
        page = c.new_page()
        page.on('console', lambda m: trouble.append(m.text)); page.on('pageerror', lambda e: trouble.append(str(e)))
        page.on('request', lambda r: trouble.append(r.url) if not r.url.startswith(('file:','data:')) else None)
        page.goto(Path(path).resolve().as_uri())
        return page
    yield go
    for c in contexts: c.close()
    assert not trouble, trouble

def shot(page, name):
    folder = os.environ.get('KNET_SCREENSHOTS')
    if folder: Path(folder).mkdir(parents=True, exist_ok=True); page.screenshot(path=f'{folder}/{name}.png')

def test_page_of_images(open_page):
    d = frame(10000, 9000)
    label_report(d, 'a.html', images=images(40)*250, thumbs=100, title='Label issues: <b>set</b>')
    ranked = d.iloc[R.rank_issues(d)]
    page = open_page('a.html')
    names = lambda: page.locator('.card .name').all_text_contents()
    status = lambda: page.locator('#status').text_content()
    assert page.title()=='Label issues: <b>set</b>' and page.locator('h1').text_content()=='Label issues: <b>set</b>'
    assert page.locator('img').count()==60 and page.evaluate('[...document.images].every(i => i.complete && i.naturalWidth===24)')
    assert names()==ranked.index[:60].tolist() and status()=='1–60 of 9,000 samples'
    shot(page, 'report-images')
    page.click('[data-go=next] >> nth=0')
    assert names()==ranked.index[60:120].tolist() and page.get_by_text('no thumbnail').count()==20
    page.click('[data-go=last] >> nth=1')
    assert status()=='8,941–9,000 of 9,000 samples' and page.locator('[data-go=next]').first.is_disabled()
    page.click('[data-go=first] >> nth=0')
    page.keyboard.press('ArrowRight'); page.keyboard.press('ArrowRight'); page.keyboard.press('ArrowLeft')
    assert names()==ranked.index[60:120].tolist()
    page.select_option('#given', label=page.locator('#given option').nth(1).text_content())
    page.select_option('#suggested', index=2)
    classes = page_data('a.html')['classes']
    want = ranked[ranked.is_issue&(ranked.given==classes[0])&(ranked.suggested==classes[1])]
    assert status()==f'1–60 of {len(want):,} samples' and names()==want.index[:60].tolist()
    page.uncheck('#flagged')
    both = ranked[(ranked.given==classes[0])&(ranked.suggested==classes[1])]
    assert len(both)>len(want) and f'of {len(both):,} ' in status()
    page.click('button[type=reset]')
    page.locator('#status', has_text='9,000').wait_for()
    page.fill('#search', '0123')
    assert names()==[i for i in ranked[ranked.is_issue].index if '0123' in i]
    page.fill('#search', '"124" <B>')
    assert names()==['dir/"124" <b>.png']
    page.fill('#search', 'nothing like it')
    assert status()=='no samples' and page.get_by_text('No sample fits').is_visible()
    page.fill('#search', '')
    rows = page_data('a.html')['rows']
    for by,col,up in (('score-down','score',False),('given','given',True),('suggested','suggested',True)):
        page.select_option('#sort', by)
        got = [rows[int(r)] for r in page.eval_on_selector_all('.card', 'c => c.map(e => e.dataset.row)')]
        col = [r[{'score':5,'given':1,'suggested':2}[col]] for r in got]
        assert col==sorted(col, reverse=not up)
    page.select_option('#sort', 'name'); page.select_option('#size', '24')
    assert len(names())==24 and names()[-1].endswith('.png')

def test_page_by_keyboard_and_for_screen_readers(open_page):
    label_report(frame(200, 150), 'a.html', images=images(200))
    page = open_page('a.html')
    for role,name in (('heading','Samples'),('search','Filter and sort'),('combobox','Given label'),('combobox','Suggested label'),('searchbox','Search by file name'),
                      ('combobox','Sort by'),('checkbox','only flagged'),('status',None),('navigation','Pages')):
        assert page.get_by_role(role, name=name).count()>=1, (role,name)
    assert page.eval_on_selector_all('img', 'i => i.every(e => e.alt)') and page.locator('html').get_attribute('lang')=='en'
    page.keyboard.press('Tab')
    assert page.evaluate('document.activeElement.textContent')=='Skip to the samples'
    cell = page.locator('.heat button').first
    n = int(cell.text_content())
    cell.focus(); page.keyboard.press('Enter')
    assert cell.get_attribute('aria-pressed')=='true' and f'of {n} samples' in page.locator('#status').text_content()
    page.keyboard.press('Space')
    assert cell.get_attribute('aria-pressed')=='false' and 'of 150 samples' in page.locator('#status').text_content()
    page.focus('#flagged'); page.keyboard.press('Space')
    assert 'of 200 samples' in page.locator('#status').text_content()
    page.focus('#search'); page.keyboard.type('0001'); page.keyboard.press('ArrowLeft')
    assert page.locator('.card').count()==sum('0001' in i for i in frame(200).index)

contrast = """() => {
  const lum = c => { const v = c.match(/[\\d.]+/g).slice(0,3).map(x => (x/=255) <= .03928 ? x/12.92 : ((x+.055)/1.055)**2.4); return .2126*v[0]+.7152*v[1]+.0722*v[2]; };
  const back = e => { for (; e; e = e.parentElement) { const b = getComputedStyle(e).backgroundColor; if (!/, 0\\)|transparent/.test(b)) return b; } return 'rgb(255,255,255)'; };
  return [...document.querySelectorAll('h1,h2,p,dt,dd,label,select,.button:not(:disabled),.name,.class,.what,.p,.foot span,.rows td,.rows th,li')].filter(e => e.offsetParent && e.textContent.trim()).map(e => {
    const a = lum(getComputedStyle(e).color), b = lum(back(e));
    return [(Math.max(a,b)+.05)/(Math.min(a,b)+.05), e.className||e.tagName]; }).sort((a,b) => a[0]-b[0])[0]; }"""

@pytest.mark.parametrize('scheme', ['light','dark'])
@pytest.mark.parametrize('width', [360,1280])
def test_page_in_both_themes(open_page, scheme, width):
    "Text that stands out, and nothing wider than the window"
    df,_ = table(60)
    label_report(frame(60, 40), 'table.html', values=df.assign(text='a sentence that goes on for a while '*4), title='Label issues: table.csv')
    label_report(frame(60, 40), 'images.html', images=images(60))
    for name in ('table','images'):
        page = open_page(f'{name}.html', color_scheme=scheme, viewport=dict(width=width, height=900))
        assert page.evaluate('document.documentElement.scrollWidth')<=width
        worst,what = page.evaluate(contrast)
        assert worst>=4.5, (what,worst)
        shot(page, f'report-{name}-{scheme}-{width}-top')
        page.evaluate("document.getElementById('list-title').scrollIntoView()")
        shot(page, f'report-{name}-{scheme}-{width}')

def test_page_of_a_table(open_page):
    df,_ = table(60)
    df.loc[3,'name'] = '</td><script>document.title="broken"</script>'
    d = frame(60).reset_index(drop=True)
    label_report(d, 'a.html', values=df)
    page = open_page('a.html')
    assert page.title()=='Label issues' and page.locator('.rows tbody tr').count()==60 and page.locator('img').count()==0
    heads = page.locator('.rows thead th').all_text_contents()
    assert heads[:6]==['row','given','suggested','p given','p suggested','score'] and heads[7:]==[*df.columns[:12]]
    page.fill('#search', '</td>')
    assert page.locator('.rows tbody th').all_text_contents()==['3']
    page.fill('#search', 'NÉ')
    assert page.locator('.rows tbody tr').count()==59

def test_page_of_the_command(open_page):
    folder('set', n=120)
    knet_clean('set', 'out', **quick)
    page = open_page('out/report.html')
    assert page.title()=='Label issues: set' and page.locator('.card').count()>0 and page.evaluate('[...document.images].every(i => i.naturalWidth===8)')
    shot(page, 'report-command')

def test_page_without_scripts(browser):
    label_report(frame(30), 'a.html')
    c = browser.new_context(java_script_enabled=False, offline=True)
    page = c.new_page()
    page.goto(Path('a.html').resolve().as_uri())
    assert page.get_by_text('needs JavaScript').is_visible()
    c.close()
