"""The public biLM of plain PyTorch: load, embed, predict, save."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, Optional, Union

import numpy as np
import torch

from .bilm import BiLMConfig, BiLMNetwork, Engine, Precision
from .formats import (
    SoftmaxWeights,
    Source,
    StoredDType,
    pin_source,
    read_softmax,
    read_source,
    write_hdf5,
    write_native,
)
from .pretraining.evaluation import Predictions, Substitute, Surprisal
from .pretraining.start import with_softmax


class BiLM:
    """A bidirectional language model that gives every word of a sentence its layers.

    network: The PyTorch module.
    precision: What ``embed`` computes matrix products in.

    >>> bilm = BiLM.load("en_small")
    >>> layers = bilm.embed([["He", "sat"], ["Hello"]])
    >>> [array.shape for array in layers]
    [(3, 2, 256), (3, 1, 256)]
    """

    def __init__(self, network: BiLMNetwork, precision: Precision = "float32") -> None:
        self.network = network
        self._engine = Engine(network, precision)
        self._source: Optional[Source] = None
        self._vocabulary: Optional[Path] = None

    def __repr__(self) -> str:
        config = self.config
        return f"<BiLM: {config.n_layers} layers of width {config.width}>"

    @property
    def config(self) -> BiLMConfig:
        """The options that shape the biLM."""
        return self.network.config

    @classmethod
    def load(
        cls,
        source: Source,
        *,
        device: Union[str, torch.device] = "cpu",
        precision: Precision = "float32",
        vocabulary: Union[str, Path, None] = None,
    ) -> "BiLM":
        """Load a biLM.

        source: A bundled name (``"en_small"``) or a published one (``"allennlp/small"``); a
            directory, in the native or the published layout or that of ELMoForManyLangs; an HDF5
            file with its options beside it; a TensorFlow checkpoint or TF-Hub module (needs
            ``spacy-elmo[tensorflow]``); a pair (options, weights); the URLs of such files; or
            ``"hf:OWNER/NAME"`` or ``"hf:OWNER/NAME@REVISION"``, a repository of the Hugging Face
            Hub (needs ``spacy-elmo[hub]``). What is remote is fetched once and kept in a cache.
        device: The PyTorch device to compute on.
        precision: What matrix products are computed in: "float32" (exact), or "bfloat16" or "int8",
            which are faster and a little less exact.
        vocabulary: For predictions by a TensorFlow checkpoint, the vocabulary file that it was
            trained with; by default ``vocab.txt`` beside it.
        RAISES ValueError: No such source, it can't be fetched, or its files are damaged or don't
            fit together; an unknown precision.
        RAISES ImportError: It is a TensorFlow checkpoint, and TensorFlow isn't installed.
        """
        source = pin_source(source)  # so that a softmax that is read later is this biLM's
        bilm = cls(read_source(source).to(device), precision)
        bilm._source, bilm._vocabulary = source, Path(vocabulary) if vocabulary else None
        return bilm

    @cached_property
    def softmax(self) -> Optional[SoftmaxWeights]:
        """The softmax that the biLM was trained with, read from its source when it is first asked
        for; None if the source has none. Vectors don't need it, predictions do.

        RAISES ValueError: It is damaged, or its vocabulary is missing.
        """
        return None if self._source is None else read_softmax(self._source, self._vocabulary)

    def embed(
        self,
        sentences: Sequence[Sequence[str]],
        *,
        max_batch_tokens: int = 4096,
        stateful: bool = False,
    ) -> list[np.ndarray]:
        """Compute the layers of every word, each sentence for itself.

        sentences: The words of each sentence.
        max_batch_tokens: Most tokens that are computed together; bounds the memory.
        stateful: Start each sentence where the one before it ended, as AllenNLP and bilm-tf do
            with batches of one sentence. Slow, and a sentence's vectors depend on the sentences
            before it.
        RETURNS: For each sentence (n_layers + 1, n_words, 2 * projection_dim), float32 (float64
            if the network is). Layer 0 is the token encoder's, the last the top of the LSTM stack.
        RAISES TypeError: A sentence is a string instead of a sequence of words, or its words
            aren't strings (as those of a spaCy Doc).
        """
        _check_sentences(sentences)
        with torch.inference_mode():
            layers = self._engine(sentences, max_batch_tokens=max_batch_tokens, stateful=stateful)
        dtype = torch.promote_types(next(self.network.parameters()).dtype, torch.float32)
        # Copies, because an array that is a view would keep its whole batch in memory.
        return [array.to(dtype).cpu().numpy().copy() for array in layers]

    def surprisal(
        self, sentences: Sequence[Sequence[str]], *, max_batch_tokens: int = 4096
    ) -> list[Surprisal]:
        """Compute how surprising every word is to the biLM, each sentence for itself, by the full
        softmax that it was trained with.

        sentences: The words of each sentence.
        max_batch_tokens: Most tokens that are computed together; bounds the memory.
        RETURNS: For each sentence -log2 of the words' probabilities, in bits: ``forward``
            (n_words,), after the words before, ``backward`` (n_words,), before those after, and
            the sentence's ``perplexity``.
        RAISES ValueError: There is no softmax.
        RAISES TypeError: As ``embed``.
        """
        _check_sentences(sentences)
        return self._predictions(max_batch_tokens).surprisal(sentences)

    def substitutes(
        self, sentences: Sequence[Sequence[str]], n: int = 10, *, max_batch_tokens: int = 4096
    ) -> list[list[list[Substitute]]]:
        """Find the words that the biLM would have put in the place of each word, by the full
        softmax that it was trained with.

        sentences: The words of each sentence.
        n: How many words for each place.
        max_batch_tokens: Most tokens that are computed together; bounds the memory.
        RETURNS: For each word of each sentence n substitutes, the likeliest first.
        RAISES ValueError: There is no softmax.
        RAISES TypeError: As ``embed``.
        """
        _check_sentences(sentences)
        return self._predictions(max_batch_tokens).substitutes(sentences, n)

    def _predictions(self, max_batch_tokens: int) -> Predictions:
        if self.softmax is None:
            raise ValueError(
                "This biLM has no softmax: it can't say which words it expects. What "
                "'spacy elmo pretrain' writes has one, and so have checkpoints of bilm-tf; bundled "
                "biLMs and what is published as HDF5 have none."
            )
        return Predictions(with_softmax(self.network, self.softmax), max_batch_tokens)

    def save(
        self,
        path: Union[str, Path],
        *,
        format: Literal["native", "hdf5"] = "native",
        dtype: StoredDType = "float32",
        softmax: Optional[SoftmaxWeights] = None,
    ) -> None:
        """Save the biLM.

        path: A directory for the native format, an HDF5 file for the published one (whose
            ``options.json`` is written beside it).
        format: "native", or "hdf5": what AllenNLP and simple_elmo read.
        dtype: How a native directory stores the weights: "float16" halves its size, "int8" has
            a quarter of it and rounds each row of a matrix to 255 steps, which changes
            ``en_small``'s layers by 3 % of their norm (0.1 % in "float16"). What is computed in
            is the same.
        softmax: The biLM's softmax (``spacy_elmo.formats.read_softmax``), to be kept beside it in
            a native directory.
        RAISES ValueError: An unknown format or dtype, or one that the format doesn't have; "hdf5"
            for a biLM with a lexicon or with a softmax, which it can't hold.
        """
        if dtype not in ("float32", "float16", "int8"):
            raise ValueError(f"Unknown dtype '{dtype}': use 'float32', 'float16' or 'int8'.")
        if format == "native":
            write_native(self.network, Path(path), dtype, softmax)
        elif format != "hdf5":
            raise ValueError(f"Unknown format '{format}': use 'native' or 'hdf5'.")
        elif dtype != "float32":
            raise ValueError(f"The published HDF5 layout is float32; it can't hold {dtype}.")
        elif softmax is not None:
            raise ValueError("The published HDF5 layout has no place for a softmax.")
        else:
            write_hdf5(self.network, Path(path))


def _check_sentences(sentences: Sequence[Sequence[str]]) -> None:
    """RAISES TypeError: They aren't sequences of words."""
    for sentence in [sentences, *sentences]:
        if isinstance(sentence, str):
            raise TypeError(
                f"A sentence is a sequence of words, but got the string {sentence!r}. "
                'Use embed([["two", "words"]]).'
            )
    for sentence in sentences:
        for word in sentence if isinstance(sentence, Iterable) else [sentence]:
            if not isinstance(word, str):
                raise TypeError(
                    f"A word is a string, but got {word!r} of type {type(word).__name__}. "
                    "The words of a spaCy Doc are [token.text for token in sent] for sent in "
                    "doc.sents; the component 'elmo' reads Docs as they are."
                )
