"""Zhang et al.'s preliminary network on digits with 80 % uniform noise: an ablation, and plain cross-entropy.

    python benchmarks/ieg_digits.py [results/ieg-digits/ablation.csv]

Three seeds, the CNN, 60 epochs. Cross-entropy gets the same number of steps, the same schedule and, in its training set,
the same clean probe images. A table that exists is continued: rows that it has are not run again."""
import sys,time
from dataclasses import replace
from pathlib import Path
import pandas as pd,torch
from fastai.basics import set_seed
from knet_nb.backbones import preliminary_learner,recipes
from knet_nb.data import atomic_path,load_data
from knet_nb.experiments import environment
from knet_nb.ieg import ieg_learner,split_probe
from knet_nb.noise import corrupt,uniform_noise

variants = {'IEG':{}, 'no meta step':dict(meta=False), 'no MixUp':dict(mix=False), 'no KL':dict(consistency=False),
            'last layer only':dict(last_layer=True), 'look ahead through the pseudo labels':dict(detach=False)}
epochs,lr = 60,.01

def train(name, seed):
    "One row"
    rest,probe = split_probe(load_data('digits'), 10, seed)
    labels = corrupt(rest.y_train, uniform_noise(10, .8), seed=seed).labels
    set_seed(seed)
    if name.startswith('cross-entropy'):
        both = replace(rest, x_train=torch.cat([rest.x_train,probe.x]), y_train=torch.cat([rest.y_train,probe.y]))
        recipe = replace(recipes['ieg'], epochs=epochs, lr=float(name.split()[-1]), min_steps=0)
        learn = preliminary_learner(both, 'cnn', torch.cat([labels,probe.y]), recipe, device='cpu')
    else: learn = ieg_learner(rest, probe, labels, 'cnn', replace(recipes['ieg'], epochs=epochs, lr=lr, min_steps=0), device='cpu', **variants[name])
    t = time.perf_counter()
    with learn.no_bar(),learn.no_logging(): learn.fit_recipe()
    last = dict(zip(learn.recorder.metric_names[1:-1], learn.recorder.values[-1]))
    return dict(variant=name, seed=seed, accuracy=100*last['accuracy'], weight_ratio=last['weight_right']/last['weight_wrong'] if 'weight_right' in last else None,
                share_believed=last.get('share_believed'), steps=epochs*len(learn.dls.train), seconds=time.perf_counter()-t, **environment())

def main(path):
    rows = pd.read_csv(path).to_dict('records') if path.exists() else []
    have = {(r['variant'],r['seed']) for r in rows}
    for name in ['IEG','cross-entropy, lr 0.1','cross-entropy, lr 0.01',*variants]:
        for seed in range(3):
            if (name,seed) in have: continue
            rows.append(train(name, seed))
            with atomic_path(path) as tmp: pd.DataFrame(rows).to_csv(tmp, index=False)
            print(*list(rows[-1].values())[:4], flush=True)
    df = pd.DataFrame(rows)
    print(df.groupby('variant', sort=False)[['accuracy','weight_ratio','seconds']].agg(['mean','std']).round(2).to_string())

if __name__=='__main__': main(Path(sys.argv[1] if len(sys.argv)>1 else Path(__file__).parents[1]/'results/ieg-digits/ablation.csv'))
