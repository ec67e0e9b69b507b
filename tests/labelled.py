"Labelled images and tables, and what `knet-clean` says and writes, for its tests"
import hashlib,io,json,re
from pathlib import Path
import numpy as np,pandas as pd,pytest
from PIL import Image
from sklearn.datasets import load_digits
from knet_nb.clean.command import main

quick = dict(backbone='mlp', epochs=2, quiet=True, device='cpu')

def digits(n=300, classes=('null','één','二')):
    "Digits 0, 1 and 2 as images, and class names of which every tenth is wrong"
    d = load_digits()
    keep = np.flatnonzero(d.target<3)[:n]
    y = d.target[keep]
    given = np.where(np.arange(len(y))%10==0, (y+1)%3, y)
    return (d.images[keep]*(255/16)).astype(np.uint8),np.asarray(classes, object)[given],np.asarray(classes, object)[y]

def png(a):
    b = io.BytesIO(); Image.fromarray(a).save(b, 'png')
    return b.getvalue()

def folder(root, names=lambda i: f'{i:03}.png', **kw):
    x,given,true = digits(**kw)
    for i,(a,c) in enumerate(zip(x, given)):
        f = Path(root)/c/names(i)
        f.parent.mkdir(parents=True, exist_ok=True); f.write_bytes(png(a))
    return x,given,true

def checksums(path):
    "Of every file and its time"
    path = Path(path)
    return {str(p):(hashlib.blake2b(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns) for p in ([path] if path.is_file() else sorted(path.rglob('*'))) if p.is_file()}

def page_data(path): return json.loads(re.search('id="data">(.*?)</script>', Path(path).read_text(encoding='utf-8'), re.S)[1])

def fails(capsys, argv, *says):
    "Exit status 2 and one line, which `says` these things"
    with pytest.raises(SystemExit) as e: main([str(o) for o in argv])
    err = capsys.readouterr().err
    assert e.value.code==2 and err.startswith('knet-clean: ') and err.count('\n')==1 and 'Traceback' not in err and len(err)<700, err
    for s in says: assert re.search(s, err), (s,err)

def table(n=120):
    x,given,true = digits(n)
    cols = [f'p{i}' for i in range(18,46,3)]
    return pd.DataFrame(x.reshape(n,-1)[:,18:46:3], columns=cols).assign(name=[f'"{i}", né' for i in range(n)], id=range(1000,1000+n), empty='', label=given),true
