"""`LabelCleaner` and `KExplorer` in a browser: JupyterLab, Chromium, mouse and keys, and a kernel that is killed

KNET_SCREENSHOTS names a folder for pictures of what the browser shows."""
import json,os,shutil,signal,socket,subprocess,sys,time,urllib.request
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
import pandas as pd,pytest

chromium = next(filter(None, map(shutil.which, ('chromium','chromium-browser','google-chrome'))), None)
lacks = [o for o,there in dict(chromium=chromium, playwright=find_spec('playwright'), jupyterlab=find_spec('jupyterlab')).items() if not there]
pytestmark = pytest.mark.skipif(bool(lacks), reason=f"the browser tests need {', '.join(lacks)}")

setup = '''
import os,numpy as np,pandas as pd,torch
from pathlib import Path
Path('pid').write_text(str(os.getpid()))
from sklearn.datasets import load_digits
from knet_nb.clean.cleaner import LabelCleaner
from knet_nb.clean.explorer import KExplorer
'''
# 100,000 samples: the digits over and over; a label is suspicious where it is not that of the image
cleaner = '''
d = load_digits()
n,names = 100_000,'zero one two three four five six seven eight nine'.split()
true = np.resize(d.target, n)
given = np.where(np.random.default_rng(0).random(n)<.01, (true+1)%10, true)
issues = pd.DataFrame(dict(given=given, suggested=true, p_given=np.where(given==true, .9, .05), p_suggested=.9, score=np.linspace(0, 1, n), is_issue=given!=true))
flagged = np.flatnonzero(issues.is_issue)
Path('flagged').write_text(' '.join(map(str, flagged)))
cleaner = LabelCleaner(issues, lambda i: d.images[i%len(d.images)], names)
cleaner
'''
explorer = '''
from knet_nb.knet import KNet
torch.manual_seed(0)
x = torch.tensor(d.data).float()
net = KNet(64, 10, k_max=30).eval()
explorer = KExplorer(net, x, d.target, images=d.images, k=1)
Path('summaries').write_text(KExplorer(net, x, d.target, k=30).summary+chr(10)+KExplorer(net, x, d.target, k=1).summary)
explorer
'''
plane = '''
from knet_nb.data import blobs_data
toy = blobs_data(300)
KExplorer(KNet(2, 3, k_max=30).eval(), toy.x_train, toy.y_train, k=1)
'''

@pytest.fixture(scope='module')
def lab(tmp_path_factory, root):
    "Address and folder of a JupyterLab of its own, with a notebook"
    d = tmp_path_factory.mktemp('lab')
    (d/'config/labconfig').mkdir(parents=True)
    (d/'config/labconfig/page_config.json').write_text(json.dumps(dict(disabledExtensions={'@jupyterlab/apputils-extension:announcements':True})))
    (d/'ipython/profile_default/startup').mkdir(parents=True)
    (d/'ipython/profile_default/startup/a.py').write_text('import knet_nb.clean.cleaner') # while the browser is starting
    (d/'work').mkdir()
    import nbformat # comes with jupyterlab
    cells = [nbformat.v4.new_code_cell(o.strip()) for o in (setup,cleaner,explorer,plane)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=dict(kernelspec=dict(name='python3', display_name='Python 3', language='python'))), d/'work/a.ipynb')
    with socket.socket() as s: s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]
    env = {**os.environ, **{f'JUPYTER_{o}_DIR':str(d/o.lower()) for o in ('CONFIG','RUNTIME','DATA')}, 'JUPYTERLAB_SETTINGS_DIR':str(d/'settings'),
           'JUPYTERLAB_WORKSPACES_DIR':str(d/'spaces'), 'IPYTHONDIR':str(d/'ipython'), 'PYTHONPATH':os.pathsep.join([str(root),os.environ.get('PYTHONPATH','')])}
    argv = ['--no-browser','--allow-root','--expose-app-in-browser',f'--ServerApp.port={port}','--ServerApp.port_retries=0','--ServerApp.ip=127.0.0.1','--KernelRestarter.time_to_dead=0.5',
            '--IdentityProvider.token=','--ServerApp.password=',f'--ServerApp.root_dir={d/"work"}']
    url = f'http://127.0.0.1:{port}'
    with open(d/'log', 'w') as log:
        p = subprocess.Popen([sys.executable,'-m','jupyterlab',*argv], env=env, cwd=d/'work', stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        for _ in range(300):
            assert p.poll() is None, (d/'log').read_text()
            try: urllib.request.urlopen(f'{url}/api', timeout=5); break
            except OSError: time.sleep(.1)
        yield url,d/'work'
    finally: # a polite end takes seconds
        p.kill(); p.wait()
        with suppress(FileNotFoundError,ProcessLookupError): os.kill(int((d/'work/pid').read_text()), signal.SIGKILL)

@pytest.fixture(scope='module')
def page(lab):
    "The notebook in the browser, all cells run"
    from playwright.sync_api import sync_playwright
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=['--no-sandbox'])
        page = browser.new_page(viewport=dict(width=1500, height=1050))
        page.set_default_timeout(30_000)
        page.received = []
        page.on('websocket', lambda ws: ws.on('framereceived', lambda o: page.received.append(len(o))))
        page.goto(f'{lab[0]}/lab/workspaces/a/tree/a.ipynb?reset')
        run_all(page)
        yield page
        browser.close()

def run_all(page):
    "Run the notebook once its kernel answers"
    from playwright.sync_api import Error
    page.wait_for_function("window.jupyterapp && document.querySelectorAll('.jp-Notebook .jp-CodeCell').length==4", timeout=60_000)
    kernel = 'window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel'
    for last in (False,False,True): # a kernel that is connected to anew while it is asked never answers
        page.wait_for_function(f"{kernel}?.connectionStatus=='connected' && {kernel}.status=='idle'", timeout=60_000)
        try: page.evaluate(f"async () => {{ await {kernel}.requestKernelInfo() }}"); break
        except Error:
            if last: raise
    page.evaluate("() => { void window.jupyterapp.commands.execute('notebook:run-all-cells') }")
    page.wait_for_function("document.querySelectorAll('.knet-cleaner').length==1 && document.querySelectorAll('.knet-explorer img').length==2", timeout=60_000)

def shot(page, name, what=None):
    "A picture, if KNET_SCREENSHOTS says where to"
    if d := os.environ.get('KNET_SCREENSHOTS'):
        Path(d).mkdir(parents=True, exist_ok=True)
        (page.locator(what).first if what else page).screenshot(path=Path(d)/f'{name}.png')

def says(page, text, where='.knet-cleaner'): page.locator(where, has_text=text).first.wait_for()

def decisions(folder):
    "What the file says, a later line before an earlier one"
    df = pd.read_csv(folder/'decisions.csv', skiprows=1, keep_default_na=False)
    return df.drop_duplicates('row', keep='last').set_index('row')

def counted(page, n):
    "Wait until the page counts n decisions on flagged labels"
    page.wait_for_function("n => document.querySelector('.knet-cleaner .knet-summary').textContent.startsWith(n+' of ')", arg=str(n))

def at(page): return int(page.locator('.knet-facts tr:has-text("place") td:nth-child(2)').inner_text().split()[0].replace(',',''))

def test_keys(page, lab):
    "Decisions by key, each on disk when the page shows it; quick ones too; undo"
    folder,flagged = lab[1],list(map(int, (lab[1]/'flagged').read_text().split()))
    shot(page, 'lab')
    assert [o.input_value() for o in page.locator('.knet-filters select').all()]==['flagged','any','any']
    says(page, f'0 of {len(flagged):,} flagged labels decided, of 100,000')
    assert page.locator('.knet-slot:visible').count()==24
    page.locator('.knet-big').click() # gives the page the keys
    for i,key in enumerate('kad1'): page.keyboard.press(key); counted(page, i+1) # 1 is the first class
    d = decisions(folder)
    assert d.index.tolist()==flagged[:4] and d.decision.tolist()[:3]==['keep','accept','drop'] and d.label.tolist()[3]=='zero'
    page.keyboard.type('k'*9, delay=0); counted(page, 13) # quicker than the answers
    assert decisions(folder).decision.tolist()[4:]==['keep']*9
    for _ in range(3): page.keyboard.press('u')
    counted(page, 10)
    page.wait_for_function(place(11))
    assert len(decisions(folder))==10
    shot(page, 'decided', '.knet-cleaner')
    for key in 'xbzm': page.keyboard.press(key) # commands of the notebook are not to reach it
    page.keyboard.press('d'); counted(page, 11); page.keyboard.press('d'); counted(page, 12) # twice would delete a cell
    page.keyboard.press('u'); counted(page, 11); page.keyboard.press('u'); counted(page, 10)
    page.wait_for_function(place(11))
    assert page.locator('.jp-Notebook .jp-CodeCell').count()==4

def test_beside_each_other(page):
    "The thumbnails stand beside the panel in a window of 1,000 pixels, too"
    page.set_viewport_size(dict(width=1000, height=1050))
    page.wait_for_function("document.querySelector('.knet-cleaner').getBoundingClientRect().right<=1000")
    side,grid = [page.locator(f'.knet-cleaner .knet-{o}').bounding_box() for o in ('side','main')]
    assert grid['x']>=side['x']+side['width'] and abs(grid['y']-side['y'])<5 and side['width']>=200
    shot(page, 'cleaner at 1000', '.knet-cleaner')
    page.set_viewport_size(dict(width=1500, height=1050))
    page.wait_for_function("document.querySelector('.knet-cleaner').getBoundingClientRect().right>1000")

def test_move(page):
    "Arrows, pages and a click on a thumbnail; a page of thumbnails is all that is sent"
    here = at(page)
    for key,n in dict(ArrowRight=1, ArrowLeft=-1, ArrowDown=6, ArrowUp=-6).items():
        page.keyboard.press(key); here += n
        page.wait_for_function(place(here))
    page.received.clear()
    page.keyboard.press('PageDown'); page.wait_for_function(place(25))
    page.wait_for_function("document.querySelector('.knet-slot').textContent.includes('?')")
    assert 0<sum(page.received)<400_000, sum(page.received)
    page.locator('.knet-slot').nth(3).click(); page.wait_for_function(place(28))
    page.keyboard.press('ArrowRight'); page.wait_for_function(place(29)) # after a click the keys still work
    page.locator('.knet-pager input').fill('3'); page.keyboard.press('Enter'); page.wait_for_function(place(49))
    page.locator('.knet-pager button', has_text='«').click(); page.wait_for_function(place(1))

def test_mouse_filter_and_crash(page, lab):
    "Filters, buttons, then the kernel is killed in the middle: a new one knows every decision, and how to undo them"
    folder = lab[1]
    page.locator('.knet-filters select').nth(1).select_option(label=page.locator('.knet-filters select').nth(1).locator('option').nth(1).inner_text())
    page.wait_for_function("[...document.querySelectorAll('.knet-slot')].every(o => /zero/.test(o.textContent))")
    page.locator('.knet-filters select').first.select_option(label='flagged, undecided')
    page.locator('.knet-acts button', has_text='Drop').click(); counted(page, 11)
    page.locator('.knet-classes button', has_text='seven').click(); counted(page, 12)
    page.get_by_role('button', name='Keep the rest of the page').click(); counted(page, 34)
    shot(page, 'filtered', '.knet-cleaner')
    before,pid = decisions(folder),int((folder/'pid').read_text())
    assert before.decision.value_counts().to_dict()==dict(keep=29, drop=2, accept=1, change=2) and before.label.iloc[-1:].tolist()!=['']
    page.keyboard.press('d'); page.keyboard.press('a')
    os.kill(pid, signal.SIGKILL)
    wait_restart(page)
    lines = (folder/'decisions.csv').read_bytes()
    assert lines.endswith(b'\n') and len(decisions(folder)) in (34,35,36) # these two may have been on their way
    run_all(page)
    assert int((folder/'pid').read_text())!=pid
    n = len(decisions(folder))
    counted(page, n)
    pd.testing.assert_frame_equal(decisions(folder).loc[before.index], before)
    page.locator('.knet-big').click()
    for i in range(n-34): page.keyboard.press('u'); counted(page, n-1-i) # those that were on their way
    page.keyboard.press('u'); counted(page, 12) # the rest of a page is one step, after a restart too
    page.keyboard.press('a'); counted(page, 13)
    assert len(decisions(folder))==13

def place(n): return f"[...document.querySelectorAll('.knet-facts td')].some(o => o.textContent.startsWith('{n} of'))"

def wait_restart(page):
    page.wait_for_selector('.jp-Dialog', timeout=30_000)
    page.locator('.jp-Dialog button.jp-mod-accept').click()
    page.wait_for_function("!document.querySelector('.jp-Dialog')")

def test_dark(page):
    "Letters stand out in the dark theme, too"
    page.evaluate("window.jupyterapp.commands.execute('apputils:change-theme', {theme:'JupyterLab Dark'})")
    page.wait_for_function("document.body.dataset.jpThemeLight=='false' && !document.querySelector('#jupyterlab-splash')")
    for name in ('cleaner','explorer'): shot(page, f'dark {name}', f'.knet-{name}')
    for what in ('.knet-facts td','.knet-acts button','.knet-slot','.knet-filters .widget-label'):
        assert page.evaluate(contrast, what)>4.5, what
    page.evaluate("window.jupyterapp.commands.execute('apputils:change-theme', {theme:'JupyterLab Light'})")
    page.wait_for_function("document.body.dataset.jpThemeLight=='true'")

contrast = """what => { // the least contrast of letters with what is behind them (WCAG)
  const rgb = s => { const v = s.match(/[\\d.]+/g).map(Number); return v.length<4 ? [...v,1] : v };
  const lum = c => c.slice(0,3).map(o => { o /= 255; return o<=.03928 ? o/12.92 : ((o+.055)/1.055)**2.4 }).reduce((a,o,i) => a+o*[.2126,.7152,.0722][i], 0);
  const back = e => { const layers = []; for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); layers.push(c); if (c[3]==1) break }
    return layers.reverse().reduce((a,c) => a.map((o,i) => o*(1-c[3])+c[i]*c[3]), [255,255,255]) };
  return Math.min(...[...document.querySelectorAll('.knet-cleaner '+what)].filter(e => !e.disabled && e.offsetParent).map(e => {
    const [a,b] = [lum(rgb(getComputedStyle(e).color)),lum(back(e))].sort((x,y) => y-x); return (a+.05)/(b+.05) })) }"""

def test_explorer(page, lab):
    "The slider changes the picture, and the text beside it says what the distributions are"
    at_30,at_1 = (lab[1]/'summaries').read_text().splitlines()
    root = page.locator('.knet-explorer').first
    root.scroll_into_view_if_needed()
    says(page, at_1, '.knet-explorer')
    src = root.locator('img').get_attribute('src')
    handle = root.locator('.noUi-handle')
    handle.focus(); page.keyboard.press('End')
    says(page, at_30, '.knet-explorer')
    page.wait_for_function("old => document.querySelector('.knet-explorer img').src!=old", arg=src)
    shot(page, 'bars', '.knet-explorer')
    root.locator('input[type=number]').fill('7'); page.keyboard.press('Enter')
    says(page, 'row 7, k = 30', '.knet-explorer')

def test_plane(page):
    "The regions follow the slider"
    root = page.locator('.knet-explorer').nth(1)
    root.scroll_into_view_if_needed()
    says(page, 'k = 1: kNN and kNet agree', '.knet-explorer')
    src = root.locator('img').get_attribute('src')
    handle = root.locator('.noUi-handle').bounding_box()
    track = root.locator('.noUi-base').bounding_box()
    page.mouse.move(handle['x']+handle['width']/2, handle['y']+handle['height']/2); page.mouse.down()
    page.mouse.move(track['x']+track['width'], track['y']+3, steps=20); page.mouse.up()
    says(page, 'k = 30: kNN and kNet agree', '.knet-explorer')
    page.wait_for_function("old => document.querySelectorAll('.knet-explorer img')[1].src!=old", arg=src)
    shot(page, 'plane', '.knet-explorer >> nth=1')
