import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spacy_elmo.bilm import BiLMConfig, BiLMNetwork

CHARACTERS = ["<bos>", "<eos>", "<eow>", "<bow>", "<oov>", "<pad>", *"abcn银ï"]
PAD = 5
WORDS = ["<oov>", "<bos>", "<eos>", "<pad>", "bank", "银行", "", "a"]
ANY_WORDS = [
    "a",
    "bank",
    "",
    "naïve",
    "银行",
    "<bos>",
    "<S>",
    "\0",
    *("b" * n for n in (44, 48, 99)),
]


def make(words=WORDS, filters=((1, 3), (2, 4), (3, 5)), n_highway=1, activation="relu", seed=0):
    """A network in float64 with random weights and a token encoder of 50 characters."""
    options = {
        "lstm": {
            "dim": 7,
            "projection_dim": 5,
            "n_layers": 2,
            "cell_clip": None,
            "proj_clip": None,
            "use_skip_connections": True,
        },
        "char_cnn": {
            "activation": activation,
            "filters": filters,
            "n_highway": n_highway,
            "max_characters_per_token": 50,
            "characters": {"dim": 4, "entries": CHARACTERS},
            "words": words and {"dim": 3, "entries": words},
        },
    }
    network = BiLMNetwork(BiLMConfig.model_validate_json(json.dumps(options))).double()
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -0.5, 0.5, generator=generator)
    return network.eval()


def padded(words):
    """Character ids over all 50 characters, built one by one."""
    ids = np.full((len(words), 50), PAD)
    for row, word in zip(ids, words, strict=True):
        characters = ["<bos>"] if word == "<bos>" else list(word[:48])
        # Begin and end of word bear each other's name.
        characters = ["<eow>", *characters, "<bow>"]
        row[: len(characters)] = [
            CHARACTERS.index(c if c in CHARACTERS else "<oov>") for c in characters
        ]
    return ids


def run(encoder, words):
    with torch.no_grad():
        return encoder(*encoder.words_to_ids(words)).numpy()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("n_highway", [0, 2])
def test_equals_plain_loops_over_all_padding(encode_by_hand, activation, n_highway):
    encoder = make(activation=activation, n_highway=n_highway).token_encoder
    word_ids = [WORDS.index(word) if word in WORDS else 0 for word in ANY_WORDS]
    assert len(set(word_ids)) == 6
    expected = encode_by_hand(encoder, activation, padded(ANY_WORDS), word_ids)
    np.testing.assert_allclose(run(encoder, ANY_WORDS), expected, atol=1e-12)


def test_without_a_lexicon_of_words(encode_by_hand):
    encoder = make(words=None).token_encoder
    assert not any("word_embedding" in name for name in encoder.state_dict())
    assert len(encoder.words_to_ids(["a"])) == 1
    expected = encode_by_hand(encoder, "relu", padded(ANY_WORDS))
    np.testing.assert_allclose(run(encoder, ANY_WORDS), expected, atol=1e-12)


def test_there_is_a_projection_even_if_the_filters_have_its_width():
    encoder = make(words=None, filters=((1, 2), (3, 3))).token_encoder
    assert encoder.projection.weight.shape == (5, 5)


@pytest.fixture(scope="module")
def pad_lover():
    """An encoder whose widest convolution is largest where all is padding."""
    encoder = make(words=None, filters=((1, 3), (4, 6)), n_highway=0).token_encoder
    with torch.no_grad():
        encoder.char_embedding.weight.abs_()
        encoder.char_embedding.weight[PAD] = 10.0
        encoder.convolutions[1].weight.abs_()
    return encoder


@pytest.mark.parametrize("word", ANY_WORDS)
def test_cropped_padding_is_exact(pad_lover, encode_by_hand, word):
    expected = encode_by_hand(pad_lover, "relu", padded([word]))
    np.testing.assert_allclose(run(pad_lover, [word]), expected, atol=1e-12)


@pytest.mark.parametrize("word", ["a", "bank", "", "<bos>"])
def test_one_pad_less_is_not_exact(pad_lover, encode_by_hand, word):
    """The test above would see a crop that is too short."""
    (cropped,) = pad_lover.words_to_ids([word])
    assert cropped.shape[1] < 50
    expected = encode_by_hand(pad_lover, "relu", padded([word]))
    with torch.no_grad():
        too_short = pad_lover(cropped[:, :-1]).numpy()
    assert np.abs(too_short - expected).max() > 0.1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(alphabet="ab银\u0301<>", max_size=55), min_size=1, max_size=6))
def test_words_beside_each_other_are_as_with_all_padding(words):
    encoder = make(words=None, n_highway=0).token_encoder
    with torch.no_grad():
        expected = encoder(torch.from_numpy(padded(words))).numpy()
    np.testing.assert_allclose(run(encoder, words), expected, atol=1e-12)
