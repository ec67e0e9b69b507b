"""What a long training on the CPU holds in memory, with and without `TrimMemory`.

    python benchmarks/memory.py

Two trainings of the CNN on 60,000 made-up images of Fashion-MNIST's shape, each in a process of its own, an epoch each (about two minutes).
Rows (trim, step, MB held by the process) go to results/memory/results.csv, with the seconds of each epoch. Linux only."""
import argparse,subprocess,sys,time
from io import StringIO
from pathlib import Path
import pandas as pd,torch
from fastai.basics import Callback,set_seed
from knet_nb.backbones import preliminary_learner
from knet_nb.data import LabeledData
from knet_nb.study.results import environment
from common import results_folder,write_rows

def held(): return int(Path('/proc/self/statm').read_text().split()[1])*4096/2**20

class Look(Callback):
    "Notes the memory every 50 steps"
    order,run_valid = 99,False
    def __init__(self): self.rows = []
    def after_batch(self):
        if self.train_iter%50==1: self.rows.append(dict(step=self.train_iter, mb=held()))

def one(trim):
    x,y = torch.randint(256, (60000,1,28,28), dtype=torch.uint8),torch.arange(60000)%10
    set_seed(0)
    look = Look()
    learn = preliminary_learner(LabeledData(x, y, x[:100], y[:100], range(10)), 'cnn', epochs=1, device='cpu', cbs=look)
    if not trim: learn.remove_cb(learn.trim_memory)
    t = time.perf_counter()
    with learn.no_bar(),learn.no_logging(): learn.fit_recipe()
    print(pd.DataFrame(look.rows).assign(trim=trim, seconds=time.perf_counter()-t, **environment()).to_json(orient='records'))

def in_a_process(trim):
    run = subprocess.run([sys.executable,__file__,'--one',trim], capture_output=True, text=True, check=True)
    return pd.read_json(StringIO(run.stdout.splitlines()[-1]))

if __name__=='__main__':
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--one', choices=['0','1'], help='one training in this process, its rows as JSON')
    a = p.parse_args()
    if a.one: one(a.one=='1')
    else:
        df = pd.concat(map(in_a_process, '01'), ignore_index=True)
        write_rows(df, results_folder('memory')/'results.csv')
        print(df.groupby('trim')[['mb','seconds']].max())
