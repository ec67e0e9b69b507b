"`knet-clean` as its user meets it: what it reads, what it writes, what it refuses; and its page in a browser"
import base64,csv,io,json,os,re,shutil,subprocess,sys
from functools import partial
from pathlib import Path
import numpy as np,pandas as pd,pyarrow as pa,pyarrow.parquet as pq,pytest,torch
from PIL import Image
import knet_nb.clean.command as R
from knet_nb.tables import names_from_csv
from knet_nb.deploy import DeployedKNet
from knet_nb.knet import KNet
from knet_nb.clean.command import knet_clean,main
from knet_nb.clean import page as P
from knet_nb.clean.page import issues_page,review_order
from labelled import checksums,digits,fails,folder,page_data,png,quick,table

pytestmark = pytest.mark.usefixtures('alone')

def ours(path):
    "A csv of ours, with the names of the classes as they are"
    df = pd.read_csv(path, keep_default_na=False)
    return df.assign(**{c:names_from_csv(df[c]) for c in ('given','suggested','label') if c in df})

def test_folder():
    x,given,true = folder('set')
    before = checksums('set')
    res = knet_clean('set', 'out', fix='suggest', **quick|dict(epochs=15))
    assert checksums('set')==before
    assert sorted(os.listdir('out'))==['cleaned.csv','deployed.safetensors','issues.csv','knet-clean.json','model.safetensors','report.html','stages']
    df = ours('out/issues.csv')
    assert list(df)==['path',*R.issue_cols] and len(df)==300 and set(df.path)=={f'{c}/{i:03}.png' for i,c in enumerate(given)}
    assert (df.path==res.path).all() and df.is_issue.is_monotonic_decreasing
    for _,g in df.groupby('is_issue'): assert g.score.is_monotonic_increasing
    num = df.path.str.extract(r'(\d+)\.png')[0].astype(int).to_numpy(copy=True)
    assert (df.given==given[num]).all() and df.score.between(0,1).all()
    wrong = given[num]!=true[num]
    assert wrong[:20].mean()>.8 and (df.suggested[:20]==true[num][:20]).mean()>.8
    clean = ours('out/cleaned.csv').set_index('path').loc[df.path]
    assert (clean.label.to_numpy()==np.where(df.is_issue, df.suggested, df.given)).all() and (clean.given.to_numpy()==df.given).all()
    m,d = KNet.load('out/model.safetensors'),DeployedKNet.load('out/deployed.safetensors')
    known = d.predict(torch.tensor(x)[num,None])
    assert (known==true[num]).mean()>=(df.suggested==true[num]).mean()-.02 # of the true classes
    d.knet.transition = None # the votes, which the files have
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
    assert e.value.code==130 and sorted(os.listdir('out'))==['knet-clean.json','stages'] and 'goes on' in capsys.readouterr().err
    stop = False
    starts.clear()
    a = knet_clean('set', 'out', **quick|dict(epochs=5))
    assert starts==[3] and not list(Path('out/stages').glob('*checkpoint*'))
    assert a.equals(knet_clean('set', 'again', **quick|dict(epochs=5)))

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
    net = KNet.load('out/model.safetensors')
    assert net.transition.shape==(net.n_classes,)*2
    net.transition = None # the votes, which the files have
    p = net.predict_proba(torch.tensor(a[about['features']].astype('float32').to_numpy()), about['k'])
    np.testing.assert_allclose(p.max(1).values, by_row.p_suggested, atol=1e-4) # the model takes the columns as they are

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
    assert not Path('b/deployed.safetensors').exists() and len(d['thumbs'])==60 and all(d['thumbs']) and any('64-d vectors' in o for o in d['notes'])

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
    res = knet_clean('a.parquet', 'out', skip_broken=True, fix='suggest', **quick)
    c = pq.read_table('out/cleaned.parquet')
    assert 7 not in set(res.row) and c.schema==t.schema and c['image'].to_pylist()==[v for i,v in enumerate(t['image'].to_pylist()) if i!=7]
    assert len(page_data('out/report.html')['thumbs'])==59

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
    says = 'k_max is 30, not 1,000: of 60 samples at most half are asked'
    assert says in capsys.readouterr().out and says in page_data('out/report.html')['notes'] and KNet.load('out/model.safetensors').k_max==30
    knet_clean('a.csv', 'out', k_max=30)
    assert 'k_max' not in capsys.readouterr().out

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
    n = knet_clean('set', 'out', fix='suggest', **loud).is_issue.sum()
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

def test_one_is_no_plural(capsys):
    folder('set', n=60)
    sorted(Path('set').rglob('*.png'))[5].write_bytes(b'broken')
    knet_clean('set', 'out', **quick|dict(epochs=1, quiet=False, skip_broken=True))
    said = capsys.readouterr().out
    assert ': 1 epoch\n' in said and '59 samples, 3 classes' in said and 'cannot be decoded and was left out' in said
    issues_page(frame(1, 1), 'a.html', images=[b'broken'])
    d = page_data('a.html')
    assert d['subtitle']=='1 of 1 label looks wrong' and d['notes']==['1 image could not be read for a thumbnail.']
    issues_page(frame(3, 1), 'b.html', values=pd.DataFrame(np.zeros((3,13))), rows=2)
    assert page_data('b.html')['notes']==['The page lists the 2 most doubtful of 3 samples (option rows).','The table shows 12 columns, 1 was left out.']

def test_a_full_disk_leaves_the_old_results(monkeypatch):
    table(60)[0].to_csv('a.csv', index=False)
    knet_clean('a.csv', 'out', quiet=True)
    was = {k:v for k,v in checksums('out').items() if 'stages' not in k}
    def full(*a, **k): raise OSError(28, 'No space left on device')
    for module,broken in ((R,'to_csv'),(P,'fill_page')):
        with monkeypatch.context() as m:
            m.setattr(module, broken, full)
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
        assert rc==-9 and all(bytes.fromhex(v)==good[k] for k,v in there.items() if k!='knet-clean.json') and len(there)<6, (n,rc)
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
    issues_page(d, 'a.html', images=images(50), thumbs=20, rows=30)
    got = page_data('a.html')
    assert len(got['thumbs'])==20 and len(got['rows'])==30
    assert any('30 most doubtful of 50' in n for n in got['notes']) and any('10 were left out' in n for n in got['notes'])
    order = review_order(d)
    assert [r[0] for r in got['rows']]==d.index[order[:30]].tolist()
    first = Image.open(io.BytesIO(base64.b64decode(got['thumbs'][0].split(',')[1])))
    assert (np.asarray(first)==images(50)[order[0]]).all()
    issues_page(d, 'b.html', images=[b'broken']*50)
    assert any('50 images could not be read' in n for n in page_data('b.html')['notes'])

def test_no_samples_and_no_issues():
    f = frame(30, 0)
    issues_page(f.assign(suggested=f.given), 'a.html')
    got = page_data('a.html')
    assert got['matrix']['classes']==[] and ['flagged','0'] in got['numbers'] and ['estimated noise rate','0.0% ± 2.4%'] in got['numbers']
    issues_page(frame(30).iloc[:0], 'b.html', classes=nasty)
    assert page_data('b.html')['rows']==[]
    with pytest.raises(ValueError, match='not among the 1 class'): issues_page(frame(30), 'c.html', classes=['cat'])
    with pytest.raises(ValueError, match='30 samples|images'): issues_page(frame(30), 'c.html', images=images(29))
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
    issues_page(d, 'a.html', images=images(40)*250, thumbs=100, title='Label issues: <b>set</b>')
    ranked = d.iloc[review_order(d)]
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

def test_page_says_what_was_called_what(open_page):
    "A line filters as the cell of the table does, and with it"
    d = frame(200, 150)
    given,true = d.given.iloc[0],d.suggested.iloc[0]
    confused = pd.DataFrame(dict(true=[true], given=[given], count=[31.6], share=[.3216]))
    issues_page(d, 'a.html', images=images(200), confused=confused, noise=(.31,.27,.355))
    page = open_page('a.html')
    line = page.locator('#called button')
    assert line.count()==1 and line.text_content()==f'{true} called {given}32 (32 %)'
    assert page.get_by_text('estimated noise rate, 27.0% to 35.5%').is_visible()
    line.click()
    n = int((d.is_issue&(d.given==given)&(d.suggested==true)).sum())
    assert line.get_attribute('aria-pressed')=='true' and f'of {n} samples' in page.locator('#status').text_content()
    line.click()
    assert line.get_attribute('aria-pressed')=='false' and 'of 150 samples' in page.locator('#status').text_content()

def test_page_by_keyboard_and_for_screen_readers(open_page):
    issues_page(frame(200, 150), 'a.html', images=images(200))
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
    issues_page(frame(60, 40), 'table.html', values=df.assign(text='a sentence that goes on for a while '*4), title='Label issues: table.csv')
    issues_page(frame(60, 40), 'images.html', images=images(60))
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
    issues_page(d, 'a.html', values=df)
    page = open_page('a.html')
    assert page.title()=='Label issues' and page.locator('.rows tbody tr').count()==60 and page.locator('img').count()==0
    heads = page.locator('.rows thead th').all_text_contents()
    assert heads[:6]==['row','given','suggested','p given','p suggested','score'] and heads[7:]==['decision',*df.columns[:12]]
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
    issues_page(frame(30), 'a.html')
    c = browser.new_context(java_script_enabled=False, offline=True)
    page = c.new_page()
    page.goto(Path('a.html').resolve().as_uri())
    assert page.get_by_text('needs JavaScript').is_visible()
    c.close()

@pytest.mark.parametrize('names', [('part-0','part-1','part-2'), ('train-00000-of-00002','train-00001-of-00002','test-00000-of-00001')])
def test_a_folder_of_shards(capsys, names):
    "Parquet files of a folder are one table, those of a test part left out; what comes out is one file"
    g = np.random.default_rng(0)
    Path('shards/deep').mkdir(parents=True)
    parts = []
    for i,n in enumerate(names):
        y = g.integers(0, 2, 80)
        df = pd.DataFrame(dict(emb=list((g.normal(size=(80,6))+3*y[:,None]).astype('f4')), label=np.array(['a','b'])[y], n=range(100*i, 100*i+80)))
        df.to_parquet(Path('shards', 'deep' if i==1 else '')/f'{n}.parquet')
        parts.append(df)
    parts = [parts[i] for i in ([1,0,2] if names[0]=='part-0' else [1,0])] # by their paths
    want = pd.concat(parts, ignore_index=True)
    d = knet_clean('shards', 'out', label='label', fix='keep')
    assert len(d)==len(want) and 'parquet files, one after the other' in capsys.readouterr().out
    back = pd.read_parquet('out/cleaned.parquet')
    assert back.n.tolist()==want.n.tolist() and back.label.tolist()==want.label.tolist()
    assert d.set_index('row').given.sort_index().tolist()==want.label.tolist()
    knet_clean('shards', 'again', label='label', to='new.parquet', quiet=True)
    assert len(pd.read_parquet('new.parquet'))==len(want)
    with pytest.raises(ValueError, match='can be corrected as a .parquet, not as fixed'): knet_clean('shards', 'third', label='label', to='fixed')
    pd.DataFrame(dict(other=[1.,2])).to_parquet('shards/z.parquet')
    with pytest.raises(ValueError, match='z.parquet has other columns'): knet_clean('shards', 'fourth', label='label')

def test_features_without_the_classes(capsys):
    "Nothing is mended where neighbours know no more of a label than chance"
    g = np.random.default_rng(0)
    pd.DataFrame(g.normal(size=(400,5)), columns=list('abcde')).assign(label=np.arange(400)%2).to_csv('a.csv', index=False)
    knet_clean('a.csv', 'out')
    assert 'would by chance: the features do not tell the classes apart' in capsys.readouterr().out
    assert (pd.read_csv('out/cleaned.csv').label==np.arange(400)%2).all()
