"""What `label_issues` calls an issue beside simpler rules, on sets that had no part in choosing it.

    KNET_DATA=... python benchmarks/issues.py      # KNET_DATA has Fashion-MNIST, or it is downloaded

The rule was chosen among some fifteen on the digits, the first 6,000 images of Fashion-MNIST and one set of blobs, with 0 to 60 % noise;
the estimate of which classes are confused, and its weight, among some ten on digits, CIFAR-10, TrashNet, breast cancer and wine.
These are other images of Fashion-MNIST, other blobs, and scikit-learn's breast cancer and wine (for the estimate: the first two). One seed. The numbers are F1 in %,
and where no label is wrong the share of labels that are called issues. Stored in results/issues/results.csv."""
import numpy as np,pandas as pd
from sklearn.datasets import load_breast_cancer,load_wine,make_blobs
from sklearn.decomposition import PCA
from sklearn.preprocessing import scale
from knet_nb.classifier import KNetClassifier,label_issues
from knet_nb.data import load_data
from knet_nb.study.results import environment
from knet_nb.noise import corrupt,pairflip_noise,random_asymmetric_noise,uniform_noise
from common import results_folder,write_rows

def sets():
    data,some = load_data('fashion_mnist'),slice(30000,34000)
    yield 'fashion',PCA(50, random_state=1).fit_transform(data.x_train[some].flatten(1).numpy()/255.),data.y_train[some].numpy()
    yield 'blobs',*make_blobs(3000, centers=7, cluster_std=3., n_features=6, random_state=11)
    for name,load in dict(cancer=load_breast_cancer, wine=load_wine).items():
        x,y = load(return_X_y=True)
        yield name,scale(x),y

def noises(L):
    yield 'none',uniform_noise(L, 0.)
    yield 'uniform 10%',uniform_noise(L, .1)
    yield 'uniform 40%',uniform_noise(L, .4)
    if L>2: yield 'random asymmetric 20%',random_asymmetric_noise(L, .2, 5) # of two classes it is uniform noise
    yield 'pairflip 35%',pairflip_noise(L, .35)

def confident(p, y):
    "Confident learning: the most probable of the labels that reach their class mean is another"
    means = np.stack([p[y==c].mean(0)[c] for c in range(p.shape[1])])
    sure = np.where(p>=means, p, -1)
    return np.where((sure>=0).any(1), sure.argmax(1), y)!=y

def measure(issue, wrong): return 100*(2*(issue&wrong).sum()/(issue.sum()+wrong.sum()) if wrong.any() else issue.mean())

def main():
    rows = []
    for name,x,clean in sets():
        for kind,T in noises(clean.max()+1):
            y = corrupt(clean, T, seed=77).labels.numpy()
            m = KNetClassifier(batch_size=128, random_state=5, device='cpu').fit(x.astype(np.float32), y)
            rules = {'is_issue':m.label_issues_.is_issue.to_numpy(), 'without the estimate':label_issues(y, m.pred_probs_).is_issue.to_numpy(), 'not the most probable':m.pred_probs_.argmax(1)!=y,
                     'confident learning':confident(m.pred_probs_, y)}
            found = {n:measure(r, y!=clean) for n,r in rules.items()}
            rows.append(dict(set=name, noise=kind, wrong=(y!=clean).mean())|found|environment())
    df = pd.DataFrame(rows)
    write_rows(df, results_folder('issues')/'results.csv')
    print(df.drop(columns=['hardware','versions','commit']).round(1).to_string(index=False))
    print(df[df.wrong>0].iloc[:,3:7].mean().round(1).to_string())

if __name__=='__main__': main()
