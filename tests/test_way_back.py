"From a report to a corrected folder: decisions of the page and of a LabelCleaner, applied"
import json,shutil
from pathlib import Path
import pandas as pd,pytest
from labelled import checksums,fails,folder,page_data,quick,table
from test_report import browser,open_page,shot # fixtures
from knet_nb.clean.cleaner import LabelCleaner
from knet_nb.clean.command import knet_clean,main
from knet_nb.clean.corrected import new_places,write_folder
from knet_nb.clean.decisions import Decisions
from knet_nb.clean.samples import read_samples

pytestmark = pytest.mark.usefixtures('alone')

def truth(root, true): return {f'{i:03}.png':c for i,c in enumerate(true)}
def where(root): return {p.name:p.parent.name for p in Path(root).rglob('*.png')}

@pytest.fixture
def report():
    "A report on a folder, and what each image is"
    _,_,true = folder('set', n=90)
    knet_clean('set', 'out', **quick)
    return truth('set', true)

def download(page, path='decisions.csv'):
    with page.expect_download() as d: page.click('#download')
    d.value.save_as(path)
    assert d.value.suggested_filename=='decisions.csv'
    return path

def test_decided_in_the_page(report, open_page, capsys):
    "By button, key and list; what was decided is there after a reload, in the file, and in the folder"
    page = open_page('out/report.html')
    page.uncheck('#flagged'); page.select_option('#size', '120')
    rows,classes = page_data('out/report.html')['rows'],page_data('out/report.html')['classes']
    want = {}
    for i,r in enumerate(rows[:30]):
        card,name,given,suggested = page.locator(f'#list .card[data-row="{i}"]'),r[0].split('/')[1],*(classes[j] for j in r[1:3])
        true = report[name]
        if i%10==9: card.get_by_role('button', name='drop').click(); want[name] = None
        elif true==given and i%2: card.focus(); page.keyboard.press('k')
        elif true==given: card.get_by_role('button', name='keep').click()
        elif true==suggested and i%2: card.focus(); page.keyboard.press('a')
        elif true==suggested: card.get_by_role('button', name='accept').click()
        else: card.get_by_role('combobox').select_option(label=true)
        want.setdefault(name, true)
    page.locator('#list .card[data-row="40"]').focus()
    page.keyboard.press('d'); page.keyboard.press('u') # a slip of the finger
    assert '30 decided' in page.locator('#sums').text_content() and page.locator('#list .card.decided').count()==30
    page.reload()
    assert '30 decided' in page.locator('#sums').text_content() and 'knet-clean set --apply decisions.csv --to corrected' in page.locator('#sums').text_content()
    page.uncheck('#flagged'); page.select_option('#decisions', 'yes')
    assert page.locator('#status').text_content()=='1–30 of 30 samples'
    shot(page, 'decided')
    before = checksums('set')
    main(['set','--apply',download(page),'--to','fixed'])
    said = capsys.readouterr().out
    assert said.startswith('set: 30 labels decided: ') and ', 3 dropped' in said and checksums('set')==before
    given = where('set')
    assert where('fixed')=={n:c for n,c in (given|want).items() if c}
    assert {p.name:p.read_bytes() for p in Path('fixed').rglob('*.png')}.items()<={p.name:p.read_bytes() for p in Path('set').rglob('*.png')}.items()

def test_one_sample_enlarged(report, open_page):
    page = open_page('out/report.html')
    page.uncheck('#flagged')
    page.locator('#list button.thumb').first.click()
    assert page.locator('#big').is_visible() and page.locator('#big-previous').is_disabled()
    first = page.locator('#big .name').text_content()
    page.keyboard.press('k')
    assert page.locator('#big .name').text_content()!=first and '1 decided' in page.locator('#sums').text_content()
    page.keyboard.press('ArrowLeft')
    assert page.locator('#big .name').text_content()==first and page.locator('#big .card').get_attribute('class')=='card decided'
    shot(page, 'enlarged')
    page.get_by_role('button', name='Close').click()
    assert not page.locator('#big').is_visible()

@pytest.mark.parametrize('width', [390,1400])
def test_looks(report, open_page, width):
    "Nothing is wider than the window, and a contradiction stands on top"
    [a,b] = [next(p for p in sorted(Path('set').rglob('*.png')) if p.parent.name==c) for c in ('null','één')]
    shutil.copy(a, b.parent/'twin.png')
    knet_clean('set', 'out', **quick)
    page = open_page('out/report.html', viewport=dict(width=width, height=900))
    assert page.evaluate('document.documentElement.scrollWidth')<=width
    pair = page.locator('#pairs .card')
    assert pair.count()==2 and {o.split('/')[0] for o in pair.locator('.name').all_text_contents()}=={'null','één'}
    clipped = page.evaluate("[...document.querySelectorAll('.decide button,.button')].filter(e => e.offsetParent && e.scrollWidth>e.clientWidth).map(e => e.textContent)")
    assert clipped==[], clipped
    shot(page, f'way-back-{width}')
    page.evaluate("document.getElementById('list-title').scrollIntoView()")
    shot(page, f'way-back-{width}-cards')

@pytest.mark.parametrize('kind', ['csv','parquet'])
def test_a_table_decided_in_the_page(kind, open_page):
    "By row, since rows have no file; all other columns come back as they were"
    df,true = table(60)
    df.to_csv('t.csv', index=False) if kind=='csv' else df.to_parquet('t.parquet', index=False)
    knet_clean(f't.{kind}', 'out', quiet=True)
    page = open_page('out/report.html')
    page.uncheck('#flagged')
    rows = page_data('out/report.html')['rows'][:10]
    for i,r in enumerate(rows):
        row = page.locator(f'#list tr[data-row="{i}"]')
        if true[int(r[0])]==df.label[int(r[0])]: row.focus(); page.keyboard.press('k')
        else: row.get_by_role('combobox').select_option(label=true[int(r[0])]) if true[int(r[0])] in row.get_by_role('combobox').text_content() else row.get_by_role('button', name='accept').click()
    knet_clean(f't.{kind}', apply=download(page), to=f'fixed.{kind}', quiet=True)
    read = dict(csv=lambda f: pd.read_csv(f, keep_default_na=False), parquet=pd.read_parquet)[kind]
    old,new = read(f't.{kind}'),read(f'fixed.{kind}')
    want = old.label.copy()
    for r in rows: want[int(r[0])] = true[int(r[0])]
    assert new.label.tolist()==want.tolist() and new.drop(columns='label').equals(old.drop(columns='label'))

def test_decided_in_the_notebook(report):
    "A LabelCleaner on issues.csv is in the order of the ranking, the folder is not: decisions belong to paths"
    issues = pd.read_csv('out/issues.csv', keep_default_na=False)
    c = LabelCleaner(issues, [Path('set')/p for p in issues.path])
    want = {}
    for i,p in enumerate(issues.path[:12]):
        name = p.split('/')[1]
        want[name] = report[name] if i%5 else None
        c.change(report[name], i) if i%5 else c.drop(i)
    knet_clean('set', apply='decisions.csv', to='fixed', quiet=True)
    assert where('fixed')=={n:o for n,o in (where('set')|want).items() if o}
    assert c.to_folder('same')==len(where('same')) and where('same')==where('fixed')
    assert c.to_csv('same.csv')==len(where('same'))
    listed = pd.read_csv('same.csv', keep_default_na=False)
    assert dict(zip(listed.path.str.split('/').str[1], listed.label.str.removeprefix("'")))==where('fixed')
    again = LabelCleaner(issues.iloc[::-1].reset_index(drop=True), [Path('set')/p for p in issues.path[::-1]])
    assert again.progress==c.progress and len(again.steps)==12

def decide(root='set', **kinds):
    s = read_samples(root)
    d = Decisions(s.labels, s.classes, 'decisions.csv', s.ids.path, s.by_file)
    for name,(kind,label) in kinds.items():
        d.add([next(i for i,p in enumerate(s.ids.path) if p.endswith(f'{name}.png'))], [kind], [s.classes.index(label)])

def test_other_forms(capsys):
    "A list that a csv reader takes, tasks, links, and files that are moved"
    folder('set', n=40)
    before = where('set')
    other = next(c for c in sorted({*before.values()}) if c!=before['003.png'])
    decide(**{'003':(3,other), '004':(4,before['004.png'])})
    knet_clean('set', apply='decisions.csv', to='list.csv', quiet=True)
    want = {n:c for n,c in (before|{'003.png':other}).items() if n!='004.png'}
    d = pd.read_csv('list.csv', keep_default_na=False)
    assert dict(zip(d.path.str.split('/').str[1], d.label.str.removeprefix("'")))==want
    knet_clean('set', apply='decisions.csv', to='tasks.json', quiet=True)
    tasks = json.loads(Path('tasks.json').read_text())
    assert len(tasks)==39 and tasks[0]['predictions'][0]['result'][0]['value']['choices'][0] in want.values()
    knet_clean('set', apply='decisions.csv', to='links', link=True, quiet=True)
    assert where('links')==want and all(p.is_symlink() and p.exists() for p in Path('links').rglob('*.png'))
    for bad,says in ((['--link','--move'], 'not both'), (['--move'], None)):
        if says: fails(capsys, ['set','--apply','decisions.csv','--to','moved',*bad], says)
        else: main(['set','--apply','decisions.csv','--to','moved',*bad])
    assert where('moved')==want and where('set')=={'004.png':before['004.png']}

def test_what_is_refused(capsys):
    "One line, and nothing is written"
    folder('set', n=40)
    given = next(Path('set').rglob('003.png')).parent.name
    decide(**{'003':(1,given)})
    fails(capsys, ['set','--apply','decisions.csv'], 'needs to=')
    fails(capsys, ['set','--apply','nowhere.csv','--to','fixed'], 'no such file of decisions: nowhere.csv')
    fails(capsys, ['set','--apply','decisions.csv','--to','set/fixed'], 'within the data')
    fails(capsys, ['set','--apply','decisions.csv','--to','fixed.png'], 'corrected as a folder')
    Path('full').mkdir(); Path('full/mine').touch()
    fails(capsys, ['set','--apply','decisions.csv','--to','full'], 'exists already')
    moved = next(Path('set').rglob('005.png'))
    moved.rename(moved.with_name('new.png'))
    main(['set','--apply','decisions.csv','--to','fine']) # nothing was decided on that one
    moved.with_name('new.png').rename(moved)
    gone = next(Path('set').rglob('003.png'))
    gone.rename('away.png')
    fails(capsys, ['set','--apply','decisions.csv','--to','fixed'], rf'a decision on {given}/003.png, which is not there any more')
    Path('away.png').rename(gone)
    text = Path('decisions.csv').read_text(encoding='utf-8')
    Path('decisions.csv').write_text(text.replace(',keep,', ',drop,'), encoding='utf-8')
    fails(capsys, ['set','--apply','decisions.csv','--to','fixed'], 'has been changed since it was written')
    assert not Path('fixed').exists() and not list(Path('.').glob('.fixed*'))

def test_a_folder_is_whole_or_not_there(monkeypatch):
    "A disk that is full in the middle leaves nothing, and nothing is moved"
    folder('set', n=40)
    before,n = checksums('set'),[0]
    copy = shutil.copy2
    def full(*a, **k):
        n[0] += 1
        if n[0]>20: raise OSError(28, 'No space left on device')
        return copy(*a, **k)
    monkeypatch.setattr('knet_nb.clean.corrected._ways', dict(copy=full, move=full))
    files = sorted(Path('set').rglob('*.png'))
    for how in ('copy','move'):
        n[0] = 0
        with pytest.raises(OSError): write_folder('fixed', files, [p.relative_to('set') for p in files], how)
        assert not Path('fixed').exists() and not list(Path('.').glob('.fixed*')) and checksums('set')==before

def test_the_page_says_the_whole_command(open_page):
    "With the label's column, so that somebody who has the page alone can go on; features are not needed for it"
    df,_ = table(60)
    df.rename(columns=dict(label='what is it')).assign(other=df.label).to_csv('t.csv', index=False)
    knet_clean('t.csv', 'out', label='what is it', features='p*', quiet=True)
    assert page_data('out/report.html')['apply']=="knet-clean t.csv --label 'what is it' --apply decisions.csv --to corrected.csv"
    df[['name','label']].to_csv('n.csv', index=False) # no features at all
    s = read_samples('n.csv', labels_only=True)
    Decisions(s.labels, s.classes, 'n-decisions.csv', more_names=True).add([0], [4], [s.labels[0]])
    knet_clean('n.csv', apply='n-decisions.csv', to='fixed.csv', quiet=True)
    assert len(pd.read_csv('fixed.csv'))==59

def test_decided_by_path(report):
    issues = pd.read_csv('out/issues.csv', keep_default_na=False)
    c = LabelCleaner(issues, [Path('set')/p for p in issues.path], path=None)
    c.drop(issues.path[7]); c.keep(list(issues.path[:2]))
    assert c.kind[[0,1,7]].tolist()==[1,1,4]

def test_nothing_is_decoded_to_apply():
    "A photo that cannot be read goes with the others; names that differ in case alone stay two files"
    folder('set', n=40)
    given = where('set')
    broken = next(Path('set').rglob('005.png'))
    decide(**{'003':(1,given['003.png'])})
    broken.write_bytes(b'no image')
    knet_clean('set', apply='decisions.csv', to='fixed', quiet=True)
    assert where('fixed')==given and next(Path('fixed').rglob('005.png')).read_bytes()==b'no image'
    places = new_places(['a/x.png','b/X.png','b/y.png'], 'abb', 'bbb')
    assert len({str(p).casefold() for p in places})==3 and places[1:]==[Path('b/X.png'),Path('b/y.png')]

def test_class_names_as_people_have_them():
    "A class called train below train/, umlauts, and names that would collide"
    for c,n in (('train',8),('Größe',8)):
        for i in range(n):
            f = Path(f'set/train/{c}/sub/{i}.png')
            f.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(sorted(Path('one').rglob('*.png'))[i] if Path('one').exists() else folder('one', n=30) and sorted(Path('one').rglob('*.png'))[i], f)
    s = read_samples('set')
    d = Decisions(s.labels, s.classes, 'decisions.csv', s.ids.path, s.by_file)
    d.add([s.ids.path.tolist().index('train/Größe/sub/1.png')], [3], [s.classes.index('train')])
    knet_clean('set', apply='decisions.csv', to='fixed', quiet=True)
    got = sorted(p.relative_to('fixed').as_posix() for p in Path('fixed').rglob('*.png'))
    assert len(got)==16 and 'train/train/sub/1-2.png' in got and 'train/Größe/sub/1.png' not in got and 'train/train/sub/1.png' in got
