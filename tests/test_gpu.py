"benchmarks/gpu.py in small, on the CPU: every part, each row once, and what was measured stays when the time is up"
import sys
from types import SimpleNamespace
import pandas as pd,pytest,torch

@pytest.fixture(scope='module')
def gpu(root):
    with pytest.MonkeyPatch.context() as m:
        m.syspath_prepend(str(root/'benchmarks'))
        import gpu
        yield gpu
        for name in ('gpu','common','run','ieg_compile'): sys.modules.pop(name, None) # another folder may have modules of these names

def small(gpu, out, **kwargs): return gpu.main(device='cpu', quick=True, out=str(out), **kwargs)

def test_every_part_once(gpu, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv('KNET_CACHE', str(tmp_path/'cache'))
    small(gpu, tmp_path)
    assert capsys.readouterr().out.splitlines()[-1]=='0 rows and 0 units are left'
    df = pd.read_csv(tmp_path/'results.csv')
    assert df.part.unique().tolist()==['training','search','knet','ieg','features'] and not df.duplicated(['what','against']).any()
    graph = df.what.str.contains('CUDA graph')
    assert (df[graph].note=='CUDA graphs need a GPU').all() and df[graph].ours.isna().all()
    assert (df[~graph][['ours','theirs','ratio']]>0).all(axis=None) and df[~graph].note.isna().all()
    assert df[['hardware','versions','unit']].notna().all(axis=None)
    assert set(pd.read_csv(tmp_path/'paper'/'results.csv').method)>={'base','knn','knet'}
    monkeypatch.setattr(gpu, 'measured', None) # would fail
    small(gpu, tmp_path)
    assert capsys.readouterr().out=='0 rows and 0 units are left\n'
    assert pd.read_csv(tmp_path/'results.csv').equals(df)

@pytest.fixture
def clock(gpu, monkeypatch):
    "Three rows of 40 seconds by a clock of their own; the second fails as long as it is told to"
    c = SimpleNamespace(now=0., fails=False)
    def pair(i):
        c.now += 40
        assert not (c.fails and i==1), 'not the same'
        return lambda: None,lambda: None,None
    rows = lambda s: [gpu.Row(f'row {i}', 'another', 's', lambda i=i: pair(i)) for i in range(3)]
    monkeypatch.setattr(gpu, 'parts', dict(training=rows))
    monkeypatch.setattr(gpu, 'time', SimpleNamespace(perf_counter=lambda: c.now))
    return c

def found(out): return pd.read_csv(out/'results.csv').what.tolist()

def test_budget(gpu, clock, tmp_path, capsys):
    small(gpu, tmp_path, budget='70s', only='training')
    assert found(tmp_path)==['row 0','row 1'] and '1 rows and 0 units are left; the same command goes on' in capsys.readouterr().out
    small(gpu, tmp_path, budget='0s', only='training')
    assert found(tmp_path)==['row 0','row 1']
    small(gpu, tmp_path, only='training')
    assert found(tmp_path)==['row 0','row 1','row 2'] and clock.now==120

def test_no_time_for_units(gpu, clock, tmp_path, capsys):
    small(gpu, tmp_path, budget='70s')
    assert not (tmp_path/'paper').exists() and '1 rows and 1 units are left' in capsys.readouterr().out

def test_a_row_that_fails_keeps_nobody_waiting(gpu, clock, tmp_path, capsys):
    clock.fails = True
    with pytest.raises(SystemExit, match='1 rows have failed'): small(gpu, tmp_path, only='training')
    assert found(tmp_path)==['row 0','row 2'] and 'AssertionError: not the same' in capsys.readouterr().out
    clock.fails = False
    small(gpu, tmp_path, only='training')
    assert found(tmp_path)==['row 0','row 2','row 1']

def test_a_row_is_not_begun_without_its_time(gpu):
    "On a GPU, where what is begun may be cut off"
    s,row = SimpleNamespace(gpu=True, quick=False),gpu.Row('row', 'another', 's', None, needs=60)
    assert gpu.run_rows([('training',row)], s, None, gpu.time.perf_counter()+50)==(1,0)

def test_what_comes_first(gpu):
    "Of the paper's units those of Zhang et al.'s network at uniform noise"
    units = sorted(gpu.suite_configs('paper', 'gpu', (0,), device='cpu'), key=gpu.tells_most)
    assert [(c.data,c.recipe,c.noise,c.rate) for c in units[:2]]==[('cifar10','ieg','uniform',.4),('cifar10','ieg','uniform',.8)]

def test_refusals(gpu, tmp_path):
    if not torch.cuda.is_available():
        with pytest.raises(SystemExit, match='no GPU here: .* --device cpu --quick'): gpu.main(out=str(tmp_path))
    with pytest.raises(SystemExit, match='unknown parts nonsense: known are training, '): small(gpu, tmp_path, only='nonsense')
    with pytest.raises(ValueError, match='a duration is a number with s, m or h'): small(gpu, tmp_path, budget='soon')

def test_a_wrong_answer_is_noticed(gpu):
    with pytest.raises(AssertionError, match='sums: relative distance 1'): gpu.check_close(torch.ones(2)*2, torch.ones(2), .1, 'sums')
    with pytest.raises(AssertionError): gpu.check_close(torch.tensor([float('nan')]), torch.ones(1), .1, 'sums')
