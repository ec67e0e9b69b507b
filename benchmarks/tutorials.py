"""How long the tutorials take, each in a process of its own with nothing cached: as `nbdev-test` runs them (quick), and whole.

    pip install 'knet_nb[dev]'
    KNET_DATA=... OMP_NUM_THREADS=2 python benchmarks/tutorials.py            # with nothing beside it
    KNET_DATA=... python benchmarks/tutorials.py --only photos,zhang

Quick: fewer photos (`KNET_QUICK`), and without the cells marked slow. Seconds include the start of Python. Rows go to
results/tutorials/results.csv (or --out); those of the same tutorial are replaced. A tutorial that fails stops the run."""
import os,subprocess,tempfile
from pathlib import Path
import pandas as pd
from fastcore.all import call_parse
from knet_nb.study.results import environment
from common import clock,read_rows,results_folder,rows_like,write_rows

lessons = Path(__file__).resolve().parents[1]/'nbs'/'tutorials'

def seconds(path, quick):
    "Of one run. Raises `CalledProcessError` if a cell fails"
    with tempfile.TemporaryDirectory() as t:
        env = os.environ|dict(KNET_CACHE=t, KNET_QUICK='1' if quick else '')
        flags = () if quick else ('--flags','slow')
        return clock(lambda: subprocess.run(['nbdev-test','--n-workers','0',*flags,str(path)], check=True, env=env))[0]

@call_parse
def main(
    only:str='', # Only these tutorials, such as photos,zhang
    out:str=None, # Folder (default: results/tutorials)
):
    path = results_folder('tutorials', out)/'results.csv'
    path.parent.mkdir(parents=True, exist_ok=True)
    for f in sorted(lessons.glob('*.ipynb')):
        if only and f.stem not in only.split(','): continue
        row,rows = dict(tutorial=f.stem, quick=seconds(f, True), whole=seconds(f, False))|environment(),read_rows(path)
        print({k:round(v, 1) if isinstance(v, float) else v for k,v in row.items()}, flush=True)
        if len(rows): rows = rows[~rows_like(rows, tutorial=f.stem)]
        write_rows(pd.concat([rows,pd.DataFrame([row])], ignore_index=True), path)
