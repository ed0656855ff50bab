import numpy as np
import pytest

from spacy_elmo import BiLM
from spacy_elmo.pretraining.evaluation import neighbours as module
from spacy_elmo.pretraining.evaluation.neighbours import Neighbour, Occurrence, find_neighbours

LINES = [
    "he sat on the bank",
    "the bank lends money",
    "bank and bank of bank",
    "no such word",
    "he sat on the bank",
    "a spring",
    "money from the bank and a loan",
]
TEXT = [line.split() for line in LINES]
BANK = [  # in different sentences, the first in each
    Occurrence(tuple(TEXT[0]), 4),
    Occurrence(tuple(TEXT[1]), 1),
    Occurrence(tuple(TEXT[2]), 0),
    Occurrence(tuple(TEXT[6]), 3),
]


@pytest.fixture
def network(make_network):
    return make_network(n_layers=3)


@pytest.fixture
def cosines(network):
    """(n_layers, 4, 4): those of all pairs of ``BANK``, by definition."""
    layers = BiLM(network).embed([occurrence.words for occurrence in BANK])
    vectors = [array[:, o.position].astype(float) for array, o in zip(layers, BANK, strict=True)]
    norms = [np.linalg.norm(vector, axis=1) for vector in vectors]
    pairs = [
        [(v * w).sum(axis=1) / n / m for w, m in zip(vectors, norms, strict=True)]
        for v, n in zip(vectors, norms, strict=True)
    ]
    return np.array(pairs).transpose(2, 0, 1)


@pytest.mark.parametrize("n_neighbours", [1, 2, 3, 10])
def test_are_the_nearest_by_cosine(network, cosines, n_neighbours, monkeypatch):
    monkeypatch.setattr(module, "SENTENCES_AT_A_TIME", 3)
    np.testing.assert_allclose(cosines[0], 1, rtol=1e-5)  # layer 0 doesn't know the sentence
    found = list(
        find_neighbours(network, TEXT, ["bank"], n_occurrences=9, n_neighbours=n_neighbours)
    )
    assert [(neighbours.word, neighbours.occurrence) for neighbours in found] == [
        ("bank", occurrence) for occurrence in BANK
    ]
    for i, neighbours in enumerate(found):
        assert len(neighbours.layers) == 3
        for layer, nearest in enumerate(neighbours.layers, 1):
            others = [(cosines[layer, i, j], j) for j in range(4) if j != i]
            expected = sorted(others, reverse=True)[:n_neighbours]
            assert nearest == [
                Neighbour(BANK[j], pytest.approx(cosine, rel=1e-4)) for cosine, j in expected
            ]


def test_words_that_occur_once_or_never_have_none(network):
    words = ["spring", "nowhere", "money", "Bank"]
    found = list(find_neighbours(network, TEXT, words, n_occurrences=9))
    assert [neighbours.word for neighbours in found] == ["money", "money"]


def test_occurrences_are_spread_over_the_text(network, monkeypatch):
    text = [["word", str(i)] for i in range(10)]
    found = find_neighbours(network, text, ["word"], n_occurrences=3)
    assert [neighbours.occurrence.words[1] for neighbours in found] == ["0", "3", "6"]
    monkeypatch.setattr(module, "MAX_CANDIDATES", 5)
    found = list(find_neighbours(network, text, ["word"], n_occurrences=9))
    assert [neighbours.occurrence.words[1] for neighbours in found] == ["0", "2", "4", "6", "8"]
    shown = {n.occurrence.words[1] for item in found for layer in item.layers for n in layer}
    assert shown <= {"0", "2", "4", "6", "8"}
