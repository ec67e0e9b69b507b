"""Does `knet-clean` ever make labels worse? Forty settings and more of data, features and noise, beside cleanlab on the same features.

    pip install 'knet_nb[dev]'
    KNET_DATA=... python benchmarks/mending.py                # three quarters of an hour on one CPU core
    KNET_DATA=... python benchmarks/mending.py --only trashnet,pretrained

Each setting is what a person would do: a folder, a csv or an archive is read as `knet-clean` reads it, its labels are replaced by noisy
ones, and `--fix auto` decides whether the suggestions are taken. The pretrained network is EfficientNet-Lite0 (ImageNet) from PyPI;
"scratch" is a ResNet20 trained on the noisy labels; "raw" are pixels or the columns of a table. The true labels are used to judge only.
Rows (setting, seed, method) go to results/mending/results.csv: the share of wrong labels before and after, what was decided, precision,
recall and AUROC of the flags, the estimated share of wrong labels, and the expected calibration error of the most probable label (10 bins):
how often the given label is that one, against how probable that is said to be. cleanlab: its own flags and its recipe's suggestions, all of which are accepted. What is there is not run again."""
import sys,tempfile
from functools import lru_cache
from pathlib import Path
import numpy as np,pandas as pd
from fastcore.all import call_parse
from sklearn import datasets
from sklearn.metrics import precision_score,recall_score,roc_auc_score
from knet_nb.clean.command import CleanOptions,Cleaning
from knet_nb.clean.samples import read_samples
from knet_nb.classifier import noise_estimate
from knet_nb.commands import ints
from knet_nb.data import load_data
from knet_nb.noise import cifar10n_labels,corrupt,pairflip_noise,uniform_noise
from knet_nb.study.results import environment
from common import data_folder,read_rows,results_folder,rows_like,write_rows
from detectors import by_cleanlab
sys.path.insert(0, str(Path(__file__).resolve().parents[1]/'tests')) # the pretrained network of the tests

u1,u2,u4,pair,clean,human = ('uniform',.1),('uniform',.2),('uniform',.4),('pair',.3),('clean',0.),('human',.4)
settings = [(d,f,*n) for d,f,ns in [ # data, features, noise and its rate; what is fast first
    ('breast_cancer','raw',(clean,u1,u2,u4,pair)), ('wine','raw',(clean,u1,u2,u4)), ('digits','raw',(clean,u1,u2,u4,pair)),
    ('trashnet','pretrained',(clean,u1,u2,u4,pair)), ('cifar600','pretrained',(u2,u4,human)), ('cifar600','raw',(u2,)),
    ('cifar600','scratch',(clean,u2,human)), ('cifar2500','pretrained',(clean,u2,pair,human)), ('cifar2500','raw',(u2,)),
    ('cifar10000','pretrained',(u2,human)), ('digits','scratch',(u2,)), ('cifar2500','scratch',(u2,)),
    ('trashnet','scratch',(u2,)), ('cifar10000','scratch',(human,)),
    # sets that had no part in choosing the rule of --fix auto
    ('iris','raw',(clean,u2)), ('svhn2000','pretrained',(clean,u2)), ('svhn2000','raw',(u2,)), ('svhn2000','scratch',(u2,)),
    ('cifar1200','pretrained',(u1,u4,pair)), ('cifar1200','scratch',(u4,))] for n in ns]

@lru_cache(1)
def cifar(): return load_data('cifar10')

def cifar_rows(n): return np.random.default_rng(n==1200).permutation(50000)[:n]

def stored(data, features, folder):
    "What a person would have: the path, and the true labels' column if it is a table"
    if data=='trashnet': return data_folder('trashnet150')
    if data in ('breast_cancer','wine','iris'):
        d = getattr(datasets, f'load_{data}')(as_frame=True).frame
        d.to_csv(path := folder/f'{data}.csv', index=False)
        return path
    if data=='digits':
        d = datasets.load_digits()
        x,y = (d.images*16).clip(0, 255).astype(np.uint8),d.target
    elif data=='svhn2000':
        d = load_data('svhn_sample')
        x,y = d.x_train[:2000].permute(0,2,3,1).numpy(),d.y_train[:2000].numpy()
    else:
        at = cifar_rows(int(data.removeprefix('cifar')))
        x,y = cifar().x_train[at].permute(0,2,3,1).numpy(),cifar().y_train[at].numpy()
    if features=='raw': x = x.reshape(len(x), -1).astype(np.float32)
    np.savez(path := folder/f'{data}.npz', x_train=x, y_train=y)
    return path

def noisy(data, noise, rate, true, L, seed):
    if noise=='clean': return true.copy()
    if noise=='human': return cifar10n_labels('worse').labels.numpy()[cifar_rows(len(true))]
    T = uniform_noise(L, rate*L/(L-1)) if noise=='uniform' else pairflip_noise(L, rate)
    return corrupt(true, T, seed=seed).labels.numpy()

def calibration_error(p, true, bins=10):
    "Mean distance of probabilities from how often they come true"
    at = np.minimum((p*bins).astype(int), bins-1)
    n,sp,sr = [np.bincount(at, w, bins) for w in (None,p,true)]
    return float(np.abs(sp-sr).sum()/n.sum())

def judged(issues, y, true):
    wrong,flags = y!=true,issues.is_issue.to_numpy(bool)
    accepted = np.where(flags, issues.suggested, y)
    res = dict(before=wrong.mean(), accepted=(accepted!=true).mean(), flagged=flags.mean())
    if not wrong.any(): return res
    return res|dict(precision=precision_score(wrong, flags, zero_division=np.nan), recall=recall_score(wrong, flags), auroc=roc_auc_score(wrong, -issues.score))

@call_parse
def main(
    seeds:str='0,1,2', # Seeds of noise and method; networks from scratch, and human labels, have the first one only
    only:str=None, # Only settings with these words, such as trashnet,pretrained
    out:str=None, # Folder (default: results/mending)
):
    path = results_folder('mending', out)/'results.csv'
    rows,words = read_rows(path),set(filter(None, (only or '').split(',')))
    for data,features,noise,rate in settings:
        if words-{data,features,noise}: continue
        for seed in ints(seeds, 'seeds')[:1 if features=='scratch' or noise in ('human','clean') else None]:
            what = dict(data=data, features=features, noise=noise, rate=rate, seed=seed)
            if len(rows) and rows_like(rows, **what).sum()==2: continue
            with tempfile.TemporaryDirectory() as tmp:
                s = read_samples(stored(data, features, Path(tmp)))
                true,L = s.labels.copy(),len(s.classes)
                y = s.labels = noisy(data, noise, rate, true, L, seed)
                backbone = dict(pretrained='lite:lite0', scratch='resnet20').get(features, 'auto')
                c = Cleaning(s, CleanOptions(str(s.path), f'{tmp}/out', backbone=backbone, seed=seed, device='cpu', quiet=True))
                issues = c.issues()
                m = judged(issues, y, true)
                estimate,error = noise_estimate(issues)
                after = m['accepted'] if c.decide_fix()=='suggest' else m['before']
                found = [dict(method='kNet', **m, decided=c.fix, after=after, estimate=estimate, error=error,
                              calibration=calibration_error(issues.p_suggested.to_numpy(), y==issues.suggested.to_numpy()))]
                p,res = by_cleanlab(c.features.numpy(), y, L, seed)
                m = judged(res, y, true)
                found.append(dict(method='cleanlab', **m, decided='suggest', after=m['accepted'],
                                  calibration=calibration_error(p.max(1), y==p.argmax(1))))
            for f in found: print({k:round(v,4) if isinstance(v,float) else v for k,v in (what|f).items()}, flush=True)
            rows = pd.concat([rows,pd.DataFrame([what|dict(n=len(y))|f|environment() for f in found])], ignore_index=True)
            write_rows(rows, path)
