"""The pipeline behind ``python -m spacy elmo embed``, and which of its vectors are written."""

from collections import deque
from hashlib import sha256
from typing import Any, Deque, Dict, Iterator, List, Literal, NamedTuple, Optional, Union, cast

import numpy as np
import spacy
from spacy.language import Language
from spacy.tokens import Doc

from ..component import Elmo
from ..doc import read_vectors, store_vectors
from ..formats import DType
from ..records import Record


class Selection(NamedTuple):
    """The vectors that are written.

    layers: "all" layers, the "mix" of them, or the index of one.
    dtype: The arrays' type.
    n_layers: Layers that the biLM has.
    width: Width of a layer.
    """

    layers: Union[Literal["all", "mix"], int]
    dtype: DType
    n_layers: int
    width: int

    @property
    def columns(self) -> List[str]:
        """A name for each vector of a token."""
        if self.layers == "all":
            return [f"layer_{i}" for i in range(self.n_layers)]
        return ["mix" if self.layers == "mix" else f"layer_{self.layers}"]


class Embedder:
    """Makes Docs and computes the vectors that are asked for.

    nlp: A pipeline with an ``elmo`` component. Components behind it are disabled.
    layers: "all", "mix", "top" or the index of a layer, as a string.
    dtype: The arrays' type.
    batch_size: Most Docs that are computed together.
    RAISES ValueError: There is no ``elmo`` component or no such layer.
    """

    def __init__(self, nlp: Language, layers: str, dtype: DType, batch_size: int) -> None:
        self.nlp = nlp
        self.batch_size = batch_size
        self._elmo = _find_elmo(nlp)
        for name in nlp.pipe_names[nlp.pipe_names.index(self._elmo.name) + 1 :]:
            nlp.disable_pipe(name)
        config = self._elmo.load()
        which = _which_layers(layers, config.n_layers)
        self.selection = Selection(which, dtype, config.n_layers, config.width)
        self._elmo.store_layers = "none" if self.selection.layers == "mix" else dtype

    @property
    def settings(self) -> Dict[str, Any]:
        """What shapes the vectors besides the input, as JSON. (The batch size only shapes their
        rounding.)"""
        model = self.nlp.get_pipe_config(self._elmo.name)["model"]
        return {
            "layers": self.selection.layers,
            "dtype": self.selection.dtype,
            "lang": self.nlp.lang,
            "pipeline": self.nlp.pipe_names,
            "get_spans": model.get("get_spans"),
            "precision": model.get("precision"),
            "weights": sha256(self._elmo.model.to_bytes()).hexdigest(),
        }

    def make_doc(self, record: Record) -> Doc:
        """RAISES ValueError: The text is none that spaCy takes; says where it stands."""
        try:
            if isinstance(record.value, Doc):
                return record.value
            if isinstance(record.value, str):
                return self.nlp.make_doc(record.value)
            return Doc(self.nlp.vocab, words=record.value)
        except ValueError as error:
            raise ValueError(f"{record.where}: {error}") from error

    def embed(self, docs: List[Doc]) -> Iterator[Doc]:
        """Compute the vectors of Docs.

        docs: The Docs. None is kept: a Doc that waits would hold its vectors.
        YIELDS: The Docs in order, which hold the selected vectors: all layers as layers, or else
            the mix or the one layer as their mix.
        """
        waiting = deque(docs)
        docs.clear()
        for doc in self.nlp.pipe(_drain(waiting), batch_size=self.batch_size):
            vectors = read_vectors(doc, self._elmo.name)
            layers, mix = None, vectors.mix
            if self.selection.layers == "all":
                layers = self._to_numpy(vectors.layers)
            elif self.selection.layers != "mix":
                mix = cast(Any, vectors.layers)[self.selection.layers]
            store_vectors(doc, self._elmo.name, self._to_numpy(mix), layers)
            yield doc

    def array(self, doc: Doc) -> np.ndarray:
        """A Doc's selected vectors.

        doc: One that ``embed`` gave.
        RETURNS: (n_layers + 1, n_tokens, width) for all layers, or else (n_tokens, width).
        """
        vectors = read_vectors(doc, self._elmo.name)
        return cast(Any, vectors.layers if self.selection.layers == "all" else vectors.mix)

    def _to_numpy(self, array: Any) -> Any:
        return self._elmo.model.ops.to_numpy(array).astype(self.selection.dtype, copy=False)


def blank_pipeline(
    lang: str, source: str, precision: str = "float32", whole_doc: bool = False
) -> Language:
    """A tokenizer and an ``elmo`` component.

    lang: The tokenizer's language.
    source: Where the biLM's weights come from.
    precision: What is computed with.
    whole_doc: Whether each Doc is read as one sentence.
    RAISES ValueError: The config is invalid.
    RAISES ImportError: spaCy doesn't have the language.
    """
    nlp = spacy.blank(lang)
    model: Dict[str, Any] = {"source": source, "precision": precision}
    if whole_doc:
        model["get_spans"] = {"@span_getters": "spacy-elmo.whole_doc.v1"}
    nlp.add_pipe("elmo", config={"model": model})
    return nlp


def _find_elmo(nlp: Language) -> Elmo:
    """The component: the only one, or the one named "elmo" among several."""
    found = {name: pipe for name, pipe in nlp.pipeline if isinstance(pipe, Elmo)}
    only: Optional[Elmo] = next(iter(found.values())) if len(found) == 1 else found.get("elmo")
    if only is None:
        raise ValueError(
            f"Expected one 'elmo' component in the pipeline ({', '.join(nlp.pipe_names)}), or one "
            f"of that name among several; found {len(found)}."
        )
    return only


def _which_layers(text: str, n_layers: int) -> Union[Literal["all", "mix"], int]:
    if text == "all" or text == "mix":
        return text  # type: ignore[return-value]
    if text == "top":
        return n_layers - 1
    if text.isdecimal() and int(text) < n_layers:
        return int(text)
    raise ValueError(
        f"No layers '{text}': use 'all', 'mix', 'top' or a number from 0 to {n_layers - 1}."
    )


def _drain(docs: Deque[Doc]) -> Iterator[Doc]:
    while docs:
        yield docs.popleft()
