"""Training steps: what is counted, what is left out, and what is remembered."""

import math

import pytest
import torch
from tiny_runs import make_run

from spacy_elmo.bilm import kernels
from spacy_elmo.pretraining.step import Losses
from spacy_elmo.pretraining.trainer import Diverged, Progress, default_precision


@pytest.fixture
def trainer(tmp_path):
    run = make_run(tmp_path / "run", training__carry_state=True, training__max_skipped=2)
    run.start(resume=False)
    return run.trainer


def parameters(trainer):
    return {name: p.detach().clone() for name, p in trainer.model.named_parameters()}


NOT_FINITE = Losses(math.nan, 1.0)


def spoil(trainer, monkeypatch, loss=NOT_FINITE):
    """Steps whose gradients are fine, but not their loss."""
    compute = type(trainer.compute).__call__

    def call(self, batch):
        compute(self, batch)
        return loss

    monkeypatch.setattr(type(trainer.compute), "__call__", call)


def test_progress(trainer):
    for _ in range(3):
        trainer.step()
    progress = trainer.progress
    assert (progress.steps, progress.words, progress.skipped) == (3, 3 * 4 * 5, 0)
    assert progress.n_losses == 3
    means = [total / 3 for total in progress.loss_sums]
    assert list(progress.take_losses()) == means
    assert all(map(math.isnan, progress.take_losses()))


def test_steps_change_all_weights(trainer):
    before = parameters(trainer)
    trainer.step()  # at the rate 0 that warming up begins with
    assert trainer.learn_rate == 0
    trainer.step()
    after = parameters(trainer)
    for name in before:
        assert not torch.equal(before[name], after[name]), name


@pytest.mark.parametrize("loss", [NOT_FINITE, Losses(1.0, math.inf)])
def test_skipped_step(trainer, monkeypatch, loss):
    """It changes no weights and forgets the state, which may be what isn't finite."""
    trainer.step()
    assert trainer.compute.states is not None
    before = parameters(trainer)
    with monkeypatch.context() as patch:
        spoil(trainer, patch, loss)
        trainer.step()
    assert trainer.compute.states is None
    assert all(torch.equal(before[name], p) for name, p in parameters(trainer).items())
    assert (trainer.progress.skipped, trainer.progress.skipped_in_a_row) == (1, 1)
    assert trainer.progress.n_losses == 1
    trainer.step()
    assert (trainer.progress.skipped, trainer.progress.skipped_in_a_row) == (1, 0)


def test_too_many_in_a_row(trainer, monkeypatch):
    spoil(trainer, monkeypatch)
    trainer.step()
    with pytest.raises(Diverged, match="2 steps in a row, up to step 2"):
        trainer.step()


def test_check_weights(trainer):
    trainer.check_weights()
    with torch.no_grad():
        trainer.model.softmax.weight[3, 2] = math.nan
    with pytest.raises(Diverged, match=r"'softmax.weight'.*after step 0"):
        trainer.check_weights()


def test_state_is_a_copy_to_go_on_from(trainer):
    """Two steps from the same state are the same."""
    trainer.step()
    state = trainer.state()
    weights = parameters(trainer)
    tensors = {name: tensor.clone() for name, tensor in trainer.optimizer.tensors().items()}
    ends = []
    for _ in range(2):
        trainer.set_state(*state)
        trainer.model.load_state_dict(weights)
        trainer.optimizer.set_tensors({name: tensor.clone() for name, tensor in tensors.items()})
        trainer.progress = Progress(steps=1)
        trainer.step()
        ends.append((trainer.progress.loss_sums, parameters(trainer)))
    assert ends[0][0] == ends[1][0]
    assert all(torch.equal(ends[0][1][name], p) for name, p in ends[1][1].items())


@pytest.mark.parametrize(
    ("machine", "in_onednn", "avx512_bf16", "expected"),
    [
        ("x86_64", True, True, True),
        ("AMD64", True, False, False),  # AVX-512 without its instructions for bfloat16
        ("x86_64", False, False, False),
        ("aarch64", True, False, True),
        ("arm64", False, False, False),
    ],
)
def test_default_precision(monkeypatch, machine, in_onednn, avx512_bf16, expected):
    """Products in bfloat16 only where the processor has instructions for them."""
    monkeypatch.setattr(kernels, "_works", lambda precision: in_onednn)
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    assert default_precision(torch.device("cpu")) == expected


def test_default_precision_without_onednn(monkeypatch):
    monkeypatch.setattr(kernels, "_works", lambda precision: False)
    assert not default_precision(torch.device("cpu"))


def test_default_precision_where_pytorch_does_not_say(monkeypatch):
    monkeypatch.setattr(kernels, "_works", lambda precision: True)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert default_precision(torch.device("cpu")) is False


@pytest.mark.parametrize("has_instructions", [False, True])
def test_default_precision_on_cuda(monkeypatch, has_instructions):
    """PyTorch emulates bfloat16 on devices that don't have it."""

    def is_supported(including_emulation=True):
        return including_emulation or has_instructions

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    assert default_precision(torch.device("cuda")) == has_instructions
