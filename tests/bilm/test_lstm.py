import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import PackedSequence

from spacy_elmo.bilm.lstm import LSTMState, ProjectedLSTM

LENGTHS = [6, 4, 4, 1]
BATCH_SIZES = [4, 3, 3, 3, 1, 1]
CLIPS = [(None, None), (0.5, None), (None, 0.3), (0.5, 0.3)]


@pytest.fixture
def make_lstm():
    """A factory of LSTMs from 6 to 5 wide with 9 cells, in float64."""

    def make(cell_clip=None, proj_clip=None, scale=1.0):
        lstm = ProjectedLSTM(6, 9, 5, cell_clip, proj_clip).double()
        generator = torch.Generator().manual_seed(1)
        for parameter in lstm.parameters():
            torch.nn.init.uniform_(parameter, -scale, scale, generator=generator)
        return lstm

    return make


@pytest.fixture
def inputs():
    """The inputs of each sentence, longest first."""
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(n, 6, dtype=torch.float64, generator=generator) for n in LENGTHS]


def pack(sentences):
    """All first tokens, all second tokens, …"""
    steps = range(max(map(len, sentences)))
    return torch.stack([rows[t] for t in steps for rows in sentences if t < len(rows)])


def unpack(packed, lengths):
    rows = iter(packed)
    sentences = [[] for _ in lengths]
    for t in range(max(lengths)):
        for sentence, length in zip(sentences, lengths, strict=True):
            if t < length:
                sentence.append(next(rows))
    return [torch.stack(sentence) for sentence in sentences]


def torch_lstm(lstm):
    """PyTorch's own LSTM with the same weights; the forget gate's 1.0 goes into its bias."""
    reference = torch.nn.LSTM(6, 9, proj_size=5).double()
    bias = lstm.bias.detach().clone()
    bias[9:18] += 1.0
    with torch.no_grad():
        reference.weight_ih_l0.copy_(lstm.weight_ih)
        reference.weight_hh_l0.copy_(lstm.weight_hh)
        reference.weight_hr_l0.copy_(lstm.weight_hr)
        reference.bias_ih_l0.copy_(bias)
        reference.bias_hh_l0.zero_()
    return reference


def test_without_clips_equals_pytorchs_lstm(make_lstm, inputs):
    lstm = make_lstm()
    packed, batch_sizes = pack(inputs), torch.tensor(BATCH_SIZES)
    expected, (hidden, cell) = torch_lstm(lstm)(PackedSequence(packed, batch_sizes))
    outputs, state = lstm(packed, BATCH_SIZES)
    torch.testing.assert_close(outputs, expected.data, atol=1e-12, rtol=0)
    torch.testing.assert_close(state.hidden, hidden[0], atol=1e-12, rtol=0)
    torch.testing.assert_close(state.cell, cell[0], atol=1e-12, rtol=0)


def test_without_clips_has_the_gradients_of_pytorchs_lstm(make_lstm, inputs):
    lstm = make_lstm()
    reference = torch_lstm(lstm)
    packed, batch_sizes = pack(inputs), torch.tensor(BATCH_SIZES)
    ours, theirs = packed.clone().requires_grad_(), packed.clone().requires_grad_()
    lstm(ours, BATCH_SIZES)[0].square().sum().backward()
    reference(PackedSequence(theirs, batch_sizes))[0].data.square().sum().backward()
    for mine, other in [
        (ours, theirs),
        (lstm.weight_ih, reference.weight_ih_l0),
        (lstm.weight_hh, reference.weight_hh_l0),
        (lstm.weight_hr, reference.weight_hr_l0),
        (lstm.bias, reference.bias_ih_l0),
    ]:
        torch.testing.assert_close(mine.grad, other.grad, atol=1e-10, rtol=0)


@pytest.mark.parametrize(("cell_clip", "proj_clip"), CLIPS)
def test_equals_a_plain_loop_over_each_sentence(
    make_lstm, lstm_by_hand, inputs, cell_clip, proj_clip
):
    lstm = make_lstm(cell_clip, proj_clip, scale=2.0)
    with torch.no_grad():
        outputs, state = lstm(pack(inputs), BATCH_SIZES)
    for i, sentence in enumerate(unpack(outputs, LENGTHS)):
        expected, hidden, cell = lstm_by_hand(lstm, inputs[i].numpy())
        np.testing.assert_allclose(sentence.numpy(), expected, atol=1e-12)
        np.testing.assert_allclose(state.hidden[i].numpy(), hidden, atol=1e-12)
        np.testing.assert_allclose(state.cell[i].numpy(), cell, atol=1e-12)


def test_clips_bound_cell_and_projection(make_lstm, inputs):
    with torch.no_grad():
        outputs, state = make_lstm(0.5, 0.3, scale=2.0)(pack(inputs), BATCH_SIZES)
        free, free_state = make_lstm(scale=2.0)(pack(inputs), BATCH_SIZES)
    assert state.cell.abs().max() == 0.5 < free_state.cell.abs().max()
    assert outputs.abs().max() == 0.3 < free.abs().max()


@pytest.mark.parametrize("halfway", range(1, 6))
def test_two_halves_equal_the_whole(make_lstm, inputs, halfway):
    """The state after the first half, given to those sentences that go on."""
    lstm = make_lstm(0.5, 0.3, scale=2.0)
    with torch.no_grad():
        whole, final = lstm(pack(inputs), BATCH_SIZES)
        n_first = sum(BATCH_SIZES[:halfway])
        first, state = lstm(pack(inputs)[:n_first], BATCH_SIZES[:halfway])
        running = BATCH_SIZES[halfway]
        kept = LSTMState(state.hidden[:running], state.cell[:running])
        second, last = lstm(pack(inputs)[n_first:], BATCH_SIZES[halfway:], kept)
    torch.testing.assert_close(torch.cat([first, second]), whole, atol=1e-12, rtol=0)
    for done, going_on, expected in zip(state, last, final, strict=True):
        joined = torch.cat([going_on, done[running:]])
        torch.testing.assert_close(joined, expected, atol=1e-12, rtol=0)


def test_starts_from_the_given_state(make_lstm, lstm_by_hand, inputs):
    lstm = make_lstm()
    hidden, cell = torch.full((1, 5), 0.7).double(), torch.full((1, 9), -1.3).double()
    with torch.no_grad():
        outputs, _ = lstm(inputs[0], [1] * 6, LSTMState(hidden, cell))
    expected, _, _ = lstm_by_hand(lstm, inputs[0].numpy(), hidden[0].numpy(), cell[0].numpy())
    np.testing.assert_allclose(outputs.numpy(), expected, atol=1e-12)


def test_cudnn_knows_no_clips(make_lstm):
    assert make_lstm().runs_in_cudnn
    assert not any(make_lstm(*clips).runs_in_cudnn for clips in CLIPS[1:])


@pytest.mark.parametrize("with_state", [False, True])
def test_the_librarys_lstm_computes_the_same(make_lstm, inputs, with_state):
    """What runs in cuDNN on CUDA devices, here on the CPU: outputs, states and gradients."""
    lstm = make_lstm()
    generator = torch.Generator().manual_seed(3)
    hidden, cell = (torch.randn(4, n, dtype=torch.float64, generator=generator) for n in (5, 9))
    state = LSTMState(hidden, cell) if with_state else LSTMState(hidden * 0, cell * 0)
    results = []
    for run in (
        lambda x: lstm(x, BATCH_SIZES, state),
        lambda x: lstm._run_library(x, BATCH_SIZES, state, lstm.bias + lstm._forget_bias()),
    ):
        x = pack(inputs).requires_grad_()
        outputs, final = run(x)
        loss = outputs.square().sum() + final.cell.sum()
        results.append([outputs, *final, *torch.autograd.grad(loss, [x, *lstm.parameters()])])
    for ours, library in zip(*results, strict=True):
        torch.testing.assert_close(library, ours, atol=1e-12, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(("cell_clip", "proj_clip"), CLIPS)
@pytest.mark.parametrize("with_keep", [False, True])
def test_gradients_are_those_of_finite_differences(
    make_lstm, inputs, cell_clip, proj_clip, with_keep
):
    lstm = make_lstm(cell_clip, proj_clip, scale=2.0)
    generator = torch.Generator().manual_seed(3)
    hidden, cell = (torch.randn(4, n, dtype=torch.float64, generator=generator) for n in (5, 9))
    keep = None
    if with_keep:
        keep = (torch.rand(sum(LENGTHS), 1, generator=generator) < 0.7).double()
        assert 0 < keep.sum() < len(keep)

    def run(x, hidden, cell, *parameters):
        values = dict(zip(["weight_ih", "weight_hh", "weight_hr", "bias"], parameters, strict=True))
        outputs, state = torch.func.functional_call(
            lstm, values, (x, BATCH_SIZES, LSTMState(hidden, cell), keep)
        )
        return outputs, *state

    arguments = [pack(inputs), hidden, cell, *(p.detach() for p in lstm.parameters())]
    assert torch.autograd.gradcheck(run, [x.clone().requires_grad_() for x in arguments])


def test_where_nothing_is_kept_tokens_start_from_zeros(make_lstm, inputs):
    """Two sentences in one row, the second from zeros, equal each alone."""
    lstm = make_lstm(0.5, 0.3, scale=2.0)
    first, second = inputs[0], inputs[1]
    keep = torch.ones(len(first) + len(second), 1).double()
    keep[len(first)] = 0
    with torch.no_grad():
        together, state = lstm(torch.cat([first, second]), [1] * len(keep), None, keep)
        alone = [lstm(sentence, [1] * len(sentence)) for sentence in (first, second)]
    torch.testing.assert_close(together, torch.cat([outputs for outputs, _ in alone]))
    torch.testing.assert_close(state.cell, alone[1][1].cell)


class SaysItIsOnCUDA(torch.Tensor):
    is_cuda = True
    __torch_function__ = torch._C._disabled_torch_function_impl  # what is computed is plain


def test_autocast_keeps_away_from_cudnn(make_lstm, inputs, monkeypatch):
    """There its type would be replaced by float16."""
    lstm = make_lstm().float()
    x = pack(inputs).float()
    with torch.autocast("cpu", torch.bfloat16):
        expected, _ = lstm(x, BATCH_SIZES)
    monkeypatch.setattr(lstm, "_run_library", lambda *args: "cuDNN's")
    assert lstm(x.as_subclass(SaysItIsOnCUDA), BATCH_SIZES) == "cuDNN's"
    with torch.autocast("cpu", torch.bfloat16):
        outputs, _ = lstm(x.as_subclass(SaysItIsOnCUDA), BATCH_SIZES)
    assert outputs.dtype == torch.float32
    assert torch.equal(outputs, expected)


def test_autocast_computes_products_in_its_type(make_lstm, inputs):
    lstm = make_lstm().float()
    x = pack(inputs).float()
    exact, _ = lstm(x, BATCH_SIZES)
    with torch.autocast("cpu", torch.bfloat16):
        rounded, rounded_state = lstm(x, BATCH_SIZES)
    assert rounded.dtype == rounded_state.cell.dtype == torch.float32
    error = (rounded - exact).abs().max() / exact.abs().max()
    assert 1e-5 < error < 2e-2
