"""The scores of a biLM that simple_elmo has trained are by simple_elmo's own graph (see
``tests/fixtures/make.py``); everything else is compared with plain formulas on them."""

import math
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch

from spacy_elmo.formats import SoftmaxWeights, read_hdf5, read_source
from spacy_elmo.pretraining.corpus.vocabulary import Vocabulary
from spacy_elmo.pretraining.evaluation import Predictions, perplexity, predictions

SYMBOLS = ["</S>", "<S>", "<UNK>"]
WORDS = [*SYMBOLS, "the", "bank", "of", "river", "a", "."]
TEXT = [["the", "bank", "of", "the", "river", "."], [], ["a"], ["a", "bänk", "of", "?"]]


@pytest.fixture(scope="module")
def trained(fixtures):
    """With the softmax, whose reader is tested elsewhere, taken from the checkpoint."""
    tensorflow = pytest.importorskip("tensorflow", exc_type=ImportError)
    folder = fixtures / "tensorflow_checkpoint"
    vocabulary = Vocabulary.read(folder / "vocab.txt")
    reader = tensorflow.train.load_checkpoint(str(folder / "model.ckpt-60"))
    weight, bias = (
        torch.from_numpy(reader.get_tensor(f"lm/softmax/{name}")) for name in ("W", "b")
    )
    return SimpleNamespace(
        network=read_hdf5(folder / "options.json", folder / "weights.hdf5"),
        vocabulary=vocabulary,
        softmax=SoftmaxWeights(vocabulary.words, weight, bias.flatten()),
    )


@pytest.fixture(scope="module")
def log_probabilities(fixtures, sentences):
    """Of each sentence (2, n_words, n_vocabulary), by simple_elmo."""
    with h5py.File(fixtures / "tensorflow_checkpoint" / "expected_scores.hdf5") as file:
        scores = [file[str(i)][()].astype(float) for i in range(len(sentences))]
    return [s - np.log(np.exp(s).sum(axis=-1, keepdims=True)) for s in scores]


@pytest.mark.parametrize("max_batch_tokens", [1, 50, 4096])
def test_surprisal_is_simple_elmos(trained, log_probabilities, sentences, max_batch_tokens):
    found = Predictions(trained, max_batch_tokens).surprisal(sentences)
    for words, surprisal, expected in zip(sentences, found, log_probabilities, strict=True):
        ids = trained.vocabulary.ids(words)
        for i, bits in enumerate([surprisal.forward, surprisal.backward]):
            right = -expected[i, np.arange(len(words)), ids] / math.log(2)
            np.testing.assert_allclose(bits, right, atol=1e-4)
        known = [word in trained.vocabulary and word != "<UNK>" for word in words]
        assert surprisal.known.tolist() == known


def test_substitutes_are_simple_elmos(trained, log_probabilities, sentences):
    vocabulary = trained.vocabulary.words
    allowed = [word not in SYMBOLS for word in vocabulary]
    for places, expected in zip(
        Predictions(trained).substitutes(sentences, 5), log_probabilities, strict=True
    ):
        for found, forward, backward in zip(places, *np.exp(expected), strict=True):
            product = forward * backward * allowed
            product /= product.sum()
            assert [s.probability for s in found] == pytest.approx(
                sorted(product, reverse=True)[:5], rel=1e-4
            )
            for word, *probabilities in found:
                row = vocabulary.index(word)
                right = [product[row], forward[row], backward[row]]
                assert probabilities == pytest.approx(right, rel=1e-4)


def random_model(network):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(len(WORDS), network.config.lstm.projection_dim, generator=generator)
    softmax = SoftmaxWeights(tuple(WORDS), weight, torch.randn(len(WORDS), generator=generator))
    return SimpleNamespace(network=network, softmax=softmax, vocabulary=Vocabulary(WORDS))


def test_perplexity_is_that_of_the_text(make_network):
    model = random_model(make_network(skip_connections=True))
    found = Predictions(model).surprisal(TEXT)
    for words, surprisal in zip(TEXT, found, strict=True):
        expected = perplexity(model, [words], stateful=False)
        assert surprisal.perplexity == pytest.approx(expected.both, rel=1e-5)
        n = len(words) + 1
        forward = surprisal.forward.sum() + surprisal.end
        assert 2 ** (forward / n) == pytest.approx(expected.forward, rel=1e-5)
    assert [surprisal.known.tolist() for surprisal in found][3] == [True, False, True, False]


def test_blocks_do_not_matter(make_network, monkeypatch):
    model = random_model(make_network())
    expected = Predictions(model).substitutes(TEXT, 3)
    monkeypatch.setattr(predictions, "BLOCK_TOKENS", 2)
    for found, right in zip(Predictions(model).substitutes(TEXT, 3), expected, strict=True):
        assert [[s.word for s in place] for place in found] == [
            [s.word for s in place] for place in right
        ]


def test_all_words_add_up_to_one(make_network):
    model = random_model(make_network())
    for places in Predictions(model).substitutes(TEXT, 1000):
        for place in places:
            assert {s.word for s in place} == {*WORDS} - {*SYMBOLS}
            assert sum(s.probability for s in place) == pytest.approx(1, rel=1e-5)


def test_the_word_itself_is_not_read(make_network):
    model = random_model(make_network())
    found = [
        Predictions(model).substitutes([["the", word, "of", "a"]], 6)[0][1]
        for word in ("bank", "river")
    ]
    assert found[0] == found[1]


def test_a_bilm_with_a_lexicon(fixtures):
    """Its boundaries have other names than those of the vocabulary."""
    model = random_model(read_source(fixtures / "many_langs_char"))
    words = TEXT[0]
    (surprisal,) = Predictions(model).surprisal([words])
    expected = perplexity(model, [words], stateful=False)
    assert surprisal.perplexity == pytest.approx(expected.both, rel=1e-5)
