"""What a biLM knows of words in their context, without a softmax: which other occurrences of a
word are nearest to one. Where a word has several senses, a good layer keeps them apart."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ...bilm import BiLMNetwork, Engine
from .sentences import Sentences

MAX_CANDIDATES = 1000  # occurrences of a word that are compared with each other
SENTENCES_AT_A_TIME = 64


class Occurrence(NamedTuple):
    """A word in its sentence.

    words: The sentence.
    position: Where the word stands.
    """

    words: Sequence[str]
    position: int


class Neighbour(NamedTuple):
    """An occurrence, and the cosine of its vector with that of another one."""

    occurrence: Occurrence
    cosine: float


class Neighbours(NamedTuple):
    """What is nearest to an occurrence.

    word: The word.
    occurrence: One of its occurrences.
    layers: For each LSTM layer, from the lowest, the nearest others, the nearest first.
    """

    word: str
    occurrence: Occurrence
    layers: list[list[Neighbour]]


def find_neighbours(
    network: BiLMNetwork,
    sentences: Sentences,
    words: Sequence[str],
    *,
    n_occurrences: int,
    n_neighbours: int = 1,
) -> Iterator[Neighbours]:
    """For occurrences of each word, the nearest others of the same word. Layer 0 is left out: it
    doesn't know the sentence, and all of them are the same to it.

    network: The biLM.
    sentences: The text. Sentences that are the same count once, and of several occurrences in a
        sentence, the first.
    words: As they are written in the text.
    n_occurrences: For how many occurrences of each word, spread evenly over the text, neighbours
        are found.
    n_neighbours: How many of them.
    YIELDS: Word after word, in the order of the text. Nothing for a word with fewer than two
        occurrences.
    """
    engine = Engine(network)
    for word, found in _find_occurrences(sentences, words).items():
        candidates = _spread(found, MAX_CANDIDATES)
        if len(candidates) < 2:
            continue
        vectors = _vectors(engine, candidates)
        for query in _spread(range(len(candidates)), n_occurrences):
            cosines = torch.einsum("lw,lcw->lc", vectors[:, query], vectors)
            cosines[:, query] = -torch.inf
            nearest = cosines.topk(min(n_neighbours, len(candidates) - 1))
            layers = [
                [Neighbour(candidates[i], cosine) for i, cosine in zip(*rows, strict=True)]
                for rows in zip(nearest.indices.tolist(), nearest.values.tolist(), strict=True)
            ]
            yield Neighbours(word, candidates[query], layers)


def _find_occurrences(sentences: Sentences, words: Sequence[str]) -> dict[str, list[Occurrence]]:
    found: dict[str, dict[tuple[str, ...], int]] = {word: {} for word in words}
    for i in range(len(sentences)):
        sentence = sentences[i]
        for word in found.keys() & set(sentence):
            found[word].setdefault(tuple(sentence), sentence.index(word))
    return {word: [Occurrence(*item) for item in places.items()] for word, places in found.items()}


def _spread(items: Sequence, n: int) -> list:
    """At most n items at equal distances."""
    n = min(n, len(items))
    return [items[i * len(items) // n] for i in range(n)]


def _vectors(engine: Engine, occurrences: Sequence[Occurrence]) -> Tensor:
    """RETURNS: (n_lstm_layers, n_occurrences, width), each vector of length 1."""
    vectors = []
    with torch.inference_mode():
        for start in range(0, len(occurrences), SENTENCES_AT_A_TIME):
            batch = occurrences[start : start + SENTENCES_AT_A_TIME]
            layers = engine([occurrence.words for occurrence in batch])
            vectors += [array[1:, o.position].cpu() for array, o in zip(layers, batch, strict=True)]
        return torch.nn.functional.normalize(torch.stack(vectors, dim=1), dim=2)
