import os
from pathlib import Path
import pytest

os.environ.setdefault('MPLBACKEND', 'Agg')

@pytest.fixture(scope='session')
def root(): return Path(__file__).resolve().parent.parent

@pytest.fixture
def alone(tmp_path, monkeypatch):
    "No local data, a cache and a working folder of one's own"
    monkeypatch.delenv('KNET_DATA', raising=False)
    monkeypatch.setenv('KNET_CACHE', str(tmp_path/'.cache'))
    monkeypatch.chdir(tmp_path)
