"Suites: no row lost, none doubled, whatever is stopped, killed or merged"
import sys,time
from dataclasses import replace
import pandas as pd,pytest
from knet_nb.files import save_rows
from knet_nb.files import OutOfTime
from knet_nb.training import ResumableFit
from knet_nb.study.config import Config
from knet_nb.study.suite import Suite,estimate,main,merge_rows,merge_runs,seconds_of,suite_configs,suites
from forked import Children

def units(n=3, epochs=4):
    return [Config('digits', 'uniform', r, n_train=300, backbone='cnn', epochs=epochs, k_max=11, ks=(1,11), knet_epochs=2, seeds=(0,), device='cpu', controls=True)
            for r in (.2,.4,.6)[:n]]
code = "import sys; sys.path.insert(0, {tests!r}); from test_suite import units; from knet_nb.study.suite import Suite; Suite(units(), {out!r}, verbose=False).run()"
measured = ['seconds','commit','command']
def same(a, b): pd.testing.assert_frame_equal(a.drop(columns=measured), b.drop(columns=measured))

@pytest.fixture(scope='module')
def whole(tmp_path_factory): return Suite(units(), tmp_path_factory.mktemp('whole'), verbose=False).run()

def test_rows(whole):
    assert len(whole)==3*(11+7) and not whole.duplicated(['rate','include_self','method','k']).any()
    assert whole[~whole.include_self].k_chosen.isin([1,11]).all() and whole[whole.include_self].k_chosen.isna().all()
    assert set(whole[whole.include_self].method)=={'base','knn','knet','fixed_knet'}

@pytest.mark.skipif(sys.platform=='win32', reason='needs POSIX signals')
def test_killed_runner(root, tmp_path):
    run = lambda name: code.format(tests=str(root/'tests'), out=str(tmp_path/name))
    with Children(KNET_CACHE=str(tmp_path/'cache')) as kids:
        [(rc,secs,said)] = kids.run(run('whole'))
        assert rc==0, said
        for t in (.2,.4,.3): kids.run(run('a'), kill=t*secs)
        [(rc,_,said)] = kids.run(run('a'))
    assert rc==0, said
    whole,df = [pd.read_parquet(tmp_path/name/'results.parquet') for name in ('whole','a')]
    same(df, whole)
    same(merge_runs([tmp_path/'a',tmp_path/'a'], tmp_path/'b'), df)
    same(merge_runs([tmp_path/'b',tmp_path/'a'], tmp_path/'b'), df)

def test_budgets(whole, tmp_path, monkeypatch):
    "A training that its budget stops after each epoch ends with the same rows"
    monkeypatch.setattr('knet_nb.study.suite.estimate', lambda c: (0.,0.))
    s,stops = Suite(units(1), tmp_path, verbose=False),0
    real = ResumableFit.__init__
    def init(self, path, every=0, key='', until=None): real(self, path, every, key, None if until is None else 0.)
    monkeypatch.setattr(ResumableFit, '__init__', init)
    while s.left:
        s.run(budget=60)
        stops += bool(s.left)
        assert stops<20
    assert stops==3 # four epochs; nothing is stopped after the last
    same(s.results(), whole[whole.rate==.2].reset_index(drop=True))

def test_out_of_time_before_a_stage(tmp_path):
    s = Suite(units(1), tmp_path, verbose=False)
    with pytest.raises(OutOfTime): s.score(s.units[0], until=time.perf_counter()-1)
    assert len(s.run(budget=0))==0 and not (tmp_path/'results.csv').exists()

def test_missing_data(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('knet_nb.study.suite.estimate', lambda c: (0.,0.))
    gone = replace(units(1)[0], data='svhn', root=str(tmp_path))
    def no(name): raise ConnectionError('svhn could not be downloaded')
    monkeypatch.setattr('knet_nb.data._download', no)
    monkeypatch.setenv('KNET_CACHE', str(tmp_path/'cache'))
    df = Suite([gone,*units(1)], tmp_path/'a').run()
    assert set(df.data)=={'digits'} and 'data not available here' in capsys.readouterr().out

def test_contradictions(whole, tmp_path):
    other = whole.assign(accuracy=whole.accuracy.where(whole.method!='knet', 12.5))
    for name,df in (('a',whole),('b',other)): (tmp_path/name).mkdir(); save_rows(df, tmp_path/name/'results.parquet')
    with pytest.raises(ValueError, match='contradict each other for digits 300 uniform 0.2 cnn fast, seed 0, knet, k=1: accuracies .*, 12.5'):
        merge_runs([tmp_path/'a',tmp_path/'b'], tmp_path/'c')
    assert not (tmp_path/'c').exists()
    same(merge_rows([whole.iloc[:20], whole.iloc[10:]]), whole)

def test_merging_keeps_what_is_there(whole, tmp_path):
    for name,part in (('a',whole[:20]),('b',whole[10:])): (tmp_path/name).mkdir(); save_rows(part, tmp_path/name/'results.parquet')
    same(merge_runs([tmp_path/'b'], tmp_path/'a'), whole)
    before = (tmp_path/'a'/'results.parquet').read_bytes()
    save_rows(whole.assign(accuracy=whole.accuracy+1), tmp_path/'b'/'results.parquet')
    with pytest.raises(ValueError, match='contradict'): merge_runs([tmp_path/'b'], tmp_path/'a')
    assert (tmp_path/'a'/'results.parquet').read_bytes()==before

@pytest.mark.parametrize('args,says', [('--merge a --dry-run','--dry-run does not go with it'), ('--merge a --only uniform','--only does not go with it'), ('--merge a/results.parquet','give the folder'),
    ('--suite paper --dry-run --budget two','a duration is'), ('--suite paper --dry-run --engine rayy',"got 'rayy'"), ('--suite paper --engine ray','needs Ray'), ('--suite paper --only cifar','the words are cifar10, ')])
def test_options_that_cannot_be_meant(whole, tmp_path, capsys, monkeypatch, args, says):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('knet_nb.commands.find_spec', lambda name: None)
    (tmp_path/'a').mkdir(); save_rows(whole, 'a/results.parquet')
    with pytest.raises(SystemExit) as e: main(args.split())
    err = capsys.readouterr().err
    assert e.value.code==2 and says in err and err.count('\n')==1
    assert [p.name for p in tmp_path.iterdir()]==['a']

def test_every_suite():
    for name in suites:
        for tier in ('cpu','gpu'):
            us = suite_configs(name, tier, seeds=(0,1), device='cpu')
            assert len({repr(u) for u in us})==len(us) and all(u.controls for u in us)
    with pytest.raises(ValueError, match='unknown tier'): suite_configs(tier='tpu')
    with pytest.raises(ValueError, match='at least one seed'): suite_configs(seeds=())
    for ok,s in (('90',90),('90s',90),('9m',540),('1.5h',5400)): assert seconds_of(ok)==s
    for bad in ('','m','-3m','1d','nan'):
        with pytest.raises(ValueError, match='a duration is'): seconds_of(bad)

def test_estimates():
    a,b = [estimate(c) for c in units(2)]
    assert a==b and 0<a[0]<a[1]

def slow_units(): return [replace(c, epochs=12) for c in units(3)]

@pytest.mark.skipif(sys.platform!='linux', reason='finds the worker by its name')
def test_ray_with_a_lost_worker(tmp_path, monkeypatch):
    "Two workers share the units; one is killed, and its unit is done by another"
    import os,signal,subprocess,threading
    ray = pytest.importorskip('ray')
    monkeypatch.setenv('RAY_worker_niceness', '0') # its workers are nicer than other work, and would wait for it
    monkeypatch.setenv('RAY_raylet_start_wait_time_s', '120') # beside other tests it may take longer than 30 s
    killed = []
    def kill_one():
        for _ in range(1200):
            pids = subprocess.run(['pgrep','-f','^ray::score_unit'], capture_output=True, text=True).stdout.split()
            if pids:
                time.sleep(.5)
                os.kill(int(pids[0]), signal.SIGKILL)
                return killed.append(pids[0])
            time.sleep(.1)
    try:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        t = threading.Thread(target=kill_one)
        t.start()
        s = Suite(slow_units(), tmp_path, verbose=False)
        df = s.run(engine='ray')
        t.join()
    finally: ray.shutdown()
    assert killed and not s.left
    assert len(df)==3*(11+7) and not df.duplicated(['rate','include_self','method','k']).any()
    again = Suite(slow_units(), tmp_path, verbose=False).run() # nothing is left to do, and the files are the same
    pd.testing.assert_frame_equal(again, df)

def test_suite_options_without_a_suite_say_what_is_missing(capsys):
    with pytest.raises(SystemExit, match='2'): main(['--data','digits','--dry-run'])
    assert '--dry-run goes with --suite' in capsys.readouterr().err
