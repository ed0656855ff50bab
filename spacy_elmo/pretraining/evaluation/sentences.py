"""The sentences of a text that is read for its perplexity, and how it is cut into streams."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Optional, Protocol

from ..corpus import TokenStore

MAX_STREAMS = 64
STREAM_SENTENCES = 50  # at least, so that a stream's begin from zeros hardly counts


class Sentences(Protocol):
    """The words of each sentence, without boundaries: a list, or something like one."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Sequence[str]: ...


class StoredSentences:
    """The sentences of a store, which are read as they are asked for.

    store: The store.
    n_sentences: How many; by default all.
    n_blocks: How many blocks of consecutive sentences they are taken in, which are spread evenly
        over the store. 1 takes the first sentences.
    """

    def __init__(
        self, store: TokenStore, n_sentences: Optional[int] = None, n_blocks: int = 1
    ) -> None:
        self.store, self.n_blocks = store, n_blocks
        n_stored = store.n_sentences
        self._n_sentences = n_stored if n_sentences is None else min(n_sentences, n_stored)

    def __len__(self) -> int:
        return self._n_sentences

    def __getitem__(self, index: int, /) -> list[str]:
        if index >= self._n_sentences:
            raise IndexError(index)
        # Blocks begin where cut_streams() lets streams begin, so that no stream lacks a sentence.
        block = ((index + 1) * self.n_blocks - 1) // self._n_sentences
        n_left_out = self.store.n_sentences - self._n_sentences
        return self.store.sentence(index + block * n_left_out // self.n_blocks)


def streams_of(n_sentences: int) -> int:
    """How many streams a text is cut into where the state is carried on."""
    return min(max(n_sentences // STREAM_SENTENCES, 1), MAX_STREAMS)


def cut_streams(n_sentences: int, n_streams: int) -> list[range]:
    """Streams of consecutive sentences, of which none is empty."""
    n_streams = min(max(n_streams, 1), n_sentences)
    bounds = [i * n_sentences // n_streams for i in range(n_streams + 1)]
    return [range(start, end) for start, end in pairwise(bounds)]
