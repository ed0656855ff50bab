"""Gradients are compared with a straightforward implementation in float64, which PyTorch
differentiates: all words encoded, ``torch.nn.LSTM`` step after step, the full softmax."""

import copy
import math

import numpy as np
import pytest
import torch
from small_corpora import make_store, make_vocabulary, random_sentences
from torch import nn

from spacy_elmo.pretraining.corpus.batches import Batches
from spacy_elmo.pretraining.learning.language_model import LanguageModel
from spacy_elmo.pretraining.learning.step import TrainingStep

STORE = make_store(random_sentences(40))
N_STREAMS, N_STEPS = 3, 5


@pytest.fixture
def make(make_network):
    """A factory of models, steps and batches."""

    def make(*, network=None, batch_size=N_STREAMS, n_steps=N_STEPS, store=STORE, **options):
        torch.manual_seed(0)
        network = copy.deepcopy(make_network(**(network or {})))
        model = LanguageModel(network, make_vocabulary(store))
        settings = {"n_samples": 1000, "dropout": 0.0, "carry_state": False}
        settings.update(mixed_precision=False, seed=[0, 0])
        settings.update(options)
        batches = Batches(
            store,
            model.vocabulary,
            network.config.char_cnn.boundaries,
            batch_size=batch_size,
            n_steps=n_steps,
            seed=0,
        )
        return model, TrainingStep(model, **settings), batches

    return make


def gradients(model):
    """By name, dense."""
    return {name: p.grad.to_dense().clone() for name, p in model.named_parameters()}


class Reference:
    """model: In float64, without clips."""

    def __init__(self, model, carry_state):
        self.model, self.carry_state = copy.deepcopy(model).double(), carry_state
        self.states = [{}, {}]  # of each direction, by layer and stream

    def losses(self, batch):
        """Both directions' mean losses, of which the second window's don't reach the first."""
        network = self.model.network
        words = [*batch.words[0], *batch.words[1]]
        encoded = network.token_encoder(*network.token_encoder.words_to_ids(words))
        results = []
        for direction, stack in enumerate([network.forward_lstm, network.backward_lstm]):
            shape = (-1, batch.sizes[0])
            inputs = batch.inputs[direction].reshape(shape)
            losses = []
            for stream in range(batch.sizes[0]):
                x = encoded[inputs[:, stream]]
                keep = batch.keep.reshape(shape)[:, stream].tolist()
                for i, layer in enumerate(stack.layers):
                    y = self.run(layer, x, keep, self.states[direction], (i, stream))
                    x = x + y if i > 0 and stack.use_skip_connections else y
                logits = x @ self.model.softmax.weight.t() + self.model.softmax.bias
                targets = batch.targets[direction].reshape(shape)[:, stream]
                losses.append(nn.functional.cross_entropy(logits, targets))
            results.append(torch.stack(losses).mean())
        return results

    def run(self, layer, x, keep, states, key):
        lstm = nn.LSTM(x.shape[1], layer.hidden_size, proj_size=layer.proj_size).double()
        forget = torch.zeros(4, layer.hidden_size, dtype=torch.float64)
        forget[1] = 1.0
        parameters = {
            "weight_ih_l0": layer.weight_ih,
            "weight_hh_l0": layer.weight_hh,
            "weight_hr_l0": layer.weight_hr,
            "bias_ih_l0": layer.bias + forget.flatten(),
            "bias_hh_l0": torch.zeros_like(layer.bias),
        }
        zeros = [x.new_zeros(1, layer.proj_size), x.new_zeros(1, layer.hidden_size)]
        state = states.get(key, zeros)
        outputs = []
        for token, kept in zip(x, keep, strict=True):
            if not kept and not self.carry_state:
                state = zeros
            output, state = torch.func.functional_call(
                lstm, parameters, (token[None], tuple(state))
            )
            outputs.append(output)
        states[key] = [value.detach() for value in state]
        return torch.cat(outputs)


@pytest.mark.parametrize("carry_state", [False, True])
@pytest.mark.parametrize(
    "network", [{}, {"n_layers": 1}, {"skip_connections": False, "activation": "tanh"}]
)
def test_losses_and_gradients_over_several_windows(make, network, carry_state):
    model, step, batches = make(network=network, carry_state=carry_state)
    reference = Reference(model, carry_state)
    for _ in range(3):
        batch = batches.next()
        losses = step(batch)
        expected = reference.losses(batch)
        assert losses[:2] == pytest.approx([loss.item() for loss in expected], rel=1e-5)
        reference.model.zero_grad()
        (sum(expected) / 2).backward()
        for name, gradient in gradients(reference.model).items():
            found = gradients(model)[name].double()
            torch.testing.assert_close(found, gradient, rtol=1e-3, atol=2e-6, msg=name)


def test_the_state_that_is_carried_matters(make):
    """Else the test above would compare nothing."""
    losses = []
    for carry_state in (False, True):
        _, step, batches = make(carry_state=carry_state)
        losses.append([step(batches.next()) for _ in range(3)])
    assert losses[0][2] != losses[1][2]


def test_threads_change_nothing(make):
    results = []
    for n_threads in (1, 2):
        model, step, batches = make(dropout=0.2, n_samples=10)
        before = torch.get_num_threads()
        torch.set_num_threads(n_threads)
        try:
            losses = [step(batches.next()) for _ in range(2)]
        finally:
            torch.set_num_threads(before)
        results.append((losses, gradients(model)))
    np.testing.assert_allclose(*(losses for losses, _ in results), rtol=1e-5)
    for name, gradient in results[0][1].items():
        torch.testing.assert_close(gradient, results[1][1][name])


def test_random_numbers_depend_on_the_seed_alone(make):
    runs = []
    for seed in ([0, 0], [0, 0], [0, 1]):
        model, step, batches = make(dropout=0.5, n_samples=10, seed=seed)
        torch.manual_seed(len(runs))  # is not what decides
        losses = [step(batches.next()) for _ in range(2)]
        runs.append((losses, gradients(model)))
    assert runs[0][0] == runs[1][0]
    assert runs[0][0] != runs[2][0]
    for name, gradient in runs[0][1].items():
        assert torch.equal(gradient, runs[1][1][name])


def test_dropout(make):
    """Inputs are left out or grow, so that their mean stays."""
    _, step, _ = make(dropout=0.25)
    forward, backward = (step._dropout(direction) for direction in range(2))
    values = forward(torch.full((100, 100), 3.0))
    assert set(values.unique().tolist()) == {0.0, 4.0}
    assert (values == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert not torch.equal(backward(torch.full((100, 100), 3.0)), values)
    assert make(dropout=0.0)[1]._dropout(0) is None


def test_dropout_changes_the_loss(make):
    _, plain, batches = make()
    _, dropped, _ = make(dropout=0.5)
    batch = batches.next()
    assert plain(batch) != dropped(batch)


def test_dropout_of_what_words_are_predicted_from(make):
    """With nothing left of it, all words are as likely."""
    model, step, batches = make(dropout=1 - 1e-9)
    expected = math.log(len(model.vocabulary))
    assert step(batches.next())[:2] == pytest.approx([expected, expected])


@pytest.mark.slow
def test_sampled_losses_have_the_gradients_of_differences(make):
    """A step along the gradient changes the sampled loss by the gradient's squared norm."""
    model, step, batches = make(n_samples=8)
    batch = batches.next()
    state = copy.deepcopy(step.random.bit_generator.state)

    def loss():
        step.random.bit_generator.state = copy.deepcopy(state)
        step.states = None
        return np.mean(step(batch)[:2])

    loss()
    slopes = gradients(model)
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    for name, parameter in model.named_parameters():
        slope = slopes[name]
        length = 1e-2 / slope.norm()
        differences = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter.copy_(start[name] + sign * length * slope)
            differences.append(loss())
            with torch.no_grad():
                parameter.copy_(start[name])
        found = (differences[0] - differences[1]) / (2 * length.item())
        assert found == pytest.approx(slope.square().sum().item(), rel=0.1, abs=1e-6), name


def test_mixed_precision_is_close(make):
    model, step, batches = make()
    mixed_model, mixed, _ = make(mixed_precision=True)
    batch = batches.next()
    exact = step(batch)
    losses = mixed(batch)
    assert losses != exact
    assert losses == pytest.approx(exact, rel=0.02)
    for parameter in mixed_model.parameters():
        assert parameter.dtype == parameter.grad.dtype == torch.float32
    expected, found = (
        torch.cat([value.flatten() for value in gradients(each).values()])
        for each in (model, mixed_model)
    )
    assert ((found - expected).norm() / expected.norm()).item() < 0.05


def test_clips(make):
    """Beyond a limit there is no gradient: with limits that nothing stays within, the LSTMs'
    weights have none."""
    model, step, batches = make(network={"proj_clip": 1e-9, "skip_connections": False})
    step(batches.next())
    found = gradients(model)
    assert not found["network.forward_lstm.layers.0.weight_ih"].any()
    assert found["softmax.bias"].any()


def test_states_have_no_history(make):
    _, step, batches = make(carry_state=True)
    step(batches.next())
    for states in step.states:
        for state in states:
            assert not any(value.requires_grad for value in state)


def test_a_batch_of_a_single_word(make):
    """Both directions may read the same word."""
    store = make_store([["a"]])
    model, step, batches = make(store=store, batch_size=1, n_steps=1)
    reference = Reference(model, carry_state=False)
    for n_words in (2, 1):
        batch = batches.next()
        assert len({*batch.words[0], *batch.words[1]}) == n_words
        expected = [loss.item() for loss in reference.losses(batch)]
        assert step(batch)[:2] == pytest.approx(expected, rel=1e-5)
