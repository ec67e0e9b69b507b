"""KNetClassifier on large sets: time, peak memory beyond the data, recall of the search, and how well wrong labels are found.

    OMP_NUM_THREADS=2 python benchmarks/large.py                    # 10,000, 100,000 and 1,000,000 rows
    OMP_NUM_THREADS=2 python benchmarks/large.py 10000 --search exact
    OMP_NUM_THREADS=2 python benchmarks/large.py 200000 --classes 10000
    OMP_NUM_THREADS=2 python benchmarks/large.py 1000000 --features 768
    OMP_NUM_THREADS=2 python benchmarks/large.py 1000000 10000000 --stream

Each size runs in a process of its own. The features are 64 float32 numbers a row (or as many as --features says) in a file mapped into memory: ten classes of
30 clusters each, of uneven size, each cluster in a 12-dimensional subspace, plus a little noise in all directions; with more
than 300 classes a cluster each. 30 % of the labels are drawn anew. The memory is what the process holds at most of its own
beyond what it held before the fit; pages of the mapped file, the data, do not count. Rows of a size, width, number of classes and
search that have been run before are replaced in results/large/results.csv. With --stream the rows lie in parquet files of 250,000, which
`clean_stream` reads and rates in blocks (stream.csv).
Linux only."""
import argparse,json,subprocess,sys,tempfile,time
from pathlib import Path
import numpy as np,pandas as pd,pyarrow as pa,pyarrow.dataset as pds,pyarrow.parquet as pq
from sklearn.metrics import roc_auc_score
from knet_nb.classifier import KNetClassifier
from knet_nb.streams import clean_stream
from knet_nb.study.results import environment
from common import Peak,clock,read_rows,results_folder,rows_like,write_rows

out = results_folder('large')/'results.csv'
noise = .3

def make(n, d, n_classes, path):
    "Features in a file, clean labels"
    g,n_clusters = np.random.default_rng(0),max(300, n_classes)
    centers = .5*g.normal(size=(n_classes,d))[np.arange(n_clusters)%n_classes]+.5*g.normal(size=(n_clusters,d)) # a class, and a place in it
    planes = g.normal(size=(n_clusters,12,d))/12**.5
    cluster = g.choice(n_clusters, n, p=g.dirichlet(np.full(n_clusters, 2.)))
    x = np.lib.format.open_memmap(path, 'w+', np.float32, (n,d))
    for i in range(0, n, 10000):
        c = cluster[i:i+10000]
        x[i:i+10000] = centers[c]+np.einsum('nk,nkd->nd', g.normal(size=(len(c),12)), planes[c])+.2*g.normal(size=(len(c),d))
    x.flush()
    return cluster%n_classes

def one(n, d, n_classes, search):
    "One size: a row of results"
    with tempfile.TemporaryDirectory() as tmp:
        clean = make(n, d, n_classes, f'{tmp}/x.npy')
        g = np.random.default_rng(1)
        y = np.where(g.random(n)<noise, g.integers(0, n_classes, n), clean)
        x = np.load(f'{tmp}/x.npy', mmap_mode='r')
        warm = np.array(x[:500])
        KNetClassifier(epochs=1, device='cpu', random_state=0).fit(warm, clean[:500]%2) # imports and thread pools are not the fit's
        with Peak() as peak: fit,m = clock(lambda: KNetClassifier(search=search, device='cpu', random_state=0).fit(x, y))
        predict,p = clock(lambda: m.predict(x))
        found,wrong = m.label_issues_,y!=clean
        hits = (found.is_issue&wrong).sum()
        cost = dict(fit_s=fit, predict_s=predict, peak_mb=peak.bytes/1e6, data_mb=x.nbytes/1e6)
        good = dict(auroc=100*roc_auc_score(wrong, -found.score), precision=100*hits/found.is_issue.sum(), found=100*hits/wrong.sum())
        return dict(n=n, d=d, classes=n_classes, search=search, recall=m.recall_)|cost|dict(k=m.k_, accuracy=100*(p==clean).mean())|good|environment()

def to_shards(x, y, folder, rows=250_000):
    "Parquet files of vectors and labels"
    folder.mkdir()
    for i in range(0, len(x), rows):
        v = pa.FixedSizeListArray.from_arrays(np.asarray(x[i:i+rows]).ravel(), x.shape[1])
        pq.write_table(pa.table(dict(v=v, label=y[i:i+rows])), folder/f'{i//rows:04}.parquet', compression='none')

def one_stream(n, d, n_classes):
    "One size, read from files: a row of results"
    with tempfile.TemporaryDirectory() as tmp:
        clean,tmp = make(n, d, n_classes, f'{tmp}/x.npy'),Path(tmp)
        g = np.random.default_rng(1)
        y = np.where(g.random(n)<noise, g.integers(0, n_classes, n), clean).astype(np.int32)
        x = np.load(tmp/'x.npy', mmap_mode='r')
        to_shards(x, y, tmp/'shards')
        KNetClassifier(epochs=1, device='cpu', random_state=0).fit(np.array(x[:500]), clean[:500]%2) # imports and thread pools
        wrong = y!=clean
        del x,y,clean
        at = [] # when kNet is fitted, and when all is done
        with Peak() as peak:
            at.append(time.perf_counter())
            clean_stream(tmp/'shards', tmp/'out', device='cpu', say=lambda msg: at.append(time.perf_counter()))
            at.append(time.perf_counter())
        found = pds.dataset(tmp/'out/labels').to_table(columns=['row','score','is_issue'])
        order = np.argsort(found['row'].to_numpy())
        score,flag = [found[c].to_numpy()[order] for c in ('score','is_issue')]
        fitted = json.loads((tmp/'out/stream.json').read_text())['fitted_to']
        good = dict(auroc=100*roc_auc_score(wrong, -score), precision=100*wrong[flag].mean(), found=100*flag[wrong].mean())
        times = dict(fit_s=at[2]-at[0], rate_s=at[-1]-at[2], seconds=at[-1]-at[0])
        return dict(n=n, d=d, classes=n_classes, fitted_to=fitted)|times|dict(peak_mb=peak.bytes/1e6, data_mb=4e-6*n*d)|good|environment()

def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('n', type=int, nargs='*', default=[10_000,100_000,1_000_000], help='rows')
    p.add_argument('--classes', type=int, default=10)
    p.add_argument('--features', type=int, default=64, help='numbers of a row')
    p.add_argument('--search', default='auto', choices=['auto','exact','ivf'])
    p.add_argument('--stream', action='store_true', help='read parquet files in blocks')
    p.add_argument('--here', action='store_true', help='run in this process and print JSON')
    a = p.parse_args()
    if a.here: return print(json.dumps(one_stream(a.n[0], a.features, a.classes) if a.stream else one(a.n[0], a.features, a.classes, a.search), default=float))
    path,same = (out.with_name('stream.csv'),{}) if a.stream else (out,dict(search=a.search))
    for n in a.n:
        command = [sys.executable, __file__, str(n), '--features', str(a.features), '--classes', str(a.classes), '--search', a.search, '--here', *['--stream']*a.stream]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        row,old = pd.DataFrame([json.loads(run.stdout.splitlines()[-1])]),read_rows(path)
        write_rows(pd.concat([old[~rows_like(old, n=n, d=a.features, classes=a.classes, **same)], row]).sort_values(['classes','d','n']), path)
        print(row.drop(columns=['hardware','versions','commit']).round(3).to_string(index=False), flush=True)

if __name__=='__main__': main()
