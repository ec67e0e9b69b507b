"What gets built and installed: metadata, files, import order"
import re, subprocess, sys
from configparser import ConfigParser
from email import message_from_bytes
from importlib.util import find_spec
from zipfile import ZipFile
import pandas as pd,pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

@pytest.fixture(scope='module')
def cfg(root):
    ini = ConfigParser()
    ini.read_string((root/'settings.ini').read_text(encoding='utf-8'))
    return ini['DEFAULT']

@pytest.fixture(scope='module')
def wheel(root, tmp_path_factory):
    "The wheel built from the source distribution, so that one without the other's files fails too"
    if find_spec('build') is None: pytest.skip("needs the 'dev' extra")
    out = tmp_path_factory.mktemp('dist')
    res = subprocess.run([sys.executable, '-m', 'build', '--no-isolation', '-o', str(out), str(root)], capture_output=True, text=True)
    assert res.returncode==0, res.stdout+res.stderr
    with ZipFile(next(out.glob('*.whl'))) as z: yield z

def dist_info(wheel, name): return wheel.read(next(o for o in wheel.namelist() if o.endswith(f'.dist-info/{name}')))

@pytest.fixture(scope='module')
def meta(wheel): return message_from_bytes(dist_info(wheel, 'METADATA'))

def lines(s): return s.strip().splitlines()

def test_metadata_text(meta, cfg, root):
    version = re.search(r'^__version__ = "(.+)"$', (root/'knet_nb/__init__.py').read_text(), re.M)[1]
    expect = {'Name':cfg['lib_name'], 'Version':version, 'Summary':cfg['description'], 'Keywords':','.join(cfg['keywords'].split()),
        'License-Expression':cfg['license'], 'Author':cfg['author'], 'Author-email':cfg['author_email']}
    assert {k:meta[k] for k in expect} == expect
    assert SpecifierSet(meta['Requires-Python']) == SpecifierSet(f">={cfg['min_python']}")
    assert set(cfg['python_versions'].split()) <= {o.split(' :: ')[-1] for o in meta.get_all('Classifier')}

def test_requirements(meta, cfg):
    extras = [k.removesuffix('_requirements') for k in cfg if k.endswith('_requirements')]
    expect = lines(cfg['requirements'])
    expect += [f"{o}; extra == '{e}'" for e in extras for o in lines(cfg[f'{e}_requirements'])]
    assert set(map(Requirement, meta.get_all('Requires-Dist'))) == set(map(Requirement, expect))
    assert sorted(meta.get_all('Provides-Extra')) == sorted(extras) and {'dev','onnx','ray'}<=set(extras)

def test_every_requirement_has_a_lower_bound(cfg):
    for o in lines(cfg['requirements']): assert [s.operator for s in Requirement(o).specifier] == ['>='], o

def test_entry_points(wheel, cfg):
    got = ConfigParser()
    got.read_string(dist_info(wheel, 'entry_points.txt').decode())
    expect = dict(o.split(' = ') for o in lines(cfg['console_scripts']))
    assert dict(got['console_scripts']) == expect
    assert dict(got['nbdev']) == {cfg['lib_name']: f"{cfg['lib_name']}._modidx:d"}

def test_wheel_files(wheel, root):
    names = set(wheel.namelist())
    modules = {p.relative_to(root).as_posix() for p in (root/'knet_nb').rglob('*.py')}
    assert modules == {o for o in names if o.endswith('.py')}
    assert {'knet_nb/study/paper_tables.csv','knet_nb/clean/page.html'} <= names

def run_py(code): subprocess.run([sys.executable, '-c', code], check=True)

def test_imports():
    "What few need, and takes a second or more, is loaded by whoever needs it; faiss after torch, or both bring an OpenMP of their own"
    run_py("""
import sys, knet_nb.all, torch
assert not {'faiss','torchvision','ray','onnx','torch._dynamo'} & sys.modules.keys()
knet_nb.all.nearest(torch.arange(12.).reshape(6, 2), k=2)
assert 'faiss' in sys.modules or sys.platform!='linux'
""")

def test_rows_are_of_clean_commits(root):
    "The code that made a row can be looked up"
    dirty = set()
    for f in (root/'results').rglob('*.csv'):
        d = pd.read_csv(f, dtype=str)
        if 'commit' in d and d.commit.str.endswith('+').any(): dirty.add(f.parent.name)
    assert not dirty

def test_tracked_files_name_no_machine(root):
    "No home or site-packages path, no package index of one's own"
    git = subprocess.run(['git', 'ls-files', '-z'], cwd=root, capture_output=True, text=True)
    if git.returncode: pytest.skip('not a git checkout')
    own = re.compile(r'(?<![\w.~-])/(?:home|Users|root)/\w|/[\w./-]+/site-packages/|--(?:extra-)?index-url|--find-(?:links)|file:///\w')
    found = []
    for name in filter(None, git.stdout.split('\0')):
        if not (root/name).is_file(): continue
        text = (root/name).read_bytes().decode('utf-8', errors='ignore')
        found += [f'{name}: {m[0]}' for m in own.finditer(text)]
    assert not found, found

def test_no_name_means_two_things(root):
    import ast
    owners = {}
    for p in (root/'knet_nb').glob('[a-z]*.py'):
        if p.stem=='all': continue
        names = next((ast.literal_eval(n.value) for n in ast.parse(p.read_text(encoding='utf-8')).body if isinstance(n, ast.Assign) and n.targets[0].id=='__all__'), [])
        for n in names: owners.setdefault(n, []).append(p.stem)
    assert {n:o for n,o in owners.items() if len(o)>1 and n!='main'}=={}
