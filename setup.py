"The package's metadata, from settings.ini"
import re
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

root = Path(__file__).parent
ini = ConfigParser()
ini.read_string((root/'settings.ini').read_text(encoding='utf-8'))
cfg = ini['DEFAULT']
lib = cfg['lib_name']

def lines(key): return cfg[key].strip().splitlines()

setup(
    name=lib,
    version=re.search(r'^__version__\s*=\s*["\']([^"\']+)', (root/lib/'__init__.py').read_text(encoding='utf-8'), re.M)[1],
    description=cfg['description'],
    long_description=(root/'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author=cfg['author'], author_email=cfg['author_email'],
    license_expression=cfg['license'],
    keywords=cfg['keywords'].split(),
    classifiers=[f"Development Status :: {cfg['status']}", f"Intended Audience :: {cfg['audience']}", f"Topic :: {cfg['topic']}",
        'Programming Language :: Python :: 3'] + [f'Programming Language :: Python :: {v}' for v in cfg['python_versions'].split()],
    python_requires=f">={cfg['min_python']}",
    install_requires=lines('requirements'),
    extras_require={k.removesuffix('_requirements'):lines(k) for k in cfg if k.endswith('_requirements')},
    packages=find_packages(include=[f'{lib}*']),
    package_data={lib: ['py.typed','**/*.csv','**/*.html','**/*.js','**/*.css']},
    entry_points=dict(console_scripts=lines('console_scripts'), nbdev=[f'{lib} = {lib}._modidx:d']),
    zip_safe=False)
