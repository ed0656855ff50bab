import math

import pytest
import torch
from torch import nn

from spacy_elmo.pretraining.learning.gradients import clip_gradients


@pytest.fixture
def parameters():
    """Two with dense gradients, and one with a sparse gradient in which a row comes twice."""
    torch.manual_seed(0)
    made = [nn.Parameter(torch.zeros(shape)) for shape in [(3, 4), (5,), (6, 2)]]
    made[0].grad, made[1].grad = torch.randn(3, 4), torch.randn(5)
    made[2].grad = torch.sparse_coo_tensor(
        torch.tensor([[4, 1, 4]]), torch.randn(3, 2), (6, 2), check_invariants=True
    )
    return made


def dense(parameters):
    return torch.cat([parameter.grad.to_dense().flatten() for parameter in parameters])


@pytest.mark.parametrize("share", [0.1, 1.5, None])
def test_all_gradients_are_scaled_by_the_norm_of_all(parameters, share):
    before = dense(parameters)
    norm = before.norm().item()
    limit = None if share is None else share * norm
    assert clip_gradients(parameters, limit) == pytest.approx(norm, rel=1e-6)
    torch.testing.assert_close(dense(parameters), before * min(share or 1.0, 1.0))


def test_sparse_gradients_hold_each_row_once(parameters):
    clip_gradients(parameters, 0.5)
    gradient = parameters[2].grad
    assert gradient.is_coalesced()
    assert gradient.indices().tolist() == [[1, 4]]


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("of", [1, 2])
def test_norm_tells_of_values_that_are_not_finite(parameters, of, value):
    gradient = parameters[of].grad
    (gradient._values() if gradient.is_sparse else gradient)[0] = value
    assert not math.isfinite(clip_gradients(parameters, 1.0))
