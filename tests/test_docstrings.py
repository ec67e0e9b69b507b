"What `help()`, `?` and editors read: every public symbol explains the parameters that its comments explain"
import importlib,inspect,pkgutil,subprocess,sys
import knet_nb,pytest
from fastcore.docments import docments

names = [m.name for m in pkgutil.walk_packages(knet_nb.__path__, 'knet_nb.') if not m.name.endswith(('_modidx','all'))]

def section(doc, name):
    "Entries of a numpy-style section: head -> text"
    body = doc.partition(f'{name}\n{"-"*len(name)}\n')[2].split('\n\n')[0]
    heads,res = [],{}
    for l in body.splitlines():
        if l and not l.startswith(' '): heads.append(l.partition(' : ')[0].lstrip('*')); res[heads[-1]] = ''
        elif heads: res[heads[-1]] += l.strip()+' '
    return res

def squeezed(s): return ''.join(s.split())

@pytest.mark.parametrize('name', names)
def test_public_symbols(name):
    m = importlib.import_module(name)
    for n in getattr(m, '__all__', []):
        o = getattr(m, n)
        if not callable(o) or getattr(o, '__module__', None)!=name: continue
        try: said = {p:v for p,v in docments(o).items() if v and p not in ('self','return','kwargs','args')}
        except (OSError,TypeError,ValueError): continue # it has no source of its own
        src = inspect.getsource(o)
        if not isinstance(o, type) and '):' in src.splitlines()[0]: continue # what stands behind it is about the function
        shown = section(inspect.getdoc(o) or '', 'Parameters')
        for p,comment in said.items():
            if p not in src: continue # another package's
            assert squeezed(comment) in squeezed(shown[p]), (n,p,comment,shown.get(p))

def test_help():
    code = "from knet_nb.classifier import *; from knet_nb.neighbors import nearest; from knet_nb.knet import fit_knet; help(KNetClassifier); help(nearest); help(fit_knet)"
    text = subprocess.run([sys.executable,'-c',code], capture_output=True, text=True, check=True).stdout
    for s in ('k_max : int, default 101','Share of the true neighbours that an approximate search has to find','(n, d) features',"metric : str, default 'euclidean'",
              'sample_weight : default None','Neighbours per query'): assert s in text, s

def test_pages_show_them_once():
    "While nbdev builds the pages, whose tables have the comments, docstrings stay as they are"
    code = "import nbdev.processors; from knet_nb.neighbors import nearest; assert 'Parameters' not in nearest.__doc__"
    subprocess.run([sys.executable,'-c',code], check=True)
