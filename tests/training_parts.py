"""A small run's parts, put together without a config."""

import json

import torch
from small_corpora import make_store, make_vocabulary, random_sentences

from spacy_elmo.bilm import BiLMConfig, BiLMNetwork
from spacy_elmo.pretraining.corpus.batches import Batches
from spacy_elmo.pretraining.learning.language_model import LanguageModel
from spacy_elmo.pretraining.learning.optimizers import configure_adam
from spacy_elmo.pretraining.learning.step import TrainingStep
from spacy_elmo.pretraining.learning.trainer import Trainer

OPTIONS = {
    "lstm": {
        "dim": 12,
        "projection_dim": 6,
        "n_layers": 2,
        "cell_clip": None,
        "proj_clip": None,
        "use_skip_connections": True,
    },
    "char_cnn": {
        "activation": "relu",
        "filters": [[1, 4], [2, 8]],
        "n_highway": 1,
        "embedding": {"dim": 4},
        "n_characters": 262,
        "max_characters_per_token": 50,
    },
}


def make_trainer(
    processes, *, seed=0, carry_state=False, dropout=0.0, n_samples=1000, batch_size=4
):
    """seed: Of the weights."""
    torch.manual_seed(seed)
    store = make_store(random_sentences(200))
    network = BiLMNetwork(BiLMConfig.model_validate_json(json.dumps(OPTIONS)))
    model = LanguageModel(network, make_vocabulary(store))
    batches = Batches(
        store,
        model.vocabulary,
        network.config.char_cnn.boundaries,
        batch_size=batch_size,
        n_steps=5,
        seed=0,
        rank=processes.rank,
        world_size=processes.world_size,
    )
    compute = TrainingStep(
        model,
        n_samples=n_samples,
        dropout=dropout,
        carry_state=carry_state,
        mixed_precision=False,
        seed=[0, processes.rank],
    )
    optimizer = configure_adam(0.01)(model, lambda name: name == "softmax.weight")
    return Trainer(model, batches, compute, optimizer, processes, max_grad_norm=1.0, max_skipped=3)
