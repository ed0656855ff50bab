"""The corpus as batches of whole sentences, of which a share has targets."""

from typing import Any, Optional

import numpy as np
import torch

from ..corpus import Batch, Lessons, Symbols, TokenStore, Vocabulary
from .targets import TargetStore

_POOL = 64  # batches whose sentences are sorted by length together


class SentenceBatches:
    """Endless batches of whole sentences, which are of similar length within a batch. Sentences
    with targets and those without come in an order of their own each, another one in each pass.

    store: The corpus.
    vocabulary: The words to be predicted.
    boundaries: What the biLM reads at begin and end of a sentence.
    targets: Of a part of the sentences.
    share: How much of the tokens is to be of sentences with targets.
    batch_size, n_steps: A batch has as many tokens as so many streams of so many tokens, about.
    seed: Decides the order.
    rank, world_size: Which of how many equal shares of the sentences to take.
    RAISES ValueError: There are fewer sentences than shares.
    """

    def __init__(
        self,
        store: TokenStore,
        vocabulary: Vocabulary,
        boundaries: tuple[str, str],
        targets: TargetStore,
        *,
        share: float,
        batch_size: int,
        n_steps: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.store, self.targets, self.batch_size = store, targets, batch_size
        self.n_tokens = batch_size * n_steps
        self._symbols = Symbols(store, vocabulary, boundaries)
        self._lengths = np.diff(store.starts) + 1  # tokens of either direction
        # Where a sentence is among those with targets; -1 for those without.
        self._place = np.full(store.n_sentences, -1)
        self._place[targets.sentences] = np.arange(len(targets.sentences))
        others = np.flatnonzero(self._place < 0)
        self._share = share if len(others) else 1.0
        self._sources = [
            _Shuffled(sentences, [seed, kind], rank, world_size)
            for kind, sentences in enumerate([np.sort(targets.sentences), others])
        ]
        sizes = [len(sentences) for sentences in (targets.sentences, others) if len(sentences)]
        smallest = min(sizes)
        if smallest < world_size:
            raise ValueError(
                f"{smallest} sentences can't be shared by {world_size} processes: it takes more "
                "text, or more targets."
            )
        self.world_size, self.seed, self.rank = world_size, seed, rank
        self._n_read = 0
        self._start: dict[str, Any] = {}
        self._pool: list[np.ndarray] = []
        self._n_taken = 0

    @property
    def epoch(self) -> int:
        """How often as many tokens have been read as the corpus has."""
        return int(self._n_read / self.n_tokens / self.steps_per_epoch)

    @property
    def steps_per_epoch(self) -> float:
        """Batches of all processes that have as many tokens as the corpus."""
        return int(self._lengths.sum()) / (self.n_tokens * self.world_size)

    def next(self) -> Batch:
        """The next batch."""
        if self._n_taken == len(self._pool):
            self._fill()
        sentences = self._pool[self._n_taken]
        self._n_taken += 1
        batch = self._make(sentences)
        self._n_read += batch.inputs.shape[1]
        return batch

    def _fill(self) -> None:
        """Take the sentences of the next batches."""
        self._start = {"sources": [source.state() for source in self._sources]}
        total = _POOL * self.n_tokens
        wanted = (self._share * total, (1 - self._share) * total)
        sentences = np.concatenate(
            [source.take(n, self._lengths) for source, n in zip(self._sources, wanted, strict=True)]
        )
        random = np.random.default_rng([self.seed, self.rank, *self._sources[0].state()])
        sentences = random.permutation(sentences)
        sentences = sentences[np.argsort(self._lengths[sentences], kind="stable")]
        ends = np.cumsum(self._lengths[sentences])
        n_batches = max(1, round(ends[-1] / self.n_tokens))
        batch_of = (ends - 1) * n_batches // ends[-1]
        batches = np.split(sentences, np.flatnonzero(np.diff(batch_of)) + 1)
        self._pool = [batches[i] for i in random.permutation(len(batches))]
        self._n_taken = 0

    def _make(self, sentences: np.ndarray) -> Batch:
        """A batch of sentences. Tokens stand as ``StepOrder`` has them."""
        sentences = sentences[np.argsort(-self._lengths[sentences], kind="stable")]
        lengths = self._lengths[sentences]
        shape = (int(lengths[0]), len(sentences))
        running = np.arange(shape[0])[:, None] < lengths
        row_of = np.cumsum(running).reshape(shape) - 1
        inputs, targets = np.zeros((2, 2, *shape), "int64")
        rows: list[np.ndarray] = []
        taught: list[np.ndarray] = []
        for column, (sentence, n) in enumerate(
            zip(sentences.tolist(), lengths.tolist(), strict=True)
        ):
            start, end = self.store.starts[sentence : sentence + 2]
            words = self.store.tokens[start:end]
            forward = np.concatenate([[self._symbols.begin], words, [self._symbols.end]])
            for direction, tokens in enumerate([forward, forward[::-1]]):
                inputs[direction, :n, column] = tokens[:-1]
                targets[direction, :n, column] = tokens[1:]
            place = int(self._place[sentence])
            if place >= 0:
                vectors, is_known = self.targets.read(place)
                # A direction has read the first boundary before the first word.
                read = np.stack([row_of[1:n, column], row_of[1:n, column][::-1]])
                rows.append(read[:, is_known])
                taught.append(vectors[is_known])
        lessons: Optional[Lessons] = None
        if taught:
            vectors = np.concatenate(taught)
            lessons = Lessons(
                torch.from_numpy(np.concatenate(rows, axis=1)), torch.from_numpy(vectors)
            )
        return self._symbols.batch(
            inputs[:, running], targets[:, running], None, running.sum(axis=1).tolist(), lessons
        )

    def state(self) -> dict[str, Any]:
        """Where this is in the text, as JSON holds it."""
        return {**self._start, "taken": self._n_taken, "read": self._n_read}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from where this was."""
        if "sources" in state:
            for source, place in zip(self._sources, state["sources"], strict=True):
                source.set_state(place)
            self._fill()
        self._n_taken, self._n_read = state["taken"], state["read"]


class _Shuffled:
    """Sentences in random order, in another one each time.

    sentences: Their numbers.
    seed: Decides the orders.
    rank, world_size: As ``SentenceBatches`` takes them.
    """

    def __init__(self, sentences: np.ndarray, seed: list[int], rank: int, world_size: int) -> None:
        self._sentences, self._seed = sentences, seed
        self._rank, self._world_size = rank, world_size
        self.set_state([0, 0])

    def take(self, n_tokens: float, lengths: np.ndarray) -> np.ndarray:
        """The next sentences, of so many tokens together, or one more."""
        taken: list[np.ndarray] = []
        while n_tokens > 0 and len(self._sentences):
            left = self._order[self._n_taken :]
            ends = np.cumsum(lengths[left])
            n = min(int(np.searchsorted(ends, n_tokens)) + 1, len(left))
            taken.append(left[:n])
            n_tokens -= int(ends[n - 1])
            self._n_taken += n
            if self._n_taken == len(self._order):
                self.set_state([self._epoch + 1, 0])
        return np.concatenate([*taken, np.zeros(0, "int64")]).astype("int64")

    def state(self) -> list[int]:
        """How often all have been taken, and how many were since then."""
        return [self._epoch, self._n_taken]

    def set_state(self, state: list[int]) -> None:
        self._epoch, self._n_taken = state
        order = np.random.default_rng([*self._seed, self._epoch]).permutation(self._sentences)
        self._order = order[self._rank :: self._world_size]
