"""Which labels are wrong? kNet, kNN's votes, the network's own softmax and cleanlab with a five-fold logistic regression, side by side.

    pip install 'knet_nb[dev]' and, for the features, some of
    knet-run --suite human                                         # CIFAR-10N: real human errors
    knet-run --suite paper --only cifar10,resnet20 --seeds 0       # CIFAR-10 with noise put in
    knet-run --suite fashion
    python benchmarks/detectors.py --only fashion --seeds 0,1,2

All methods get the same penultimate features of the network that was trained on the same noisy labels; the clean labels are used
to judge only. Rows (data, noise, seed, method) go to results/detectors/results.csv: AUROC and average precision of the ranking, F1 of
what is flagged, the share of right suggestions among the labels that are flagged and wrong, and seconds from features to ranking.
What is there is not run again."""
from pathlib import Path
from dataclasses import replace
import numpy as np,pandas as pd
from fastcore.all import call_parse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score,f1_score,roc_auc_score
from sklearn.model_selection import StratifiedKFold,cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from knet_nb.features import extract_features
from knet_nb.classifier import KNetClassifier,label_issues
from knet_nb.study.results import environment
from knet_nb.commands import ints
from knet_nb.neighbors import choose_k,nearest,neighbor_labels,votes
from knet_nb.study.suite import Suite,suite_configs
from common import clock,read_rows,results_folder,rows_like,write_rows

def own_softmax(run):
    "Probabilities that the preliminary network gives its own training samples"
    return extract_features(run.learner(), 'train', logits=True)[1].softmax(1).numpy()

def by_knet(x, y, L, seed):
    c = KNetClassifier(random_state=seed).fit(x, y)
    return c.pred_probs_,c.label_issues_

def by_votes(x, y, L, seed):
    nl = neighbor_labels(nearest(x, k=101, progress=False)[1], y)
    p = votes(nl, choose_k(nl, y, L), L)[:,0].numpy()
    return p,label_issues(y, p)

def logistic(): return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))

def out_of_sample(x, y, seed):
    "Probabilities of a logistic regression that has not seen the sample, of five folds"
    return cross_val_predict(logistic(), x, y, cv=StratifiedKFold(5, shuffle=True, random_state=seed), method='predict_proba')

def by_cleanlab(x, y, L, seed):
    import cleanlab
    p = out_of_sample(x, y, seed)
    res = label_issues(y, p)
    return p,res.assign(is_issue=cleanlab.filter.find_label_issues(y, p), score=cleanlab.rank.get_label_quality_scores(y, p),
                        suggested=p.argmax(1))

detectors = {'kNet':by_knet, 'kNN votes':by_votes, 'softmax of the network':None, 'cleanlab':by_cleanlab}

def detect(name, run, seed):
    "Seconds and found issues of a detector; the network's own softmax costs nothing more"
    x,y,L = run.features['train'].numpy(),run.noise['labels'].numpy(),run.data.n_classes
    if detectors[name]: seconds,(_,res) = clock(lambda: detectors[name](x, y, L, seed))
    else:
        p = own_softmax(run)
        seconds,res = clock(lambda: label_issues(y, p))
    return seconds,res

def judged(res, y, true):
    "Measures of a ranking of labels"
    wrong = y!=true
    hit = wrong&res.is_issue.to_numpy()
    return dict(auroc=roc_auc_score(wrong, -res.score), average_precision=average_precision_score(wrong, -res.score),
                f1=f1_score(wrong, res.is_issue), flagged=res.is_issue.mean(), wrong=wrong.mean(),
                suggestions=(res.suggested.to_numpy()==true)[hit].mean(),
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
    path = results_folder('detectors', out)/'results.csv'
    rows = read_rows(path)
    for suite in suites.split(','):
        try: units = suite_configs(suite, seeds=ints(seeds, 'seeds'), only=only)
        except ValueError: continue # no such block in this suite
        s = Suite(units, Path(runs)/f'{suite}-cpu', verbose=False)
        for c in s.units:
            unit,seed = c if s.done(c) else replace(c, seeds=(0,)),c.seeds[0] # else the network of seed 0 is rated with another seed
            if not s.done(unit): continue
            run = s.experiment(unit).runs[0]
            for name in (n for n in detectors if n in methods.split(',')):
                what = dict(data=c.data, noise=c.noise, rate=c.rate, backbone=c.backbone, network_seed=run.seed, seed=seed, method=name)
                if rows_like(rows, **{k:what[k] for k in ('data','noise','rate','seed','method')}).any(): continue
                seconds,res = detect(name, run, seed)
                row = what|judged(res, run.noise['labels'].numpy(), run.data.y_train.numpy())|dict(seconds=seconds)
                print({k:round(v,4) if isinstance(v,float) else v for k,v in row.items()}, flush=True)
                rows = pd.concat([rows,pd.DataFrame([row|environment()])], ignore_index=True)
                write_rows(rows, path)
