"Help that comes at once is the help that the whole command gives"
import subprocess,sys
import pytest
from knet_nb.clean.command import knet_clean
from knet_nb.commands import many_experiments,parser_of
from knet_nb.study.experiments import knet_run

@pytest.mark.parametrize('f,prog,epilog,entry', [(knet_clean,'knet-clean',None,'clean'), (knet_run,'knet-run',many_experiments,'run')])
def test_help_at_once(f, prog, epilog, entry, monkeypatch):
    monkeypatch.setenv('COLUMNS', '100')
    code = f"import sys; sys.argv = ['x','--help']\nfrom knet_nb.start import {entry}\ntry: {entry}()\nfinally: print('torch' in sys.modules, file=sys.stderr)"
    p = subprocess.run([sys.executable,'-c',code], capture_output=True, text=True)
    assert p.returncode==0 and p.stderr=='False\n', p.stderr
    assert p.stdout==parser_of(f, prog, epilog).format_help()

def test_all_shows_images():
    "What `from knet_nb.all import *` gives shows a batch of images in a grid; nothing else has to be imported"
    code = "import matplotlib; matplotlib.use('agg')\nfrom knet_nb.all import *\nload_data('digits').dls(bs=9, device='cpu').show_batch(nrows=3)\nassert len(plt.gcf().axes)==9"
    subprocess.run([sys.executable,'-c',code], check=True)
