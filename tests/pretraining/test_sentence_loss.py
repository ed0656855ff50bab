"""The loss of sentences, against the whole network's layers with PyTorch's own cross entropy."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from spacy_elmo.pretraining.sentence_loss import SentenceLoss
from spacy_elmo.pretraining.softmax import SampledSoftmax
from spacy_elmo.pretraining.vocabulary import Vocabulary

WORDS = ["</S>", "<S>", "<UNK>", "the", "bank", "of", "river", "a", "."]
SENTENCES = [line.split() for line in ["the bank", "the of a river , a bänk .", ".", "a river ."]]


@pytest.fixture
def network(make_network):
    return make_network(cell_clip=3.0, proj_clip=3.0, scale=2.0)


@pytest.fixture
def softmax():
    torch.manual_seed(3)
    softmax = SampledSoftmax(len(WORDS), 5)
    torch.nn.init.normal_(softmax.bias)
    return softmax


def sentence_loss(n_samples=9, seed=0):
    return SentenceLoss(Vocabulary(WORDS), n_samples, np.random.default_rng(seed))


def gradients(network, softmax, losses):
    """Those of a sum that tells the directions apart."""
    parameters = [*network.parameters(), *softmax.parameters()]
    found = torch.autograd.grad(losses[0] + 3 * losses[1], parameters)
    return [gradient.to_dense() for gradient in found]


def losses_of_layers(network, softmax, sentences):
    """One sentence after the other, as the network reads it when it embeds: forward, each token's
    top layer predicts the next one, backward the one before."""
    forward, backward, forward_ids, backward_ids = [], [], [], []
    for words in sentences:
        tokens = ["<S>", *words, "</S>"]
        encoder = network.token_encoder
        encoded = encoder(*encoder.words_to_ids(tokens))
        layers, _ = network(encoded, torch.arange(len(tokens)), [len(tokens)])
        ids = [WORDS.index(word) if word in WORDS else 2 for word in tokens]
        of_forward, of_backward = layers[-1].chunk(2, dim=1)
        forward.append(of_forward[:-1])
        forward_ids += ids[1:]
        backward.append(of_backward[1:])
        backward_ids += ids[:-1]
    return torch.stack(
        [
            cross_entropy(torch.cat(top) @ softmax.weight.t() + softmax.bias, torch.tensor(ids))
            for top, ids in [(forward, forward_ids), (backward, backward_ids)]
        ]
    )


def test_loss_and_gradients_with_all_words(network, softmax):
    losses = sentence_loss()(network, softmax, SENTENCES, dropout=0.0)
    expected = losses_of_layers(network, softmax, SENTENCES)
    torch.testing.assert_close(losses, expected)
    assert abs(losses[0] - losses[1]) > 0.01
    ours = gradients(network, softmax, losses)
    torch.testing.assert_close(ours, gradients(network, softmax, expected), rtol=1e-3, atol=1e-5)


def test_many_words_are_encoded_in_parts(network, softmax, monkeypatch):
    monkeypatch.setattr("spacy_elmo.bilm.encoding.WORDS_PER_PRODUCT", 3)
    losses = sentence_loss()(network, softmax, SENTENCES, dropout=0.0)
    torch.testing.assert_close(losses, losses_of_layers(network, softmax, SENTENCES))


def test_samples_follow_the_seed(network, softmax):
    def loss(seed):
        return sentence_loss(3, seed)(network, softmax, SENTENCES, dropout=0.0).tolist()

    assert loss(0) == loss(0)
    assert len({tuple(loss(seed)) for seed in range(5)}) > 1


def test_dropout(network, softmax):
    """Of the inputs of each layer: with hardly any left, words read don't matter."""

    def loss(sentences, dropout):
        torch.manual_seed(0)
        return sentence_loss()(network, softmax, sentences, dropout)

    assert (loss(SENTENCES, 0.4) - loss(SENTENCES, 0.0)).abs().min() > 1e-4
    torch.testing.assert_close(loss(SENTENCES, 0.4), loss(SENTENCES, 0.4))
    unread = ["xyz", "river"], ["Unbekannt", "river"]  # both words are <UNK>
    assert (loss(unread[:1], 0.0) - loss(unread[1:], 0.0)).abs().min() > 1e-4
    torch.testing.assert_close(loss(unread[:1], 1 - 1e-7), loss(unread[1:], 1 - 1e-7))


def test_dropout_of_what_words_are_predicted_from(network, softmax):
    """With hardly any of it left, only the words' biases matter."""
    losses = sentence_loss()(network, softmax, [["river"]], 1 - 1e-7)
    river, end, begin = -softmax.bias.log_softmax(0)[[6, 0, 1]]
    torch.testing.assert_close(losses, torch.stack([river + end, river + begin]) / 2)
