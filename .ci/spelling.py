"Look for misspelt words in the notebooks' text and code, the handwritten files and the modules, by codespell; options are in pyproject.toml"
import json,subprocess,sys,tempfile
from pathlib import Path
from tree import root

def main():
    with tempfile.TemporaryDirectory() as tmp:
        for f in sorted((root/'nbs').rglob('*.ipynb')): # outputs are numbers and pictures
            cells = json.loads(f.read_text(encoding='utf-8'))['cells']
            to = Path(tmp)/f.relative_to(root).with_suffix('.md')
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_text('\n\n'.join(''.join(c['source']) for c in cells), encoding='utf-8')
        others = [root/o for o in ('README.md','CONTRIBUTING.md','CHANGELOG.md','results/README.md','settings.ini','benchmarks','tests','.ci','knet_nb')]
        words = sys.executable,'-m','codespell_lib','--toml',root/'pyproject.toml'
        sys.exit(subprocess.run([*map(str, words),tmp,*map(str, others)]).returncode)

if __name__=='__main__': main()
