"""Make README.md from nbs/index.ipynb through nbdev's documentation filters, without Quarto

`python .ci/readme.py` writes it; `--check` prints a diff and fails where README.md is not what the notebook gives."""
import re, sys
from base64 import b64decode
from html.parser import HTMLParser
from fastcore.nbio import cell_frontmatter, join_out, preferred_msg_out, read_nb
from fastcore.xtras import fenced, str_diff
from nbdev.config import get_config
from nbdev.doclinks import NbdevLookup
from nbdev.readme_filter import doc_link
from nbdev.serve import proc_nbs
from tree import root, tree_copy

class Tables(HTMLParser):
    "Rows of cell texts of each table in some html"
    def __init__(self, html):
        super().__init__()
        self.tables,self.text = [],None
        self.feed(html)
    def handle_starttag(self, tag, attrs):
        if tag=='table': self.tables.append([])
        elif tag=='tr': self.tables[-1].append([])
        elif tag in ('td','th'): self.text = ''
    def handle_data(self, data):
        if self.text is not None: self.text += data
    def handle_endtag(self, tag):
        if tag not in ('td','th'): return
        self.tables[-1][-1].append(' '.join(self.text.split()).replace('|', r'\|'))
        self.text = None

def _right(col): return any(col) and all(re.fullmatch(r'[-+−]?[\d.,]+\s*%?|nan|NaN|<NA>|[-–—]|', o) for o in col)

def md_table(rows):
    "A GitHub table from rows of cells, the first its head; columns of numbers to the right"
    head,*body = rows
    if not all(len(r)==len(head) for r in body): raise ValueError(f'A table with merged cells has no markdown form: {head}')
    align = ['---:' if _right(col) else '---' for col in zip(*body)] if body else ['---']*len(head)
    return '\n'.join(f"| {' | '.join(r)} |" for r in [head,align,*body])

_re_link = re.compile(r'^```.*?^```|(?P<img>!?)\[(?P<text>(?:`[^`\n]*`|[^\]\n])*)\]\((?P<url>[^)\s]+)\)|`[^`\n]+`', re.M|re.S)

def _link(m):
    if not m['url'] or re.match(r'\w+:', m['url']): return m[0]
    url = f"nbs/{m['url']}" if m['img'] else doc_link(m['url'], get_config().doc_url)
    return f"{m['img']}[{m['text']}]({url})"

def links(md):
    "`md` with relative links leading to the published pages, and images to where they are in the repository; code is left alone"
    return _re_link.sub(_link, md)

def output(out, files):
    "One output as markdown; a picture becomes a file"
    mime,data = preferred_msg_out(out, html1st=False, include_imgs=True)
    data = join_out(data)
    if mime=='text/markdown': return links(data)
    if mime=='image/png':
        name = f'index_files/figure-{len(files)+1}.png'
        files[name] = b64decode(data)
        return f'![]({name})'
    if mime=='text/html' and (tables := Tables(data).tables): return '\n\n'.join(map(md_table, tables))
    return fenced(join_out(out['data'].get('text/plain', '')) if 'data' in out else data)

def cell_md(cell, files):
    "One processed cell as a list of markdown blocks"
    src = cell.source.strip()
    if cell.cell_type=='markdown': return [links(src)] if src else []
    opts = cell.directives
    if cell.cell_type!='code' or opts.get('include')=='false': return []
    code = ''.join(cell._partition()[1]).strip()
    res = [fenced(code, cell.metadata.get('language', 'python'))] if code and opts.get('echo')!='false' else []
    return res if opts.get('output')=='false' else res + [output(o, files) for o in cell.get('outputs', [])]

def readme():
    "What README.md and the pictures beside it should be, as name -> bytes"
    with tree_copy():
        cfg = get_config()
        if cfg.lib_name not in NbdevLookup().entries: sys.exit('The links need the installed package: pip install -e .')
        front,*cells = read_nb(proc_nbs(file_glob=cfg.readme_nb, n_workers=0, force=True)/cfg.readme_nb).cells
        fm,files = cell_frontmatter(front.source),{}
        blocks = [f"# {fm['title']}", f"> {fm['description']}"] + [b for c in cells for b in cell_md(c, files)]
    return {'README.md': ('\n\n'.join(blocks)+'\n').encode(), **files}

def main(check):
    stale = False
    for name,data in readme().items():
        p = root/name
        old = p.read_bytes() if p.exists() else b''
        if old==data: continue
        stale = True
        if check: print(str_diff(old.decode(), data.decode(), names=(name, 'nbs/index.ipynb')) if p.suffix=='.md' else f'{name} differs')
        else:
            p.parent.mkdir(exist_ok=True)
            p.write_bytes(data)
    if check and stale: sys.exit('README.md is not what nbs/index.ipynb gives: run python .ci/readme.py')
    print('README.md is up to date')

if __name__=='__main__': main('--check' in sys.argv[1:])
