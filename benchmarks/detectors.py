"""Which labels are wrong? kNet, kNN's votes, the network's own softmax and cleanlab with a five-fold logistic regression, side by side.

    pip install 'knet_nb[dev]' and, for the features, some of
    knet-run --suite human                                         # CIFAR-10N: real human errors
    knet-run --suite paper --only cifar10,resnet20 --seeds 0       # CIFAR-10 with noise put in
    knet-run --suite fashion
    python benchmarks/detectors.py --only fashion --seeds 0,1,2

All methods get the same penultimate features of the network that was trained on the same noisy labels; the clean labels are used to judge
only. Rows (data, noise, seed, method) go to results/detectors/results.csv: AUROC and average precision of the ranking, F1 of what is flagged, the
share of right suggestions among the labels that are flagged and wrong, and seconds from features to ranking. What is there is not run again."""
from pathlib import Path
import time
from dataclasses import replace
import numpy as np,pandas as pd,torch
from fastcore.all import call_parse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score,f1_score,roc_auc_score
from sklearn.model_selection import StratifiedKFold,cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from knet_nb.features import extract_features
from knet_nb.classifier import KNetClassifier,label_issues
from knet_nb.files import atomic_path
from knet_nb.study.results import environment
from knet_nb.commands import ints
from knet_nb.neighbors import choose_k,nearest,neighbor_labels,votes
from knet_nb.study.suite import Suite,suite_configs

def own_softmax(e, seed):
    "Probabilities that the preliminary network gives its own training samples"
    learn = e._learner(seed)
    learn.model.load_state_dict(e.preliminary(seed)[1])
    return extract_features(learn, 'train', logits=True)[1].softmax(1).numpy()

def by_knet(x, y, L, seed):
    c = KNetClassifier(random_state=seed).fit(x, y)
    return c.pred_probs_,c.label_issues_

def by_votes(x, y, L, seed):
    nl = neighbor_labels(nearest(x, k=101, progress=False)[1], y)
    p = votes(nl, choose_k(nl, y, L), L)[:,0].numpy()
    return p,label_issues(y, p)

def by_cleanlab(x, y, L, seed):
    import cleanlab
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    p = cross_val_predict(model, x, y, cv=StratifiedKFold(5, shuffle=True, random_state=seed), method='predict_proba')
    res = label_issues(y, p)
    return p,res.assign(is_issue=cleanlab.filter.find_label_issues(y, p), score=cleanlab.rank.get_label_quality_scores(y, p), suggested=p.argmax(1))

def judged(res, y, true):
    "Measures of a ranking of labels"
    wrong = y!=true
    hit = wrong&res.is_issue.to_numpy()
    return dict(auroc=roc_auc_score(wrong, -res.score), average_precision=average_precision_score(wrong, -res.score), f1=f1_score(wrong, res.is_issue),
                flagged=res.is_issue.mean(), wrong=wrong.mean(), suggestions=(res.suggested.to_numpy()==true)[hit].mean(),
                accepted=(np.where(res.is_issue, res.suggested, y)==true).mean())

@call_parse
def main(
    suites:str='human,paper,fashion', # Suites whose finished units are looked at
    only:str=None, # Only blocks with these words, separated by commas
    seeds:str='0,1,2', # Seeds of the units; where there is a network for seed 0 only, it is rated with all of them
    runs:str='runs', # Folder in which the suites' runs lie
    methods:str='kNet,kNN votes,softmax of the network,cleanlab', # Which
    out:str=None, # Folder (default: results/detectors)
):
    path = Path(out or Path(__file__).parents[1]/'results/detectors')/'results.csv'
    rows = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=['data','noise','rate','seed','method'])
    for suite in suites.split(','):
        try: units = suite_configs(suite, seeds=ints(seeds, 'seeds'), only=only)
        except ValueError: continue # no such block in this suite
        s = Suite(units, Path(runs)/f'{suite}-cpu', verbose=False)
        for c in s.units:
            seed = c.seeds[0]
            unit = c if s.done(c) else replace(c, seeds=(0,)) # then the network of seed 0 is rated with another seed
            if not s.done(unit): continue
            e,at = s.experiment(unit),unit.seeds[0]
            x,y,true = e.features(at)[1]['train'].numpy(),e.noisy(at)[1]['labels'].numpy(),e.load().y_train.numpy()
            L = e.load().n_classes
            for name,f in {'kNet':by_knet, 'kNN votes':by_votes, 'softmax of the network':None, 'cleanlab':by_cleanlab}.items():
                if name not in methods.split(',') or ((rows.data==c.data)&(rows.noise==c.noise)&(rows.rate==c.rate)&(rows.seed==seed)&(rows.method==name)).any(): continue
                t = time.perf_counter()
                if f: p,res = f(x, y, L, seed)
                else: p = own_softmax(e, at); t = time.perf_counter(); res = label_issues(y, p) # the network has been run already
                sec = time.perf_counter()-t
                row = dict(data=c.data, noise=c.noise, rate=c.rate, backbone=c.backbone, network_seed=at, seed=seed, method=name)|judged(res, y, true)|dict(seconds=sec)|environment()
                print({k:round(v,4) if isinstance(v,float) else v for k,v in row.items() if k not in ('versions','hardware','commit')}, flush=True)
                rows = pd.concat([rows,pd.DataFrame([row])], ignore_index=True)
                with atomic_path(path) as tmp: rows.to_csv(tmp, index=False)
