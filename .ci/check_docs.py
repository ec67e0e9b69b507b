"Run nbdev's documentation filters over every notebook, and check that the sidebar lists every page. Needs no Quarto."
import sys, yaml
from tree import tree_copy

def pages(items):
    for o in items: yield from pages(o['contents']) if isinstance(o, dict) else [o]

def main():
    with tree_copy() as d:
        from nbdev.doclinks import nbglob
        from nbdev.quarto import refresh_quarto_yml
        from nbdev.serve import proc_nbs
        nbs = {f.relative_to(d/'nbs').as_posix() for f in nbglob(d/'nbs', as_path=True)}
        listed = list(pages(yaml.safe_load((d/'nbs/sidebar.yml').read_text())['website']['sidebar']['contents']))
        if nbs!=set(listed) or len(listed)!=len(nbs): sys.exit(f'nbs/sidebar.yml and the notebooks differ in: {sorted(nbs^set(listed))}')
        refresh_quarto_yml()
        done = {f.relative_to(d/'_proc').as_posix() for f in proc_nbs(n_workers=0, force=True).rglob('*.ipynb')}
        if done!=nbs: sys.exit(f'Not processed: {sorted(nbs-done)}')
        print(f'{len(nbs)} notebooks passed the documentation filters')

if __name__=='__main__': main()
