import numpy as np
import pytest
import torch

from spacy_elmo.bilm import packed_network, packed_weight
from spacy_elmo.bilm.char_cnn import PooledConvolution
from spacy_elmo.bilm.lstm import LSTMState, ProjectedLSTM
from spacy_elmo.bilm.packed_network import PackedConvolution, PackedLinear, PackedLSTM, pack_network

LENGTHS = [6, 4, 4, 1]
BATCH_SIZES = [4, 3, 3, 3, 1, 1]
CLIPS = [(None, None), (0.5, None), (None, 0.3), (0.5, 0.3)]
FLOAT32 = 2e-5
# What rounding both factors of each product may change, relative to the result: a number to 8
# significant bits, or each row to 127 steps of a largest value that is four times the usual one.
BFLOAT16, INT8 = 2 * 2.0**-8, 2 * 4 / 254


@pytest.fixture(autouse=True, params=["onednn", "plain"])
def kernel(request, monkeypatch):
    """Everything is the same with either kind of kernel."""
    if request.param == "plain":
        monkeypatch.setattr(packed_weight, "has_onednn", lambda device, precision: False)


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def make_lstm(cell_clip=None, proj_clip=None, scale=1.0):
    """From 6 to 5 wide, with 9 cells."""
    lstm = ProjectedLSTM(6, 9, 5, cell_clip, proj_clip)
    generator = torch.Generator().manual_seed(1)
    for parameter in lstm.parameters():
        torch.nn.init.uniform_(parameter, -scale, scale, generator=generator)
    return lstm


def make_inputs(lengths=LENGTHS):
    """Of all sentences, packed."""
    return torch.randn(sum(lengths), 6, generator=torch.Generator().manual_seed(2))


def rows_of(sentence, batch_sizes=BATCH_SIZES):
    """Where a sentence's tokens stand in a packed batch."""
    starts = np.cumsum([0, *batch_sizes])
    return [int(starts[t]) + sentence for t, size in enumerate(batch_sizes) if sentence < size]


def relative_error(got, expected):
    """Root mean squares."""
    return float((got - expected).square().mean().sqrt() / expected.square().mean().sqrt())


@pytest.mark.parametrize(("cell_clip", "proj_clip"), CLIPS)
def test_lstm_equals_a_plain_loop_over_each_sentence(lstm_by_hand, cell_clip, proj_clip):
    lstm = make_lstm(cell_clip, proj_clip, scale=2.0)
    inputs = make_inputs()
    outputs, state = PackedLSTM(lstm, "float32")(inputs, BATCH_SIZES)
    for i in range(len(LENGTHS)):
        expected, hidden, cell = lstm_by_hand(lstm, inputs[rows_of(i)].numpy())
        np.testing.assert_allclose(outputs[rows_of(i)].numpy(), expected, atol=FLOAT32)
    # The state is that of the longest sentences.
    longest = PackedLSTM(lstm, "float32")(inputs[rows_of(0)], [1] * 6)[1]
    expected, hidden, cell = lstm_by_hand(lstm, inputs[rows_of(0)].numpy())
    for got in (state, longest):
        np.testing.assert_allclose(got.hidden.numpy(), hidden[None], atol=FLOAT32)
        np.testing.assert_allclose(got.cell.numpy(), cell[None], atol=FLOAT32)


def test_clips_bound_cell_and_projection():
    outputs, state = PackedLSTM(make_lstm(0.5, 0.3, scale=2.0), "float32")(
        make_inputs(), BATCH_SIZES
    )
    assert state.cell.abs().max() == 0.5
    assert outputs.abs().max() == torch.tensor(0.3)


@pytest.mark.parametrize("block_rows", [1, 3, 4, 5, 7, 100])
def test_the_size_of_blocks_changes_nothing(monkeypatch, block_rows):
    """Even if a block is smaller than a step."""
    lstm, inputs = make_lstm(), make_inputs()
    expected, _ = lstm(inputs, BATCH_SIZES)
    monkeypatch.setattr(packed_network, "BLOCK_ROWS", block_rows)
    outputs, _ = PackedLSTM(lstm, "float32")(inputs, BATCH_SIZES)
    torch.testing.assert_close(outputs, expected, atol=FLOAT32, rtol=0)


@pytest.mark.parametrize("halfway", range(1, 6))
def test_a_sentence_may_go_on_where_it_stopped(halfway):
    lstm = PackedLSTM(make_lstm(0.5, 0.3, scale=2.0), "float32")
    inputs = make_inputs([6])
    whole, final = lstm(inputs, [1] * 6)
    first, state = lstm(inputs[:halfway], [1] * halfway)
    before = [value.clone() for value in state]
    second, last = lstm(inputs[halfway:], [1] * (6 - halfway), state)
    torch.testing.assert_close(torch.cat([first, second]), whole, atol=FLOAT32, rtol=0)
    torch.testing.assert_close(tuple(last), tuple(final), atol=FLOAT32, rtol=0)
    assert all(map(torch.equal, state, before))  # the given state is left as it was


def test_starts_from_the_given_state(lstm_by_hand):
    lstm, inputs = make_lstm(), make_inputs([6])
    state = LSTMState(torch.full((1, 5), 0.7), torch.full((1, 9), -1.3))
    outputs, _ = PackedLSTM(lstm, "float32")(inputs, [1] * 6, state)
    expected, _, _ = lstm_by_hand(lstm, inputs.numpy(), *(value[0].numpy() for value in state))
    np.testing.assert_allclose(outputs.numpy(), expected, atol=FLOAT32)


@pytest.mark.parametrize(("precision", "unit"), [("bfloat16", BFLOAT16), ("int8", INT8)])
@pytest.mark.parametrize(("cell_clip", "proj_clip"), CLIPS)
def test_lstm_in_fewer_bits(precision, unit, cell_clip, proj_clip):
    """Three products one after the other; a state keeps half of its error or less."""
    lstm, inputs = make_lstm(cell_clip, proj_clip, scale=0.3), make_inputs()
    expected, _ = lstm(inputs, BATCH_SIZES)
    outputs, _ = PackedLSTM(lstm, precision)(inputs, BATCH_SIZES)
    assert outputs.dtype == torch.float32
    assert 1e-4 < relative_error(outputs, expected) < 6 * unit


@pytest.mark.parametrize("n_characters", [3, 4, 11])
@pytest.mark.parametrize("n_words", [1, 2, 40])
@pytest.mark.parametrize("width", [1, 2, 3])
def test_convolution(width, n_words, n_characters):
    """Down to a single window. The characters are a transposed view, as in the token encoder."""
    convolution = PooledConvolution(4, 5, width)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n_words, n_characters, 4, generator=generator).transpose(1, 2)
    pooled = PackedConvolution(convolution, "float32")(x)
    assert pooled.shape == (n_words, 5)
    torch.testing.assert_close(pooled, convolution(x), atol=FLOAT32, rtol=0)


@pytest.mark.parametrize(("precision", "unit"), [("bfloat16", BFLOAT16), ("int8", INT8)])
def test_convolution_in_fewer_bits(precision, unit):
    convolution = PooledConvolution(16, 64, 3)
    x = torch.randn(40, 16, 9, generator=torch.Generator().manual_seed(1))
    pooled = PackedConvolution(convolution, precision)(x)
    assert 1e-4 < relative_error(pooled, convolution(x)) < unit


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("precision", "unit"), [("bfloat16", BFLOAT16), ("int8", INT8)])
def test_linear_layer(bias, precision, unit):
    layer = torch.nn.Linear(48, 64, bias=bias)
    x = torch.randn(40, 48, generator=torch.Generator().manual_seed(1))
    exact = PackedLinear(layer, "float32")(x)
    torch.testing.assert_close(exact, layer(x), atol=FLOAT32, rtol=0)
    assert 1e-4 < relative_error(PackedLinear(layer, precision)(x), layer(x)) < unit


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_a_packed_network_leaves_the_network_as_it_was(make_network, precision):
    network = make_network(projection_dim=12)  # the number of filters: no projection
    modules, state = dict(network.named_modules()), network.state_dict()
    before = {name: value.clone() for name, value in state.items()}
    twin = pack_network(network, precision)
    assert type(twin) is type(network) and twin is not network
    assert dict(network.named_modules()) == modules
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    kinds = {type(module) for module in twin.modules()}
    assert not kinds & {torch.nn.Linear, PooledConvolution, ProjectedLSTM}
    assert {PackedLinear, PackedConvolution, PackedLSTM} <= kinds


@pytest.mark.parametrize("skip_connections", [True, False])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize(("n_layers", "n_highway"), [(1, 0), (3, 2)])
def test_a_packed_network_gives_the_same_layers(
    make_network, skip_connections, activation, n_layers, n_highway
):
    network = make_network(
        n_layers=n_layers,
        n_highway=n_highway,
        skip_connections=skip_connections,
        activation=activation,
        cell_clip=0.9,
        proj_clip=0.5,
    )
    words = network.token_encoder(*network.token_encoder.words_to_ids(["a", "bank", "", "银行"]))
    word_ids, lengths = torch.tensor([0, 1, 2, 3, 3, 1]), [2, 3, 1]
    expected, _ = network(words, word_ids, lengths)
    twin = pack_network(network, "float32")
    encoded = twin.token_encoder(*twin.token_encoder.words_to_ids(["a", "bank", "", "银行"]))
    torch.testing.assert_close(encoded, words, atol=FLOAT32, rtol=0)
    layers, _ = twin(words, word_ids, lengths)
    torch.testing.assert_close(layers, expected, atol=FLOAT32, rtol=0)
