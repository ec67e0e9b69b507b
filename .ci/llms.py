"Write nbs/llms.txt, what language models read of the site first: its pages, from the sidebar, with each notebook's title and sentence. --check compares it."
import json, sys, yaml
from pathlib import Path, PurePosixPath

root = Path(__file__).resolve().parent.parent
site = 'https://knet-nb.github.io/knet_nb/'
parts = {'Docs':('Start','Tutorials','Explanations'), 'API':('API',), 'Optional':('Results','The study','Development')}

def pages(items, skip=()):
    "The notebooks of a sidebar, in order, without those of sections in `skip`"
    for o in items:
        if not isinstance(o, dict): yield o
        elif o['section'] not in skip: yield from pages(o['contents'], skip)

def sections(items):
    "Every section by name, inner ones too"
    for o in items:
        if isinstance(o, dict): yield o['section'],o['contents']; yield from sections(o['contents'])

def opening(nb):
    "Title, sentence and first paragraph of a notebook"
    text = '\n\n'.join(''.join(c['source']) for c in json.loads(nb.read_text(encoding='utf-8'))['cells'] if c['cell_type']=='markdown')
    title,sentence,first = [o.strip() for o in text.split('\n\n')[:3]]
    assert title.startswith('# ') and sentence.startswith('> '), f'{nb} has to open with # and >'
    return title[2:],sentence[2:],first

def llms_txt(root=root):
    "Text of nbs/llms.txt"
    from nbdev.doclinks import nbpath2html
    nbs = root/'nbs'
    sidebar = yaml.safe_load((nbs/'sidebar.yml').read_text(encoding='utf-8'))['website']['sidebar']['contents']
    named = dict(sections(sidebar))
    title,sentence,first = opening(nbs/'index.ipynb')
    text = [f'# {title}', f'> {sentence}', first]
    for part,names in parts.items():
        found = [o for n in names for o in pages(named[n], parts['Optional'])]
        lines = [(opening(nbs/o), nbpath2html(PurePosixPath(o))) for o in found]
        text += [f'## {part}', '\n'.join(f'- [{t}]({site}{h}.md): {s}' for (t,s,_),h in lines)]
    return '\n\n'.join(text)+'\n'

def is_stale(root=root): return (root/'nbs/llms.txt').read_text(encoding='utf-8')!=llms_txt(root)

if __name__=='__main__':
    if '--check' not in sys.argv: (root/'nbs/llms.txt').write_text(llms_txt(), encoding='utf-8')
    elif is_stale(): sys.exit('nbs/llms.txt is not what sidebar and notebooks give: run python .ci/llms.py')
