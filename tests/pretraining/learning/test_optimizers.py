"""Updates are compared with the formulas of the papers."""

import math
import warnings

import numpy as np
import pytest
import torch
from spacy.util import registry
from thinc.api import compounding, warmup_linear
from torch import nn

from spacy_elmo.pretraining.learning.optimizers import configure_adagrad, configure_adam

FACTORIES = {"Adam": configure_adam, "Adagrad": configure_adagrad}


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.dense = nn.Parameter(torch.randn(3, 2))
        self.sparse = nn.Parameter(torch.randn(5, 2))


def make(name="Adam", **options):
    model = Model()
    return model, FACTORIES[name](**options)(model, lambda parameter: parameter == "sparse")


def set_gradients(model, seed):
    """RETURNS: The dense gradient, the sparse one's rows and its values."""
    random = np.random.default_rng(seed)
    dense, values = random.normal(size=(3, 2)), random.normal(size=(2, 2))
    rows = np.sort(random.permutation(5)[:2])
    model.dense.grad = torch.from_numpy(dense).float()
    model.sparse.grad = torch.sparse_coo_tensor(
        torch.from_numpy(rows)[None],
        torch.from_numpy(values).float(),
        (5, 2),
        check_invariants=True,
    ).coalesce()
    return dense, rows, values


@pytest.mark.slow
def test_adam():
    model, optimizer = make(learn_rate=0.01, beta1=0.8, beta2=0.95, eps=1e-6)
    expected = [parameter.detach().double().numpy().copy() for parameter in model.parameters()]
    means, squares = ([np.zeros_like(value) for value in expected] for _ in range(2))
    for step in range(6):
        dense, rows, values = set_gradients(model, step)
        for i, at, gradient in [(0, slice(None), dense), (1, rows, values)]:
            means[i][at] = 0.8 * means[i][at] + 0.2 * gradient
            squares[i][at] = 0.95 * squares[i][at] + 0.05 * gradient**2
            mean = means[i][at] / (1 - 0.8 ** (step + 1))
            square = squares[i][at] / (1 - 0.95 ** (step + 1))
            expected[i][at] -= 0.01 * mean / (np.sqrt(square) + 1e-6)
        assert optimizer.step(step) == 0.01
    for parameter, value in zip(model.parameters(), expected, strict=True):
        np.testing.assert_allclose(parameter.detach(), value, rtol=1e-4, atol=1e-5)


def test_adagrad():
    model, optimizer = make("Adagrad", learn_rate=0.1, initial_accumulator=0.5)
    expected = [parameter.detach().double().numpy().copy() for parameter in model.parameters()]
    sums = [np.full_like(value, 0.5) for value in expected]
    for step in range(6):
        dense, rows, values = set_gradients(model, step)
        for i, at, gradient in [(0, slice(None), dense), (1, rows, values)]:
            sums[i][at] += gradient**2
            expected[i][at] -= 0.1 * gradient / np.sqrt(sums[i][at])
        optimizer.step(step)
    for parameter, value in zip(model.parameters(), expected, strict=True):
        np.testing.assert_allclose(parameter.detach(), value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", FACTORIES)
def test_no_warning_stands_in_the_table_of_a_run(name):
    """PyTorch's own Adagrad makes sparse tensors, which PyTorch warns of once a process."""
    model, optimizer = make(name)
    set_gradients(model, 0)
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            optimizer.step(0)
    finally:
        torch.set_warn_always(False)


def test_adagrads_defaults_are_bilm_tfs():
    """Adagrad with the rate 0.2 and an accumulator of 1, for gradients 20 times as large."""
    model, optimizer = make("Adagrad")
    expected = model.dense.detach().double().numpy().copy()
    total = np.ones_like(expected)
    for step in range(6):
        dense, _, _ = set_gradients(model, step)
        total += (20 * dense) ** 2
        expected -= 0.2 * 20 * dense / np.sqrt(total)
        assert optimizer.step(step) == 0.2
    np.testing.assert_allclose(model.dense.detach(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", FACTORIES)
@pytest.mark.parametrize("n_steps", [0, 1, 4])
def test_it_goes_on_from_its_tensors_to_the_bit(name, n_steps):
    def schedule():
        return warmup_linear(0.01, 3, 20)

    model, optimizer = make(name, learn_rate=schedule())
    for step in range(n_steps):
        set_gradients(model, step)
        optimizer.step(step)
    tensors = {key: value.clone() for key, value in optimizer.tensors().items()}
    assert tensors or not n_steps
    again, other = make(name, learn_rate=schedule())
    again.load_state_dict(model.state_dict())
    other.set_tensors(tensors)
    for step in range(n_steps, n_steps + 3):
        for each, its in [(model, optimizer), (again, other)]:
            set_gradients(each, step)
            rate = its.step(step)
        assert rate == pytest.approx(0.01 * (step / 3 if step < 3 else (20 - step) / 17))
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert optimizer.tensors().keys() == other.tensors().keys()
    for key, value in optimizer.tensors().items():
        assert torch.equal(value, other.tensors()[key])
        assert value.dtype == other.tensors()[key].dtype


@pytest.mark.parametrize("is_sparse", [True, False])
def test_a_model_whose_gradients_are_of_one_kind(is_sparse):
    model = nn.Embedding(5, 2, sparse=is_sparse)
    optimizer = configure_adam()(model, lambda name: is_sparse)
    model(torch.tensor([1, 3])).sum().backward()
    optimizer.step(0)
    tensors = optimizer.tensors()
    assert tensors.keys() == {"step.weight", "exp_avg.weight", "exp_avg_sq.weight"}
    optimizer.set_tensors(tensors)
    assert optimizer.tensors().keys() == tensors.keys()


def test_tensors_of_another_optimizer_are_refused():
    model, adam = make("Adam")
    set_gradients(model, 0)
    adam.step(0)
    _, adagrad = make("Adagrad")
    with pytest.raises(ValueError, match="another optimizer"):
        adagrad.set_tensors(adam.tensors())
    _, adam = make("Adam")
    with pytest.raises(ValueError, match="another optimizer"):
        adam.set_tensors({"exp_avg.elsewhere": torch.zeros(2)})


@pytest.mark.parametrize(
    ("learn_rate", "expected"),
    [
        (0.5, [0.5, 0.5, 0.5, 0.5]),
        ([0.3, 0.2], [0.3, 0.2, 0.2, 0.2]),  # the last value stays
        (compounding(1.0, 4.0, 2.0), [1.0, 2.0, 4.0, 4.0]),
    ],
)
def test_rates(learn_rate, expected):
    model, optimizer = make(learn_rate=learn_rate)
    rates = []
    for step in range(4):
        set_gradients(model, step)
        rates.append(optimizer.step(step))
    assert rates == expected


def test_a_rate_of_zero_changes_nothing():
    model, optimizer = make(learn_rate=0.0)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    set_gradients(model, 0)
    optimizer.step(0)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize("name", FACTORIES)
def test_they_are_registered(name):
    block = {"@optimizers": f"spacy-elmo.{name}.v1", "learn_rate": 0.25}
    factory = registry.resolve({"optimizer": block})["optimizer"]
    model = Model()
    optimizer = factory(model, lambda parameter: parameter == "sparse")
    set_gradients(model, 0)
    assert math.isclose(optimizer.step(0), 0.25)
