"""What runs on a CUDA device: the same vectors as on the CPU, in pipelines and in training."""

import numpy as np
import pytest
import spacy
import torch
from helpers import LISTENER, examples, save_tiny_bilm, tiny_pipeline
from thinc.api import get_current_ops, require_gpu, set_current_ops

from spacy_elmo import BiLM

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

SENTENCES = [["He", "sat", "on", "the", "bank"], [], ["Money", "!"]]
CLIPS = {"clipped": {}, "unclipped": {"cell_clip": None, "proj_clip": None}}


@pytest.fixture
def on_gpu():
    ops = get_current_ops()
    require_gpu(0)
    yield
    set_current_ops(ops)
    torch.set_default_device("cpu")


@pytest.mark.parametrize("clips", CLIPS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_embed(tmp_path, clips, precision):
    source = save_tiny_bilm(tmp_path / "bilm", **CLIPS[clips])
    expected = BiLM.load(source).embed(SENTENCES)
    got = BiLM.load(source, device="cuda", precision=precision).embed(SENTENCES)
    for array, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(array, other, atol=1e-4 if precision == "float32" else 0.05)


@pytest.mark.parametrize("clips", CLIPS)
@pytest.mark.parametrize("frozen", [True, False])
def test_training(tmp_path, on_gpu, clips, frozen):
    source = save_tiny_bilm(tmp_path / "bilm", **CLIPS[clips])
    nlp = tiny_pipeline(source, [LISTENER], frozen=frozen)
    sgd = nlp.initialize(lambda: examples(nlp))
    losses = []
    for _ in range(20):
        losses.append(nlp.update(examples(nlp), sgd=sgd)["a"])
    assert losses[-1] < losses[0]
    doc = nlp("He sat on the bank.")
    # What is stored on a Doc lies in the memory that every program can read.
    assert isinstance(doc._.elmo.layers, np.ndarray)
    nlp.to_disk(tmp_path / "pipeline")
    loaded = spacy.load(tmp_path / "pipeline")
    np.testing.assert_allclose(
        loaded("He sat on the bank.")._.elmo.layers, doc._.elmo.layers, atol=1e-4
    )
