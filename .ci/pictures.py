"""Draws the site's icon and its card for links, from the paper's toy points (explanations/learns): python .ci/pictures.py"""
from pathlib import Path
import matplotlib
matplotlib.use('agg')
from knet_nb.all import *
from knet_nb.plots import colors_for

folder = Path(__file__).resolve().parents[1]/'nbs/images'
toy = blobs_data(n_train=1500, n_test=10)
labels = corrupt(toy.y_train, toy_noise(), seed=0).labels
knet,(red,green,blue) = fit_knet(toy.x_train, labels, seed=0, device='cpu'),[np.array(plt.matplotlib.colors.to_rgb(c)) for c in colors_for(3)]

def regions(ax, size=400, box=3.2, points=400):
    "The colours of kNet's distribution at each place, and some samples in the colour of their given label"
    g = torch.linspace(-box, box, size)
    p = knet.predict_proba(torch.cartesian_prod(g, g), 51).reshape(size, size, 3).numpy().transpose(1, 0, 2)
    ax.imshow(1-.75*(1-p@np.stack([red,green,blue])), origin='lower', extent=[-box,box,-box,box], interpolation='bilinear')
    x,y = toy.x_train[:points],labels[:points]
    ax.scatter(*x.T, c=np.stack([red,green,blue])[y], s=14, edgecolors='white', linewidths=.5)
    ax.set(xlim=(-box,box), ylim=(-box,box)); ax.axis('off')

def icon():
    fig,ax = plt.subplots(figsize=(.64,.64), dpi=100)
    fig.subplots_adjust(0, 0, 1, 1)
    regions(ax, points=0)
    fig.savefig(folder/'favicon.png'); plt.close(fig)

def card():
    fig = plt.figure(figsize=(12,6.3), dpi=100, facecolor='white')
    regions(fig.add_axes([.5,0,.525,1]))
    for y,size,weight,text in ((.62,54,'bold','knet_nb'), (.47,22,'normal','Find and mend wrong labels,'), (.40,22,'normal','with a small network that votes'), (.33,22,'normal','like k nearest neighbours')):
        fig.text(.05, y, text, fontsize=size, weight=weight, color='#222222')
    fig.savefig(folder/'card.png'); plt.close(fig)

icon(); card()
