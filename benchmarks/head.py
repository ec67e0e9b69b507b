"""Where kNet's gain comes from: base, kNN, kNet and heads refitted without neighbours, along one training that ends in memorisation.

    python benchmarks/head.py                          # CIFAR-10, 5,000 images, three kinds of noise, three seeds: two hours on two cores
    python benchmarks/head.py --data digits --n-train 500 --epochs 10 --every 5 --seeds 0

After every few epochs the features are read and everything that follows them is done anew. Rows (noise, seed, epoch, method, k) go
to results/head/results.csv (or --out), with the learning rate and the share of the noisy labels that is fitted at that epoch; a
training whose last epoch is there is not run again."""
import pandas as pd,torch
from fastcore.all import call_parse
from fastai.basics import Callback,set_seed
from knet_nb.features import extract_features
from knet_nb.backbones import preliminary_learner
from knet_nb.data import load_data
from knet_nb.study.results import environment
from knet_nb.commands import ints
from knet_nb.knet import fit_knet,refit_head
from knet_nb.neighbors import nearest,neighbor_labels,votes
from knet_nb.noise import make_noise
from common import read_rows,results_folder,rows_like,write_rows

noises,ks,k_max = [('uniform',.4),('uniform',.8),('random_asymmetric',.3)],[1,51,101],101

class Look(Callback):
    "Evaluates everything after each `every` epochs"
    order = 90
    def __init__(self, labels, y_test, every, shared):
        self.labels,self.y,self.every,self.shared,self.rows = labels,y_test,every,shared,[]
    def after_epoch(self):
        if (self.epoch+1)%self.every and self.epoch+1!=self.n_epoch: return
        rng = torch.get_rng_state() # what is looked at does not change what is trained
        (x,own),(xt,logits),L = [extract_features(self.learn, part, logits=True) for part in ('train','test')]+[self.dls.c]
        fitted = (own.argmax(1)==self.labels).double().mean().item()
        nl,test = [neighbor_labels(nearest(x, q, k=k_max)[1], self.labels) for q in (None,xt)]
        net,seed = fit_knet(x, nbr_labels=nl, n_classes=L, device='cpu'),dict(n_classes=L, device='cpu')
        preds = {('base',None):logits.argmax(1), ('refit',None):refit_head(x, self.labels, **seed).predict(xt, 1),
                 ('refit_linear',None):refit_head(x, self.labels, hidden=0, **seed).predict(xt, 1)}
        preds |= {('knn',k):v.argmax(1) for k,v in zip(ks, votes(test, ks, L).unbind(1))}
        preds |= {('knet',k):p for k,p in zip(ks, net.predict(xt, ks).unbind(1))}
        self.rows += [dict(epoch=self.epoch+1, method=m, k=k, accuracy=100*(p==self.y).double().mean().item(), lr=self.opt.hypers[-1]['lr'],
                           noisy_train_accuracy=100*fitted, **self.shared) for (m,k),p in preds.items()]
        torch.set_rng_state(rng)

@call_parse
def main(
    data:str='cifar10', # A set by name
    n_train:int=5000, # Training images
    backbone:str='resnet20', # Network
    epochs:int=60, # Of the recipe 'memorise'
    every:int=5, # Epochs between looks
    seeds:str='0,1,2', # Seeds
    out:str=None, # Folder (default: results/head)
):
    out = results_folder('head', out)/'results.csv'
    rows,d = read_rows(out),load_data(data).subset(n_train)
    for seed in ints(seeds, 'seeds'):
        for noise,rate in noises:
            what = dict(data=data, n_train=n_train, noise=noise, rate=rate, seed=seed)
            if rows_like(rows, **what, epoch=epochs).any(): continue
            labels = make_noise(noise, d, rate, seed).labels
            set_seed(seed)
            learn = preliminary_learner(d, backbone, labels, 'memorise', epochs=epochs, device='cpu')
            look = Look(labels, d.y_test, every, what|dict(backbone=backbone)|environment())
            with learn.no_bar(),learn.no_logging(): learn.fit_recipe(cbs=look)
            rows = pd.concat([rows,pd.DataFrame(look.rows)])
            write_rows(rows, out)
            last = [r for r in look.rows if r['epoch']==epochs and r['k'] in (None,51)]
            print(noise, rate, seed, {r['method']:round(r['accuracy'],1) for r in last}, flush=True)
