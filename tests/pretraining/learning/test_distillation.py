"""Gradients with a teacher are compared with those of the plain formula in float64: the biLM's own
forward pass, the full softmax, one matrix."""

import copy

import numpy as np
import pytest
import torch
from small_corpora import make_store, make_vocabulary, random_sentences, rows_of_sentences
from torch import nn

from spacy_elmo.pretraining.distillation.sentence_batches import SentenceBatches
from spacy_elmo.pretraining.distillation.targets import TargetStore
from spacy_elmo.pretraining.learning.language_model import LanguageModel
from spacy_elmo.pretraining.learning.step import TrainingStep

STORE = make_store(random_sentences(40))
WIDTH, WEIGHT = 5, 3.0


@pytest.fixture
def make(make_network):
    """A factory of models, steps and batches."""

    def make(n_with_targets=20, share=0.5, **options):
        torch.manual_seed(0)
        model = LanguageModel(copy.deepcopy(make_network()), make_vocabulary(STORE))
        model.learn_from_teacher(WIDTH, WEIGHT)
        settings = {"n_samples": 1000, "dropout": 0.0, "carry_state": False}
        step = TrainingStep(model, **settings, mixed_precision=False, seed=[0, 0], **options)
        sentences = np.arange(n_with_targets)
        starts = STORE.starts[: n_with_targets + 1]
        random = np.random.default_rng(0)
        values = random.integers(-127, 128, (int(starts[-1]), WIDTH)).astype("int8")
        values[3] = -128  # a word that the teacher doesn't know
        batches = SentenceBatches(
            STORE,
            model.vocabulary,
            model.network.config.char_cnn.boundaries,
            TargetStore(sentences, starts, values),
            share=share,
            batch_size=4,
            n_steps=8,
            seed=0,
        )
        return model, step, batches

    return make


def reference_losses(model, batch):
    """Forward and backward loss and distance, of whole sentences one by one."""
    network = model.network
    begin, end = network.config.char_cnn.boundaries
    words = [*batch.words[0], *batch.words[1]]
    forward, backward, distances = [], [], []
    known = {tuple(pair): i for i, pair in enumerate(batch.lessons.rows.t().tolist())}
    for rows in rows_of_sentences(batch.sizes):
        sentence = [words[i] for i in batch.inputs[0, rows[1:]]]
        n = len(sentence)
        tokens = [begin, *sentence, end]
        encoded = network.token_encoder(*network.token_encoder.words_to_ids(tokens))
        layers, _ = network(encoded, torch.arange(n + 2), [n + 2])
        top = layers[-1]
        ids = torch.from_numpy(model.vocabulary.ids(sentence).astype("int64"))
        first, last = (
            torch.tensor([model.vocabulary.begin_id]),
            torch.tensor([model.vocabulary.end_id]),
        )
        softmax = model.softmax
        half = top.shape[1] // 2
        logits = [
            part @ softmax.weight.t() + softmax.bias for part in (top[:-1, :half], top[1:, half:])
        ]
        forward.append(
            nn.functional.cross_entropy(logits[0], torch.cat([ids, last]), reduction="none")
        )
        backward.append(
            nn.functional.cross_entropy(logits[1], torch.cat([first, ids]), reduction="none")
        )
        of_words = layers[:, 1:-1]  # (n_layers, n, 2 * half)
        side_by_side = torch.cat([*of_words[:, :, :half], *of_words[:, :, half:]], dim=1)
        told = model.distillation.map(side_by_side)
        for place in range(n):
            pair = (rows[place + 1], rows[n - place])
            if pair in known:
                target = batch.lessons.targets[known[pair]].double()
                distances.append((told[place] - target).square().mean())
    return [torch.cat(forward).mean(), torch.cat(backward).mean(), torch.stack(distances).mean()]


def test_losses_and_gradients(make):
    model, step, batches = make()
    reference = copy.deepcopy(model).double()
    for _ in range(4):
        batch = batches.next()
        losses = step(batch)
        assert 0 < len(batch.lessons.targets) < batch.inputs.shape[1]
        expected = reference_losses(reference, batch)
        assert losses == pytest.approx([loss.item() for loss in expected], rel=1e-5)
        reference.zero_grad()
        ((expected[0] + expected[1]) / 2 + WEIGHT * expected[2]).backward()
        ours = {name: p.grad.to_dense().double() for name, p in model.named_parameters()}
        for name, parameter in reference.named_parameters():
            torch.testing.assert_close(ours[name], parameter.grad, rtol=1e-3, atol=3e-6, msg=name)


def test_a_batch_without_lessons_trains_the_language_model_alone(make):
    model, step, batches = make()
    batch = batches.next()._replace(lessons=None)
    losses = step(batch)
    assert losses.distillation == 0
    assert not any(p.grad.any() for p in model.distillation.parameters())
    alone = {name: p.grad.to_dense() for name, p in model.named_parameters()}
    model.distillation = None
    step(batch)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad.to_dense(), alone[name])


def test_what_layers_hold_can_be_told(make):
    """A target that is a layer itself is learned."""
    model, step, batches = make(share=1.0)
    optimizer = torch.optim.Adam(model.distillation.parameters(), 0.03)
    distances = []
    for _ in range(150):
        batch = batches.next()
        with torch.no_grad():
            words = [*batch.words[0], *batch.words[1]]
            encoder = model.network.token_encoder
            encoded = encoder(*encoder.words_to_ids(words))
            rows = batch.inputs[0][batch.lessons.rows[0]]
            lessons = batch.lessons._replace(targets=10 * encoded[rows][:, :WIDTH])
        distances.append(step(batch._replace(lessons=lessons)).distillation)
        optimizer.step()
    assert np.mean(distances[-10:]) < 0.05 * distances[0]
