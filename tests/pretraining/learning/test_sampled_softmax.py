"""The sampled softmax is compared with plain formulas in float64, its sampler with TensorFlow's
formula."""

import math

import numpy as np
import pytest
import torch

from spacy_elmo.pretraining.learning import sampled_softmax as module
from spacy_elmo.pretraining.learning.sampled_softmax import (
    LogUniformSampler,
    SampledSoftmax,
    Samples,
)

N_WORDS, WIDTH, N_TOKENS = 50, 6, 9


def probability(k, n_words=N_WORDS):
    """TensorFlow's ``log_uniform_candidate_sampler``."""
    return (math.log(k + 2) - math.log(k + 1)) / math.log(n_words + 1)


def expected_count(k, n_draws):
    return 1 - (1 - probability(k)) ** n_draws


def sampled_loss(outputs, weight, bias, targets, samples):
    """One token after the other. All tensors are float64, so that gradients are, too."""
    losses = []
    for output, target in zip(outputs, targets.tolist(), strict=True):
        words = [target] + [word for word in samples.ids.tolist() if word != target]
        logits = weight[words] @ output + bias[words]
        if samples.n_draws:
            logits = logits - torch.tensor(
                [math.log(expected_count(word, samples.n_draws)) for word in words]
            )
        losses.append(torch.logsumexp(logits, 0) - logits[0])
    return torch.stack(losses).mean()


@pytest.fixture
def softmax():
    torch.manual_seed(0)
    softmax = SampledSoftmax(N_WORDS, WIDTH)
    torch.nn.init.normal_(softmax.bias)
    return softmax


@pytest.fixture
def outputs():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(N_TOKENS, WIDTH, generator=generator).requires_grad_()


# Some are among any sample, some among none; one comes twice.
TARGETS = torch.tensor([0, 1, 2, 49, 3, 0, 48, 20, 5])


@pytest.mark.parametrize("n_samples", [1, 12, N_WORDS - 1, N_WORDS, 1000])
@pytest.mark.parametrize("block_tokens", [4, 64])
def test_loss_and_gradients_are_those_of_the_formula(
    softmax, outputs, n_samples, block_tokens, monkeypatch
):
    monkeypatch.setattr(module, "BLOCK_TOKENS", block_tokens)
    sampler = LogUniformSampler(N_WORDS, n_samples)
    samples = sampler.sample(np.random.default_rng(2))
    inputs = [outputs, softmax.weight, softmax.bias]
    loss = softmax.loss(outputs, TARGETS, samples, sampler)
    gradients = torch.autograd.grad(3 * loss, inputs)
    plain = [tensor.detach().double().requires_grad_() for tensor in inputs]
    expected = sampled_loss(*plain, TARGETS, samples)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for gradient, value in zip(gradients, torch.autograd.grad(3 * expected, plain), strict=True):
        torch.testing.assert_close(gradient.to_dense().double(), value, rtol=1e-4, atol=1e-6)


def test_all_words_as_sample_are_the_exact_cross_entropy(softmax, outputs):
    sampler = LogUniformSampler(N_WORDS, N_WORDS)
    samples = sampler.sample(np.random.default_rng(0))
    assert samples.ids.tolist() == list(range(N_WORDS))
    logits = outputs @ softmax.weight.t() + softmax.bias
    torch.testing.assert_close(
        softmax.loss(outputs, TARGETS, samples, sampler),
        torch.nn.functional.cross_entropy(logits, TARGETS),
    )


def test_only_rows_that_were_used_have_a_gradient(softmax, outputs):
    sampler = LogUniformSampler(N_WORDS, 10)
    samples = sampler.sample(np.random.default_rng(0))
    softmax.loss(outputs, TARGETS, samples, sampler).backward()
    gradient = softmax.weight.grad
    assert gradient.is_sparse
    used = {*TARGETS.tolist(), *samples.ids.tolist()}
    assert set(gradient.coalesce().indices()[0].tolist()) == used


def test_large_logits_stay_finite(softmax, outputs):
    sampler = LogUniformSampler(N_WORDS, 12)
    samples = sampler.sample(np.random.default_rng(0))
    large = (outputs.detach() * 1e4).requires_grad_()
    loss = softmax.loss(large, TARGETS, samples, sampler)
    loss.backward()
    assert loss.isfinite() and large.grad.isfinite().all()


def test_bfloat16_is_close(softmax, outputs):
    sampler = LogUniformSampler(N_WORDS, 12)
    samples = sampler.sample(np.random.default_rng(0))
    expected = softmax.loss(outputs, TARGETS, samples, sampler)
    with torch.autocast("cpu", torch.bfloat16):
        loss = softmax.loss(outputs, TARGETS, samples, sampler)
    assert loss.dtype == torch.float32
    assert loss.item() != expected.item()
    assert loss.item() == pytest.approx(expected.item(), rel=0.02)
    (gradient,) = torch.autograd.grad(loss, [outputs])
    (exact,) = torch.autograd.grad(expected, [outputs])
    assert ((gradient - exact).norm() / exact.norm()).item() < 0.02


@pytest.mark.parametrize("n_samples", [1, 5, 49])
def test_samples_are_distinct_words(n_samples):
    random = np.random.default_rng(0)
    for _ in range(50):
        ids, n_draws = LogUniformSampler(N_WORDS, n_samples).sample(random)
        assert len(ids) == len(set(ids.tolist())) == n_samples
        assert ids.min() >= 0 and ids.max() < N_WORDS
        assert n_draws >= n_samples


def test_the_first_word_of_a_sample_is_log_uniform():
    random = np.random.default_rng(0)
    sampler = LogUniformSampler(N_WORDS, 3)
    n = 20_000
    first = np.bincount([int(sampler.sample(random).ids[0]) for _ in range(n)], minlength=N_WORDS)
    expected = n * np.array([probability(k) for k in range(N_WORDS)])
    assert expected.sum() == pytest.approx(n)
    chi_squared = ((first - expected) ** 2 / expected).sum()
    assert chi_squared < 49 + 4 * math.sqrt(2 * 49)  # four standard deviations


def test_number_of_draws():
    """Drawing one word after the other until there are enough distinct ones gives the same."""
    n_samples = 12
    sampler = LogUniformSampler(N_WORDS, n_samples)
    uniform = np.random.default_rng(3).random(1000)
    seen, n_draws = [], 0
    while len(seen) < n_samples:
        word = int(math.exp(uniform[n_draws] * math.log(N_WORDS + 1))) - 1
        n_draws += 1
        if word not in seen:
            seen.append(word)
    samples = sampler.sample(np.random.default_rng(3))
    assert samples.ids.tolist() == seen
    assert samples.n_draws == n_draws


def test_expected_counts():
    sampler = LogUniformSampler(N_WORDS, 12)
    counts = sampler.log_expected(torch.arange(N_WORDS), 31).exp()
    expected = [expected_count(k, 31) for k in range(N_WORDS)]
    torch.testing.assert_close(counts, torch.tensor(expected))
    # and how often words are among so many draws
    draws = np.exp(np.random.default_rng(0).random((20_000, 31)) * math.log(N_WORDS + 1)).astype(
        int
    )
    found = [(draws - 1 == k).any(axis=1).mean() for k in range(N_WORDS)]
    np.testing.assert_allclose(found, expected, atol=0.015)


def test_expected_counts_of_rare_words_keep_their_digits():
    sampler = LogUniformSampler(10_000_000, 100)
    count = sampler.log_expected(torch.tensor([9_999_999]), 100).exp().item()
    one = 1 / (1e7 + 0.5) / math.log(1e7 + 1)  # log(1 + x) is x - x * x / 2
    assert count == pytest.approx(100 * one, rel=1e-5)


def test_estimate_is_near_the_exact_loss(softmax, outputs):
    """The corrected sample estimates the sum over all words, so that the mean loss comes near the
    exact one as samples grow."""
    random = np.random.default_rng(0)
    exact = torch.nn.functional.cross_entropy(outputs @ softmax.weight.t() + softmax.bias, TARGETS)
    errors = []
    for n_samples in (5, 40):
        sampler = LogUniformSampler(N_WORDS, n_samples)
        losses = [
            softmax.loss(outputs, TARGETS, sampler.sample(random), sampler).item()
            for _ in range(200)
        ]
        errors.append(abs(np.mean(losses) - exact.item()))
    assert errors[1] < 0.1 * exact.item()
    assert errors[1] < errors[0]


def test_samples_can_come_from_elsewhere(softmax, outputs):
    """The loss takes any sample: here one that is the right word of every token, which leaves
    nothing else."""
    sampler = LogUniformSampler(N_WORDS, 1)
    loss = softmax.loss(outputs, torch.full((N_TOKENS,), 4), Samples(torch.tensor([4]), 1), sampler)
    assert loss.item() == 0
