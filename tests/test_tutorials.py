"Each tutorial can be opened in Colab and installs the package there; README stays short"
import json,re
from pathlib import Path
import pytest

root = Path(__file__).parents[1]
tutorials = sorted((root/'nbs/tutorials').glob('*.ipynb'))

@pytest.mark.parametrize('path', tutorials, ids=lambda p: p.stem)
def test_colab(path):
    cells = [(c['cell_type'],''.join(c['source'])) for c in json.loads(path.read_text(encoding='utf-8'))['cells']]
    where = f'colab.research.google.com/github/knet-nb/knet_nb/blob/main/{path.relative_to(root).as_posix()}'
    assert cells[0][1].startswith('# ') and where in cells[1][1]
    kind,install = cells[2]
    assert kind=='code' and install.startswith('#| eval: false\n') and '%pip install -q git+https://github.com/knet-nb/knet_nb' in install
    for _,text in cells: assert not re.search(r'^(from|import) nbdev\b', text, re.M), f'nbdev is not installed with the package: {text}'
    for _,text in cells: assert not re.search(r'(?<![\w.])/(home|root|work|Users|tmp)/', text), text

def test_readme():
    "Under 700 words besides tables and code, the two commands first, and every picture is there"
    s = (root/'README.md').read_text(encoding='utf-8')
    code = re.findall(r'```(?:sh|python)?\n(.*?)```', s, re.S)
    assert code[0]=='pip install -e . && knet-run\n' and 'nbdev-test' in code[1]
    prose = re.sub(r'```.*?```|^\|.*$', '', s, flags=re.S|re.M)
    assert len(re.sub(r'\]\([^)]*\)', ']', prose).split())<700
    for p in re.findall(r'!\[[^\]]*\]\(([^)]+)\)', s): assert (root/p).exists(), p
