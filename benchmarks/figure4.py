"""Places of test images in the plane (t-SNE) for the paper's Figure 4, from a finished run of the suite.

    knet-run --suite paper --only cifar10,uniform,0.4,resnet20 --seeds 0
    python benchmarks/figure4.py [--run runs/paper-cpu]

Writes results/figure4/SET-NOISE-RATE-NETWORK.csv, which nbs/results/tables.ipynb draws."""
from fastcore.all import call_parse
from knet_nb.study.paper import tsne_frame
from knet_nb.study.suite import Suite,suite_configs
from common import results_folder,write_rows

@call_parse
def main(
    run:str='runs/paper-cpu', # Folder of the suite
    only:str='cifar10,uniform,0.4,resnet20', # The block
    seed:int=0, # Of the run
):
    s = Suite(suite_configs('paper', seeds=(seed,), only=only), run)
    if s.left: raise SystemExit(f'{run} has not finished {only} with seed {seed}')
    c = s.units[0]
    r = s.experiment(c).runs[0]
    df = tsne_frame(r.features['test'], r.knet().net, r.data.y_test, r.features['base']).round(2)
    out = results_folder('figure4')/f'{c.data}-{c.noise}-{c.rate:g}-{c.backbone}.csv'
    write_rows(df, out)
    print(out)
