import multiprocessing
from importlib import import_module

import pytest

tokenize = import_module("spacy_elmo.pretraining.corpus.tokenize")  # not the function


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(tokenize, "CHUNK_CHARACTERS", 60)


@pytest.fixture
def start_method():
    """Sets how processes are started, for the test."""
    before = multiprocessing.get_start_method(allow_none=True)
    yield lambda name: multiprocessing.set_start_method(name, force=True)
    multiprocessing.set_start_method(before, force=True)
