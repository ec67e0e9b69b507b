"Sets that are larger than memory: kinds of sources, bad rows, kills, a cluster that loses a worker, the command"
import json,os,shutil,subprocess,sys,threading,time
from pathlib import Path
import numpy as np,pandas as pd,pyarrow as pa,pyarrow.dataset as pds,pyarrow.parquet as pq,pytest,torch
from PIL import Image
from knet_nb.classifier import KNetClassifier
from knet_nb.clean.command import knet_clean,main
from knet_nb.features import image_features
from knet_nb.neighbors import nearest
from knet_nb.streams import clean_stream,draw_sample,open_stream,rate_part
from knet_nb.tables import names_from_csv
import knet_nb.features as features,knet_nb.streams as streams,knet_nb.clean.command as command

how = dict(most=600, worst=50, k_max=21, epochs=3, device='cpu')

def points(n=1500, L=3):
    g = np.random.default_rng(0)
    true = g.integers(0, L, n)
    y = np.where(g.random(n)<.2, g.integers(0, L, n), true)
    return (3*np.eye(L,8)[true]+g.normal(size=(n,8))).astype(np.float32),np.array(['ant','bee','cow'])[y]

def vectors(x, kind='fixed'):
    if kind=='fixed': return pa.FixedSizeListArray.from_arrays(x.ravel(), x.shape[1])
    return pa.array(list(x), dict(list=pa.list_(pa.float32()), large=pa.large_list(pa.float64()), half=pa.list_(pa.float16()))[kind])

def shards(folder, x, y, parts=5, kind='fixed'):
    folder.mkdir()
    for i,at in enumerate(np.array_split(np.arange(len(x)), parts)):
        pq.write_table(pa.table(dict(v=vectors(x[at], kind), label=pa.array(y[at]))), folder/f'{i:02}.parquet', row_group_size=100)
    return folder

def all_labels(out): return pds.dataset(out/'labels').to_table().to_pandas().sort_values('row').reset_index(drop=True)

def test_kinds_of_sources_give_the_same(tmp_path):
    x,y = points()
    folder = shards(tmp_path/'shards', x, y)
    mapped = np.lib.format.open_memmap(tmp_path/'x.npy', 'w+', np.float32, x.shape)
    mapped[:] = x
    numbers = pa.table({**{f'x{i}':x[:,i] for i in range(8)}, 'label':pa.array(y).dictionary_encode()})
    sources = dict(folder=folder, address=f'file://{folder}', dataset=pds.dataset(folder), memmap=(mapped,y), batches=pds.dataset(folder).to_batches(),
                   numbers=numbers.to_batches(), lists=shards(tmp_path/'lists', x, y, 3, 'list'), large=shards(tmp_path/'large', x, y, 1, 'large'))
    for name,source in sources.items(): # the vectors are the only column of vectors; numbers have to be named
        blocks = [b for p in open_stream(source, features='x*' if name=='numbers' else None) for b in p.blocks()]
        assert np.array_equal(np.concatenate([b for b,_ in blocks]), x), name
        assert np.concatenate([np.asarray(b) for _,b in blocks]).tolist()==y.tolist(), name

def test_the_sample_is_fair_and_holds_every_class():
    x,y = points(4000)
    y[:3] = 'dog'
    drawn = [draw_sample(open_stream((x,y)), 400, seed) for seed in range(30)]
    assert all({0,1,2}<=set(d.rows) and 400<=len(d.rows)<=403 for d in drawn)
    rows = np.concatenate([d.rows for d in drawn])
    assert .45<(rows[rows>2]<2000).mean()<.55
    assert [int(c) for c in drawn[0].counts]==[(y==c).sum() for c in drawn[0].classes]

@pytest.mark.parametrize('bad, words', [ # of a block that begins with row 2
    (dict(v=[[1.,2.],[3.,None]], label=['a','b']), 'row 3 of all.*with a gap'),
    (dict(v=[[1.,2.],None], label=['a','b']), 'row 3 of all.*no vector there'),
    (dict(v=[[1.,2.],[3.]], label=['a','b']), 'row 3 of all.*another length than'),
    (dict(v=[[1.,2.],[3.,4.]], label=[1.,np.nan]), 'row 3 of all.*its label is missing'), (dict(v=[[1.,2.],[3.,4.]], label=['a','']), 'row 3 of all.*its label is missing'), (dict(v=[[1.,2.],[3.,np.inf]], label=['a','b']), 'row 3 of all.*no finite number'),
    (dict(v=[[1.,2.],[3.,4.]], label=['a',None]), 'row 3 of all.*its label is missing'), (dict(v=[[1.],[3.]], label=['a','b']), '1 features, 2 before'),
    (dict(v=[[1.,2.],[3.,4.]], label=[['a'],['b','c']]), 'several labels')])
def test_a_bad_row_is_named(tmp_path, bad, words):
    (tmp_path/'s').mkdir()
    pq.write_table(pa.table(dict(v=[[1.,2.],[0.,1.]], label=['a','b'])), tmp_path/'s/0.parquet')
    try: table = pa.table(bad)
    except pa.ArrowInvalid: pytest.skip('pyarrow cannot make it')
    parts = [*open_stream(tmp_path/'s')]
    more = open_stream(table.to_batches())[0]
    more.start,more.name = 2,'1'
    with pytest.raises(ValueError, match=words): draw_sample([*parts,more], 10)

def test_dictionaries_of_labels_and_empty_batches():
    "Polars numbers a dictionary without signs; it may hold entries that are not used, gaps, or one twice"
    v = vectors(np.ones((3,1), np.float32))
    for codes,held in (([0,2,0],['a','x','b']), ([0,2,0],['a',None,'b']), ([0,2,1],['a','a','b'])):
        for kind in (pa.int8(),pa.uint32(),pa.uint64()):
            b = pa.record_batch(dict(v=v, label=pa.DictionaryArray.from_arrays(pa.array(codes, kind), pa.array(held))))
            drawn = draw_sample(open_stream([b.slice(0, 0),b,b.slice(1, 0),b.slice(1)]), 9)
            assert drawn.classes==['a','b'] and drawn.y.tolist()==[0,1,0,1,0] and drawn.counts.tolist()==[3,2]
    gone = pa.record_batch(dict(v=v, label=pa.DictionaryArray.from_arrays(pa.array([0,None,0], pa.uint8()), pa.array(['a']))))
    with pytest.raises(ValueError, match='row 1 of all.*its label is missing'): draw_sample(open_stream([gone]), 9)
    with pytest.raises(ValueError, match='no rows'): open_stream([b.slice(0, 0)])

def test_numbers_as_labels_and_an_empty_file(tmp_path):
    x,y = points()
    folder = shards(tmp_path/'s', x, np.unique(y, return_inverse=True)[1].astype(np.int32))
    pq.write_table(pq.read_table(folder/'00.parquet').slice(0, 0), folder/'99.parquet')
    drawn = draw_sample(open_stream(folder), 2000)
    assert drawn.classes==['0','1','2'] and drawn.n==1500

def test_names_of_numbered_classes(tmp_path):
    meta = dict(info=dict(features=dict(label=dict(names=['ant','bee']))))
    t = pa.table(dict(v=[[1.],[2.],[3.]], label=[1,0,1])).replace_schema_metadata({'huggingface':json.dumps(meta)})
    pq.write_table(t, tmp_path/'a.parquet')
    assert draw_sample(open_stream(tmp_path/'a.parquet'), 9).classes==['ant','bee']
    pq.write_table(t.set_column(1, 'label', pa.array([1,2,0])), tmp_path/'a.parquet')
    with pytest.raises(ValueError, match='label 2 has no name'): draw_sample(open_stream(tmp_path/'a.parquet'), 9)

def test_a_bad_file_is_named_and_nothing_is_written(tmp_path):
    x,y = points()
    folder = shards(tmp_path/'s', x, y)
    pq.write_table(pa.table(dict(v=vectors(x[:2]), label=['a',None])), folder/'03.parquet')
    with pytest.raises(ValueError, match='03, row 901 of all'): clean_stream(folder, tmp_path/'out', **how)
    (folder/'02.parquet').write_bytes(b'PAR1 nothing')
    with pytest.raises(ValueError, match='02.parquet'): clean_stream(folder, tmp_path/'out', **how)
    assert not (tmp_path/'out').exists()

def test_a_killed_run_goes_on(tmp_path, monkeypatch):
    x,y = points()
    folder,done = shards(tmp_path/'s', x, y),[]
    clean_stream(folder, tmp_path/'whole', **how)
    rate = streams.rate_part
    def dies(part, *a):
        if len(done)==3: raise KeyboardInterrupt
        done.append(part.name)
        return rate(part, *a)
    monkeypatch.setattr(streams, 'rate_part', dies)
    with pytest.raises(KeyboardInterrupt): clean_stream(folder, tmp_path/'out', **how)
    assert len(list((tmp_path/'out/labels').iterdir()))==3 and not (tmp_path/'out/issues.csv').exists()
    old = {f:f.stat().st_mtime_ns for f in (tmp_path/'out/labels').iterdir()}
    (tmp_path/'out/labels/00001-01.parquet').write_bytes(b'half') # as no run of ours leaves it
    monkeypatch.setattr(streams, 'rate_part', rate)
    said = []
    clean_stream(folder, tmp_path/'out', say=said.append, **how)
    pd.testing.assert_frame_equal(all_labels(tmp_path/'out'), all_labels(tmp_path/'whole'))
    assert '2 parts are there already' in said and sum(f.stat().st_mtime_ns==t for f,t in old.items())==2
    for n in ('issues.csv','stream.json'): assert (tmp_path/'out'/n).read_text()==(tmp_path/'whole'/n).read_text()
    clean_stream(folder, tmp_path/'out', **how|dict(epochs=4)) # another classifier
    assert not any(f.stat().st_mtime_ns==t for f,t in old.items())

def test_other_data_are_rated_anew(tmp_path):
    "A label that is mended in a row that was not drawn leaves the classifier as it is; so do other names of the classes"
    x,y = points()
    folder = shards(tmp_path/'s', x, y)
    clean_stream(folder, tmp_path/'out', **how)
    row = next(i for i in range(1500) if i not in draw_sample(open_stream(folder), how['most']).rows)
    y[row] = 'ant' if y[row]!='ant' else 'bee'
    for names in (y,np.char.add('my ', y)):
        shutil.rmtree(folder); shards(folder, x, names)
        clean_stream(folder, tmp_path/'out', **how)
        assert all_labels(tmp_path/'out').given.tolist()==names.tolist()
    clf = KNetClassifier(k_max=21, epochs=3, device='cpu').fit_stream(folder, most=600)
    for _ in range(2): assert rate_part(open_stream(folder)[0], clf, tmp_path/'one.parquet')['rows']==300 # without a key

def test_results_stay_away_from_data_and_files_of_others(tmp_path):
    x,y = points()
    folder = shards(tmp_path/'labels', x, y)
    for source in (folder,pds.dataset(folder),f'file://{folder}',open_stream(folder)): # its own labels/ would be the data
        for out in (folder/'out',tmp_path):
            with pytest.raises(ValueError, match='within the data'): clean_stream(source, out, **how)
    mine = tmp_path/'mine'
    (mine/'labels').mkdir(parents=True)
    for name in ('stream.json','issues.csv','labels/half.parquet'):
        (mine/name).write_text('{"mine": 1}')
        with pytest.raises(ValueError, match=f'{name} is of something else'): clean_stream(folder, mine, **how)
        assert (mine/name).read_text()=='{"mine": 1}' and len(list(mine.iterdir()))<=2
        (mine/name).unlink()
    clean_stream(folder, mine, **how)
    clean_stream(folder/'00.parquet', tmp_path/'by its side', **how)

def test_rows_have_the_order_of_the_table(tmp_path):
    "Of a dataset its own; of a folder that of knet-clean, which reads a/ before a-b/"
    x,y = points(60)
    folder = tmp_path/'s'; folder.mkdir()
    (shards(folder/'a', x[:30], y[:30], 2)/'00.parquet').rename(folder/'a/train 0.PARQUET')
    shards(folder/'a-b', x[30:], y[30:], 2)
    files = [folder/'a-b/00.parquet',folder/'a/train 0.PARQUET',folder/'a/01.parquet']
    read = lambda source: np.concatenate([b for p in open_stream(source) for b,_ in p.blocks()])
    for ds in (pds.dataset(files),pds.dataset([pds.dataset(f) for f in files])):
        assert read(ds).tolist()==ds.to_table()['v'].to_pylist()
    whole = knet_clean(folder, tmp_path/'whole', k_max=5, device='cpu', quiet=True).sort_values('row')
    knet_clean(folder, tmp_path/'out', k_max=5, device='cpu', quiet=True, stream=True)
    assert all_labels(tmp_path/'out').given.tolist()==whole.given.tolist()
    shutil.copy(files[0], folder/'a/test 0.parquet')
    assert len(read(folder))==len(read(f'file://{folder}'))==60

def test_files_that_do_not_go_together(tmp_path):
    x = np.ones((2,1), np.float32)
    def write(*labels, names=()):
        for i,l in enumerate(labels):
            meta = [dict(info=dict(features=dict(label=dict(names=o)))) for o in names[i:i+1]]
            t = pa.table(dict(v=vectors(x), label=l) if l is not None else dict(v=vectors(x)))
            pq.write_table(t.replace_schema_metadata({'huggingface':json.dumps(meta[0])} if meta else None), tmp_path/f'{i}.parquet')
        return open_stream(tmp_path)
    with pytest.raises(ValueError, match='00001-1 has no columns .label.'): write([0,1], None)
    for other in ([0.,1.],[True,False]):
        with pytest.raises(ValueError, match='00001-1: labels in column .label. are .*, but int64'): write([0,1], other)
    assert draw_sample(write([0,1], ['0','1']), 9).classes==['0','1']
    parts = write([0,1], [0,1], names=(['a','b'],['b','a'])) # each file has names of its own
    assert [o for p in parts for _,y in p.blocks() for o in y]==['a','b','b','a']

def test_features_that_are_none(tmp_path):
    t = pa.table(dict(v=vectors(np.ones((2,2), np.float32)), a=[1.,2.], b=[3.,4.], label=[0,1]))
    for named in (dict(features='v,a'),dict(features='a,v'),dict(features='*'),dict(features='a,label'),dict(embedding='label')):
        with pytest.raises(ValueError, match='taken alone|cannot be a feature'): open_stream(t.to_batches(), **named)
    for named in (['v'],['a','b']): assert open_stream(t.to_batches(), features=','.join(named))[0].columns==named

def test_names_that_a_csv_would_change(tmp_path):
    x,y = points()
    names = np.array(['NA','01','=1+1'], object)[np.unique(y, return_inverse=True)[1]]
    found = clean_stream((x,names), tmp_path/'out', **how)
    assert names_from_csv(pd.read_csv(tmp_path/'out/issues.csv').given).tolist()==found.given.tolist()==names[found.row].tolist()

@pytest.mark.parametrize('kind', [bool,float,np.uint8])
def test_arrays_of_labels_of_other_kinds(tmp_path, kind):
    x,y = points()
    y = (y=='ant').astype(kind)
    clean_stream((x,y), tmp_path/'out', **how)
    assert all_labels(tmp_path/'out').given.tolist()==[str(o) for o in y.tolist()]
    assert json.loads((tmp_path/'out/stream.json').read_text())['classes']==np.unique(y).tolist()

def test_some_of_the_parts_and_a_numpy_seed():
    x,y = points(900)
    parts = [p for i in (0,1,2) for p in open_stream((x[300*i:][:300],y[300*i:][:300]))]
    for i,p in enumerate(parts): p.start = 300*i
    for p in parts: p.source = x,y
    s = draw_sample(parts[1:], 50)
    assert min(s.rows)>=300 and np.array_equal(s.x, x[s.rows])
    a,b = [KNetClassifier(k_max=5, epochs=1, device='cpu', random_state=o).fit_stream((x,y), most=100) for o in (5,np.int64(5))]
    assert a.label_issues_.given.tolist()==b.label_issues_.given.tolist()

def test_columns_in_units_of_their_own(tmp_path):
    "They are standardised, as in memory: one in seconds since 1970 does not hide the others; and rows are rated as they are"
    x,y = points(2000)
    junk = 1.7e9+1e6*np.random.default_rng(1).random(2000)
    units = 10.**np.arange(8)
    t = pa.table({**{f'x{i}':x[:,i].astype(float)*units[i] for i in range(8)}, 'when':junk, 'label':pa.array(y)})
    m = KNetClassifier(k_max=21, random_state=0, device='cpu').fit_stream(t.to_batches(), features='x*,when')
    raw = np.column_stack([x*units,junk])
    z = ((raw-raw.mean(0))/raw.std(0)).astype(np.float32)
    same = KNetClassifier(k_max=21, random_state=0, device='cpu').fit(z, y)
    assert (m.label_issues_.is_issue.to_numpy()==same.label_issues_.is_issue.to_numpy()).mean()>.995
    assert (m.rate_labels(raw, y).is_issue.to_numpy()==m.label_issues_.is_issue.to_numpy()).mean()>.999
    odd = pd.DataFrame(raw, columns=[*(f'x{i}' for i in range(8)),'when'])[::-1][['when',*(f'x{i}' for i in range(8))]]
    assert (np.array(m.knet_.classes)[m.knet_.predict(odd, m.k_)]==m.predict(raw[::-1])).mean()>.99
    assert m.knet_.columns[-1]=='when'

@pytest.mark.parametrize('metric', ('euclidean','cosine'))
def test_neighbours_among_all_rows(tmp_path, monkeypatch, metric):
    "However the rows are cut, with equal rows and near ties, they are those of one search"
    monkeypatch.setattr(streams, 'block_rows', 64)
    x,y = points(500)
    x[100:140],x[300] = x[:40],x[301]*np.float32(1+1e-6)
    folder = shards(tmp_path/'s', x, y, 7)
    own = torch.arange(0, 500, 7)
    d,ids = streams.nearest_stream(folder, x[own], 90, metric, rows=own)
    true_d,_ = nearest(torch.as_tensor(x).double(), k=90, metric=metric, rows=own)
    assert torch.equal(d, true_d.float()) and not (ids==own[:,None]).any() and all(len(set(o))==90 for o in ids.tolist())
    there = torch.cdist(torch.as_tensor(x[own]).double()[:,None], torch.as_tensor(x).double()[ids])[:,0]
    if metric=='euclidean': assert torch.allclose(there.float(), d, atol=1e-5)
    with pytest.raises(ValueError, match='8 features per row, queries have 3'): streams.nearest_stream(folder, x[:2,:3], 3)
    with pytest.raises(ValueError, match='500'): streams.nearest_stream(folder, x[:2], 501)
    with pytest.raises(ValueError, match='rows'): streams.nearest_stream(folder, x[:2], 5, rows=[1,500])
    if metric=='cosine': # no direction: named by its number in the stream, not in its block
        with pytest.raises(ValueError, match='row 301 of all.*all zeros'): streams.nearest_stream((np.where(np.arange(500)[:,None]==301, 0, x),y), x[:2], 5, metric)

def test_ray_with_a_lost_worker(tmp_path, monkeypatch):
    "Two workers, one of which is killed while it rates: the files are those of one machine; and so are features of images, and neighbours"
    ray = pytest.importorskip('ray')
    monkeypatch.setenv('RAY_worker_niceness', '0') # its workers are nicer than other work, and would wait for it
    monkeypatch.setenv('RAY_raylet_start_wait_time_s', '120')
    x,y = points(6000)
    folder = shards(tmp_path/'s', x, y, 6)
    clean_stream(folder, tmp_path/'one', **how)
    monkeypatch.setattr(features, 'block_size', 3) # images of a task
    pictures = [f'{i}.png' for i in range(7)]
    for i,p in enumerate(pictures): Image.fromarray(np.random.default_rng(i).integers(0, 256, (32,40,3), np.uint8)).save(tmp_path/p)
    rate,alive = streams.rate_part,tmp_path/'alive'
    alive.mkdir()
    def slow(part, *a):
        (alive/f'{part.name}.{os.getpid()}').touch()
        time.sleep(1)
        return rate(part, *a)
    killed = []
    def kill():
        while not (found := list(alive.iterdir())): time.sleep(.05)
        time.sleep(.5)
        killed.append(int(found[0].suffix[1:])); os.kill(killed[0], 9)
    try:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        monkeypatch.setattr(streams, 'rate_part', slow)
        thread = threading.Thread(target=kill); thread.start()
        clean_stream(folder, tmp_path/'two', engine='ray', **how)
        thread.join()
        alike = [image_features(pictures, 'lite:lite0', tmp_path, cache=False, device='cpu', **on) for on in ({},dict(engine='ray'))]
        near = [streams.nearest_stream(folder, x[:50], 1500, **on) for on in ({},dict(engine='ray'))] # more than a part has
    finally: ray.shutdown()
    assert torch.equal(*alike) and all(map(torch.equal, *near))
    pids = {int(f.suffix[1:]) for f in alive.iterdir()}-{os.getpid()}
    assert killed and killed[0] in pids and len(pids)>=2
    pd.testing.assert_frame_equal(all_labels(tmp_path/'two'), all_labels(tmp_path/'one'))
    assert (tmp_path/'two/issues.csv').read_text()==(tmp_path/'one/issues.csv').read_text()

def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    x,y = points()
    shards(Path('s'), x, y)
    res = knet_clean('s', 'out', stream=True, k_max=21, rows=70, device='cpu')
    assert len(res)==70 and len(all_labels(Path('out')))==1500 and json.loads(Path('out/stream.json').read_text())['rows']==1500
    assert 'labels look wrong' in (said := capsys.readouterr().out) and 'out: labels/' in said
    knet_clean('s', 'whole', k_max=21, device='cpu', quiet=True, fix='keep')
    a,b = pd.read_csv('whole/issues.csv').set_index('row').is_issue,all_labels(Path('out')).set_index('row').is_issue
    assert (a.sort_index()==b).mean()>.97 # fitted to the same rows
    for args,words in (('--stream --fix drop','does not go with fix='), ('--stream --no-flip','no_flip= is for images'),
                       ('--engine ray','here is neither'), ('--stream --engine spark',"'local' or 'ray'")):
        with pytest.raises(SystemExit) as e: main(['s','--out','no',*args.split()])
        assert e.value.code and words in str(capsys.readouterr())
    assert not Path('no').exists()
    monkeypatch.setattr(command, '_many', 1000) # a table of many rows is read so by itself
    knet_clean('s', 'out', k_max=21, device='cpu')
    assert 'kNet is fitted' in capsys.readouterr().out
    monkeypatch.undo(); monkeypatch.chdir(tmp_path)
    knet_clean('s', 'out', k_max=21, device='cpu', quiet=True, fix='keep') # and no more
    assert Path('out/report.html').exists() and not Path('out/labels').exists() and not Path('out/stream.json').exists()
