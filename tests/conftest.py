"""Fixtures that tests of all parts share."""

import json
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny products only wait for each other's threads

import numpy as np
import pytest
import torch
from http_server import Server
from hub_server import HubServer
from hypothesis import settings
from spacy.lang.en import English
from torch import nn

from spacy_elmo.bilm import BiLMConfig, BiLMNetwork
from spacy_elmo.formats import remote

# A test that is slow once, on a machine that does something else, isn't wrong.
settings.register_profile("spacy-elmo", deadline=None)
settings.load_profile("spacy-elmo")

# A quarter of the time went into the exceptions of the tokenizers of hundreds of pipelines. What
# starts another process finds all of them there.
English.Defaults.tokenizer_exceptions = {
    string: tokens
    for string, tokens in English.Defaults.tokenizer_exceptions.items()
    if len(tokens) > 1 and string.isascii() and "'" in string and string[1:].islower()
}

# Files of which nearly every test runs pretraining to its end, or starts processes.
SLOW_FILES = [
    "cli/test_pretrain.py",
    "pretraining/corpus/test_workers.py",
    "pretraining/test_run.py",
    "pretraining/test_start.py",
    "test_processes.py",
]
# Importing TensorFlow takes longer than all that is done with it.
SLOW_FIXTURES = {"tf", "checkpoint"}


def pytest_collection_modifyitems(items):
    """Mark what is slow as a whole; other slow tests say so themselves."""
    for item in items:
        in_slow_file = any(item.path.match(pattern) for pattern in SLOW_FILES)
        if in_slow_file or SLOW_FIXTURES.intersection(item.fixturenames):
            item.add_marker("slow")


@pytest.fixture(scope="session")
def fixtures():
    """The folder of golden files."""
    return Path(__file__).parent / "fixtures"


@pytest.fixture(scope="session")
def sentences(fixtures):
    """The 20 sentences that the golden vectors were computed for."""
    return json.loads((fixtures / "sentences.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def make_network():
    """A factory of tiny networks with random weights, the same ones for the same arguments."""

    def make(
        *,
        n_layers=2,
        dim=7,
        projection_dim=5,
        cell_clip=None,
        proj_clip=None,
        skip_connections=True,
        activation="relu",
        filters=((1, 3), (2, 4), (3, 5)),
        n_highway=1,
        embedding_dim=4,
        max_characters=50,
        scale=1.0,
        seed=0,
    ):
        """scale: Factor of the LSTMs' weights; a large one makes clips bite."""
        options = {
            "lstm": {
                "dim": dim,
                "projection_dim": projection_dim,
                "n_layers": n_layers,
                "cell_clip": cell_clip,
                "proj_clip": proj_clip,
                "use_skip_connections": skip_connections,
            },
            "char_cnn": {
                "activation": activation,
                "filters": filters,
                "n_highway": n_highway,
                "embedding": {"dim": embedding_dim},
                "n_characters": 262,
                "max_characters_per_token": max_characters,
            },
        }
        network = BiLMNetwork(BiLMConfig.model_validate_json(json.dumps(options)))
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in network.named_parameters():
            width = scale if "lstm" in name else 0.5
            nn.init.uniform_(parameter, -width, width, generator=generator)
        return network.eval()

    return make


@pytest.fixture(scope="session")
def encode_by_hand():
    """The token encoder as plain loops over every padded character."""

    def encode(encoder, activation, char_ids, word_ids=None):
        """char_ids: (n_words, n_characters). word_ids: (n_words,), for an encoder with a lexicon
        of words. RETURNS: (n_words, projection_dim), float64."""
        weights = {name: value.numpy().astype(float) for name, value in state_of(encoder).items()}
        rows = []
        for row, word in enumerate(np.asarray(char_ids)):
            characters = weights["char_embedding.weight"][word]
            pooled = []
            for i in range(len(encoder.convolutions)):
                filters, bias = (
                    weights[f"convolutions.{i}.weight"],
                    weights[f"convolutions.{i}.bias"],
                )
                width = filters.shape[2]
                windows = [characters[at : at + width] for at in range(len(word) - width + 1)]
                products = [np.einsum("few,we->f", filters, window) + bias for window in windows]
                pooled.append(activate(activation, np.stack(products)).max(axis=0))
            x = np.concatenate(pooled)
            for i in range(len(encoder.highways)):
                layer = f"highways.{i}"
                carry = sigmoid(
                    weights[f"{layer}.carry.weight"] @ x + weights[f"{layer}.carry.bias"]
                )
                y = weights[f"{layer}.transform.weight"] @ x + weights[f"{layer}.transform.bias"]
                x = carry * np.maximum(y, 0) + (1 - carry) * x
            if word_ids is not None:
                x = np.concatenate([weights["word_embedding.weight"][word_ids[row]], x])
            if "projection.weight" in weights:
                x = weights["projection.weight"] @ x + weights["projection.bias"]
            rows.append(x)
        return np.stack(rows)

    return encode


@pytest.fixture(scope="session")
def lstm_by_hand():
    """One sentence through a projected LSTM, token after token, by the formulas of TensorFlow's
    ``LSTMCell`` (gates i, j, f and o; 1.0 added to f; the cell clipped, then the projection)."""

    def run(lstm, inputs, hidden=None, cell=None):
        """inputs: (n_tokens, input_size). RETURNS: The outputs and the last hidden and cell."""
        weights = {name: value.numpy().astype(float) for name, value in state_of(lstm).items()}
        w_i, w_f, w_j, w_o = np.split(weights["weight_ih"], 4)
        u_i, u_f, u_j, u_o = np.split(weights["weight_hh"], 4)
        b_i, b_f, b_j, b_o = np.split(weights["bias"], 4)
        hidden = np.zeros(lstm.proj_size) if hidden is None else hidden
        cell = np.zeros(lstm.hidden_size) if cell is None else cell
        outputs = []
        for x in inputs:
            i = w_i @ x + u_i @ hidden + b_i
            j = w_j @ x + u_j @ hidden + b_j
            f = w_f @ x + u_f @ hidden + b_f
            o = w_o @ x + u_o @ hidden + b_o
            cell = sigmoid(f + 1.0) * cell + sigmoid(i) * np.tanh(j)
            if lstm.cell_clip is not None:
                cell = np.clip(cell, -lstm.cell_clip, lstm.cell_clip)
            hidden = weights["weight_hr"] @ (sigmoid(o) * np.tanh(cell))
            if lstm.proj_clip is not None:
                hidden = np.clip(hidden, -lstm.proj_clip, lstm.proj_clip)
            outputs.append(hidden)
        return np.stack(outputs), hidden, cell

    return run


def state_of(module):
    return {name: value.detach() for name, value in module.state_dict().items()}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def activate(name, x):
    return {"relu": lambda: np.maximum(x, 0), "tanh": lambda: np.tanh(x)}[name]()


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """An empty cache of fetched files. No test sees the user's."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SPACY_ELMO_CACHE", str(folder))
    return folder


@pytest.fixture
def serve(monkeypatch):
    """A factory of web servers on this machine; pauses between attempts are none."""
    monkeypatch.setattr(remote, "PAUSE", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    servers = []

    def start(files, **options):
        servers.append(Server(files, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def hub(monkeypatch, tmp_path_factory):
    """A Hugging Face Hub on this machine, with an empty cache. No test sees the user's, nor a
    token of the user's."""
    from huggingface_hub import constants

    home = tmp_path_factory.mktemp("hub")
    server = HubServer()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    for name, value in {  # which huggingface_hub reads from the environment when it is imported
        "ENDPOINT": server.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": server.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HOME": str(home),
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_TOKEN_PATH": str(home / "token"),
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_DISABLE_TELEMETRY": True,
        "HF_HUB_OFFLINE": False,
    }.items():
        monkeypatch.setattr(constants, name, value)
    yield server
    server.close()
