"""How long should knet-clean train on few images? Label issues found with no least number of training steps, and with 100, 200 and 400.

    python benchmarks/steps.py

150, 300 and 600 images of scikit-learn's digits, labels made wrong in two ways, three seeds; the recipe 'fast', whose 14 epochs are
14 to 70 steps here. Rows (n, noise, steps, seed) go to results/steps/results.csv: the share of wrong labels before and after all
suggestions are accepted (%), and the AUROC of the ranking."""
from dataclasses import replace
from itertools import product
from pathlib import Path
import tempfile
import numpy as np,pandas as pd
from sklearn.metrics import roc_auc_score
from knet_nb.data import load_data
from knet_nb.study.results import environment
from knet_nb.noise import make_noise
from knet_nb.clean.command import CleanOptions,Cleaning
from knet_nb.clean.samples import Samples
from common import results_folder,write_rows

def one(n, noise, rate, least, seed):
    d = load_data('digits').subset(n)
    y,true = make_noise(noise, d, rate, seed).labels.numpy(),d.y_train.numpy()
    s = Samples(Path('digits'), pd.DataFrame(dict(row=range(n))), y, d.classes, np.arange(n), x=d.x_train)
    with tempfile.TemporaryDirectory() as tmp:
        c = Cleaning(s, CleanOptions('digits', tmp, no_flip=True, seed=seed, device='cpu'))
        c.recipe = replace(c.recipe, min_steps=least)
        issues = c.issues()
    left = np.where(issues.is_issue, issues.suggested, y)!=true
    epoch = max(1, n//c.recipe.bs)
    return dict(n=n, noise=noise, rate=rate, least=least, seed=seed, steps=c.recipe.n_epochs(epoch)*epoch,
                before=100*(y!=true).mean(), after=100*left.mean(), auroc=roc_auc_score(y!=true, -issues.score))

if __name__=='__main__':
    noises = ('uniform',.2),('random_asymmetric',.3)
    rows = [one(n, *noise, least, seed) for n,noise,least,seed in product((150,300,600), noises, (0,100,200,400), range(3))]
    df = pd.DataFrame(rows).assign(**environment())
    write_rows(df, results_folder('steps')/'results.csv')
    print(df.groupby(['n','noise','least'])[['before','after','auroc']].mean().unstack('least').round(3).to_string())
