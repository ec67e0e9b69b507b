"""Draws the site's icon and its card for links, from the paper's toy points (explanations/learns): python .ci/pictures.py"""
from pathlib import Path
import matplotlib
matplotlib.use('agg')
from knet_nb.all import *

folder = Path(__file__).resolve().parents[1]/'nbs/images'
toy = blobs_data(n_train=1500, n_test=10)
labels = corrupt(toy.y_train, toy_noise(), seed=0).labels
knet = fit_knet(toy.x_train, labels, seed=0, device='cpu')

def regions(ax, points):
    "The classes that kNet gives at each place, and some samples in the colour of their given label"
    plot_regions(lambda g: knet.predict_proba(g, 51), toy.x_train, labels, ax=ax, n_grid=400, n_points=points)
    ax.set_aspect('auto'); ax.axis('off')

def icon():
    fig,ax = plt.subplots(figsize=(.64,.64), dpi=100)
    fig.subplots_adjust(0, 0, 1, 1)
    regions(ax, 0)
    fig.savefig(folder/'favicon.png'); plt.close(fig)

def card():
    fig = plt.figure(figsize=(12,6.3), dpi=100, facecolor='white')
    regions(fig.add_axes([.5,0,.525,1]), 400)
    for y,size,weight,text in ((.62,54,'bold','knet_nb'), (.47,22,'normal','Find and mend wrong labels,'), (.40,22,'normal','with a small network that votes'), (.33,22,'normal','like k nearest neighbours')):
        fig.text(.05, y, text, fontsize=size, weight=weight, color='#222222')
    fig.savefig(folder/'card.png'); plt.close(fig)

icon(); card()
