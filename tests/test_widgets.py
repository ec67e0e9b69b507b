"What a session with `LabelCleaner` must survive: kills, full disks, odd images and labels, 100,000 rows"
import io,re,signal,subprocess,sys,time
from pathlib import Path
import matplotlib.pyplot as plt,numpy as np,pandas as pd,pytest,torch
from hypothesis import given,settings,strategies as st
from PIL import Image
from knet_nb.clean.cleaner import LabelCleaner,_src
from knet_nb.clean.explorer import KExplorer
from knet_nb.images import as_picture,as_pixels,to_png,unreadable_png
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
        assert not again.steps and not len(again.decisions)

half = '''
import builtins,os,signal,sys,numpy as np
sys.path.insert(0, {tests!r})
import knet_nb.clean.decisions as W
from test_widgets import *
c = LabelCleaner(frame(np.arange(30)%3), blank, path={path!r})
c.keep(5); c.accept([1,2,3])
class Half: # a file that gets no further than the second line
    def __init__(self, f): self.f = f
    def __enter__(self): return self
    def __exit__(self, *a): self.f.close()
    def __getattr__(self, name): return getattr(self.f, name)
    def write(self, data): self.f.write(b''.join(data.splitlines(True)[:2])); os.kill(os.getpid(), signal.SIGKILL)
W.open = lambda *a, **k: Half(builtins.open(*a, **k))
c.drop([10,11,12])
'''

def test_killed_within_a_step(tmp_path, root):
    df,path = frame(np.arange(30)%3),tmp_path/'d.csv'
    r = subprocess.run([sys.executable,'-W','ignore','-c',half.format(tests=str(root/'tests'), path=str(path))], capture_output=True, text=True)
    assert r.returncode==-signal.SIGKILL and path.read_text().splitlines()[-1]=='11,2,drop,,2 of 3', r.stderr
    with pytest.warns(UserWarning, match='is not whole and is left out: 10,1,drop,,1 of 3\n11,2,drop,,2 of 3'): c = LabelCleaner(df, blank, path=path)
    assert c.decisions.index.tolist()==[1,2,3,5]
    c.undo()
    assert LabelCleaner(df, blank, path=path).decisions.index.tolist()==[5] and '10,' not in path.read_text()

@pytest.mark.parametrize('end', ['','4,1,dr'])
@pytest.mark.filterwarnings('ignore:the last step of')
def test_a_file_without_steps(tmp_path, end):
    "Is one row a step; it is read as it is, and gets the column with the next decision"
    df,path = frame(np.arange(30)%3),tmp_path/'d.csv'
    c = LabelCleaner(df, blank, ['a','b,c','d '], path=path); c.keep(7); c.change('b,c', 2); c.change('d ', 3)
    known = c.decisions
    old = re.sub('(,step|,1 of 1)$', '', path.read_text(), flags=re.M)+end
    def made(): path.write_text(old); return LabelCleaner(df, blank, ['a','b,c','d '], path=path)
    c = made(); pd.testing.assert_frame_equal(c.decisions, known)
    assert path.read_text()==old and len(c.steps)==3
    c.undo(); assert path.read_text().endswith('label,step\n7,"b,c",keep,"b,c",1 of 1\n2,d ,accept,"b,c",1 of 1\n')
    c = made(); c.drop([0,1])
    again = LabelCleaner(df, blank, ['a','b,c','d '], path=path)
    pd.testing.assert_frame_equal(again.decisions, c.decisions)
    again.undo(); pd.testing.assert_frame_equal(again.decisions, known)
    c = made(); path.write_text(old+'x')
    with pytest.raises(OSError, match='changed by another program'): c.keep()
    assert path.read_text()==old+'x' and len(c.steps)==3

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
             category=pd.Categorical(np.array(['x','yy','zzz'])[np.arange(12)%3]), object=np.array([1,'a',2.5]*4, object))[kind]
    df = pd.DataFrame(dict(given=y, suggested=y[::-1], p_given=.1, p_suggested=.8, score=np.linspace(0, 1, 12), is_issue=True))
    c = LabelCleaner(df, blank, path=tmp_path/'d.csv')
    for _ in range(5): c.accept()
    c.drop()
    c = LabelCleaner(df, blank, path=tmp_path/'d.csv')
    assert c.labels().label.tolist()==[*y[::-1][:5], *y[5:]] and c.labels().dropped.sum()==1
    if kind!='category': assert list(c.apply(y))==[*y[::-1][:5], *y[6:]]
    assert list(c.apply(list(y)))==[*y[::-1][:5], *y[6:]]

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
    assert to_png(as_picture(a), 32)[:4]==b'\x89PNG'

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
    style,tips = c._page.style.value,{r:b.tooltip for r,b in zip(c.view, c._page.slots)}
    assert len(c.view)==9 and style.count('background-image')==9 and style.count(_src(unreadable_png(30)))==3 # what cannot be read is seen
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
        assert not c.steps and not decided(c)

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
    assert len(c._page.style.value)+len(c._page.detail.value)<300_000
    c.turn(4000); assert len(asked)<=47 and c.page==4000

def test_names_are_text(tmp_path):
    "Names are escaped, and many classes get a list"
    many = [f'<i>class {i}</i> & co' for i in range(40)]
    c = LabelCleaner(frame(np.arange(40)), blank, many, path=tmp_path/'<b>.csv')
    c.widget
    shown = ' '.join(o.value for o in (c._page.detail,c._page.bar,c._page.note))
    assert f'.knet-cleaner.{c._page.id} .jupyter-button.knet-slot {{ height' in c._page.style.value # else a second page's common style would win
    assert '<i>' not in shown and '&lt;i&gt;class' in shown
    assert c._page.digits=='1-9'
    more = next(w for w in walk(c.widget) if type(w).__name__=='Dropdown' and w.options[0][0]=='another class ...')
    row = c.row; more.value = 33
    assert not c._page.message and c.decisions.label[row]==33 and more.value==-1

def walk(w):
    yield w
    for o in getattr(w, 'children', ()): yield from walk(o)

@pytest.mark.parametrize('text', ['', 'row,given\n1,2\n', '\x00\x01', '# knet_nb decisions for 3 labels with checksum 00\nrow,given,decision,label,step\n'])
def test_foreign_files(tmp_path, text):
    (tmp_path/'d.csv').write_text(text)
    with pytest.raises(ValueError, match=re.escape(str(tmp_path/'d.csv'))): LabelCleaner(frame([0,1,2]), blank, path=tmp_path/'d.csv')
    assert (tmp_path/'d.csv').read_text()==text

@pytest.mark.parametrize('line', ['x,0,keep,0,1 of 1','3,0,keep,0,1 of 1','-1,0,keep,0,1 of 1','0,0,maybe,0,1 of 1','0,0,keep,9,1 of 1','0,0,keep,0','0,0,keep,0,','0,0,keep,0,one','0','','"0,0,keep,0,1 of 1'])
def test_spoilt_lines(tmp_path, line):
    c = LabelCleaner(frame([0,1,2]), blank, path=tmp_path/'d.csv'); c.keep()
    with open(tmp_path/'d.csv', 'a') as f: f.write(line+'\n')
    with pytest.raises(ValueError, match='cannot take the decision'): LabelCleaner(frame([0,1,2]), blank, path=tmp_path/'d.csv')

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
