"Print settings.ini's requirements as constraints at exactly their lower bounds"
from configparser import ConfigParser
from pathlib import Path

ini = ConfigParser()
ini.read_string((Path(__file__).parent.parent/'settings.ini').read_text(encoding='utf-8'))
print(ini['DEFAULT']['requirements'].strip().replace('>=', '=='))
