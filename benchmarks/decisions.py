"""What a decision costs on a long list: milliseconds at the first ones and after many, and seconds to go on from the file.

    python benchmarks/decisions.py                     # 100,000 labels, 50,000 decisions
    python benchmarks/decisions.py --folder /mnt/share # on the disk that is asked about

A decision is a key on the page: the choice, the file through to the disk, and the page drawn anew, all but the browser. `undo` is taking one
back, `whole page` a step of 24. Each is the median of `repeats`, after the disk was warmed up; the last column is the slowest one."""
import statistics,tempfile,time
import numpy as np,pandas as pd
from fastcore.all import Path,call_parse
from knet_nb.clean.cleaner import LabelCleaner
from knet_nb.study.results import environment

def frame(n):
    rng = np.random.default_rng(0)
    given = rng.integers(0, 10, n)
    suggested = (given+rng.integers(1, 10, n))%10
    return pd.DataFrame(dict(given=given, suggested=suggested, p_given=.1, p_suggested=.8, score=rng.random(n), is_issue=True))

def clock(f):
    start = time.perf_counter(); f()
    return time.perf_counter()-start

def times(what, f, repeats):
    "Milliseconds: the median, and the slowest"
    f()
    ms = sorted(1e3*clock(f) for _ in range(repeats))
    return dict(what=what, median_ms=statistics.median(ms), slowest_ms=ms[-1])

def decide_many(c, n):
    "n decisions, each a step of its own, that reach the file with the next one"
    c.steps.file,file = None,c.steps.file
    for row in c.rank[c.kind[c.rank]==0][:n].tolist(): c.keep(row)
    c.steps.file = file

@call_parse
def main(
    n:int=100_000, # Labels
    decisions:int=50_000, # Decisions made before the second look
    repeats:int=30, # Measurements of each kind
    folder:str=None, # Where the file is (default: a temporary folder)
):
    df = frame(n)
    with tempfile.TemporaryDirectory(dir=folder) as d:
        new = lambda: LabelCleaner(df, lambda i: np.full((32,32), i%256, np.uint8), path=Path(d)/'decisions.csv')
        c = new(); c.widget
        rows = [times('decision, none before', c.keep, repeats)]
        c._page,page = None,c._page
        decide_many(c, decisions)
        c._page = page; c.filter('undecided')
        rows.append(times(f'decision, {decisions:,} before', c.keep, repeats))
        rows.append(times('undo', c.undo, repeats))
        rows.append(times('whole page', lambda: c.keep(c.view[c.at:][:24]), repeats))
        print(pd.DataFrame(rows).round(1).to_string(index=False))
        print(f"resumed {len(c.steps):,} steps in {statistics.median(clock(new) for _ in range(5)):.2f} s (median of 5)")
    for k,v in environment().items(): print(f'{k}: {v}')
