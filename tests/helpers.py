"""Small pipelines for tests of the spaCy side."""

import spacy
import torch
from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc
from spacy.training import Example

from spacy_elmo import BiLM
from spacy_elmo.bilm import BiLMConfig, BiLMNetwork

OPTIONS = {
    "lstm": {
        "dim": 32,
        "projection_dim": 4,
        "n_layers": 2,
        "cell_clip": 3,
        "proj_clip": 3,
        "use_skip_connections": True,
    },
    "char_cnn": {
        "activation": "relu",
        "filters": [[1, 12], [3, 20]],
        "n_highway": 1,
        "embedding": {"dim": 3},
        "n_characters": 262,
        "max_characters_per_token": 20,
    },
}
WIDTH = 8
MIX = {"weights": [0.5, -1.0, 2.0], "gamma": 1.5}
MIX_FACTORS = [0.26293559, 0.05866886, 1.17839555]  # 1.5 * softmax([0.5, -1, 2])
LISTENER = {"@architectures": "spacy-elmo.ElmoListener.v1"}
STOCK_LISTENER = {"@architectures": "spacy.Tok2VecListener.v1", "width": WIDTH}


def save_tiny_bilm(path, seed=0, scalar_mix=None, **lstm):
    """Save a random biLM of a few hundred parameters; gives the path as a source."""
    torch.manual_seed(seed)
    options = {**OPTIONS, "lstm": {**OPTIONS["lstm"], **lstm}, "scalar_mix": scalar_mix}
    network = BiLMNetwork(BiLMConfig.model_validate_json(spacy.util.srsly.json_dumps(options)))
    BiLM(network).save(path)
    return str(path)


def own_bilm(source, **arguments):
    """A tok2vec block with a biLM of its own."""
    spans = {"@span_getters": "spacy-elmo.sentences.v1"}
    architecture = "spacy-elmo.Tok2VecElmo.v1"
    return {"@architectures": architecture, "source": source, "get_spans": spans, **arguments}


def nested(tok2vec):
    """A tok2vec block that holds the given one inside a concatenation."""
    hash_embed = {
        "@architectures": "spacy.MultiHashEmbed.v2",
        "width": 4,
        "attrs": ["NORM"],
        "rows": [20],
        "include_static_vectors": False,
    }
    return {"@layers": "concatenate.v1", "*": {"elmo": tok2vec, "hash": hash_embed}}


class HalfSquares(TrainablePipe):
    """Learns vectors of zero: its loss is half the sum of squares of what its tok2vec gives, so
    the gradient of that is the vectors themselves."""

    def initialize(self, get_examples, *, nlp=None):
        self.model.initialize(X=[example.predicted for example in get_examples()])

    def get_loss(self, examples, scores):
        return sum(float((array.astype("f8") ** 2).sum()) for array in scores) / 2, scores

    def predict(self, docs):
        return self.model.predict(docs)

    def set_annotations(self, docs, scores):
        for doc, array in zip(docs, scores, strict=True):
            doc.user_data[self.name] = array


@spacy.Language.factory("half_squares")
def make_half_squares(nlp, name, tok2vec):
    return HalfSquares(nlp.vocab, tok2vec, name)


def tiny_pipeline(source, listeners=(), *, elmo=None, **model):
    """A blank pipeline with ``elmo`` and a ``half_squares`` for each tok2vec block, called a, b…"""
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo", config={**(elmo or {}), "model": {"source": str(source), **model}})
    for name, tok2vec in zip("abcdef", listeners, strict=False):
        nlp.add_pipe("half_squares", name=name, config={"tok2vec": tok2vec})
    return nlp


def examples(nlp, texts=("He sat on the bank .", "Money ! In the bank .")):
    return [
        Example(Doc(nlp.vocab, words=words), Doc(nlp.vocab, words=words))
        for words in (text.split() for text in texts)
    ]


def textcat_pipeline(source, tok2vec, **bilm):
    """A pipeline with a text classifier on ``elmo``, trained for a few steps; and its examples."""
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo", config={"model": {"source": str(source), **bilm}})
    model = {
        "@architectures": "spacy.TextCatReduce.v1",
        "exclusive_classes": True,
        "use_reduce_first": False,
        "use_reduce_last": False,
        "use_reduce_max": True,
        "use_reduce_mean": True,
        "tok2vec": tok2vec,
    }
    nlp.add_pipe("textcat", config={"model": model})
    train = [
        Example.from_dict(nlp.make_doc(text), {"cats": {"A": i % 2, "B": 1 - i % 2}})
        for i, text in enumerate(["He sat on the bank .", "Money !", "The bank lends money . Rich"])
    ]
    sgd = nlp.initialize(lambda: train)
    for _ in range(5):
        nlp.update(train, sgd=sgd)
    return nlp, train
