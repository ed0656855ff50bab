"""The configs that users copy: complete, valid, and trained for a few steps."""

from pathlib import Path

import pytest
import spacy
from spacy.cli.debug_config import debug_config
from spacy.cli.train import train
from spacy.tokens import DocBin
from spacy.training import Example

FOLDER = Path(__file__).parent.parent / "configs"
# That of pretraining isn't for spaCy's loop; tests/cli/test_pretrain.py runs it.
CONFIGS = sorted(set(FOLDER.glob("*.cfg")) - {FOLDER / "pretrain.cfg"})
TEXTS = ["Ann Lee lives in Paris .", "They met in Rome .", "Bob is a banker .", "Is it Oslo ?"]


def annotate(nlp, text):
    doc = nlp.make_doc(text)
    doc.set_ents([span for span in (doc[0:1], doc[-2:-1]) if span.text.istitle()])
    for span in doc.ents:
        span.label_ = "NAME"
    doc.cats = {"QUESTION": float("?" in text), "OTHER": float("?" not in text)}
    return doc


@pytest.fixture
def corpus(tmp_path):
    nlp = spacy.blank("en")
    path = tmp_path / "corpus.spacy"
    DocBin(docs=[annotate(nlp, text) for text in TEXTS * 3]).to_disk(path)
    return path


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_is_complete(path, corpus):
    """Nothing has to be filled in but the paths."""
    debug_config(path, overrides={"paths.train": str(corpus), "paths.dev": str(corpus)})


@pytest.mark.slow
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_trains(path, corpus, tmp_path):
    overrides = {
        "paths.train": str(corpus),
        "paths.dev": str(corpus),
        "training.max_steps": 12,
        "training.eval_frequency": 6,
    }
    train(path, tmp_path / "out", overrides=overrides)
    nlp = spacy.load(tmp_path / "out" / "model-last")
    golds = [annotate(nlp, text) for text in TEXTS]
    scores = nlp.evaluate([Example(nlp.make_doc(gold.text), gold) for gold in golds])
    assert scores["speed"] > 0
    doc = nlp(TEXTS[0])
    assert doc._.elmo.layers.shape == (3, 6, 256)
