"""Is kNet's distance from kNN at small k a lack of width, or the chance in a vote of few?

    knet-run --suite paper --only cifar10,uniform,0.4,resnet20 --seeds 0
    knet-run --suite fashion --only uniform,0.4 --seeds 0
    python benchmarks/width.py

On the features of finished runs kNets of several widths are trained. For each k the mean |kNet - kNN| over test samples and classes is
measured, and beside it the same for votes that are drawn from kNet's own distribution: where the two agree, the distance is what the
chance in a vote explains, and the widths show what else could be had. Rows go to results/width/results.csv."""
from pathlib import Path
import pandas as pd,torch
from fastcore.all import call_parse
from knet_nb.study.results import environment,write_results
from knet_nb.knet import fit_knet
from knet_nb.neighbors import votes
from knet_nb.study.suite import Suite,suite_configs
from common import results_folder

ks,widths = [1,11,51,101],['paper',16,64,256]
blocks = dict(paper='cifar10,uniform,0.4,resnet20', fashion='uniform,0.4')

def drawn(p, k, g):
    "Shares (n, L) of k votes that are drawn from p (n, L)"
    i = torch.multinomial(p, k, replacement=True, generator=g)
    return torch.zeros_like(p).scatter_add_(1, i, torch.full(i.shape, 1/k))

@call_parse
def main(
    runs:str='runs', # Folder in which the suites' runs lie: paper-cpu and fashion-cpu
    seeds:int=3, # kNets of each width
):
    rows = []
    for suite,only in blocks.items():
        s = Suite(suite_configs(suite, seeds=(0,), only=only), Path(runs)/f'{suite}-cpu')
        if s.left: raise SystemExit(f'{s.out} has not finished {only} with seed 0')
        c = s.units[0]
        run = s.experiment(c).runs[0]
        f,nl,y,L = run.features,run.neighbors,run.data.y_test,run.data.n_classes
        v,g = votes(nl['test'], ks, L),torch.Generator().manual_seed(0)
        for width in widths:
            for seed in range(seeds):
                net = fit_knet(f['train'], nbr_labels=nl['train'], n_classes=L, hidden=width, seed=seed)
                for k,p,t in zip(ks, net.predict_proba(f['test'], ks).unbind(1), v.unbind(1)):
                    rows.append(dict(data=c.data, noise=c.noise, rate=c.rate, backbone=c.backbone, width=net.hidden,
                                     paper=width=='paper', seed=seed, k=k, gap=(p-t).abs().mean().item(),
                                     drawn=(p-drawn(p, k, g)).abs().mean().item(),
                                     accuracy=100*(p.argmax(1)==y).double().mean().item()))
            print(c.data, width, [{o:round(r[o],4) for o in ('k','gap','drawn','accuracy')} for r in rows[-len(ks):]], flush=True)
    write_results(pd.DataFrame(rows).assign(**environment()), results_folder('width'))
