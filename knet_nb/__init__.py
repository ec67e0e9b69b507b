__version__ = "0.2.0"
import warnings
from knet_nb.docstrings import install as _install
_install(__name__)
warnings.filterwarnings("ignore", message=".*torch.jit.script", category=FutureWarning) # fastai's import warns on every start
