"""The corpus as streams of sentences, cut into windows for truncated back-propagation."""

from typing import Any, NamedTuple, Optional

import numpy as np
import torch
from torch import Tensor

from .token_store import TokenStore
from .vocabulary import Vocabulary


class Lessons(NamedTuple):
    """What a teacher makes of words of a batch.

    rows: (2, n_words) int64: where either direction has read each word, among its tokens.
    targets: (n_words, width) float32.
    """

    rows: Tensor
    targets: Tensor


class Batch(NamedTuple):
    """One window of ``n_steps`` tokens from each of ``batch_size`` streams. A sentence of n words
    makes n + 1 tokens in either direction, as in bilm-tf: forward, ``<S> w1 … wn`` predict
    ``w1 … wn </S>``; backward, ``</S> wn … w1`` predict ``wn … w1 <S>``. Tokens stand step after
    step.

    words: The distinct words that are read, the shorter ones and the longer ones, which take about
        the same time to encode.
    inputs: (2, n_steps * batch_size) int64, of both directions: positions among ``words``.
    targets: (2, n_steps * batch_size) int64, of both directions: rows of the softmax.
    keep: (n_steps * batch_size, 1) float32: 0 where a sentence begins, else 1. None where all
        sentences are whole: each begins with the first step.
    sizes: Tokens of each step.
    lessons: Of a teacher, if there is one.
    """

    words: tuple[list[str], list[str]]
    inputs: Tensor
    targets: Tensor
    keep: Optional[Tensor]
    sizes: list[int]
    lessons: Optional[Lessons] = None


# What the token encoder pads words to: begin, end and what its filters read beyond, up to a limit.
# Other encoders only divide their work less evenly.
_PADDING, _MAX_PADDED = 7, 50


class Symbols:
    """What batches are written in: the corpus's words, then the boundaries of sentences.

    store: The corpus.
    vocabulary: The words to be predicted.
    boundaries: What the biLM reads at begin and end of a sentence.
    """

    def __init__(
        self, store: TokenStore, vocabulary: Vocabulary, boundaries: tuple[str, str]
    ) -> None:
        self.begin, self.end = len(store.words), len(store.words) + 1
        self._words = [*store.words, *boundaries]
        # Words in the order of their lengths, and the place of each in this order.
        self._ordered = np.argsort([len(word) for word in self._words], kind="stable")
        self._by_length = np.argsort(self._ordered)
        self._targets = np.append(
            vocabulary.ids(store.words), [vocabulary.begin_id, vocabulary.end_id]
        )

    def batch(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        keep: Optional[np.ndarray],
        sizes: list[int],
        lessons: Optional[Lessons] = None,
    ) -> Batch:
        """A batch of symbols.

        inputs, targets: (2, …): what each direction reads and predicts.
        keep, sizes, lessons: As ``Batch`` has them.
        """
        # Words stand by their length, so that a unique number is their position.
        distinct, rows_of_words = np.unique(self._by_length[inputs], return_inverse=True)
        read = [self._words[word] for word in self._ordered[distinct]]
        if len(read) == 1:
            read *= 2  # either part has a word
        cut = _cut([len(word) for word in read])
        return Batch(
            (read[:cut], read[cut:]),
            torch.from_numpy(rows_of_words.reshape(2, -1)),
            torch.from_numpy(self._targets[targets].reshape(2, -1)),
            None if keep is None else torch.from_numpy(keep),
            sizes,
            lessons,
        )


class Batches:
    """Endless batches of a corpus, in another order each epoch. Whenever a stream's sentence ends,
    it takes the next one.

    store: The corpus.
    vocabulary: The words to be predicted.
    boundaries: What the biLM reads at begin and end of a sentence.
    batch_size: Number of streams.
    n_steps: Tokens of a window.
    seed: Decides the order.
    rank, world_size: Which of how many equal shares of the sentences to take.
    RAISES ValueError: There are fewer sentences than shares.
    """

    def __init__(
        self,
        store: TokenStore,
        vocabulary: Vocabulary,
        boundaries: tuple[str, str],
        *,
        batch_size: int,
        n_steps: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if store.n_sentences < world_size:
            raise ValueError(
                f"A corpus of {store.n_sentences} sentences can't be shared by {world_size} "
                "processes: it takes more text."
            )
        self.store = store
        self.batch_size, self.n_steps = batch_size, n_steps
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self._symbols = Symbols(store, vocabulary, boundaries)
        self.epoch = 0
        self._taken = 0  # sentences of this epoch
        self._order = self._shuffled()
        # Each stream's sentence, and how many of its tokens have been read.
        self._sentences = np.full(batch_size, -1)
        self._positions = np.zeros(batch_size, dtype="int64")

    @property
    def steps_per_epoch(self) -> float:
        """Batches of all processes that read the corpus once."""
        n_tokens = self.store.n_tokens + self.store.n_sentences  # one more a sentence, as above
        return n_tokens / (self.batch_size * self.n_steps * self.world_size)

    def next(self) -> Batch:
        """The next batch."""
        shape = (2, self.n_steps, self.batch_size)
        inputs, targets = np.empty(shape, "int64"), np.empty(shape, "int64")
        keep = np.ones(shape[1:], "float32")
        for stream in range(self.batch_size):
            step = 0
            while step < self.n_steps:
                if self._sentences[stream] < 0:
                    self._sentences[stream] = self._take()
                position = self._positions[stream]
                words = self._read(self._sentences[stream])
                forward = np.concatenate([[self._symbols.begin], words, [self._symbols.end]])
                n = min(self.n_steps - step, len(words) + 1 - position)
                rows = slice(step, step + n)
                for direction, tokens in enumerate([forward, forward[::-1]]):
                    inputs[direction, rows, stream] = tokens[position : position + n]
                    targets[direction, rows, stream] = tokens[position + 1 : position + n + 1]
                if position == 0:
                    keep[step, stream] = 0
                step += n
                self._positions[stream] += n
                if self._positions[stream] == len(words) + 1:
                    self._sentences[stream], self._positions[stream] = -1, 0
        sizes = [self.batch_size] * self.n_steps
        return self._symbols.batch(inputs, targets, keep.reshape(-1, 1), sizes)

    def _read(self, sentence: int) -> np.ndarray:
        start, end = self.store.starts[sentence : sentence + 2]
        return self.store.tokens[start:end]

    def _take(self) -> int:
        if self._taken == len(self._order):
            self.epoch += 1
            self._taken = 0
            self._order = self._shuffled()
        self._taken += 1
        return int(self._order[self._taken - 1])

    def _shuffled(self) -> np.ndarray:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.store.n_sentences)
        return order[self.rank :: self.world_size]

    def state(self) -> dict[str, Any]:
        """Where the streams are, as JSON holds it."""
        return {
            "epoch": self.epoch,
            "taken": self._taken,
            "sentences": self._sentences.tolist(),
            "positions": self._positions.tolist(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from where the streams were."""
        self.epoch, self._taken = state["epoch"], state["taken"]
        self._order = self._shuffled()
        self._sentences = np.array(state["sentences"])
        self._positions = np.array(state["positions"])


def _cut(lengths: list[int]) -> int:
    """Where to cut words, shorter ones first, so that both parts take about the same time. Each
    word takes as much as the longest of its part.

    lengths: Of at least two words, never falling.
    RETURNS: How many words the first part has; at least one, and one is left.
    """
    padded = np.minimum(np.add(lengths, _PADDING), _MAX_PADDED)
    n_shorter = np.arange(1, len(padded))
    costs = np.maximum(n_shorter * padded[:-1], n_shorter[::-1] * padded[-1])
    return int(costs.argmin()) + 1
