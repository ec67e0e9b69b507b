"Everything for the notebook user: `from knet_nb.all import *`"
from fastai.basics import *
from fastai.callback.all import *
from knet_nb.images import thumbnail
from knet_nb.plots import plot_regions,plot_transition
from knet_nb.data import LabeledData,blobs_data,dataset_names,from_arrays,from_folder,from_frame,from_npz,from_parquet,load_data,local_path
from knet_nb.noise import (NoisyLabels,cifar10n_labels,corrupt,load_noise,make_noise,pairflip_noise,pdn_noise,random_asymmetric_noise,
    semantic_noise,toy_noise,uniform_noise)
from knet_nb.features import extract_features,fitted_share,image_features,pretrained
from knet_nb.training import ResumableFit,StopAtFit
from knet_nb.backbones import Recipe,backbones,cnn,make_backbone,mlp,n_weights,preliminary_learner,recipes,resnet20,resnet29
from knet_nb.ieg import ieg_learner,split_probe
from knet_nb.neighbors import KNNClassifier,choose_k,nearest,nearest_ivf,neighbor_labels,vote_targets,votes
from knet_nb.knet import KNet,fit_knet,knet_learner,refit_head
from knet_nb.study.results import describe,plot_accuracy,results_table
from knet_nb.study.experiments import Experiment,knet_run
from knet_nb.study.paper import (color_gains,compare,k_choice,paper_layout,paper_results,paper_table,
    plot_approximation,plot_tsne,tsne_frame)
from knet_nb.study.suite import Suite,merge_rows,merge_runs,suite_configs
from knet_nb.study.claims import ledger,plot_gain,plot_verdicts
from knet_nb.classifier import KNetClassifier,find_label_issues,knn_graph,label_issues
from knet_nb.deploy import DeployedKNet,feature_net
from knet_nb.streams import clean_stream
from knet_nb.clean.samples import Samples,fix_labels,read_folder,read_samples,read_table
from knet_nb.clean.page import issues_page
from knet_nb.clean.command import knet_clean
from knet_nb.clean.cleaner import LabelCleaner
from knet_nb.clean.explorer import KExplorer
