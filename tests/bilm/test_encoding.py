import pytest
import torch

from spacy_elmo.bilm import encoding
from spacy_elmo.bilm.encoding import encode, encode_distinct

CPU = torch.device("cpu")
WORDS = ["a", "of", "bank", "rivers", "é", "bank", "x" * 60]


@pytest.fixture
def encoder(make_network):
    return make_network().token_encoder


def alone(encoder, word):
    return encoder(*encoder.words_to_ids([word]))[0]


@pytest.mark.parametrize("words_per_product", [1, 2, 3, 256])
def test_words_are_encoded_a_few_at_a_time(encoder, monkeypatch, words_per_product):
    monkeypatch.setattr(encoding, "WORDS_PER_PRODUCT", words_per_product)
    sizes = []
    with encoder.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0]))):
        encoded = encode(encoder, WORDS, CPU)
    assert sum(sizes) == len(WORDS) and max(sizes) <= words_per_product
    expected = torch.stack([alone(encoder, word) for word in WORDS])
    torch.testing.assert_close(encoded, expected, atol=1e-6, rtol=1e-5)


def test_each_distinct_word_is_encoded_once(encoder):
    encoded, rows = encode_distinct(encoder, iter(WORDS), CPU)
    assert len(encoded) == len(rows) == len(set(WORDS))
    for word in WORDS:
        torch.testing.assert_close(encoded[rows[word]], alone(encoder, word), atol=1e-6, rtol=1e-5)
    encoded[rows["bank"]].sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())
