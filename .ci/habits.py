"""How the notebooks are written: a row of numbers for each; with --limits, do they keep within limits?

    python .ci/habits.py [ROOT] [--limits] [--worst N]

Notebooks: those under nbs/ that have exported code, and the numbered ones in nbs/ itself.

- cells: exported cells (`#| export`, `exports`, `exporti`), import cells included
- lines: median / 90th percentile / maximum of their lines, without directives and without cells of nothing but
  imports. Empty lines between definitions are counted; the line below the table has it without them
- 1-sig: the same, a function's signature (`def` to the line before its first statement or docstring) taken as one line
- body: non-empty lines of a function from its first statement below the docstring; nested ones and methods included
- width: characters of the non-empty lines of all exported cells, import cells included: 90th and 99th percentile and
  maximum; then the share of lines above 140, 120 and 100
- raise: `raise` statements per 100 of those lines
- doc: share of parameters with a comment on their line, of functions and methods with a public name (which `__init__`
  is not); self, cls, *args and **kwargs left out
- prose: words of markdown cells per non-empty exported line
- stretch: exported lines, directives and empty ones included, between two visible examples: the longest of a notebook;
  for all, median and maximum of these. An example is a code cell that is not exported, not hidden (`#| hide`,
  `#| include: false`) and does more than import
- kB: stored outputs as JSON

Percentiles are interpolated between neighbours. For all notebooks the values are pooled, not averaged."""
import argparse,ast,io,json,re,sys,tokenize
from pathlib import Path
from statistics import median,quantiles

limits = dict(median=12, p90=25, p99=120, width=140, stretch=120) # lines of cells, columns, lines of a stretch
functions = ast.FunctionDef,ast.AsyncFunctionDef

def pct(v, p): return quantiles(v, n=100, method='inclusive')[p-1] if len(v)>1 else sum(v)
def filled(lines): return [l for l in lines if l.strip()]
def is_import(tree): return all(isinstance(o, (ast.Import,ast.ImportFrom)) for o in tree.body)
def has(src, what): return re.search(rf'^#\|\s*({what})\b', src, re.M)

class Cell:
    "A code cell of a notebook"
    def __init__(self, nb, cell):
        self.nb,self.id,self.src = nb,cell.get('id','?'),''.join(cell['source'])
        self.exported,self.hidden = has(self.src, 'export[si]?'),has(self.src, r'hide|default_exp|include:\s*false')
        self.lines = self.src.split('\n') if self.src else []
        self.code = [l for l in self.lines if not l.startswith('#|')]
        try: self.tree = ast.parse('\n'.join(self.code))
        except SyntaxError as e:
            if self.exported: sys.exit(f'{self}: {e}')
            self.tree = None # a magic
    def __str__(self): return f'{self.nb} #{self.id}'
    @property
    def example(self):
        return not (self.exported or self.hidden or not self.src.strip() or self.tree and is_import(self.tree))
    @property
    def functions(self): return [o for o in ast.walk(self.tree) if isinstance(o, functions)]

def name_of(cell):
    "What a cell defines first: `f`, `C`, `C.f` for a patch, or a variable"
    for o in cell.tree.body:
        if isinstance(o, functions):
            patched = any('patch' in ast.unparse(d) for d in o.decorator_list)
            of = patched and o.args.args and o.args.args[0].annotation
            return f'{ast.unparse(of)}.{o.name}' if of else o.name
        if isinstance(o, ast.ClassDef): return o.name
        if isinstance(o, ast.Assign): return ast.unparse(o.targets[0])
    return 'imports' if is_import(cell.tree) else ''

def one_line_signatures(cell): return len(cell.code)-sum(max(0, f.body[0].lineno-f.lineno-1) for f in cell.functions)

def bodies(cell):
    "Lines of each function's body"
    def one(f):
        b = f.body[1:] if ast.get_docstring(f, clean=False) is not None else f.body
        return len(filled(cell.code[b[0].lineno-1:b[-1].end_lineno])) if b else 0
    return [one(f) for f in cell.functions]

def documented(cell):
    "For each public parameter, has it a comment?"
    toks = tokenize.generate_tokens(io.StringIO('\n'.join(cell.code)).readline)
    notes = {t.start[0] for t in toks if t.type==tokenize.COMMENT}
    return [a.end_lineno in notes for f in cell.functions if not f.name.startswith('_')
            for a in f.args.posonlyargs+f.args.args+f.args.kwonlyargs if a.arg not in ('self','cls')]

def stretches(cells):
    "Runs of exported cells without an example between them: (lines, cells)"
    res,run = [],[]
    for c in [*cells,None]:
        if c is None or c.example:
            if run: res.append((sum(len(o.lines) for o in run),run))
            run = []
        elif c.exported: run.append(c)
    return res

class Measures:
    "What one or several notebooks add up to"
    def __init__(self, name, cells=(), words=0, bytes=0):
        self.name,self.words,self.bytes = name,words,bytes
        self.cells = [c for c in cells if c.exported]
        self.stretches = sorted(stretches(cells), key=lambda o: -o[0])
        self.longest = [self.stretches[0][0]] if self.stretches else []
        self.sized = [c for c in self.cells if not is_import(c.tree)]
        self.sizes = [len(c.code) for c in self.sized]
        self.full_sizes = [len(filled(c.code)) for c in self.sized]
        self.short_sizes = [one_line_signatures(c) for c in self.sized]
        self.bodies = [n for c in self.cells for n in bodies(c)]
        self.widths = [len(l) for c in self.cells for l in filled(c.code)]
        self.raises = [o for c in self.cells for o in ast.walk(c.tree) if isinstance(o, ast.Raise)]
        self.documented = [o for c in self.cells for o in documented(c)]
    def __add__(self, o):
        res = Measures(self.name)
        for k in set(vars(self))-{'name'}: setattr(res, k, getattr(self, k)+getattr(o, k))
        return res

def read(path, nbs):
    "Measures of a notebook"
    name = path.relative_to(nbs).with_suffix('').as_posix()
    cells = json.loads(path.read_text(encoding='utf-8'))['cells']
    words = sum(len(''.join(c['source']).split()) for c in cells if c['cell_type']=='markdown')
    size = sum(len(json.dumps(c['outputs'])) for c in cells if c.get('outputs'))
    return Measures(name, [Cell(name, c) for c in cells if c['cell_type']=='code'], words, size)

def read_all(root):
    "Measures of all notebooks, by name"
    nbs = Path(root)/'nbs'
    paths = [p for p in sorted(nbs.rglob('*.ipynb')) if not any(o[0] in '._' for o in p.relative_to(nbs).parts)]
    found = [read(p, nbs) for p in paths]
    return [m for m in found if m.cells or m.name[0].isdigit()]

# The table
def share(n, of, f='.0f'): return f'{100*n/of:{f}}' if of else '-'
def mpx(v): return f'{median(v):g}/{pct(v, 90):.0f}/{max(v)}' if v else '-'
def above(w): return '/'.join(share(sum(o>n for o in w), len(w), '.1f') for n in (140,120,100))
def longest(v): return f'{median(v):.0f}/{max(v)}' if len(v)>1 else sum(v)

columns = dict(
    cells=lambda m: len(m.cells),
    lines=lambda m: mpx(m.sizes),
    **{'1-sig':lambda m: mpx(m.short_sizes)},
    body=lambda m: mpx(m.bodies),
    width=lambda m: f'{pct(m.widths, 90):.0f}/{pct(m.widths, 99):.0f}/{max(m.widths)}' if m.widths else '-',
    **{'>140/120/100 %':lambda m: above(m.widths)},
    **{'raise':lambda m: share(len(m.raises), len(m.widths), '.1f')},
    **{'doc %':lambda m: share(sum(m.documented), len(m.documented))},
    prose=lambda m: f'{m.words/len(m.widths):.1f}' if m.widths else '-',
    stretch=lambda m: longest(m.longest),
    kB=lambda m: f'{m.bytes/1000:,.0f}')

def table(found):
    "A row a notebook, and one for all; lines of at most 140 characters"
    rows = [['notebook',*columns],*([m.name[:28],*(str(f(m)) for f in columns.values())] for m in found)]
    wide = [max(map(len, c)) for c in zip(*rows)]
    lines = ['  '.join(o.ljust(w) if i==0 else o.rjust(w) for i,(o,w) in enumerate(zip(r, wide))) for r in rows]
    return [lines[0],*lines[1:-1],'-'*len(lines[0]),lines[-1]]

# Limits, and where to mend
def over(rows, n): return sorted((o for o in rows if o[0]>n), key=lambda o: -o[0])
def wide_lines(m, n): return over(((len(l),c,l) for c in m.cells for l in c.code), n)
def long_cells(m, n): return over(zip(m.sizes, m.sized), n)
def long_stretches(m, n): return over(m.stretches, n)

def say_cell(k, c): return f'  {k:4} lines    {c}  {name_of(c)}'
def say_line(k, c, l): return f'  {k:4} columns  {c}  {l.strip()[:90]}'
def say_stretch(k, run):
    return f'  {k:4} lines    {run[0]} to #{run[-1].id}, {len(run)} cells  {name_of(run[0])} to {name_of(run[-1])}'
def say_median(m): return f'  {median(m.sizes):4g} lines    {m.name}, median of {len(m.sizes)} cells'

def by_cell(lines):
    "Wide lines as one row a cell"
    res = {}
    for k,c,_ in lines: res.setdefault(c, []).append(k)
    return [f"  {max(v):4} columns  {c}  {name_of(c)}{f', {len(v)} lines' if len(v)>1 else ''}" for c,v in res.items()]

def broken(found, total):
    "(what is broken, where) for each limit that is"
    L,t,res = limits,total,[]
    def check(value, name, what, where):
        if value>L[name]: res.append((f'{what} is {value:g}, the limit is {L[name]}', where()))
    check(median(t.sizes or [0]), 'median', "median of the exported cells' lines",
          lambda: [say_median(m) for m in found if m.sizes and median(m.sizes)>L['median']])
    check(pct(t.sizes, 90), 'p90', "90th percentile of the exported cells' lines",
          lambda: [say_cell(*o) for o in long_cells(t, L['p90'])])
    check(pct(t.widths, 99), 'p99', "99th percentile of the lines' width", lambda: by_cell(wide_lines(t, L['p99'])))
    check(max(t.widths, default=0), 'width', 'the widest line',
          lambda: [say_line(*o) for o in wide_lines(t, L['width'])])
    check(max(t.longest, default=0), 'stretch', 'the longest exported stretch without an example',
          lambda: [say_stretch(*o) for o in long_stretches(t, L['stretch'])])
    return res

def worst(t, n):
    "The n longest cells, widest lines and longest stretches"
    yield 'longest exported cells',[say_cell(*o) for o in long_cells(t, 0)[:n]]
    yield 'widest lines',[say_line(*o) for o in wide_lines(t, 0)[:n]]
    yield 'longest exported stretches without an example',[say_stretch(*o) for o in long_stretches(t, 0)[:n]]

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).resolve().parent.parent
    p.add_argument('root', nargs='?', default=here, help='the checkout (default: the one this file is in)')
    p.add_argument('--limits', action='store_true', help=f'exit status 1, and where, if these are exceeded: {limits}')
    p.add_argument('--worst', type=int, default=0, metavar='N', help='list the N worst cells, lines and stretches')
    a = p.parse_args()
    found = read_all(a.root)
    if not found: sys.exit(f'no numbered notebook and none with exported code in {Path(a.root)/"nbs"}')
    total = sum(found, Measures('all'))
    print('\n'.join(table([*found,total])))
    print(f'lines without empty ones: {mpx(total.full_sizes)}; '
          f'{len(total.widths):,} exported lines, {total.words:,} words of prose')
    for what,where in worst(total, a.worst) if a.worst else []: print(f'\n{what}', *where, sep='\n')
    if not a.limits: return
    bad = broken(found, total)
    for what,where in bad: print(f'\n{what}', *where, sep='\n')
    if bad: sys.exit(f'\n{len(bad)} of {len(limits)} limits are exceeded')
    print(f'within the limits: {", ".join(f"{k} {v}" for k,v in limits.items())}')

if __name__=='__main__': main()
