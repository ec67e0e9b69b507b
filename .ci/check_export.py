"Fail if nbdev-export or nbdev-clean would change a file"
import subprocess, sys
from tree import tree_copy

def contents(d): return {p.relative_to(d):p.read_bytes() for p in d.rglob('*') if p.is_file() and '__pycache__' not in p.parts}

with tree_copy() as d:
    before = contents(d)
    for cmd in ('nbdev-export', 'nbdev-clean'): subprocess.run([cmd], check=True)
    after = contents(d)
diff = sorted(str(p) for p in before.keys()|after.keys() if before.get(p)!=after.get(p))
if diff: sys.exit('nbdev-export and nbdev-clean change: ' + ', '.join(diff))
print(f'{len(before)} files, none changed by nbdev-export and nbdev-clean')
