"""Are the package's results as they were? The commands are run as a user runs them, and what they write is compared

    python same_results.py make DIR --checkout PATH     # run knet-run and knet-clean of a checkout, keep the results
    python same_results.py compare BEFORE AFTER         # exit status 1 if anything differs

`make` finds in the checkout's settings.ini which function each command is, and calls it in a process of its own, in a
folder of its own, with PYTHONPATH=PATH, on one thread (OMP_NUM_THREADS=1, torch.set_num_threads(1)) of the CPU, with
fixed seeds and an empty cache. The jobs: knet-run on digits (defaults, seed 0) and on the toy problem; knet-clean on
300 digit images, on a csv of pixels and on a parquet of vectors, in each of which 15 % of the labels are wrong.

`compare` looks at results.csv row by row (method, k, seed, include_self), in every column that both have but those of
time and environment; at the printed table without its seconds; at issues.csv and cleaned.* byte for byte; and at what
knet-clean.json says of samples, flags and k. Told, but no difference: in results.csv another order of rows and columns
that were added or removed, in the others another order of columns or beginning of paths."""
import argparse,configparser,csv,json,os,shutil,subprocess,sys,tempfile,time
from pathlib import Path

jobs = dict( # name -> command, arguments
    run_digits=('knet-run', '--seeds 0'),
    run_toy=('knet-run', '--data blobs --noise toy --rate 0.3 --backbone mlp'),
    clean_images=('knet-clean', 'images --backbone cnn --no-flip --epochs 8'),
    clean_csv=('knet-clean', 'pixels.csv'),
    clean_parquet=('knet-clean', 'vectors.parquet'))
kept = 'results.csv','issues.csv','cleaned.csv','cleaned.parquet','knet-clean.json'
row_key = 'method','k','seed','include_self'
not_compared = {'seconds','commit','versions','hardware','command'}
environment = 'python','torch','threads','cpu' # results are the same only where these are
one_thread = {f'{o}_NUM_THREADS':'1' for o in ('OMP','MKL','OPENBLAS','NUMEXPR')}

# What is cleaned
def wrong_labels(y, seed, rate=.15):
    "`y` with exactly a share `rate` of the labels moved to another class"
    import numpy as np
    rng = np.random.default_rng(seed)
    at = rng.permutation(len(y))[:round(rate*len(y))]
    y = y.copy()
    y[at] = (y[at]+rng.integers(1, 10, len(at)))%10
    return y

def make_data(folder):
    "300 digits as class folders of PNG, the next 400 as a csv of pixels, the next 400 as a parquet of vectors"
    import numpy as np, pyarrow as pa, pyarrow.parquet as pq
    from PIL import Image
    from sklearn.datasets import load_digits
    x,y = load_digits(return_X_y=True)
    a,b,c = slice(0,300),slice(300,700),slice(700,1100)
    for i,(px,l) in enumerate(zip(x[a], wrong_labels(y[a], 0))):
        p = folder/'images'/f'digit{l}'/f'{i:03}.png'
        p.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((px.reshape(8,8)*255/16).round().astype(np.uint8)).save(p)
    with open(folder/'pixels.csv', 'w', newline='') as f:
        w = csv.writer(f, lineterminator='\n')
        w.writerow([*(f'p{j:02}' for j in range(64)),'label'])
        w.writerows([*px.astype(int).tolist(),f'digit{l}'] for px,l in zip(x[b], wrong_labels(y[b], 1)))
    vec = pa.array((x[c]/16).astype(np.float32).tolist(), pa.list_(pa.float32()))
    label = [f'digit{l}' for l in wrong_labels(y[c], 2)]
    pq.write_table(pa.table(dict(vector=vec, label=label)), folder/'vectors.parquet')

# Running
def commands(checkout):
    "Command -> (module, function), from settings.ini or else pyproject.toml"
    ini = configparser.ConfigParser(delimiters=['='])
    ini.read(checkout/'settings.ini', encoding='utf-8')
    lines = ini.get('DEFAULT', 'console_scripts', fallback='').strip().splitlines()
    if not lines:
        import tomllib
        found = tomllib.loads((checkout/'pyproject.toml').read_text(encoding='utf-8'))['project']['scripts']
        lines = [f'{k}={v}' for k,v in found.items()]
    return {n.strip():tuple(f.strip().split(':')) for n,f in (l.split('=', 1) for l in lines)}

def python(code, args, env, cwd):
    "A process that ends well; its output, as it was printed"
    r = subprocess.run([sys.executable,'-c',code,*args], env=env, cwd=cwd, text=True, capture_output=True)
    if r.returncode: sys.exit(f"{code} {' '.join(args)}: exit status {r.returncode}\n{r.stdout}{r.stderr}")
    return r.stdout

def run_job(name, checkout, data, env, out):
    "Run one job and keep what it printed and wrote"
    cmd,args = jobs[name]
    module,func = commands(checkout)[cmd]
    code = f'import sys,torch; torch.set_num_threads(1); sys.argv[0] = {cmd!r}; from {module} import {func}; {func}()'
    shutil.rmtree(out/name, ignore_errors=True)
    (out/name).mkdir(parents=True)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as d:
        d = Path(d)
        shutil.copytree(data, d, dirs_exist_ok=True)
        said = python(code, [*args.split(),'--out','results','--device','cpu'], env|dict(KNET_CACHE=str(d/'cache')), d)
        for n in kept:
            if (d/'results'/n).exists(): shutil.copy(d/'results'/n, out/name/n)
    (out/name/'stdout.txt').write_text(said)
    files = ', '.join(sorted(p.name for p in (out/name).iterdir()))
    print(f'{name}: {cmd} {args}, {time.perf_counter()-start:.0f} s -> {files}', flush=True)

def make(out, checkout, only=None):
    "Run the jobs of a checkout"
    out,checkout = Path(out).resolve(),Path(checkout).resolve()
    env = os.environ|one_thread|dict(PYTHONPATH=str(checkout), CUDA_VISIBLE_DEVICES='', MPLBACKEND='agg')
    with tempfile.TemporaryDirectory() as d:
        code = ('import knet_nb,torch; cpu = torch.backends.cpu.get_cpu_capability()\n'
                'print(knet_nb.__file__, torch.__version__, torch.get_num_threads(), cpu, sep=chr(10))')
        file,*env_of = python(code, [], env, d).splitlines()
        if not Path(file).is_relative_to(checkout): sys.exit(f'{file} would be run, which is not in {checkout}')
        make_data(Path(d))
        for name in only or jobs: run_job(name, checkout, Path(d), env, out)
    git = subprocess.run(['git','-C',checkout,'describe','--always','--dirty'], capture_output=True, text=True)
    cmds = {k:':'.join(v) for k,v in commands(checkout).items()}
    about = dict(package=file, commit=git.stdout.strip(), commands=cmds)
    about |= dict(zip(environment, [sys.version.split()[0],*env_of]))
    (out/'about.json').write_text(json.dumps(about, indent=1)+'\n')

# Comparing
def read_csv(p):
    "Column -> list of strings"
    with open(p, newline='', encoding='utf-8', errors='surrogateescape') as f: rows = list(csv.reader(f))
    return {c:[r[i] for r in rows[1:]] for i,c in enumerate(rows[0])}

def read_any(p):
    "Column -> list of values, and column -> type, of a csv or a parquet file"
    if p.suffix=='.csv': return read_csv(p),{}
    import pyarrow.parquet as pq
    t = pq.read_table(p)
    return {c:t[c].to_pylist() for c in t.column_names},{f.name:str(f.type) for f in t.schema}

def number(v):
    try: return float('nan' if v in ('',None) else v)
    except (ValueError,TypeError): return None

def differ(a, b):
    "None for the same value, else its size: of two numbers their distance, of others infinity"
    if a==b: return None
    x,y = number(a),number(b)
    if x is None or y is None: return float('inf')
    if x==y or x!=x and y!=y: return None
    return abs(x-y) if x==x and y==y else float('inf')

def gaps(a, b):
    "Column -> (how many values differ, the largest difference, an example), of two dicts of equally long lists"
    res = {}
    for c in a:
        if c not in b: continue
        d = [(g,x,y) for x,y in zip(a[c], b[c]) if (g := differ(x, y)) is not None]
        if d: res[c] = len(d),*max(d, key=lambda o: o[0])
    return res

def tell(res): return '; '.join(f"{c}: {n} differ, the largest by {g:.3g} ({x} -> {y})" for c,(n,g,x,y) in res.items())

def columns(a, b):
    "A note on columns that only one side has"
    new,gone = [c for c in b if c not in a],[c for c in a if c not in b]
    return ''.join(f"; {what} columns: {', '.join(c)}" for what,c in (('added',new),('removed',gone)) if c)

def row_keys(t):
    "A row's key, with k as a number: 11 and 11.0 are the same"
    return [tuple(str(number(v)) if n=='k' else v for n,v in zip(row_key, r)) for r in zip(*(t[c] for c in row_key))]

def compare_rows(p, q):
    "Two results.csv"
    a,b = read_csv(p),read_csv(q)
    lack = [c for c in row_key if c not in a or c not in b]
    if lack: return False,f"no column {', '.join(lack)} on both sides"
    keys = [row_keys(t) for t in (a,b)]
    if any(len(set(k))<len(k) for k in keys): return False,f"several rows have the same {', '.join(row_key)}"
    gone,new = (sorted(set(keys[i])-set(keys[1-i])) for i in (0,1))
    if gone or new: return False,f'rows only before: {gone}, only after: {new}'
    at = [keys[1].index(k) for k in keys[0]]
    b = {c:[v[i] for i in at] for c,v in b.items()}
    bad = gaps({c:v for c,v in a.items() if c not in not_compared}, b)
    n = sum(c in b and c not in not_compared for c in a)
    msg = tell(bad) or f'{len(at)} rows, {n} columns the same'
    return not bad,msg+('' if at==sorted(at) else '; the rows are in another order')+columns(a, b)

def same_path(x, y): return type(x)==type(y)==str and '/' in x and x.split('/')[-2:]==y.split('/')[-2:]

def compare_file(p, q):
    "Two lists of issues or cleaned tables"
    if p.read_bytes()==q.read_bytes(): return True,f'{p.stat().st_size:,} bytes the same'
    (a,types),(b,new_types) = read_any(p),read_any(q)
    n,m = (len(next(iter(t.values()))) for t in (a,b))
    if n!=m: return False,f'{n} rows -> {m} rows'
    if set(a)!=set(b): return False,columns(a, b)[2:]
    retyped = [f'{c}: {t} -> {new_types[c]}' for c,t in types.items() if t!=new_types[c]]
    if retyped: return False,', '.join(retyped)
    paths = [c for c in a if a[c]!=b[c] and all(same_path(x, y) for x,y in zip(a[c], b[c]))]
    rest = {c:v for c,v in a.items() if c not in paths and v!=b[c]}
    if rest: return False,tell(gaps(rest, b)) or f"other text for the same numbers in {', '.join(rest)}"
    why = [f"beginning of paths ({', '.join(paths)})"] if paths else []
    if list(a)!=list(b): why.append('order of columns')
    return bool(why),f"{n} rows of the same values, but another {' and '.join(why) or 'way of writing them'}"

def table_of(text):
    "The words of the table that knet-run prints, without a last column of seconds, and of the sentence below it"
    parts = text.split('\n\n', 2)
    if len(parts)<3: return text.split()
    rows = [l.split() for l in parts[1].splitlines()]
    if rows[0][-1]=='seconds': rows = [r[:-1] for r in rows]
    return [w for r in rows for w in r]+parts[2].splitlines()[0].split()

def compare_table(p, q):
    a,b = (table_of(o.read_text()) for o in (p,q))
    bad = [f'{x} -> {y}' for x,y in zip(a, b) if x!=y]
    return a==b,f'{len(a)} printed words the same' if a==b else f"{len(a)} words -> {len(b)}; {', '.join(bad[:6])}"

def compare_about(p, q):
    a,b = (json.loads(o.read_text()) for o in (p,q))
    bad = [f'{k}: {a.get(k)} -> {b.get(k)}' for k in ('samples','flagged','classes','k') if a.get(k)!=b.get(k)]
    return not bad,'; '.join(bad) or f"k={a['k']}, {a['flagged']} of {a['samples']} flagged"

compared = {'results.csv':compare_rows, 'issues.csv':compare_file, 'cleaned.csv':compare_file,
            'cleaned.parquet':compare_file, 'knet-clean.json':compare_about, 'stdout.txt':compare_table}

def compare_job(job, a, b):
    "(name, same?, what) for each file of a job"
    if not a.exists() or not b.exists():
        yield job,False,f"was not run {'before' if not a.exists() else 'after'}"
        return
    for n,f in compared.items():
        p,q = a/n,b/n
        if n=='stdout.txt' and not job.startswith('run_') or not p.exists() and not q.exists(): continue
        if p.exists() and q.exists(): yield f'{job}/{n}',*f(p, q)
        else: yield f'{job}/{n}',False,f"is only there {'before' if p.exists() else 'after'}"

def compare(before, after):
    "Print a line a thing; are they all the same?"
    found = [o for j in jobs for o in compare_job(j, Path(before)/j, Path(after)/j)]
    for n,same,msg in found: print(f"{'same  ' if same else 'DIFFER'} {n:30} {msg}")
    a,b = (json.loads((Path(o)/'about.json').read_text()) for o in (before,after))
    other = [f'{k} {a.get(k)} -> {b.get(k)}' for k in environment if k in a and k in b and a[k]!=b[k]]
    note = f"; they were made with another {', '.join(other)}" if other else ''
    print(f'{sum(o[1] for o in found)} of {len(found)} the same{note}')
    return all(o[1] for o in found)

if __name__=='__main__':
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest='what', required=True)
    m = sub.add_parser('make')
    m.add_argument('out', help='folder to keep the results in')
    m.add_argument('--checkout', default='.', help='the checkout whose package is run (default: this folder)')
    m.add_argument('--only', nargs='+', choices=jobs, help='only these jobs')
    c = sub.add_parser('compare')
    c.add_argument('before')
    c.add_argument('after')
    a = p.parse_args()
    if a.what=='make': make(a.out, a.checkout, a.only)
    else: sys.exit(not compare(a.before, a.after))
