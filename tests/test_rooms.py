"The rooms and who may enter whom, read from the code's own imports"
import ast, json, re, subprocess, sys
from pathlib import Path
import pytest

def default_exp(nb):
    cells = json.loads(nb.read_text(encoding='utf-8'))['cells']
    found = [m[1] for c in cells if c['cell_type']=='code' for m in [re.match(r'#\|\s*default_exp (\S+)', ''.join(c['source']))] if m]
    return found[0] if found else None

@pytest.fixture(scope='module')
def rooms(root):
    "Modules in the order of their notebooks' names"
    found = [default_exp(p) for p in sorted((root/'nbs').glob('*.ipynb'))]
    return [o for o in found if o]

def imported(path, name):
    "Modules of this package that a module imports, inside functions too"
    for n in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(n, ast.Import): yield from (a.name for a in n.names if a.name.startswith('knet_nb.'))
        elif isinstance(n, ast.ImportFrom):
            base = name.split('.')[:-n.level] if n.level else []
            full = '.'.join([*base, *([n.module] if n.module else [])])
            if full=='knet_nb': yield from (f'knet_nb.{a.name}' for a in n.names if a.name!='__version__')
            elif full.startswith('knet_nb.'): yield full

@pytest.fixture(scope='module')
def arrows(root, rooms):
    "Pairs of rooms: who imports whom"
    path = lambda r: root/'knet_nb'/f"{r.replace('.','/')}.py"
    return [(r, o.removeprefix('knet_nb.')) for r in rooms for o in imported(path(r), f'knet_nb.{r}')]

def wing(room): return room.split('.')[0] if '.' in room else None

def test_every_room_has_one_notebook(root, rooms):
    files = {p.relative_to(root/'knet_nb').with_suffix('').as_posix().replace('/','.') for p in (root/'knet_nb').rglob('*.py')}
    assert len(rooms)==len(set(rooms)) and set(rooms)=={o for o in files if o.split('.')[-1] not in ('__init__','_modidx','all')}

def test_a_room_imports_only_from_earlier_ones(rooms, arrows):
    assert len(arrows)>50 and [(a,b) for a,b in arrows if b not in rooms or rooms.index(b)>=rooms.index(a)]==[]

def test_the_wings_do_not_know_each_other(arrows):
    assert {wing(a) for a,_ in arrows}=={None,'clean','study'}
    assert [(a,b) for a,b in arrows if wing(b) and wing(b)!=wing(a)]==[]

def names_of_all():
    code = '''
import json, knet_nb.all as A, fastcore.all, fastai.basics, fastai.callback.all, fastai.vision.all
theirs = {n for m in (fastcore.all, fastai.basics, fastai.callback.all, fastai.vision.all) for n in vars(m)}
import ast, pathlib
tree = ast.parse(pathlib.Path(A.__file__).read_text(encoding='utf-8'))
ours = [a.asname or a.name for n in tree.body if isinstance(n, ast.ImportFrom) and n.module.startswith('knet_nb') for a in n.names]
print(json.dumps([ours, sorted(set(ours)&theirs), [n for n in ours if not hasattr(A, n)]]))'''
    return json.loads(subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True, capture_output=True, text=True).stdout)

def test_all_has_few_names_and_none_of_fastai():
    ours,taken,missing = names_of_all()
    assert 60<=len(ours)<=90 and len(set(ours))==len(ours) and '*' not in ours
    assert taken==[] and missing==[]
