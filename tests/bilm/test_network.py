import h5py
import numpy as np
import pytest
import torch

from spacy_elmo.bilm.characters import words_to_ids
from spacy_elmo.formats import read_source

LENGTHS = [3, 1, 5, 3]


@pytest.fixture(scope="module")
def batch():
    """Vectors of 7 distinct words and the words of four sentences."""
    generator = torch.Generator().manual_seed(3)
    words = torch.randn(7, 5, dtype=torch.float64, generator=generator)
    return words, torch.randint(7, (sum(LENGTHS),), generator=generator)


def layers_by_hand(network, lstm_by_hand, x, states=None):
    """Every layer of one sentence, from the vectors of its words, and the hidden and cell in
    which each LSTM ends, where the next sentence may start."""
    halves, ends = [], []
    starts = iter(states or [(None, None)] * 2 * network.config.lstm.n_layers)
    for stack, step in [(network.forward_lstm, 1), (network.backward_lstm, -1)]:
        layers = [x[::step]]
        for i, lstm in enumerate(stack.layers):
            y, hidden, cell = lstm_by_hand(lstm, layers[-1], *next(starts))
            skips = i > 0 and network.config.lstm.use_skip_connections
            layers.append(layers[-1] + y if skips else y)
            ends.append((hidden, cell))
        halves.append(np.stack(layers)[:, ::step])
    return np.concatenate(halves, axis=2), ends


def run(network, words, word_ids, lengths):
    with torch.no_grad():
        return network(words, word_ids, lengths)[0].numpy()


@pytest.mark.parametrize("skip_connections", [True, False])
@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize(("cell_clip", "proj_clip"), [(None, None), (0.5, None), (0.6, 0.3)])
def test_equals_plain_loops(
    make_network, lstm_by_hand, batch, skip_connections, n_layers, cell_clip, proj_clip
):
    network = make_network(
        n_layers=n_layers,
        skip_connections=skip_connections,
        cell_clip=cell_clip,
        proj_clip=proj_clip,
        scale=2.0,
    ).double()
    words, word_ids = batch
    layers = run(network, words, word_ids, LENGTHS)
    assert layers.shape == (n_layers + 1, sum(LENGTHS), 10)
    start = 0
    for length in LENGTHS:
        x = words[word_ids[start : start + length]].numpy()
        expected, _ = layers_by_hand(network, lstm_by_hand, x)
        np.testing.assert_allclose(layers[:, start : start + length], expected, atol=1e-12)
        start += length


def test_sentences_may_start_where_others_ended(make_network, lstm_by_hand, batch):
    """A second batch of as many sentences; states go from the longest to the longest."""
    network = make_network(cell_clip=0.6, proj_clip=0.3, scale=2.0).double()
    words, word_ids = batch
    first, second = [word_ids[:5], word_ids[5:8]], [word_ids[8:11], word_ids[11:12]]
    with torch.no_grad():
        _, states = network(words, torch.cat(first), [5, 3])
        layers, ends = network(words, torch.cat(second), [3, 1], states)
    for i, got in enumerate(layers.split([3, 1], dim=1)):
        _, after_first = layers_by_hand(network, lstm_by_hand, words[first[i]].numpy())
        expected, after_second = layers_by_hand(
            network, lstm_by_hand, words[second[i]].numpy(), after_first
        )
        np.testing.assert_allclose(got.numpy(), expected, atol=1e-12)
        for end, (hidden, cell) in zip([*ends[0], *ends[1]], after_second, strict=True):
            np.testing.assert_allclose(end.hidden[i].numpy(), hidden, atol=1e-12)
            np.testing.assert_allclose(end.cell[i].numpy(), cell, atol=1e-12)


def test_without_clips_equals_pytorchs_lstms(make_network, batch):
    """An LSTM stack that is not written here: one bidirectional layer of torch.nn.LSTM."""
    network = make_network(n_layers=1).double()
    reference = torch.nn.LSTM(5, 7, proj_size=5, bidirectional=True).double()
    with torch.no_grad():
        for stack, suffix in [(network.forward_lstm, "l0"), (network.backward_lstm, "l0_reverse")]:
            lstm = stack.layers[0]
            for name in ("weight_ih", "weight_hh", "weight_hr"):
                getattr(reference, f"{name}_{suffix}").copy_(getattr(lstm, name))
            bias = getattr(reference, f"bias_ih_{suffix}")
            bias.copy_(lstm.bias)
            bias[7:14] += 1.0
            getattr(reference, f"bias_hh_{suffix}").zero_()
    words, word_ids = batch
    layers = run(network, words, word_ids, LENGTHS)
    for got, ids in zip(
        np.split(layers[1], np.cumsum(LENGTHS)[:-1]), word_ids.split(LENGTHS), strict=True
    ):
        expected = reference(words[ids])[0].detach().numpy()
        np.testing.assert_allclose(got, expected, atol=1e-12)


def test_layer_0_is_the_token_encoders_output_twice(make_network, batch):
    words, word_ids = batch
    layers = run(make_network().double(), words, word_ids, LENGTHS)
    once = words[word_ids].numpy()
    np.testing.assert_array_equal(layers[0], np.concatenate([once, once], axis=1))


def test_each_half_knows_only_its_side_of_the_sentence(make_network, batch):
    network = make_network().double()
    words, _ = batch
    before = run(network, words, torch.tensor([0, 1, 2, 3, 4]), [5])
    after = run(network, words, torch.tensor([0, 1, 5, 3, 4]), [5])
    changed = np.abs(after - before).max(axis=0) > 1e-6  # (n_tokens, width)
    assert not changed[:2, :5].any()
    assert changed[2:, :5].any(axis=1).all()
    assert not changed[3:, 5:].any()
    assert changed[:3, 5:].any(axis=1).all()


@pytest.mark.parametrize("folder", ["plain", "deep"])
def test_vectors_of_sentence_boundaries(fixtures, sentences, folder):
    """AllenNLP's columns at the begin and end of every sentence, which an engine cuts off."""
    network = read_source(fixtures / folder / "weights.hdf5")
    config = network.config.char_cnn
    bounded = [["<S>", *words, "</S>"] for words in sentences]
    tokens = [word for words in bounded for word in words]
    lengths = [len(words) for words in bounded]
    char_ids = words_to_ids(tokens, config.max_characters_per_token, config.widest_filter)
    with torch.no_grad():
        words = network.token_encoder(char_ids)
        layers, _ = network(words, torch.arange(len(tokens)), lengths)
    with h5py.File(fixtures / folder / "expected.hdf5") as expected:
        for i, sentence in enumerate(layers.split(lengths, dim=1)):
            ends = sentence[:, [0, -1]].numpy()
            np.testing.assert_allclose(ends, expected[f"boundaries/{i}"][()], atol=1e-5, rtol=0)
