"""Methods against wrong labels on frozen features: kNet beside kNN, logistic regression, cleanlab's recipes and a linear head.

    pip install 'knet_nb[dev]'
    KNET_DATA=... OMP_NUM_THREADS=1 python benchmarks/frozen.py          # everything, in some hours
    KNET_DATA=... python benchmarks/frozen.py --only cifar10_all          # all 50,000 images of CIFAR-10
    KNET_DATA=... python benchmarks/frozen.py --only digits,pair --seeds 0

Photos are seen through EfficientNet-Lite0 (ImageNet, from PyPI) at 224 pixels, reduced to 128 principal components of the training part;
digits are their pixels, tables their standardised columns. All methods get the same features and the same noisy labels; the true ones are
used to judge only. Rows (set, noise, seed, method) go to results/frozen/results.csv: AUROC and average precision of the ranking, F1 of what
is flagged, the share of right suggestions among the labels that are flagged and wrong, the share of wrong labels before and after all
suggestions are accepted, test accuracy on true labels, seconds (one thread, beside other work); of kNet the estimated share of wrong labels and its interval. `python benchmarks/frozen.py --errors` ranks the test set of CIFAR-10 by its own labels
instead, and compares with what people said (errors.csv); `--annotators` asks what is made of three people's labels (annotators.csv), `--costs` how long each method takes on 50,000 images and how much memory (costs.csv). What is there is not run again."""
import json,subprocess,sys,tempfile
from functools import lru_cache
from pathlib import Path
import numpy as np,pandas as pd,torch
from fastcore.all import call_parse
from scipy.stats import spearmanr
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale
from knet_nb.annotators import dawid_skene,majority_vote,read_answers
from knet_nb.classifier import KNetClassifier,label_issues
from knet_nb.commands import ints
from knet_nb.data import LabeledData,load_data
from knet_nb.features import image_features
from knet_nb.clean.samples import read_folder
from knet_nb.knet import refit_head
from knet_nb.neighbors import choose_k,nearest,neighbor_labels,votes
from knet_nb.noise import cifar10n_labels,corrupt,make_noise,semantic_noise
from knet_nb.study.results import environment
from common import Peak,clock,data_folder,read_rows,results_folder,rows_like,write_rows
from detectors import judged,logistic,out_of_sample
sys.path.insert(0, str(Path(__file__).resolve().parents[1]/'tests')) # the pretrained network of the tests

directed = [('pairflip',.3), ('semantic',.3), ('semantic',.45), ('random_asymmetric',.3)]
noises = [('none',0.), ('uniform',.2), ('uniform',.4), ('uniform',.8), *directed, ('pdn',.4)]
human = [('cifar10n_'+k,0.) for k in ('aggre','random1','worse')]
tables = [('none',0.), ('uniform',.2), ('uniform',.4), ('pdn',.4)]
sets = dict(breast_cancer=[*tables,('semantic',.3)], wine=[*tables,('random_asymmetric',.3),('pairflip',.3)], digits=noises, trashnet=noises, svhn=noises, cifar10=[*noises,*human], cifar10_all=[*noises,*human])
maps = dict( # which classes are taken for others
    trashnet={0:3, 1:4, 4:1, 2:4}, # cardboard for paper, glass and plastic for each other, metal for plastic
    breast_cancer={0:1}) # malignant for benign

def seen(images, folder='.'): return image_features(images, 'lite:lite0', folder, device='cpu').numpy()

def hwc(x): return list(x.permute(0,2,3,1).numpy())

def cifar_rows(name='cifar10'): return np.arange(50000) if name=='cifar10_all' else np.random.default_rng(0).permutation(50000)[:10000]

@lru_cache(1)
def features(name):
    "Training and test features, and true labels; a test part is a fifth where there is none"
    if name in ('cifar10','cifar10_all'):
        d,at = load_data('cifar10'),cifar_rows(name)
        return seen(hwc(d.x_train[at])),seen(hwc(d.x_test)),d.y_train[at].numpy(),d.y_test.numpy()
    if name=='svhn':
        d = load_data('svhn_sample')
        return seen(hwc(d.x_train)),seen(hwc(d.x_test)),d.y_train.numpy(),d.y_test.numpy()
    if name=='trashnet':
        s = read_folder(data_folder('trashnet150'))
        x,y = seen(s.images, s.folder),s.labels
    else:
        x,y = getattr(datasets, f'load_{name}')(return_X_y=True)
        if name!='digits': x = scale(x)
    return train_test_split(x.astype(np.float32), y, test_size=.2, random_state=0, stratify=y)[:2]+train_test_split(y, test_size=.2, random_state=0, stratify=y)

def reduced(x, x_test, d=128):
    if x.shape[1]<=d: return x,x_test
    p = PCA(d, random_state=0).fit(x)
    return p.transform(x).astype(np.float32),p.transform(x_test).astype(np.float32)

@lru_cache(1)
def a_set(name):
    "Features and true labels, and how neighbours are measured"
    x,xt,y,yt = features(name)
    return *reduced(x, xt),y,yt,'cosine' if x.shape[1]>128 else 'euclidean'

def noisy(name, noise, rate, x, y, seed):
    if noise in dict(human): return cifar10n_labels(noise[9:]).labels.numpy()[cifar_rows(name)]
    ys,L = torch.as_tensor(y),int(y.max())+1
    if noise=='semantic' and name in maps: return corrupt(y, semantic_noise(maps[name], rate, L), seed=seed).labels.numpy()
    data = LabeledData(torch.as_tensor(x), ys, torch.as_tensor(x[:1]), ys[:1], range(L), name=name.removesuffix('_all'))
    return make_noise(noise, data, rate, seed).labels.numpy()

def plain(y, p):
    "Issues of probabilities: flagged are labels that are not the most probable one, which is suggested"
    best = p.argmax(1)
    return label_issues(y, p).assign(is_issue=best!=y, suggested=best)

def by_knet(x, y, xt, seed, metric, L, noise='estimate'):
    m = KNetClassifier(metric=metric, noise=noise, random_state=seed, device='cpu').fit(x, y)
    d = m.label_issues_
    if noise: d.attrs |= dict(zip(('noise_rate','low','high'), (m.noise_rate_,*m.noise_rate_interval_)))
    return d,m.predict(xt)

def by_votes(x, y, xt, seed, metric, L, weighted=False):
    "Votes at a k chosen by leave-one-out; weighted: by the share of each neighbour's own neighbours that agree with its label"
    ids = nearest(x, k=101, metric=metric, progress=False)[1]
    nl,at = neighbor_labels(ids, y),nearest(x, k=101, metric=metric, queries=xt, progress=False)[1]
    k = choose_k(nl, y, L)
    w = (nl[:,:11]==torch.as_tensor(y)[:,None]).float().mean(1)+1e-3 if weighted else None
    vote = lambda i: votes(neighbor_labels(i, y), k, L, weights=None if w is None else w[i])[:,0].numpy()
    return plain(y, vote(ids)),vote(at).argmax(1)

def in_sample(x, y, xt, seed, metric, L):
    m = logistic().fit(x, y)
    return plain(y, m.predict_proba(x)),m.predict(xt)

def by_head(x, y, xt, seed, metric, L):
    net = refit_head(x, y, L, hidden=0, seed=seed, device='cpu', progress=False)
    return plain(y, net.predict_proba(x, [1])[:,0].numpy()),net.predict_proba(xt, [1])[:,0].argmax(1).numpy()

def by_folds(x, y, xt, seed, metric, L): return plain(y, out_of_sample(x, y, seed)),logistic().fit(x, y).predict(xt)

def by_cleanlab(x, y, xt, seed, metric, L):
    "`CleanLearning` as its documentation shows it"
    from cleanlab.classification import CleanLearning
    m = CleanLearning(logistic(), seed=seed).fit(x, y)
    d = m.get_label_issues()
    return pd.DataFrame(dict(is_issue=d.is_label_issue, score=d.label_quality, suggested=d.predicted_label)),m.predict(xt)

def by_datalab(x, y, xt, seed, metric, L):
    "cleanlab's `Datalab` of features alone"
    from cleanlab import Datalab
    lab = Datalab(dict(y=y), label_name='y', verbosity=0)
    lab.find_issues(features=x, issue_types={'label':{}})
    d = lab.get_issues('label')
    return pd.DataFrame(dict(is_issue=d.is_label_issue, score=d.label_score, suggested=d.predicted_label)),None

methods = {
    'kNet':by_knet, 'kNet, no estimate':lambda *a: by_knet(*a, noise=None),
    'kNN':by_votes, 'weighted kNN':lambda *a: by_votes(*a, weighted=True),
    'logistic regression':in_sample, 'logistic regression, out of sample':by_folds, 'linear head':by_head,
    'CleanLearning':by_cleanlab, 'Datalab':by_datalab}

def judge(found, y, true, test, true_test):
    d,pred = found
    m = judged(d, y, true) if (y!=true).any() else dict(flagged=d.is_issue.mean(), wrong=0., accepted=(np.where(d.is_issue, d.suggested, y)==true).mean())
    after = 1-m.pop('accepted')
    return m|d.attrs|dict(after=after, accuracy=np.nan if pred is None else (pred==true_test).mean())

def people():
    "What people said of the test images of CIFAR-10: share of answers that are the given label, and errors that a majority of five confirmed"
    d = data_folder('real_label_errors')
    n,checked = np.load(d/'cifar10h-counts.npy'),json.loads((d/'cifar10_mturk.json').read_text())
    confirmed = [o['id'] for o in checked if max(o['mturk']['guessed'], o['mturk']['neither'])>=3]
    return n/n.sum(1, keepdims=True),np.array(confirmed)

def real_errors(path):
    "The test set of CIFAR-10, rated by its own labels"
    _,x,_,y = features('cifar10')
    x = reduced(x, x)[0]
    share,confirmed = people()
    rows = []
    for name,f in methods.items():
        seconds,(d,_) = clock(lambda: f(x, y, x[:10], 0, 'cosine', 10))
        rank = d.score.rank().to_numpy()[confirmed]
        rows.append(dict(method=name, confirmed=len(confirmed), median_rank=np.median(rank), in_first_500=(rank<=500).sum(), flagged=d.is_issue.sum(),
            flagged_confirmed=d.is_issue.to_numpy()[confirmed].sum(), spearman=spearmanr(d.score, share[np.arange(len(y)),y])[0], seconds=seconds)|environment())
        print(rows[-1], flush=True)
    write_rows(pd.DataFrame(rows), path)

def annotated(path, seeds):
    "Three labels for each of 10,000 images (CIFAR-10N, by different people in each column): which one is right?"
    from cleanlab.multiannotator import get_label_quality_multiannotator
    x,_,true,_,metric = a_set('cifar10')
    said = pd.DataFrame({f'random{i}':cifar10n_labels(f'random{i}').labels.numpy()[cifar_rows()] for i in (1,2,3)})
    def crowdlab(seed):
        p = out_of_sample(x, majority_vote(read_answers(said), seed), seed)
        return get_label_quality_multiannotator(said, p, verbose=False)['label_quality'].consensus_label.to_numpy()
    def of_features(seed): return KNetClassifier(metric=metric, random_state=seed, device='cpu').fit_annotators(x, said).best_labels_
    ways = {'one of them':lambda seed: said[f'random{seed%3+1}'].to_numpy(), 'majority':lambda seed: majority_vote(read_answers(said), seed),
            'Dawid and Skene':lambda seed: dawid_skene(read_answers(said))[0].argmax(1), 'cleanlab CROWDLAB':crowdlab, 'kNet':of_features}
    rows = []
    for name,f in ways.items():
        for seed in seeds:
            seconds,best = clock(lambda: f(seed))
            rows.append(dict(data='cifar10', method=name, seed=seed, n=len(true), accuracy=(best==true).mean(), seconds=seconds)|environment())
            print(rows[-1], flush=True)
    write_rows(pd.DataFrame(rows), path)

def cost(path):
    "Seconds and memory (MB, Linux) of each method on all of CIFAR-10, 40 % uniform noise: each in a process of its own, with nothing beside it"
    x,xt,true,_,metric = a_set('cifar10_all')
    y,rows = noisy('cifar10_all', 'uniform', .4, x, true, 0),[]
    with tempfile.TemporaryDirectory() as t:
        np.savez(f'{t}/set.npz', x=x, y=y, xt=xt)
        for name in methods:
            said = subprocess.run([sys.executable,__file__,'--cost-of',name,'--out',t], check=True, capture_output=True, text=True).stdout
            rows.append(dict(method=name, n=len(y))|json.loads(said.splitlines()[-1])|environment())
            print(rows[-1], flush=True)
    write_rows(pd.DataFrame(rows), path)

def cost_of_one(name, folder):
    "What the process of one method says"
    d = np.load(f'{folder}/set.npz')
    few = slice(None, 2000)
    methods[name](d['x'][few], d['y'][few], d['xt'][few], 0, 'cosine', 10) # what is loaded at the first use
    x,y,xt = d['x'],d['y'],d['xt']
    with Peak() as peak: seconds,_ = clock(lambda: methods[name](x, y, xt, 0, 'cosine', 10))
    print(json.dumps(dict(seconds=seconds, mb=peak.bytes/1e6)))

@call_parse
def main(
    seeds:str='0,1,2', # Seeds of noise and method; human labels have one, and vary the method
    only:str=None, # Only sets and noises with these words, such as trashnet,pairflip
    names:str='', # Only these methods, separated by '; '
    errors:bool=False, # Rank the test set of CIFAR-10 instead
    annotators:bool=False, # Compare what is made of three people's labels instead
    costs:bool=False, # Seconds and memory of each method instead
    cost_of:str=None, # Of one method, on what lies in `out`; used by `costs`
    out:str=None, # Folder (default: results/frozen)
):
    if cost_of: return cost_of_one(cost_of, out)
    folder = results_folder('frozen', out)
    folder.mkdir(parents=True, exist_ok=True)
    if errors: return real_errors(folder/'errors.csv')
    if costs: return cost(folder/'costs.csv')
    if annotators: return annotated(folder/'annotators.csv', ints(seeds, 'seeds'))
    rows,words = read_rows(path := folder/'results.csv'),set(filter(None, (only or '').split(',')))
    for name,noise,rate,seed in [(s,*n,i) for s,ns in sets.items() for n in ns for i in ints(seeds, 'seeds')]:
        what = dict(data=name, noise=noise, rate=rate, seed=seed)
        if words-{name,noise}: continue
        wanted = names.split('; ') if names else list(methods)
        todo = [m for m in wanted if not (len(rows) and rows_like(rows, **what, method=m).any())]
        if not todo: continue
        x,xt,true,true_test,metric = a_set(name)
        y = noisy(name, noise, rate, x, true, seed)
        for m in todo:
            seconds,found = clock(lambda: methods[m](x, y, xt, seed, metric, int(true.max())+1))
            row = what|dict(method=m, n=len(y))|judge(found, y, true, xt, true_test)|dict(seconds=seconds)
            print({k:round(float(v), 4) if isinstance(v, float) else v for k,v in row.items()}, flush=True)
            rows = pd.concat([rows,pd.DataFrame([row|environment()])], ignore_index=True)
            write_rows(rows, path)
