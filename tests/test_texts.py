"Texts as features: a column of a csv or parquet, embedders of one's own and of a library"
import sys,types
from pathlib import Path
import numpy as np,pandas as pd,pytest,torch
from knet_nb.clean.command import knet_clean
from knet_nb.clean.samples import read_samples
from knet_nb.features import counted_words,text_features
from labelled import fails,page_data

pytestmark = pytest.mark.usefixtures('alone')
shift = 0.

def lengths(texts): return [[len(t)+shift,t.count(' '),1] for t in texts]
def too_few(texts): return [[1.]]*(len(texts)-1)
def broken(texts): return [[np.nan]]*len(texts)

def frame(n=20):
    text = [f'the {a} {v} tonight' for a in 'cat dog fox owl cow'.split() for v in 'sleeps hunts cries plays'.split()]+[
        f'a {a} {v} by a tenth' for a in 'stock bond price rate fund'.split() for v in 'rose fell grew sank'.split()]
    df = pd.DataFrame(dict(said=text, topic=['animals']*20+['money']*20, other=range(40)))
    df.loc[[3,30],'topic'] = 'money','animals'
    return df

@pytest.mark.parametrize('kind', ['csv','parquet'])
def test_a_column(kind):
    df = frame()
    df.to_csv('t.csv', index=False) if kind=='csv' else df.to_parquet('t.parquet')
    for kw in ({}, dict(embedder='test_texts:lengths')):
        d = knet_clean(f't.{kind}', 'out', label='topic', text='said', quiet=True, **kw)
        data = page_data('out/report.html')
        assert data['columns']==['said'] and data['values'][0]==[df.said[int(data['rows'][0][0])]]
        assert data['notes'][0].startswith("Features: texts of 'said', by "+kw.get('embedder','words')) and 'other (features are made of texts)' in data['notes'][0]
        back = pd.read_csv('out/cleaned.csv') if kind=='csv' else pd.read_parquet('out/cleaned.parquet')
        assert back.drop(columns=['topic','is_issue'], errors='ignore').equals(pd.read_csv('t.csv')[['said','other']] if kind=='csv' else df[['said','other']])
        if not kw: assert sorted(d.row[:2])==[3,30]

def test_the_cache_knows_embedders(monkeypatch):
    "By what they say, not by what they are called; what is done is not done again"
    texts = [f'text {i}'*i for i in range(30)]
    a = text_features(texts, lengths)
    monkeypatch.setattr(sys.modules[__name__], 'shift', 5.)
    assert torch.equal(text_features(texts, lengths)[:,0], a[:,0]+5)
    asked = []
    def counting(part): asked.extend(part); return lengths(part)
    assert torch.equal(text_features(texts, counting)[:,0], a[:,0]+5) and len(asked)==2 # the two that tell embedders apart

def test_sentence_transformers(monkeypatch):
    made = []
    class SentenceTransformer:
        def __init__(self, name):
            made.append(name)
            if name=='gone': raise OSError('gone is not a local folder and is not a valid model identifier')
        def encode(self, texts, show_progress_bar): return np.array(lengths(texts), np.float32)
    monkeypatch.setitem(sys.modules, 'sentence_transformers', types.SimpleNamespace(SentenceTransformer=SentenceTransformer))
    assert text_features(['a b','c'], 'sentence_transformers:mini').tolist()==[[3,1,1],[1,0,1]] and made==['mini']
    with pytest.raises(ConnectionError, match='weights of sentence_transformers:gone could not be downloaded'): text_features(['a'], 'sentence_transformers:gone')
    monkeypatch.setitem(sys.modules, 'sentence_transformers', None)
    with pytest.raises(ValueError, match=r"knet_nb\[text\]"): text_features(['a'], 'sentence_transformers:mini')

def test_what_is_refused(capsys):
    df = frame()
    df.to_csv('t.csv', index=False)
    run = ['t.csv','--label','topic','--out','out']
    fails(capsys, [*run,'--text','nothing'], "no column 'nothing'|nothing")
    fails(capsys, [*run,'--text','said','--embedder','words2'], 'unknown embedder')
    fails(capsys, [*run,'--embedder','test_texts:lengths'], 'needs text=')
    fails(capsys, [*run,'--text','said','--features','other'], 'not both')
    fails(capsys, [*run,'--text','said','--embedder','test_texts:too_few'], 'a row for each')
    fails(capsys, [*run,'--text','said','--embedder','test_texts:broken'], 'NaN|finite')
    fails(capsys, [*run,'--text','said','--embedder','test_texts:gone'], 'cannot be imported')
    assert not Path('out/issues.csv').exists()
    df.assign(said=df.said.where(df.index!=7, None)).to_parquet('n.parquet')
    with pytest.raises(ValueError, match="row 7, counted from 0: column 'said' has no text"): read_samples('n.parquet', label='topic', text='said')
    with pytest.raises(ValueError, match="column 'other' has no text"): read_samples('n.parquet', label='topic', text='other')
    df.assign(said=df.said.where(df.index>2, '')).to_csv('e.csv', index=False)
    assert "3 texts of 'said' are empty" in read_samples('e.csv', label='topic', text='said').notes

def test_counted_words_of_odd_texts():
    assert counted_words(['a']*5+['zwei Wörter']*5).isfinite().all()
    assert counted_words(['same words here']*10).shape[0]==10
    with pytest.raises(ValueError, match='no word occurs in two'): counted_words(['','..','?'])
