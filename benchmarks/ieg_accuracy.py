"""Zhang et al.'s preliminary network with 80 % uniform noise: an ablation on digits, a subset of CIFAR-10, and plain cross-entropy.

    python benchmarks/ieg_accuracy.py digits    # CNN, 60 epochs, 3 seeds, all switches: half an hour on one core
    python benchmarks/ieg_accuracy.py cifar10   # 5,000 images, ResNet20, 60 epochs: an hour on one core, and more beside other work
    python benchmarks/ieg_accuracy.py start     # the same for 3 epochs, also with Zhang et al.'s factors: minutes

Cross-entropy gets the same number of steps, the same schedule and, in its training set, the same clean probe images. Every
network is followed by kNN and kNet on its features. Rows go to results/ieg-SETTING/results.csv (or --out); those that are there
are not made again, and a training that was stopped goes on from its checkpoint in runs/."""
import time
from dataclasses import replace
from pathlib import Path
import pandas as pd,torch
from fastcore.all import call_parse,first
from fastai.basics import set_seed
from knet_nb.training import ResumableFit
from knet_nb.features import extract_features
from knet_nb.backbones import preliminary_learner,recipes
from knet_nb.data import load_data
from knet_nb.study.results import environment
from knet_nb.ieg import ieg_learner,split_probe
from knet_nb.knet import fit_knet
from knet_nb.neighbors import KNNClassifier
from knet_nb.noise import corrupt,uniform_noise
from common import read_rows,results_folder,rows_like,write_rows

ablation = {'no meta step':dict(meta=False), 'no MixUp':dict(mix=False), 'no KL':dict(consistency=False),
            'last layer only':dict(last_layer=True), 'look ahead through the pseudo labels':dict(detach=False)}
settings = dict(
    digits=dict(data=lambda: load_data('digits'), backbone='cnn', epochs=60, lr=.01, seeds=range(3), variants={'IEG':{}, **ablation}),
    cifar10=dict(data=lambda: load_data('cifar10').subset(5000), backbone='resnet20', epochs=60, lr=.1, seeds=range(1),
                 variants={'IEG, p=1, k=1':dict(p=1., k=1.)})) # Zhang et al.'s p=5, k=20 are for many more steps: see `start`
settings['start'] = settings['cifar10']|dict(epochs=3, variants={'IEG':{}, 'IEG, p=1, k=1':dict(p=1., k=1.)})
rate,ks = .8,(1,11,51,101)

def make_learner(name, rest, probe, labels, s):
    recipe = replace(recipes['ieg'], epochs=s['epochs'], lr=s['lr'], min_steps=0)
    if not name.startswith('cross-entropy'):
        return ieg_learner(rest, probe, labels, s['backbone'], recipe, device='cpu', **s['variants'][name])
    both = replace(rest, x_train=torch.cat([rest.x_train,probe.x]), y_train=torch.cat([rest.y_train,probe.y]))
    recipe = replace(recipe, lr=float(name.split()[-1]), epochs=round(recipe.epochs*len(rest.y_train)/len(both.y_train))) # as many steps
    return preliminary_learner(both, s['backbone'], torch.cat([labels,probe.y]), recipe, device='cpu')

def train(setting, name, seed):
    "One row, and the test accuracy over the steps"
    s = settings[setting]
    rest,probe = split_probe(s['data'](), 10, seed)
    labels = corrupt(rest.y_train, uniform_noise(10, rate), seed=seed).labels
    set_seed(seed)
    learn = make_learner(name, rest, probe, labels, s)
    cb = ResumableFit(Path('runs')/f'ieg-{setting}'/f"{name.replace(' ','-')}-{seed}.safetensors", key=f'{setting} {name} {seed}')
    with learn.no_bar(),learn.no_logging(): learn.fit_recipe(cbs=cb)
    history = pd.DataFrame(list(learn.recorder.values), columns=learn.recorder.metric_names[1:-1])
    history = history.assign(variant=name, seed=seed, step=len(learn.dls.train)*(history.index+1))
    t,last = time.perf_counter(),history.iloc[-1]
    x,y = extract_features(learn, 'train'),learn.dls.train.dataset.y
    x_test,y_test = extract_features(learn, 'test'),rest.y_test.numpy()
    nets = dict(knn=KNNClassifier().fit(x, y, 10), knet=fit_knet(x, y, 10))
    more = {f'{m} k={k}':100*(torch.as_tensor(net.predict(x_test, k)).numpy()==y_test).mean() for m,net in nets.items() for k in ks}
    row = dict(variant=name, seed=seed, accuracy=100*last.accuracy, **more, steps=last.step, lr=learn.recipe.lr,
               weight_ratio=last.weight_right/last.weight_wrong if 'weight_right' in last else None,
               share_believed=last.get('share_believed'),
               seconds=cb.elapsed-(time.perf_counter()-t), **environment())
    return row,history

@call_parse
def main(
    setting:str, # digits, cifar10 or start
    out:str=None, # Folder of the results (default: results/ieg-SETTING)
    only:str='', # Only variants whose names begin like this
):
    s,out = settings[setting],results_folder(f'ieg-{setting}', out)
    rows,curves = [read_rows(out/f) for f in ('results.csv','history.csv')]
    for name in [first(s['variants']),'cross-entropy, lr 0.1','cross-entropy, lr 0.01',*s['variants']]:
        for seed in s['seeds']:
            if not name.startswith(only) or rows_like(rows, variant=name, seed=seed).any(): continue
            row,curve = train(setting, name, seed)
            curves = curves[~rows_like(curves, variant=name, seed=seed)] # of a run that was killed between the two files
            rows,curves = pd.concat([rows,pd.DataFrame([row])]),pd.concat([curves,curve])
            write_rows(curves, out/'history.csv'); write_rows(rows, out/'results.csv')
            print(*list(row.values())[:3], flush=True)
    print(rows.groupby('variant', sort=False)[['accuracy','knet k=51','weight_ratio','seconds']].agg(['mean','std']).round(2).to_string())
