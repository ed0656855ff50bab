"""Fixtures that tests of the page share."""

import pytest
from helpers import LISTENER, examples, save_tiny_bilm, tiny_pipeline

from spacy_elmo.explore import Index, find_or_build_index, open_subject

TEXT = (
    "He sat on the bank of the river. The bank lends money!\n"
    "She left the bank.\n"
    "He sat on the bank of the river.\n"
    "Bank on it: the river is wide.\n"
)


@pytest.fixture
def source(tmp_path):
    return save_tiny_bilm(tmp_path / "bilm")


@pytest.fixture
def subject(source):
    return open_subject(source)


@pytest.fixture
def texts(tmp_path):
    (tmp_path / "texts.txt").write_text(TEXT, encoding="utf-8")
    return [str(tmp_path / "texts.txt")]


@pytest.fixture
def directory(subject, texts):
    return find_or_build_index(subject, texts)


@pytest.fixture
def index(subject, directory):
    return Index.open(directory, subject.n_layers, subject.bilm.config.width)


@pytest.fixture
def pipeline(source, tmp_path):
    """The directory of one whose components have learned to weight the layers."""
    fixed = {**LISTENER, "mix_weights": [0.0, 0.5, 2.0]}
    nlp = tiny_pipeline(source, [LISTENER, fixed, {**LISTENER, "combine": "concatenate"}])
    nlp.initialize(lambda: examples(nlp))
    mix = nlp.get_pipe("a").model.layers[0]
    mix.set_param("s", mix.ops.asarray1f([0.0, 1.0, -1.0]))
    mix.set_param("gamma", mix.ops.asarray1f([1.5]))
    nlp.to_disk(tmp_path / "pipeline")
    return str(tmp_path / "pipeline")
