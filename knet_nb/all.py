"Everything for the notebook user: `from knet_nb.all import *`"
from fastai.basics import *
from fastai.callback.all import *
from knet_nb.data import *
from knet_nb.noise import *
from knet_nb.backbones import *
from knet_nb.ieg import *
from knet_nb.neighbors import *
from knet_nb.knet import *
from knet_nb.experiments import *
from knet_nb.analysis import *
from knet_nb.suite import *
from knet_nb.claims import *
from knet_nb.cleaning import *
from knet_nb.deploy import *
from knet_nb.report import *
from knet_nb.widgets import *
