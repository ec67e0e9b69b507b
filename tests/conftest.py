import os
from pathlib import Path
import pytest

os.environ.setdefault('MPLBACKEND', 'Agg')
if (n := int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', 0))): # workers share the cores, or they wait for each other
    os.environ.setdefault('OMP_NUM_THREADS', str(max(1, os.cpu_count()//n)))

@pytest.fixture(scope='session')
def root(): return Path(__file__).resolve().parent.parent

@pytest.fixture
def alone(tmp_path, monkeypatch):
    "No local data, a cache and a working folder of one's own"
    monkeypatch.delenv('KNET_DATA', raising=False)
    monkeypatch.setenv('KNET_CACHE', str(tmp_path/'.cache'))
    monkeypatch.chdir(tmp_path)
