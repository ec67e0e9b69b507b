"What a session with `LabelCleaner` must survive: kills, full disks, odd images and labels, 100,000 rows"
import io,os,re,signal,subprocess,sys,time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
import matplotlib.pyplot as plt,numpy as np,pandas as pd,pytest,torch
from hypothesis import given,settings,strategies as st
from PIL import Image
from knet_nb.clean.cleaner import LabelCleaner
from knet_nb.clean.decisions import line_check,step_lines
from knet_nb.clean.explorer import KExplorer
from knet_nb.images import as_pixels,data_uri,open_image,to_png,unreadable_png
from knet_nb.knet import KNet

def frame(given, suggested=None, seed=0):
    r = np.random.default_rng(seed)
    given = np.asarray(given)
    suggested = np.roll(given, 1) if suggested is None else np.asarray(suggested)
    return pd.DataFrame(dict(given=given, suggested=suggested, p_given=.1, p_suggested=.8, score=r.random(len(given)), is_issue=given!=suggested))

def blank(i): return np.zeros((4,4), np.uint8)

endless = '''
import sys,numpy as np
sys.path.insert(0, {tests!r})
from test_widgets import *
c = LabelCleaner(frame(np.arange(50000)%7), blank, path={path!r})
print('start', len(c.decisions), flush=True)
for n in range(100000):
    if n%5==4: c.undo()
    else: (c.keep,c.accept,c.drop)[n%3]() if n%7 else c.change(3)
    print(c.progress['keep']+c.progress['accept']+c.progress['change']+c.progress['drop'], c.row, flush=True)
'''

def test_killed_at_any_moment(tmp_path, root):
    "What was reported as done is on disk, and the next session goes on from it"
    df,path = frame(np.arange(50000)%7),tmp_path/'d.csv'
    c = LabelCleaner(df, blank, path=path)
    for _ in range(3): c.keep()
    code = endless.format(tests=str(root/'tests'), path=str(path))
    p = subprocess.Popen([sys.executable,'-W','ignore','-c',code], stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline().split()==['start','3']
    time.sleep(.2); p.send_signal(signal.SIGKILL)
    done = [int(o.split()[0]) for o in p.stdout.read().splitlines(True) if o.endswith('\n')]
    p.wait()
    c = LabelCleaner(df, blank, path=path)
    known = len(c.decisions)
    assert known-(done[-1] if done else 3) in (-1,0,1) # the step after the last report may be there: one more, or one undone
    assert len(c.steps)==known>=3

def test_full_disk(tmp_path):
    "A decision that cannot be saved is not made; the file stays whole"
    resource = pytest.importorskip('resource')
    c = LabelCleaner(frame(np.arange(100)%7), blank, path=tmp_path/'d.csv')
    c.keep(); c.accept()
    before,text,row = c.decisions,(tmp_path/'d.csv').read_bytes(),c.row
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(text)+3, old[1]))
    try:
        with pytest.raises(OSError): c.drop()
    finally: resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert (tmp_path/'d.csv').read_bytes()==text and c.row==row
    pd.testing.assert_frame_equal(c.decisions, before)
    c.drop()
    assert len(LabelCleaner(frame(np.arange(100)%7), blank, path=tmp_path/'d.csv').decisions)==3

names = ['a','b,c','"q"','<b>','ü','#x',' s']
step = st.one_of(st.sampled_from(['keep','accept','drop','undo','resume']), st.integers(0, 6),
                 st.tuples(st.one_of(st.integers(0, 19), st.lists(st.integers(0, 19), min_size=1, max_size=4)), st.sampled_from(['keep','accept','drop'])))

@settings(max_examples=60, deadline=None)
@given(st.lists(step, max_size=25))
def test_any_session(tmp_path_factory, steps):
    "Any sequence of decisions, undos and restarts is what a list of all of them would be"
    path = tmp_path_factory.mktemp('s')/'d.csv'
    df = frame(np.arange(20)%7)
    c,history = LabelCleaner(df, blank, names, path=path),[]
    for s in steps:
        if s=='resume': c = LabelCleaner(df, blank, names, path=path); continue
        if s=='undo':
            if history: c.undo(); history.pop()
            else:
                with pytest.raises(ValueError, match='nothing to undo'): c.undo()
            continue
        row,what = (c.row,s) if not isinstance(s, tuple) else s
        if isinstance(what, int): c.change(names[what], row)
        else: getattr(c, what)(row)
        history.append((row, what))
    expect = {}
    for row,what in ((r,w) for rows,w in history for r in (rows if isinstance(rows, list) else [rows])):
        g,sug = df.given[row],df.suggested[row]
        label = dict(keep=g, accept=sug, drop=None).get(what, what) if isinstance(what, str) else what
        expect[row] = ('drop' if what=='drop' else 'keep' if label==g else 'accept' if label==sug else 'change', label)
    for o in (c,LabelCleaner(df, blank, names, path=path)):
        d = o.decisions
        assert {r:(a,b) for r,a,b in zip(d.index, d.decision, d.label)}==expect
    lab = c.labels()
    assert lab.label.tolist()==[expect.get(i, (0,None))[1] if expect.get(i, (0,None))[1] is not None else df.given[i] for i in range(20)]
    assert c.apply(df.given).tolist()==lab.label[~lab.dropped].tolist()

def test_several_rows_are_one_step(tmp_path):
    df = frame(np.arange(30)%3)
    c = LabelCleaner(df, blank, path=tmp_path/'d.csv')
    c.keep(range(10)); c.drop([3,4]); c.undo()
    assert len(c.decisions)==10 and set(c.decisions.decision)=={'keep'}
    c.undo(); assert len(c.decisions)==0 and len((tmp_path/'d.csv').read_text().splitlines())==2

def test_undo_of_several_rows_after_a_restart(tmp_path):
    df,path = frame(np.arange(30)%3),tmp_path/'d.csv'
    again = lambda: LabelCleaner(df, blank, path=path)
    c = again(); c.keep(5); c.accept([10,11,12]); c.drop([11,20]); c.keep([3,3])
    for want in ([5,10,11,12,20],[5,10,11,12],[5],[]): # a new session for each
        c = again(); c.undo()
        assert c.decisions.index.tolist()==again().decisions.index.tolist()==want
        if want[2:3]: assert c.decisions.decision[11]==('drop' if 20 in want else 'accept')
    with pytest.raises(ValueError, match='nothing to undo'): again().undo()

@pytest.mark.filterwarnings('ignore:the last step of')
def test_cut_anywhere(tmp_path):
    "Whatever of the file has reached the disk: whole steps are there, a half one is not, and the work goes on behind them"
    df,path = frame(np.arange(30)%3),tmp_path/'d.csv'
    c = LabelCleaner(df, blank, path=path)
    c.keep(5); head = len(path.read_bytes().split(b'5,')[0])
    steps,ends = [[5],[10,11,12],[1],[7,8]],[path.stat().st_size]
    for rows in steps[1:]: c.drop(rows); ends.append(path.stat().st_size)
    whole = path.read_bytes()
    for n in range(head, len(whole)+1):
        path.write_bytes(whole[:n])
        c = LabelCleaner(df, blank, path=path)
        known = steps[:sum(e<=n for e in ends)]
        assert c.decisions.index.tolist()==sorted(sum(known, [])) and len(c.steps)==len(known)
        assert path.read_bytes()==whole[:n] # reading changes nothing
        c.keep(2 if n%2 else [2,3])
        again = LabelCleaner(df, blank, path=path)
        pd.testing.assert_frame_equal(again.decisions, c.decisions)
        for _ in range(len(known)+1): again.undo()
        assert not len(again.steps) and not len(again.decisions)

def forked(f):
    "The exit code of a copy of this process that does `f`; it is as if another program had been started, but needs no imports"
    if not (pid := os.fork()):
        try: f(); os._exit(0)
        finally: os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def die(*_): os.kill(os.getpid(), signal.SIGKILL)

def dies_after(f): return lambda *a: (f(*a),die())

def half_written(path, data):
    "A write that gets no further than the fifth line"
    with open(path, 'wb') as f: f.write(b''.join(data.splitlines(True)[:5]))
    die()

def dies(at):
    "Kill this process at some moment of the next writing"
    sync,replace = os.fsync,os.replace
    if at=='within the lines': Path.write_bytes = half_written
    if at=='before the file is synced': os.fsync = die
    if at=='after the file is synced': os.fsync = dies_after(sync)
    if at=='before it takes its place': os.replace = die
    if at=='after it took its place': os.replace = dies_after(replace)
    if at=='before the folder is synced': os.replace = lambda *a: (replace(*a),setattr(os, 'fsync', die))

old,new = ['within the lines','before the file is synced','after the file is synced','before it takes its place'],['after it took its place','before the folder is synced']

@pytest.mark.parametrize('what,args', [('drop',([10,11,12],)),('undo',())])
@pytest.mark.parametrize('at', old+new)
def test_killed_within_a_step(tmp_path, at, what, args):
    "The file has the whole step or nothing of it, and what was acknowledged before"
    df,path = frame(np.arange(30)%3),tmp_path/'d.csv'
    c = LabelCleaner(df, blank, path=path); c.keep(5); c.accept([1,2,3])
    def act(): dies(at); getattr(c, what)(*args)
    assert forked(act)==-signal.SIGKILL
    c = LabelCleaner(df, blank, path=path)
    before,after = [1,2,3,5],[1,2,3,5,10,11,12] if what=='drop' else [5]
    assert c.decisions.index.tolist()==(before if at in old else after)
    c.keep(20); n = len(c.steps)
    c = LabelCleaner(df, blank, path=path)
    assert len(c.steps)==n and c.kind[20]
    for _ in range(n): c.undo()
    assert not len(LabelCleaner(df, blank, path=path).decisions)

def test_through_to_the_disk(tmp_path, monkeypatch):
    "Power may fail: the new file is on the disk before it takes the old one's place, and its name is there before a decision counts as made"
    c,did = LabelCleaner(frame(np.arange(30)%3), blank, path=tmp_path/'d.csv'),[]
    sync,replace = os.fsync,os.replace
    def synced(fd):
        there = Path(f'/dev/fd/{fd}').resolve() if sys.platform!='linux' else Path(os.readlink(f'/proc/self/fd/{fd}'))
        did.append(('sync', 'folder' if there==tmp_path else there.read_bytes())); sync(fd)
    monkeypatch.setattr(os, 'fsync', synced)
    monkeypatch.setattr(os, 'replace', lambda a,b: (did.append(('replace', Path(b).name)),replace(a, b)))
    for act in (c.keep,lambda: c.drop([7,8]),c.undo):
        did.clear(); act()
        assert did==[('sync',(tmp_path/'d.csv').read_bytes()),('replace','d.csv'),('sync','folder')]

def test_a_disk_that_fails(tmp_path, monkeypatch):
    "What could not be synced is not decided, and said so"
    c = LabelCleaner(frame(np.arange(30)%3), blank, path=tmp_path/'d.csv'); c.keep()
    text,row = (tmp_path/'d.csv').read_bytes(),c.row
    def broken(fd): raise OSError(5, 'Input/output error')
    with monkeypatch.context() as m:
        m.setattr(os, 'fsync', broken)
        with pytest.raises(OSError, match='Input/output error'): c.drop()
    assert (tmp_path/'d.csv').read_bytes()==text and c.row==row and len(c.steps)==1 and [o.name for o in tmp_path.iterdir()]==['d.csv']
    c.drop(); assert len(LabelCleaner(frame(np.arange(30)%3), blank, path=tmp_path/'d.csv').decisions)==2

def test_two_at_the_same_time(tmp_path):
    "Two programs decide as quickly as they can: whatever was acknowledged to either of them is there"
    df,path = frame(np.arange(300)%3),tmp_path/'d.csv'
    def decide(me):
        for row in range(me, 60, 2):
            while True:
                c = LabelCleaner(df, blank, path=path)
                try: c.keep(row); break
                except OSError as e: assert 'by another program' in str(e)
    with ThreadPoolExecutor(2) as pool: assert list(pool.map(lambda me: forked(partial(decide, me)), [0,1]))==[0,0]
    c = LabelCleaner(frame(np.arange(300)%3), blank, path=path)
    assert c.decisions.index.tolist()==list(range(60)) and len(c.steps)==60

def test_two_cleaners_on_one_file(tmp_path):
    "The second to decide is refused, whether the file was there before or not; made again, it goes on from the first one's decision"
    df,path = frame(np.arange(30)%3),tmp_path/'d.csv'
    again = lambda: LabelCleaner(df, blank, path=path)
    for there,says in ((False,'made'),(True,'changed')):
        a,b = again(),again()
        a.drop(3); text = path.read_bytes()
        with pytest.raises(OSError, match=f'{says} by another program'): b.keep(4)
        if there:
            with pytest.raises(OSError, match='changed by another program'): b.undo()
        assert path.read_bytes()==text and not b.kind[4]
        c = again(); c.keep(4); assert c.decisions.index.tolist()==[3,4]
        with pytest.raises(OSError, match='changed by another program'): a.undo()
        c.undo()
    path.unlink()
    with pytest.raises(OSError, match='removed by another program'): c.keep(4)
    assert not path.exists()

def test_the_same_size_and_time(tmp_path):
    "Another program's change is seen where neither tells it"
    df,path = frame(np.arange(30)%3),tmp_path/'d.csv'
    c = LabelCleaner(df, blank, path=path); c.keep(5); c.drop(6)
    before = path.stat()
    with open(path, 'r+b') as f: f.write(path.read_bytes().replace(*(step_lines([i], [''], ['2'], ['keep'], ['2']) for i in (5,8))))
    os.utime(path, ns=(before.st_atime_ns,before.st_mtime_ns))
    assert path.stat().st_size==before.st_size
    with pytest.raises(OSError, match='changed by another program'): c.undo()
    touched = LabelCleaner(df, blank, path=path)
    os.utime(path); touched.keep(9) # the same bytes at another time are no change
    assert LabelCleaner(df, blank, path=path).decisions.index.tolist()==[6,8,9]

def test_the_file_stays_where_it_is(tmp_path, monkeypatch):
    "Another working folder, or a link to the file, makes no second one"
    df = frame(np.arange(30)%3)
    (tmp_path/'a').mkdir(); (tmp_path/'b').mkdir()
    monkeypatch.chdir(tmp_path/'a')
    (tmp_path/'b/link.csv').symlink_to(tmp_path/'a/d.csv')
    c = LabelCleaner(df, blank, path='d.csv'); c.keep(1)
    monkeypatch.chdir(tmp_path/'b')
    c.keep(2)
    linked = LabelCleaner(df, blank, path='link.csv'); linked.keep(3)
    assert (tmp_path/'b/link.csv').is_symlink() and not (tmp_path/'b/d.csv').exists()
    assert LabelCleaner(df, blank, path=tmp_path/'a/d.csv').decisions.index.tolist()==[1,2,3]

def test_a_file_without_steps(tmp_path):
    "Is none of decisions"
    df,path = frame(np.arange(30)%3),tmp_path/'d.csv'
    c = LabelCleaner(df, blank, ['a','b,c','d '], path=path); c.keep(7); c.change('b,c', 2)
    old = re.sub('(,step,check|,1 of 1,[0-9a-f]*)$', '', path.read_text(), flags=re.M)
    path.write_text(old)
    with pytest.raises(ValueError, match=re.escape(f'{path} is not a file of decisions: its second line is not row,path,given,decision,label,step,check')):
        LabelCleaner(df, blank, ['a','b,c','d '], path=path)
    assert path.read_text()==old

def test_a_file_from_a_spreadsheet(tmp_path):
    "A mark before UTF-8 is read over; semicolons are named, and nothing is lost"
    df,path = frame(np.arange(30)%3),tmp_path/'d.csv'
    c = LabelCleaner(df, blank, ['a','b,c','d '], path=path); c.keep(7); c.change('b,c', 2)
    plain = path.read_bytes()
    path.write_bytes(b'\xef\xbb\xbf'+plain)
    again = LabelCleaner(df, blank, ['a','b,c','d '], path=path)
    pd.testing.assert_frame_equal(again.decisions, c.decisions)
    again.keep(9)
    assert LabelCleaner(df, blank, ['a','b,c','d '], path=path).decisions.index.tolist()==[2,7,9]
    for mark in (b'',b'\xef\xbb\xbf'):
        path.write_bytes(kept := mark+plain.replace(b',', b';'))
        with pytest.raises(ValueError, match='saved by another program, a spreadsheet perhaps'): LabelCleaner(df, blank, ['a','b,c','d '], path=path)
        assert path.read_bytes()==kept
    for form in ('utf-16','utf-16-le','utf-16-be'):
        path.write_bytes(plain.decode().encode(form))
        with pytest.raises(ValueError, match='saved by another program, a spreadsheet perhaps'): LabelCleaner(df, blank, ['a','b,c','d '], path=path)
    path.write_bytes(plain.replace(b'\n', b',,,,,,\n', 1))
    with pytest.raises(ValueError, match='saved by another program, a spreadsheet perhaps'): LabelCleaner(df, blank, ['a','b,c','d '], path=path)
    for end in (b'\n',b'\n\n',b'\r\n\r\n'):
        path.write_bytes(plain+end)
        assert LabelCleaner(df, blank, ['a','b,c','d '], path=path).decisions.index.tolist()==[2,7]
    path.write_bytes(plain.replace(b'keep', b'drop'))
    with pytest.raises(ValueError, match='line 3: cannot take the decision.*changed since it was written.*decide again'):
        LabelCleaner(df, blank, ['a','b,c','d '], path=path)

def test_lines_of_an_editor(tmp_path):
    "Windows' line ends, and a line that somebody has removed"
    df,path = frame(np.arange(30)%3),tmp_path/'d.csv'
    c = LabelCleaner(df, blank, ['a','b,c','d '], path=path); c.drop([1,2,3]); c.keep(7); c.change('b,c', 5)
    known = c.decisions
    path.write_bytes(path.read_bytes().replace(b'\n', b'\r\n'))
    c = LabelCleaner(df, blank, ['a','b,c','d '], path=path)
    pd.testing.assert_frame_equal(c.decisions, known)
    c.undo(); c.keep(9)
    path.write_bytes(re.sub(b'2,,d ,drop,,2 of 3,[0-9a-f]{8}\r\n', b'', path.read_bytes()))
    c = LabelCleaner(df, blank, ['a','b,c','d '], path=path)
    assert c.decisions.index.tolist()==[1,3,7,9] and len(c.steps)==4

def test_many_decisions_are_quick(tmp_path, monkeypatch):
    "At 100,000 rows and after 50,000 decisions, what Python does for one is small beside the disk; so is going on from the file"
    df = frame(np.arange(100_000)%10)
    c = LabelCleaner(df, blank, path=tmp_path/'d.csv')
    file,c.steps.file = c.steps.file,None
    rows = np.random.default_rng(0).permutation(100_000)[:50_000]
    for r in rows[:2000].tolist(): c.steps.add([r], [1], [c.given[r]])
    c.keep(rows[2000:]); c.steps.file = file
    c.keep(); monkeypatch.setattr(os, 'fsync', lambda fd: None)
    took = []
    for _ in range(9): start = time.process_time(); c.keep(); took.append(time.process_time()-start)
    assert sorted(took)[4]<.03, took
    start = time.process_time(); again = LabelCleaner(df, blank, path=tmp_path/'d.csv')
    assert time.process_time()-start<2 and len(again.steps)==2011 and (again.kind==c.kind).all()

def test_the_same_labels_in_another_order(tmp_path):
    df = frame(np.arange(30)%3)
    LabelCleaner(df, blank, path=tmp_path/'d.csv').keep()
    other = df.iloc[::-1].reset_index(drop=True)
    with pytest.raises(ValueError, match='on other labels, or on these in another order, as of another ranking or another run: .*Give the issues in the order they had'):
        LabelCleaner(other, blank, path=tmp_path/'d.csv')
    with pytest.raises(ValueError, match='has decisions on other labels: it is.* for 30 labels.*for 29 labels'): LabelCleaner(df[:29], blank, path=tmp_path/'d.csv')

@pytest.mark.parametrize('kind', ['int','str','float','bool','category','object'])
def test_kinds_of_labels(tmp_path, kind):
    y = dict(int=np.arange(12)%3, str=np.array(['x','yy','zzz'])[np.arange(12)%3], float=np.arange(12)%3/2, bool=np.arange(12)%2==0,
             category=pd.Categorical(np.array(['x','yy','zzz'])[np.arange(12)%3]), object=np.array(['x','yy','zzz']*4, object))[kind]
    df = pd.DataFrame(dict(given=y, suggested=y[::-1], p_given=.1, p_suggested=.8, score=np.linspace(0, 1, 12), is_issue=True))
    c = LabelCleaner(df, blank, path=tmp_path/'d.csv')
    for _ in range(5): c.accept()
    c.drop()
    c = LabelCleaner(df, blank, path=tmp_path/'d.csv')
    assert c.labels().label.tolist()==[*y[::-1][:5], *y[5:]] and c.labels().dropped.sum()==1
    if kind!='category': assert list(c.apply(y))==[*y[::-1][:5], *y[6:]]
    assert list(c.apply(list(y)))==[*y[::-1][:5], *y[6:]]

def test_labels_of_two_kinds():
    y = np.array([1,'a',2.5]*4, object)
    df = pd.DataFrame(dict(given=y, suggested=y[::-1], p_given=.1, p_suggested=.8, score=0., is_issue=True))
    with pytest.raises(ValueError, match='labels must all be of one kind, got numbers, text'): LabelCleaner(df, blank, path=None)

def test_apply_keeps_the_kind():
    y = torch.arange(6)
    c = LabelCleaner(frame(y.numpy()), blank, path=None)
    c.drop(2); c.change(5, 0)
    got,x,files = c.apply(y, pd.DataFrame(dict(a=range(6))), list('abcdef'))
    assert torch.equal(got, torch.tensor([5,1,3,4,5])) and got.dtype==y.dtype and x.a.tolist()==[0,1,3,4,5] and files==list('abdef')
    s = pd.Series(y.numpy(), index=list('uvwxyz'), name='n')
    assert c.apply(s).index.tolist()==list('uvxyz') and c.apply(s).name=='n'

@pytest.mark.parametrize('shape', [(5,7),(1,5,7),(5,7,1),(3,5,7),(5,7,3),(4,5,7),(5,7,4)])
@pytest.mark.parametrize('dtype', ['uint8','float32','int64','bool','float16'])
def test_layouts(shape, dtype):
    a = (np.random.default_rng(0).random(shape)*(1 if dtype in ('float32','float16') else 2)).astype(dtype)
    for o in (a, torch.as_tensor(a)):
        p = as_pixels(o)
        assert p.shape==((5,7,max(set(shape)-{5,7})) if max(set(shape)-{5,7}, default=1)>1 else (5,7)) and p.dtype==np.uint8
    assert to_png(open_image(a), 32)[:4]==b'\x89PNG'

def test_image_files(tmp_path):
    "Palettes, transparency, 16 bits, a turned photo, and files that are none"
    rgb = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40,60,3), dtype=np.uint8))
    exif = Image.Exif(); exif[0x0112] = 6 # turned by 90 degrees
    rgb.save(tmp_path/'turned.jpg', exif=exif)
    rgb.convert('P').save(tmp_path/'p.gif'); rgb.convert('RGBA').save(tmp_path/'a.png'); rgb.convert('CMYK').save(tmp_path/'c.jpg')
    rgb.convert('1').save(tmp_path/'1.png')
    Image.fromarray(np.arange(2400, dtype=np.uint16).reshape(40,60)*27).save(tmp_path/'16.png')
    (tmp_path/'no.png').write_bytes(b'nothing'); (tmp_path/'empty.png').write_bytes(b'')
    files = [tmp_path/o for o in ('turned.jpg','p.gif','a.png','c.jpg','1.png','16.png','absent.png','empty.png','no.png')]
    c = LabelCleaner(frame(np.arange(9)), files, path=None, size=30)
    got = [c.pictures(i, 30) for i in range(9)]
    assert [o[0] is not None for o in got]==[True]*6+[False]*3 and all(o[1] for o in got[6:])
    sizes = [Image.open(io.BytesIO(o[0])).size for o in got[:6]]
    assert sizes==[(20,30)]+[(30,20)]*5
    assert np.asarray(Image.open(io.BytesIO(got[5][0]))).std()>20 # not all white
    assert rgb.size==(60,40)
    c.widget; c.filter('all') # draws what it can
    thumbs,tips = c.widget.thumbs,{r:o['tip'] for r,o in zip(c.view, c.widget.now['shown'])}
    assert len(c.view)==len(thumbs)==9 and thumbs.count(data_uri(unreadable_png(30)))==3 # what cannot be read is seen
    assert all(('The image cannot be read' in tips[i])==(i>5) for i in range(9)) and 'FileNotFoundError' in tips[6]
    shown = {int(r):np.asarray(ax.images[0].get_array()) for r,ax in zip(c.view, c.plot().axes)}
    assert all((shown[i].shape[:2]==(30,30) and (shown[i][0,0]==0x76).all())==(i>5) for i in shown) and len(shown)==9
    assert np.asarray(Image.open(io.BytesIO(unreadable_png(96)))).std()>20

@pytest.mark.parametrize('kind', [list,np.array,pd.Series,tuple])
def test_missing_files(tmp_path, kind, monkeypatch):
    "Paths that are not there are refused before anything is drawn or written, and only a few are looked at"
    monkeypatch.chdir(tmp_path)
    Image.new('L', (8,8)).save('0.png')
    names = lambda n,*bad: kind([f'no {i}.png' if i in bad else '0.png' for i in range(n)])
    for bad in (0,4,99):
        says = f"images, row {bad}: there is no file 'no {bad}.png' in {tmp_path}: say in which folder"
        with pytest.raises(FileNotFoundError, match=re.escape(says)): LabelCleaner(frame(np.arange(100)%3), names(100, bad))
    x = np.zeros((6,4), 'float32')
    with pytest.raises(FileNotFoundError, match='row 5'): KExplorer(KNet(4, 3, k_max=5), x, np.arange(6)%3, images=names(6, 5))
    assert not Path('decisions.csv').exists()
    looked = []
    monkeypatch.setattr(Path, 'is_file', lambda o: looked.append(o) or True)
    n = 200_000
    LabelCleaner(frame(np.arange(n)%3), names(n), path=None)
    assert len(looked)==6
    later = LabelCleaner(frame(np.arange(100)%3), names(100, 50), path=None) # is seen where it is drawn
    assert 'FileNotFoundError' in later.pictures(50, 8)[1]

def test_series_of_images_goes_by_place():
    "As the issues do, whatever its index is"
    ims = [np.full((4,4), 50*i, np.uint8) for i in range(4)]
    c = LabelCleaner(frame(np.arange(4)), pd.Series(ims, index=[3,2,1,0]), path=None)
    assert c.pictures(3, 4)==LabelCleaner(frame(np.arange(4)), ims, path=None).pictures(3, 4)

def test_rows_by_name():
    "A row is a place, a name where the index has no whole numbers, or a mask; nothing else is taken for one"
    df = frame(np.arange(6)%3).set_axis(['a','b','b','x/1.png','','é'])
    made = lambda d=df: LabelCleaner(d, blank, path=None)
    decided = lambda c: np.flatnonzero(c.kind).tolist()
    for row,want in (('a',[0]),(['x/1.png','é'],[3,5]),(pd.Series(['a','']),[0,4]),(df.index[3:],[3,4,5]),(df.index=='b',[1,2]),(pd.Series(df.index=='b'),[1,2]),
                     (2,[2]),(np.int64(5),[5]),(range(2),[0,1]),((4,5),[4,5]),(torch.tensor([1,3]),[1,3]),(torch.tensor(1),[1]),(torch.arange(6)>4,[5])):
        for act in ('keep','accept','drop'):
            c = made(); getattr(c, act)(row); assert decided(c)==want, (row,act)
        c = made(); c.change(2, row); assert decided(c)==want and (c.decisions.label==2).all()
    numbered = df.set_axis(range(10,16))
    days = df.set_axis(pd.date_range('2026-01-01', periods=6))
    c = made(days); c.drop(pd.Timestamp('2026-01-03')); assert decided(c)==[2]
    for d,row,says in ((df,'c',"no samples are called 'c'.*such as 'a', or a place in \\[0, 5\\]"), (df,'b',"2 samples are called 'b'"), (df,['a','c'],"called 'c'"), (df,6,"in \\[0, 5\\], got 6$"),
                       (df,-1,'got -1$'), (numbered,12,'got 12: it is a place in issues, and what their index calls 12 is at 2'), (numbered,'a',"place in \\[0, 5\\], a whole number, got 'a'"),
                       (numbered,1.,'whole number, got 1.0'), (numbered,'12',"whole number, got '12'"), (df,[True,False],'mask of rows must have 6 values, got 2'), (numbered,[1,True],'whole number'),
                       (df,[],'no row was given'), (df,df.index=='none','no row was given')):
        c = made(d)
        with pytest.raises(ValueError, match=says): c.drop(row)
        assert not len(c.steps) and not decided(c)

long = ['African hunting dog, hyena dog','Cardigan Welsh corgi','golden_retriever_with_a_name','cat','$5 to $10','pneumonoultramicroscopicsilicovolcanoconiosis',' x','ünï 犬 dog']

@pytest.mark.filterwarnings('ignore:Glyph')
def test_long_names_have_room():
    "In a plot no name is wider than its image, and both ends of it are seen; dollars are no formula"
    pairs = [(a,b) for a in long for b in long if a!=b]
    df = frame(*map(np.array, zip(*pairs)))
    c = LabelCleaner(df, blank, path=None, page_size=len(df))
    c.keep(range(0, 20)); c.drop(range(20, 30)); c.accept(range(30, 40))
    fig = c.plot()
    fig.canvas.draw()
    column = fig.bbox.width/6
    for ax,row in zip(fig.axes, c.view):
        t = ax.title
        box = t.get_window_extent()
        assert box.width<=column+1 and t.get_fontsize()>=7 and box.y1<=fig.bbox.height+1, t.get_text()
        assert t.get_text().count('\n')<4 and not t.get_parse_math()
        text = ' '.join(t.get_text().split())
        for o in [df.given[row],df.suggested[row]][:1 if c.kind[row] in (1,4) else 2]: assert o.strip()[:4] in text and o.strip()[-3:] in text
    said = [c._caption(r) for r in range(len(df))]
    assert max(map(len, said))<=2*10+4 and said[0]=='✓ Afric… dog'
    plt.close(fig)

def test_one_is_no_plural():
    df = frame([0,1]).assign(is_issue=[True,False])
    assert '0 of 1 flagged label decided' in repr(LabelCleaner(df, blank, path=None))
    with pytest.raises(ValueError, match='2 issues but 1 image: '): LabelCleaner(df, [np.zeros((4,4))], path=None)
    with pytest.raises(ValueError, match=r'in 1 row, the first is row 1, counted from 0: 0, not 1'): LabelCleaner(df, blank, path=None).apply([0,0])
    with pytest.raises(ValueError, match='these have 1 dimension:'): KExplorer(KNet(1, 3, k_max=2), np.zeros((4,1), 'float32'), [0,1,2,0], kind='regions')

def test_one_page_of_100_000():
    "Only the images of a page are asked for, and only they are sent"
    asked = []
    def image(i): asked.append(i); return np.full((32,32,3), i%256, np.uint8)
    c = LabelCleaner(frame(np.arange(100_000)%10), image, path=None, page_size=20)
    assert not asked
    c.widget
    assert set(asked)<=set(c.view[:20].tolist()) and len(asked)<=21
    for _ in range(5): c.keep()
    assert len(asked)<=26 # large ones
    assert 0<sum(map(len, c.widget.thumbs))+len(c.widget.large)<300_000
    c.turn(4000); assert len(asked)<=47 and c.page==4000

def test_names_are_text(tmp_path):
    "Names reach the page as they are (test_browser.py sees that they are text there), and many classes get a list"
    many = [f'<i>class {i}</i> & co' for i in range(40)]
    c = LabelCleaner(frame(np.arange(40)), blank, many, path=tmp_path/'<b>.csv')
    page = c.widget
    assert page.now['row']['given'] in many and page.fixed['names']==many and page.fixed['saved']==f'Saved in {tmp_path}/<b>.csv.'
    assert page.fixed['digits']=='1-9' and [o['code'] for o in page.fixed['classes']]==list(range(9))
    row = c.row; page.act('change', code=33)
    assert not page.now['message'] and c.decisions.label[row]==33

def test_messages_of_the_page(tmp_path):
    "What comes from the browser does what the method does; what cannot be done is said, and changes nothing"
    c = LabelCleaner(frame(np.arange(30)%3), blank, ['a','b','c'], path=tmp_path/'d.csv', page_size=4)
    page = c.widget
    tell = lambda **o: page._handle_custom_msg(o, [])
    tell(do='accept'); tell(do='keep'); tell(do='change', code=2); tell(do='drop')
    assert len(c.decisions)==4 and page.now['steps']==4 and page.now['page']==1 and page.now['summary']==repr(c)
    tell(do='undo'); tell(do='keep_page'); assert len(c.decisions)==4 and c.progress['keep']>=1
    tell(do='turn', n=1); tell(do='move', n=1); assert c.at==page.now['at']==9 and len(page.thumbs)==4
    tell(do='go', at=29); assert page.now['page']==7 and len(page.thumbs)==len(page.now['shown'])==2
    tell(do='filter', show='decided', given=None, suggested=2); assert (c.suggested[c.view]==2).all() and c.kind[c.view].all()
    before = len(c.steps)
    for o in (dict(do='_decide'), dict(do='apply'), dict(do='filter', show='odd', given=None, suggested=None)):
        tell(**o); assert page.now['message'].startswith('Not done: ') and len(c.steps)==before
    tell(do='filter', show='undecided', given=None, suggested=None); assert not page.now['message']
    c.keep(c.view); tell(do='filter', show='undecided', given=None, suggested=None)
    assert page.now['row'] is None and page.thumbs==[] and page.large==''
    tell(do='keep'); assert page.now['message']=='Not done: nothing is shown: choose another filter'

def test_the_files_of_the_page_are_the_package_s(root):
    "The browser gets cleaner.js and cleaner.css as they are; both are in the wheel, and neither asks for anything from elsewhere"
    c = LabelCleaner(frame(np.arange(3)), blank, path=None)
    for trait,name in (('_esm','cleaner.js'),('_css','cleaner.css')):
        text = (root/'knet_nb/clean'/name).read_text(encoding='utf-8')
        assert c.widget.get_state()[trait]==text and 'http' not in text and 'import' not in text
    assert set(c.widget.get_state())>={'fixed','now','thumbs','large'}

@pytest.mark.parametrize('text', ['', 'row,given\n1,2\n', '\x00\x01', '# knet_nb decisions for 3 labels with checksum 00\nrow,path,given,decision,label,step,check\n'])
def test_foreign_files(tmp_path, text):
    (tmp_path/'d.csv').write_text(text)
    with pytest.raises(ValueError, match=re.escape(str(tmp_path/'d.csv'))): LabelCleaner(frame([0,1,2]), blank, path=tmp_path/'d.csv')
    assert (tmp_path/'d.csv').read_text()==text

@pytest.mark.parametrize('line', ['x,,0,keep,0,1 of 1','3,,0,keep,0,1 of 1','-1,,0,keep,0,1 of 1','0,,0,maybe,0,1 of 1','0,,0,keep,9,1 of 1','0,,0,keep,0','0,,0,keep,0,','0,,0,keep,0,one','0','','"0,,0,keep,0,1 of 1'])
def test_spoilt_lines(tmp_path, line):
    c = LabelCleaner(frame([0,1,2]), blank, path=tmp_path/'d.csv'); c.keep()
    good = (tmp_path/'d.csv').read_text()
    for end,why in ((f',{line_check(line)}','give the classes'), ('','has been changed'), (',11111111','has been changed')):
        if not line+end: continue # an empty line at the end does no harm
        (tmp_path/'d.csv').write_text(good+line+end+'\n')
        with pytest.raises(ValueError, match=f'cannot take the decision.*{why}'): LabelCleaner(frame([0,1,2]), blank, path=tmp_path/'d.csv')

def test_explorer_kinds():
    "Any dimension, test samples, a fixed k, labels of a classifier"
    r = np.random.default_rng(0)
    for d in (1,2,5,300):
        x,y = r.normal(size=(40,d)).astype('float32'),np.arange(40)%3
        e = KExplorer(KNet(d, 3, k_max=20), x, y, kind='bars', queries=x[:4]+.01)
        for k in (1,20): e.set(k=k, row=3); assert np.allclose(e.probs().sum(), 1, atol=1e-5)
        assert e.probs().kNN.max()<=1 and e.n==4
        with pytest.raises(ValueError, match='row must lie'): e.set(row=4)
    e = KExplorer(KNet(5, 3, k_max=20, fixed_k=7), r.normal(size=(40,5)), y)
    e.widget; assert e.ks==[7] and e.figure
    with pytest.raises(ValueError, match='fixed to k=7'): e.set(k=8)
    assert KExplorer(KNet(5, 3, k_max=101), r.normal(size=(40,5)), y).ks[-1]==39

def test_ranked_list_of_knet_clean(tmp_path):
    "A list in the order of its scores is not laid over images in the order of the data"
    frame = pd.DataFrame(dict(row=[2,0,1], given=['a','b','a'], suggested=['b','b','a'], p_given=[.1,.8,.9], p_suggested=[.9,.8,.9], score=[.1,.8,.9], is_issue=[True,False,False]))
    images = np.zeros((3,4,4), np.uint8)
    with pytest.raises(ValueError, match="sort_values"): LabelCleaner(frame, images, path=tmp_path/'a.csv')
    c = LabelCleaner(frame.sort_values('row').reset_index(drop=True), images, path=tmp_path/'b.csv')
    assert c.row==2
    paths = frame.drop(columns='row').assign(path=['x/2.png','x/0.png','x/1.png'])
    for p in paths.path: (tmp_path/'photos'/p).parent.mkdir(parents=True, exist_ok=True); Image.new('L', (4,4)).save(tmp_path/'photos'/p)
    with pytest.raises(ValueError, match="column 'path'"): LabelCleaner(paths, sorted(f'{tmp_path}/photos/{p}' for p in paths.path), path=tmp_path/'c.csv')
    with pytest.raises(ValueError, match="column 'path'"): LabelCleaner(paths, images, path=tmp_path/'d.csv')
    assert LabelCleaner(paths, [f'{tmp_path}/photos/{p}' for p in paths.path], path=tmp_path/'e.csv').row==0
