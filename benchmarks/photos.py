"""Wrong labels of photos: kNet on features of a pretrained network, beside cleanlab's recipe on the same features and a network trained on the photos.

    pip install 'knet_nb[dev]'
    KNET_DATA=... python benchmarks/photos.py                       # TrashNet in KNET_DATA/trashnet150, 20 % uniform noise, three seeds
    KNET_DATA=... python benchmarks/photos.py --only 'from scratch' --seeds 0

2,527 photos of six kinds of rubbish; their own labels pass for the truth. The pretrained network is EfficientNet-Lite0 (ImageNet) from PyPI.
Each method rates the same noisy labels; the true ones are used to judge only. Rows (seed, method) go to results/photos/results.csv: AUROC
and average precision of the ranking, F1 of what is flagged, the share of wrong labels before, and after all suggestions are accepted, and
seconds: of reading the features once (`features_s`) and from features to ranking (`seconds`; from photos to ranking where a network is trained).
What is there is not run again."""
import sys,tempfile
from pathlib import Path
import numpy as np,pandas as pd
from fastcore.all import call_parse
from knet_nb.clean.command import CleanOptions,Cleaning
from knet_nb.clean.samples import read_folder
from knet_nb.classifier import KNetClassifier
from knet_nb.commands import ints
from knet_nb.features import image_features,pretrained
from knet_nb.noise import corrupt,uniform_noise
from knet_nb.study.results import environment
from common import clock,data_folder,read_rows,results_folder,rows_like,write_rows
from detectors import by_cleanlab,by_votes,judged
sys.path.insert(0, str(Path(__file__).resolve().parents[1]/'tests')) # the pretrained network of the tests

def by_knet(x, y, L, seed): return None,KNetClassifier(metric='cosine', random_state=seed).fit(x, y).label_issues_

def from_scratch(samples, y, seed):
    with tempfile.TemporaryDirectory() as tmp:
        samples.labels = y
        return Cleaning(samples, CleanOptions(str(samples.path), tmp, backbone='resnet20', seed=seed, device='cpu')).issues()

methods = {'kNet':by_knet, 'kNN votes':by_votes, 'cleanlab':by_cleanlab}

@call_parse
def main(
    seeds:str='0,1,2', # Seeds of noise and method
    rate:float=.2, # Share of the labels that are wrong
    only:str=','.join(methods), # Methods, and 'from scratch'
    out:str=None, # Folder (default: results/photos)
):
    path = results_folder('photos', out)/'results.csv'
    rows = read_rows(path)
    s = read_folder(data_folder('trashnet150'))
    true,L = s.labels.copy(),len(s.classes)
    e = pretrained('lite:lite0')
    features_s,x = clock(lambda: image_features(s.images, e, s.folder, cache=False, device='cpu').numpy())
    for seed in ints(seeds, 'seeds'):
        y = corrupt(true, uniform_noise(L, rate*L/(L-1)), seed=seed).labels.numpy() # of which so many are really others
        for name in only.split(','):
            if rows_like(rows, seed=seed, rate=rate, method=name).any(): continue
            if name=='from scratch': seconds,res = clock(lambda: from_scratch(s, y, seed))
            else: seconds,(_,res) = clock(lambda: methods[name](x, y, L, seed))
            m = judged(res, y, true)
            row = dict(data='trashnet150', n=len(y), rate=rate, seed=seed, method=name)|m|dict(after=1-m['accepted'], seconds=seconds, features_s=features_s)
            print({k:round(v,4) if isinstance(v,float) else v for k,v in row.items()}, flush=True)
            rows = pd.concat([rows,pd.DataFrame([row|environment()])], ignore_index=True)
            write_rows(rows, path)
