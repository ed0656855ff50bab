"""What a biLM expects at each word of a sentence: how surprising the word is, and which words could
stand in its place.

Forward, a word is predicted from those before it, backward from those after it, by the full
softmax. Every sentence starts from zeros, as vectors are computed.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...bilm.batches import batches_by_tokens
from ...bilm.inference import Inference
from ..corpus import BOUNDARIES, UNKNOWN
from .full_softmax import FullSoftmax
from .perplexity import PredictsWords

BLOCK_TOKENS = 64  # whose probabilities of all words exist at a time


class Surprisal(NamedTuple):
    """How surprising the words of a sentence are: -log2 of their probability, in bits.

    forward: (n_words,) float32, of each word after those before it.
    backward: (n_words,) float32, of each word before those after it.
    end: Forward, that the sentence ends where it ends.
    begin: Backward, that it begins where it begins.
    known: (n_words,) bool, whether the word is in the vocabulary. If not, its surprisal is that of
        ``<UNK>``, which stands for all such words.
    """

    forward: np.ndarray
    backward: np.ndarray
    end: float
    begin: float
    known: np.ndarray

    @property
    def perplexity(self) -> float:
        """Of the sentence, the geometric mean of both directions, boundaries included."""
        bits = self.forward.sum(dtype=float) + self.backward.sum(dtype=float)
        with np.errstate(over="ignore"):  # of a biLM that has diverged
            return float(np.exp2((bits + self.end + self.begin) / (2 * len(self.forward) + 2)))


class Substitute(NamedTuple):
    """A word that could stand where another one stands.

    word: The word.
    probability: By both directions: the product of their probabilities, of which those of all words
        of the vocabulary, symbols left out, add up to 1.
    forward, backward: Its probability in each direction.
    """

    word: str
    probability: float
    forward: float
    backward: float


class Predictions:
    """What a biLM predicts. Made anew when its weights have changed.

    model: The biLM, float32, with its softmax.
    max_batch_tokens: Most tokens that are computed together; bounds the memory.
    """

    def __init__(self, model: PredictsWords, max_batch_tokens: int = 4096) -> None:
        self._vocabulary = model.vocabulary
        self._boundaries = model.network.config.char_cnn.boundaries
        self._inference = Inference(model.network, "float32")
        self._softmax = FullSoftmax(model.softmax)
        self._device = model.softmax.weight.device
        self._max_batch_tokens = max_batch_tokens

    def surprisal(self, sentences: Sequence[Sequence[str]]) -> list[Surprisal]:
        """How surprising every word is.

        sentences: The words of each sentence, without boundaries.
        RETURNS: One for each sentence.
        """
        results = {}
        for i, forward, backward in self._contexts(sentences):
            ids = torch.from_numpy(self._vocabulary.ids(sentences[i]))
            known = (ids != self._vocabulary.unknown_id).numpy()
            begin, end = (
                torch.tensor([id]) for id in (self._vocabulary.begin_id, self._vocabulary.end_id)
            )
            after, before = self._bits(forward, ids, end), self._bits(backward, begin, ids)
            results[i] = Surprisal(
                after[:-1], before[1:], float(after[-1]), float(before[0]), known
            )
        return [results[i] for i in range(len(sentences))]

    def substitutes(
        self, sentences: Sequence[Sequence[str]], n: int
    ) -> list[list[list[Substitute]]]:
        """Which words could stand at each place of a sentence. The word that stands there is not
        read, but may be among them.

        sentences: The words of each sentence, without boundaries.
        n: How many words.
        RETURNS: For each word of each sentence, the likeliest words by both directions, the
            likeliest first.
        """
        results = {}
        for i, forward, backward in self._contexts(sentences):
            places = zip(
                forward[:-1].split(BLOCK_TOKENS), backward[1:].split(BLOCK_TOKENS), strict=True
            )
            results[i] = [found for rows in places for found in self._likeliest(*rows, n)]
        return [results[i] for i in range(len(sentences))]

    def _contexts(self, sentences: Sequence[Sequence[str]]) -> Iterator[tuple[int, Tensor, Tensor]]:
        """YIELDS: Sentences by length: its number, and what predicts words and boundaries. Forward
        (n_words + 1, projection_dim) all words and the end, backward the begin and all words."""
        begin, end = self._boundaries
        order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))
        for batch in batches_by_tokens(
            order, lambda i: len(sentences[i]) + 2, self._max_batch_tokens
        ):
            tokens = [token for i in batch for token in [begin, *sentences[i], end]]
            lengths = [len(sentences[i]) + 2 for i in batch]
            layers, _ = self._inference(tokens, lengths, None)
            for i, vectors in zip(batch, layers[-1].split(lengths), strict=True):
                forward, backward = vectors.chunk(2, dim=1)
                yield i, forward[:-1], backward[1:]

    def _bits(self, x: Tensor, *targets: Tensor) -> np.ndarray:
        """x: (n_words + 1, projection_dim). targets: As many rows of the softmax."""
        with torch.inference_mode(False), torch.no_grad():
            losses = self._softmax.losses(x, torch.cat(targets).to(self._device))
        return (losses / np.log(2)).cpu().numpy()

    def _likeliest(self, forward: Tensor, backward: Tensor, n: int) -> Iterator[list[Substitute]]:
        """forward, backward: (n_words, projection_dim)."""
        words = self._vocabulary.words
        symbols = self._vocabulary.ids([*BOUNDARIES, UNKNOWN]).tolist()
        with torch.inference_mode(False), torch.no_grad():
            sides = [self._softmax.log_probabilities(x) for x in (forward, backward)]
            both = sides[0] + sides[1]
            both[:, symbols] = -torch.inf
            both = both.log_softmax(dim=1)
            best, ids = both.topk(min(n, len(words) - len(symbols)), dim=1)
            parts = [values.exp().tolist() for values in (best, *(s.gather(1, ids) for s in sides))]
        for row, *columns in zip(ids.tolist(), *parts, strict=True):
            yield [
                Substitute(words[id], *values) for id, *values in zip(row, *columns, strict=True)
            ]
