"""``spacy-elmo.BiLMObjective.v1``: a biLM learns to predict words in spaCy's own loop, that of
``spacy pretrain``."""

from functools import partial
from pathlib import Path
from typing import Any, Callable, List, NamedTuple, Optional, Tuple, cast

import numpy as np
import torch
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.api import Model, Ops, PyTorchShim, torch2xp, xp2torch
from thinc.types import Floats1d

from .formats import read_softmax
from .layers import BiLMShim
from .pretraining.corpus import Vocabulary
from .pretraining.learning import LanguageModel, SentenceLoss
from .pretraining.start import with_softmax
from .spans import SpanGetter, get_sentences

Objective = Callable[[Vocab, Model], Model]


class Losses(NamedTuple):
    """How well a batch was predicted.

    means: (2,) of forward and backward direction, in nats a prediction.
    n_predicted: Predictions in either direction: words, and ends of sentences.
    """

    means: Floats1d
    n_predicted: int


def build_bilm_objective_v1(vocabulary: Optional[str] = None, n_samples: int = 2048) -> Objective:
    """The objective of ``spacy pretrain`` for a biLM: each direction predicts the next word. Every
    sentence is read from a state of zeros, because spaCy's batches can't carry one on. The biLM
    learns, also where its component says ``frozen = true``; the mix of its layers doesn't.

    The softmax isn't saved: spaCy keeps the component's model alone. A run that is resumed starts
    with a new one.

    vocabulary (Optional[str]): The words to be predicted: a file with one word a line, as
        ``python -m spacy elmo vocab`` writes it, by falling frequency, which is where the sampled
        softmax takes the words' frequencies from. By default the words and the softmax that are
        there with the weights of the component's ``source``.
    n_samples (int): Words of the sampled softmax.
    RAISES ValueError: There are no samples.
    """
    if n_samples < 1:
        raise ValueError(f"n_samples = {n_samples} of the biLM's objective isn't positive.")
    # spacy train builds this, too, and needs no vocabulary: it is read when pretraining starts.
    return partial(bilm_objective, vocabulary=vocabulary, n_samples=n_samples)


def bilm_objective(
    vocab: Vocab, tok2vec: Model, *, vocabulary: Optional[str], n_samples: int
) -> Model[List[Doc], Losses]:
    """What ``spacy pretrain`` trains. Random numbers follow from ``[training] seed``.

    vocab: The pipeline's; not used.
    tok2vec: The model of an ``elmo`` component, or another one that has a biLM in it. This is what
        ``spacy pretrain`` saves.
    vocabulary, n_samples: As ``spacy-elmo.BiLMObjective.v1`` has them.
    RAISES ValueError: There isn't exactly one biLM, or no vocabulary.
    """
    bilm = _find_bilm(tok2vec)
    start = _start(cast(BiLMShim, bilm.shims[0]), vocabulary)
    random = np.random.default_rng(np.random.randint(2**31, size=4))
    return Model(
        "bilm_objective",
        forward,
        layers=[tok2vec],
        shims=[PyTorchShim(start.softmax)],
        refs={"tok2vec": tok2vec, "bilm": bilm},
        attrs={
            "loss": get_loss,
            "dropout_rate": 0.0,  # spaCy sets it to [pretraining] dropout
            "sentence_loss": SentenceLoss(start.vocabulary, n_samples, random),
        },
    )


def forward(
    model: Model[List[Doc], Losses], docs: List[Doc], is_train: bool
) -> Tuple[Losses, Callable[[Floats1d], List[Doc]]]:
    """docs: Any Docs. The callback takes the gradient of the losses' ``means``."""
    bilm = model.get_ref("bilm")
    sentences = _cut(docs, bilm.attrs["get_spans"])
    if not sentences:
        return Losses(model.ops.alloc1f(2), 0), lambda d_means: []
    # Asked for each time: a resumed run replaces the network.
    network = cast(BiLMShim, bilm.shims[0]).engine.network
    softmax = cast(Any, model.shims[0])._model
    dropout = model.attrs["dropout_rate"] if is_train else 0.0
    with torch.set_grad_enabled(is_train):
        means = model.attrs["sentence_loss"](network, softmax, sentences, dropout)

    def backprop(d_means: Floats1d) -> List[Doc]:
        torch.autograd.backward(means, xp2torch(d_means, device=means.device))
        # Thinc's optimizer knows no sparse gradients.
        softmax.weight.grad = softmax.weight.grad.to_dense()
        return []

    n_predicted = sum(len(words) + 1 for words in sentences)
    return Losses(cast(Floats1d, torch2xp(means.detach(), ops=model.ops)), n_predicted), backprop


def get_loss(ops: Ops, docs: List[Doc], losses: Losses) -> Tuple[float, Floats1d]:
    """What spaCy asks an objective for.

    RETURNS: The sum of all predictions' losses, the mean of both directions, which spaCy adds up
        and prints. And the gradient of their mean, (2,), so that the size of a batch doesn't
        change the size of steps.
    """
    loss = float(losses.means.mean()) * losses.n_predicted
    return loss, ops.asarray1f([0.5, 0.5], dtype="float32")


def _find_bilm(tok2vec: Model) -> Model:
    found = [
        node for node in tok2vec.walk() if any(isinstance(shim, BiLMShim) for shim in node.shims)
    ]
    if len(found) != 1:
        raise ValueError(
            f"spacy-elmo.BiLMObjective.v1 pretrains a biLM, but the model '{tok2vec.name}' has "
            f"{len(found)} of them. [pretraining] component must be the name of an 'elmo' "
            'component, and layer = "".'
        )
    return found[0]


def _start(shim: BiLMShim, path: Optional[str]) -> LanguageModel:
    """Softmax and vocabulary at the start."""
    network = shim.engine.network
    if path is not None:
        return LanguageModel(network, Vocabulary.read(Path(path)))
    weights = read_softmax(shim.source)
    if weights is None:
        raise ValueError(
            f"There is no softmax with the weights of '{shim.source}' that could tell the words "
            "to be predicted. Set 'vocabulary' in [pretraining.objective] to a file with one word "
            "a line: python -m spacy elmo vocab TEXT FILE writes it."
        )
    return with_softmax(network, weights)


def _cut(docs: List[Doc], get_spans: SpanGetter) -> List[List[str]]:
    """The words of each sentence. Of windows that overlap, each word is taken once."""
    cut = [
        [sentence.words[row] for row in sentence.rows.tolist()]
        for in_doc in get_sentences(docs, get_spans)
        for sentence in in_doc
    ]
    return [words for words in cut if words]
