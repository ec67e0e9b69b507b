"What the benchmarks share: where results lie, how they are read and written, a clock, the memory of a process"
import threading,time
from pathlib import Path
import pandas as pd
from knet_nb.data import data_roots
from knet_nb.files import atomic_path
from knet_nb.study.results import environment

def results_folder(name, out=None): return Path(out or Path(__file__).resolve().parents[1]/'results'/name)

def read_rows(path): return pd.read_csv(path) if path.exists() else pd.DataFrame()

def write_rows(df, path):
    with atomic_path(path) as tmp: df.to_csv(tmp, index=False)

def data_folder(name):
    "A folder of data that has to be below `KNET_DATA`"
    return next(r/name for r in data_roots() if (r/name).exists())

def rows_like(df, **values):
    "Which rows have these values?"
    same = pd.Series(True, df.index)
    for c,v in values.items(): same &= df[c].eq(v) if c in df else False
    return same

def clock(f):
    "Seconds that a function takes, and its result"
    t = time.perf_counter(); res = f()
    return time.perf_counter()-t,res

def own_memory():
    "Bytes of the process that are not pages of a file"
    return 1024*sum(int(l.split()[1]) for l in open('/proc/self/status') if l.startswith(('RssAnon','RssShmem')))

class Peak:
    "The most that `own_memory` gains within the block, looked at every 20 ms"
    def __enter__(self):
        self.start,self.bytes,self.done = own_memory(),0,threading.Event()
        self.thread = threading.Thread(target=self.watch); self.thread.start()
        return self
    def watch(self):
        while not self.done.wait(.02): self.bytes = max(self.bytes, own_memory()-self.start)
    def __exit__(self, *_): self.done.set(); self.thread.join()

def machine(): return '{hardware}; {versions}'.format(**environment())
