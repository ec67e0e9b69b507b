"""How long should knet-clean train on few images? Label issues found with no least number of training steps, and with 100, 200 and 400.

    python benchmarks/steps.py

150, 300 and 600 images of scikit-learn's digits, labels made wrong in two ways, three seeds; the recipe 'fast', whose 14 epochs are 14 to 70 steps
here. Rows (n, noise, steps, seed) go to results/steps/results.csv: the share of wrong labels before and after all suggestions are accepted (%),
and the AUROC of the ranking."""
from dataclasses import replace
from pathlib import Path
import tempfile
import numpy as np,pandas as pd
from sklearn.metrics import roc_auc_score
from knet_nb.files import atomic_path
from knet_nb.data import load_data
from knet_nb.study.results import environment
from knet_nb.noise import make_noise
from knet_nb.clean.command import Cleaning
from knet_nb.clean.samples import Samples

out = Path(__file__).resolve().parents[1]/'results/steps/results.csv'

def one(n, noise, rate, least, seed):
    d = load_data('digits').subset(n)
    y,true = make_noise(noise, d, rate, seed).labels.numpy(),d.y_train.numpy()
    s = Samples(Path('digits'), pd.DataFrame(dict(row=range(n))), y, d.classes, np.arange(n), x=d.x_train)
    with tempfile.TemporaryDirectory() as tmp:
        c = Cleaning(s, Path(tmp), hflip=False, seed=seed, device='cpu', verbose=False)
        c.recipe = replace(c.recipe, min_steps=least)
        issues = c.issues()[0]
    left = np.where(issues.is_issue, issues.suggested, y)!=true
    return dict(n=n, noise=noise, rate=rate, least=least, seed=seed, steps=c.recipe.n_epochs(max(1, n//c.recipe.bs))*max(1, n//c.recipe.bs), before=100*(y!=true).mean(), after=100*left.mean(), auroc=roc_auc_score(y!=true, -issues.score))

if __name__=='__main__':
    rows = [one(n, noise, rate, least, seed) for n in (150,300,600) for noise,rate in (('uniform',.2),('random_asymmetric',.3)) for least in (0,100,200,400) for seed in range(3)]
    df = pd.DataFrame(rows).assign(**environment())
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(out) as tmp: df.to_csv(tmp, index=False)
    print(df.groupby(['n','noise','least'])[['before','after','auroc']].mean().unstack('least').round(3).to_string())
