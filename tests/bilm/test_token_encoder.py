import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_elmo.bilm.characters import words_to_ids

WORDS = ["a", "bank", "", "naïve", "银行", "<S>", "\0", "x" * 44, "y" * 47, "z" * 48, "w" * 99]


def padded(words):
    """Character ids over all 50 characters, built byte by byte."""
    ids = np.full((len(words), 50), 260)
    for row, word in zip(ids, words, strict=True):
        characters = {"<S>": [256], "</S>": [257]}.get(word, list(word.encode("utf-8")[:48]))
        row[: len(characters) + 2] = [258, *characters, 259]
    return ids


def run(encoder, ids):
    with torch.no_grad():
        return encoder(torch.as_tensor(ids)).numpy()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("n_highway", [0, 1, 2])
def test_equals_plain_loops_over_all_padding(make_network, encode_by_hand, activation, n_highway):
    network = make_network(activation=activation, n_highway=n_highway).double()
    expected = encode_by_hand(network.token_encoder, activation, padded(WORDS))
    np.testing.assert_allclose(run(network.token_encoder, padded(WORDS)), expected, atol=1e-12)


def test_there_is_no_projection_if_the_filters_have_its_width(make_network, encode_by_hand):
    network = make_network(filters=((1, 2), (3, 3)), projection_dim=5).double()
    encoder = network.token_encoder
    assert not any("projection" in name for name in encoder.state_dict())
    expected = encode_by_hand(encoder, "relu", padded(WORDS))
    np.testing.assert_allclose(run(encoder, padded(WORDS)), expected, atol=1e-12)


@pytest.fixture(scope="module")
def pad_lover(make_network):
    """An encoder whose widest convolution is largest where all is padding."""
    encoder = make_network(filters=((1, 3), (4, 6)), n_highway=0).double().token_encoder
    with torch.no_grad():
        encoder.char_embedding.weight.abs_()
        encoder.char_embedding.weight[260] = 10.0
        encoder.convolutions[1].weight.abs_()
    return encoder


@pytest.mark.parametrize("word", WORDS)
def test_cropped_padding_is_exact(pad_lover, encode_by_hand, word):
    cropped = words_to_ids([word], 50, 4)
    expected = encode_by_hand(pad_lover, "relu", padded([word]))
    np.testing.assert_allclose(run(pad_lover, cropped), expected, atol=1e-12)


@pytest.mark.parametrize("word", ["a", "bank", "", "<S>"])
def test_one_pad_less_is_not_exact(pad_lover, encode_by_hand, word):
    """The test above would see a crop that is too short."""
    cropped = words_to_ids([word], 50, 4)
    assert cropped.shape[1] < 50
    expected = encode_by_hand(pad_lover, "relu", padded([word]))
    assert np.abs(run(pad_lover, cropped[:, :-1]) - expected).max() > 0.1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=55), min_size=1, max_size=6))
def test_words_beside_each_other_are_as_with_all_padding(make_network, words):
    encoder = make_network(n_highway=0).double().token_encoder
    together = run(encoder, words_to_ids(words, 50, 3))
    np.testing.assert_allclose(together, run(encoder, padded(words)), atol=1e-12)
