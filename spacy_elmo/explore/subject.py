"""What is looked into: a biLM, and where it is a pipeline's, the mixes that were learned there."""

from pathlib import Path
from typing import NamedTuple, Optional, cast

import numpy as np
import spacy
from spacy.util import is_package

from ..api import BiLM
from ..component import Elmo
from ..layers import BiLMShim, ElmoListener, read_mix
from ..pretraining.corpus import Tokenization
from ..pretraining.corpus.tokenization import SentenceEncoder


class LearnedMix(NamedTuple):
    """How a component weights the layers: gamma * sum_j shares_j * h_j.

    name: The component's name.
    shares: (n_layers + 1,) float64, which add up to 1 unless they were set by hand.
    gamma: The factor of the whole.
    """

    name: str
    shares: np.ndarray
    gamma: float


class Subject:
    """What is looked into.

    bilm: The biLM.
    tokenization: How texts become its sentences.
    mixes: Of a pipeline's ``elmo`` component and its listeners; none of a biLM alone.
    """

    def __init__(
        self, bilm: BiLM, tokenization: Tokenization, mixes: Optional[list[LearnedMix]] = None
    ) -> None:
        self.bilm, self.tokenization, self.mixes = bilm, tokenization, mixes or []
        self._encoder = SentenceEncoder(tokenization)

    @property
    def n_layers(self) -> int:
        """Layers of a word, the token encoder's included."""
        return self.bilm.config.n_layers

    def sentences(self, text: str) -> list[list[str]]:
        """The words of each sentence of a text."""
        chunk = self._encoder.encode([text])
        sentences = np.split(chunk.tokens, np.cumsum(chunk.lengths)[:-1])
        return [[chunk.words[token] for token in tokens] for tokens in sentences if len(tokens)]


def open_subject(source: str, lang: str = "en", device: str = "cpu") -> Subject:
    """Open what is looked into.

    source: A trained pipeline's directory or package, or any source of a biLM.
    lang: Language of the tokenizer; a pipeline has its own.
    device: The PyTorch device to compute on.
    RAISES ValueError: There is no such source, it is damaged, or the pipeline has no ``elmo``.
    RAISES OSError: A file can't be read.
    RAISES ImportError: The source or the language needs a package that is missing.
    """
    if not ((Path(source) / "config.cfg").is_file() or is_package(source)):
        bilm = BiLM.load(source, device=device)
        return Subject(bilm, Tokenization.of(spacy.blank(lang)))
    nlp = spacy.load(source)
    found = {name: pipe for name, pipe in nlp.pipeline if isinstance(pipe, Elmo)}
    if not found:
        raise ValueError(f"The pipeline {', '.join(nlp.pipe_names)} has no 'elmo' component.")
    elmo = found.get("elmo", next(iter(found.values())))
    elmo.load()
    network = cast(BiLMShim, elmo.bilm.shims[0]).engine.network
    get_spans = nlp.get_pipe_config(elmo.name)["model"].get("get_spans")
    if (get_spans or {}).get("use_doc_sents"):
        get_spans = None  # no component runs here that would set them
    return Subject(BiLM(network.to(device)), Tokenization.of(nlp, get_spans), _mixes_of(elmo))


def _mixes_of(elmo: Elmo) -> list[LearnedMix]:
    """The component's own mix, which stock listeners take, and those of its listeners."""
    models = [(elmo.name, elmo.mix)]
    for name, listeners in elmo.listener_map.items():
        mixes = [node.layers[0] for node in listeners if isinstance(node, ElmoListener)]
        models += [
            (name if len(mixes) == 1 else f"{name} {i}", mix) for i, mix in enumerate(mixes, 1)
        ]
    read = [(name, read_mix(model)) for name, model in models]
    return [LearnedMix(name, *mix) for name, mix in read if mix is not None]


def softmax(s: np.ndarray) -> np.ndarray:
    """s: (n,). RETURNS: (n,), positive, of sum 1."""
    powers = np.exp(s - s.max())
    return powers / powers.sum()
