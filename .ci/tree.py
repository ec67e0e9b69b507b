"A throw-away copy of the working tree, for checks that write into it"
import os, shutil, subprocess, sys, tempfile
from contextlib import contextmanager
from pathlib import Path

root = Path(__file__).resolve().parent.parent

def tree_files():
    "Files that git tracks or would add, relative to the root"
    out = subprocess.check_output(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], cwd=root, text=True)
    return [Path(o) for o in sorted(set(out.split('\0'))) if o and os.path.lexists(root/o)]

@contextmanager
def tree_copy():
    "Change into a temporary copy of the tree; python processes started meanwhile import the copy's package"
    old_cwd,old_path = os.getcwd(),os.environ.get('PYTHONPATH')
    with tempfile.TemporaryDirectory() as d:
        d = Path(d).resolve()
        for f in tree_files():
            (d/f).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root/f, d/f, follow_symlinks=False)
        os.chdir(d)
        os.environ['PYTHONPATH'] = str(d)
        sys.path.insert(0, str(d))
        try: yield d
        finally:
            os.chdir(old_cwd)
            sys.path.remove(str(d))
            if old_path is None: del os.environ['PYTHONPATH']
            else: os.environ['PYTHONPATH'] = old_path
