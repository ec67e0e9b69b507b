"Run nbdev's documentation filters over every notebook; check that the sidebar lists every page, that links lead to one, and llms.txt. Needs no Quarto."
import json, re, sys, yaml
from pathlib import PurePosixPath as Path
from llms import is_stale, pages, site
from tree import tree_copy

def _there(at, link): # the path that a relative link leads to
    parts = []
    for o in (at/link).parts: parts = parts[:-1] if o=='..' else parts+[o]
    return '/'.join(parts)

def dead_links(d, nbs):
    "Links to pages that the site will not have, also from README and CONTRIBUTING, and pictures that are not there: 07a_suite.ipynb becomes suite.html"
    from nbdev.doclinks import nbpath2html
    html = {nbpath2html(Path(n)).as_posix() for n in nbs}
    texts = [(n,''.join(c['source'])) for n in sorted(nbs) for c in json.loads((d/'nbs'/n).read_text(encoding='utf-8'))['cells'] if c['cell_type']=='markdown']
    for n,text in texts+[(n,(d/n).read_text(encoding='utf-8')) for n in ('README.md','CONTRIBUTING.md')]:
        own = re.findall(re.escape(site)+r'([^)#\s]+\.html)', text)
        near = [_there(Path(n).parent, o) for o in re.findall(r'\]\((?!https?:)([^)#]+\.html)', text)] if n in nbs else []
        yield from (f'{n}: {o}' for o in own+near if o not in html)
        for o in re.findall(r'!\[[^\]]*\]\((?!https?:|attachment:)([^)\s]+)\)', text):
            if not (d/('nbs' if n in nbs else '.')/Path(n).parent/o).exists(): yield f'{n}: {o}'

def main():
    with tree_copy() as d:
        from nbdev.doclinks import nbglob
        from nbdev.quarto import refresh_quarto_yml
        from nbdev.serve import proc_nbs
        nbs = {f.relative_to(d/'nbs').as_posix() for f in nbglob(d/'nbs', as_path=True)}
        listed = list(pages(yaml.safe_load((d/'nbs/sidebar.yml').read_text())['website']['sidebar']['contents']))
        if nbs!=set(listed) or len(listed)!=len(nbs): sys.exit(f'nbs/sidebar.yml and the notebooks differ in: {sorted(nbs^set(listed))}')
        if dead := list(dead_links(d, nbs)): sys.exit(f'Links to pages that there are not: {dead}')
        if is_stale(d): sys.exit('nbs/llms.txt is not what sidebar and notebooks give: run python .ci/llms.py')
        refresh_quarto_yml()
        done = {f.relative_to(d/'_proc').as_posix() for f in proc_nbs(n_workers=2, force=True).rglob('*.ipynb')}
        if done!=nbs: sys.exit(f'Not processed: {sorted(nbs-done)}')
        print(f'{len(nbs)} notebooks passed the documentation filters')

if __name__=='__main__': main()
