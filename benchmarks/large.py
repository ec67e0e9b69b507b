"""KNetClassifier on large sets: time, peak memory beyond the data, recall of the search, and how well wrong labels are found.

    OMP_NUM_THREADS=2 python benchmarks/large.py                    # 10,000, 100,000 and 1,000,000 rows
    OMP_NUM_THREADS=2 python benchmarks/large.py 10000 --search exact
    OMP_NUM_THREADS=2 python benchmarks/large.py 200000 --classes 10000

Each size runs in a process of its own. The features are 64 float32 numbers a row in a file mapped into memory: ten classes of
30 clusters each, of uneven size, each cluster in a 12-dimensional subspace, plus a little noise in all directions; with more
than 300 classes a cluster each. 30 % of the labels are drawn anew. The memory is what the process holds at most of its own
beyond what it held before the fit; pages of the mapped file, the data, do not count. Rows of a size, number of classes and
search that have been run before are replaced in results/large/results.csv.
Linux only."""
import argparse,json,subprocess,sys,tempfile
import numpy as np,pandas as pd
from sklearn.metrics import roc_auc_score
from knet_nb.classifier import KNetClassifier
from knet_nb.study.results import environment
from common import Peak,clock,read_rows,results_folder,rows_like,write_rows

out = results_folder('large')/'results.csv'
d,noise = 64,.3

def make(n, n_classes, path):
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

def one(n, n_classes, search):
    "One size: a row of results"
    with tempfile.TemporaryDirectory() as tmp:
        clean = make(n, n_classes, f'{tmp}/x.npy')
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

def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('n', type=int, nargs='*', default=[10_000,100_000,1_000_000], help='rows')
    p.add_argument('--classes', type=int, default=10)
    p.add_argument('--search', default='auto', choices=['auto','exact','ivf'])
    p.add_argument('--here', action='store_true', help='run in this process and print JSON')
    a = p.parse_args()
    if a.here: return print(json.dumps(one(a.n[0], a.classes, a.search), default=float))
    for n in a.n:
        command = [sys.executable, __file__, str(n), '--classes', str(a.classes), '--search', a.search, '--here']
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        row,old = pd.DataFrame([json.loads(run.stdout.splitlines()[-1])]),read_rows(out)
        write_rows(pd.concat([old[~rows_like(old, n=n, classes=a.classes, search=a.search)], row]).sort_values(['classes','n','search']), out)
        print(row.drop(columns=['hardware','versions','commit']).round(3).to_string(index=False), flush=True)

if __name__=='__main__': main()
