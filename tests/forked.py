"Runs code in children of a process that has imported the package already: they start at once, and can be killed at any moment"
import json,os,subprocess,sys

_server = r'''
import json,os,signal,subprocess,sys,tempfile,time,traceback
import knet_nb.all,sklearn.datasets # only imported: torch must not have computed anything before a fork
def fork(code, out):
    pid = os.fork()
    if pid: return pid
    os.setpgid(0, 0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0); os.dup2(out.fileno(), 1); os.dup2(out.fileno(), 2)
    rc = 1
    try:
        exec(code, {'__name__':'child'})
        rc = 0
    except SystemExit as e: rc = e.code or 0
    except BaseException: traceback.print_exc()
    finally:
        sys.stdout.flush(); sys.stderr.flush()
        os._exit(rc)
def spawn(code, out): # macOS frameworks do not survive a fork
    p = subprocess.Popen([sys.executable,'-W','ignore','-c',code], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    return p.pid
start = fork if sys.platform=='linux' else spawn
for line in sys.stdin:
    job,res,outs = json.loads(line),{},[]
    t = time.monotonic()
    pids = []
    for code in job['codes']:
        outs.append(tempfile.TemporaryFile())
        pids.append(start(code, outs[-1]))
    while len(res)<len(pids):
        for p in pids:
            if p in res: continue
            if job['kill'] is not None and time.monotonic()-t>job['kill']:
                try: os.killpg(p, signal.SIGKILL)
                except ProcessLookupError: pass # has ended, or has not got its group yet
            q,status = os.waitpid(p, os.WNOHANG)
            if q: res[p] = os.waitstatus_to_exitcode(status),time.monotonic()-t
        time.sleep(.001)
    ans = []
    for p,o in zip(pids,outs):
        o.seek(0)
        ans.append([*res[p],o.read().decode(errors='replace')])
    print(json.dumps(ans), flush=True)
'''

class Children:
    "A context manager; `run` gives (exit status, seconds, output) of each code, all at once and killed with SIGKILL after `kill` seconds"
    def __init__(self, **env):
        self.p = subprocess.Popen([sys.executable,'-W','ignore','-c',_server], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                  env={**os.environ,'PYTHONWARNINGS':'ignore','OMP_NUM_THREADS':'1',**env})
    def __enter__(self): return self
    def __exit__(self, *args): self.p.stdin.close(); self.p.wait()
    def run(self, *codes, kill=None):
        print(json.dumps(dict(codes=codes, kill=kill)), file=self.p.stdin, flush=True)
        return json.loads(self.p.stdout.readline())
