"""The configs that users copy: complete, valid, and trained for a few steps."""

from pathlib import Path

import numpy as np
import pytest
import spacy
from annotated_texts import TEXTS, annotate
from spacy.cli.debug_config import debug_config
from spacy.cli.train import train
from spacy.tokens import DocBin
from spacy.training import Example
from spacy.vectors import Vectors

from spacy_elmo.layers import ElmoListener

FOLDER = Path(__file__).parent.parent / "configs"
# That of pretraining isn't for spaCy's loop; tests/cli/test_pretrain.py runs it.
CONFIGS = sorted(set(FOLDER.glob("*.cfg")) - {FOLDER / "pretrain.cfg"})


@pytest.fixture
def folder(tmp_path):
    """With corpus.spacy and vectors, a pipeline with static vectors of width 7."""
    nlp = spacy.blank("en")
    docs = [annotate(nlp, text) for text in TEXTS * 3]
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "corpus.spacy")
    words = sorted({word for text in TEXTS for word in text.split()})
    data = np.random.default_rng(0).normal(size=(len(words), 7)).astype("float32")
    nlp.vocab.vectors = Vectors(strings=nlp.vocab.strings, data=data, keys=words)
    nlp.to_disk(tmp_path / "vectors")
    return tmp_path


def overrides(folder, with_vectors):
    paths = {"paths.train": "corpus.spacy", "paths.dev": "corpus.spacy"}
    paths |= {"paths.vectors": "vectors"} if with_vectors else {}
    values = {key: str(folder / name) for key, name in paths.items()}
    return values | {"vars.static_vectors": with_vectors}


@pytest.mark.parametrize("with_vectors", [False, True], ids=["plain", "vectors"])
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_is_complete(path, with_vectors, folder):
    """Nothing has to be filled in but the paths."""
    debug_config(path, overrides=overrides(folder, with_vectors))


@pytest.mark.slow
@pytest.mark.parametrize("with_vectors", [False, True], ids=["plain", "vectors"])
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_trains(path, with_vectors, folder):
    steps = {"training.max_steps": 2, "training.eval_frequency": 1}
    if "parser" in path.stem:
        steps["components.parser.min_action_freq"] = 1  # so few texts have rare labels only
    train(path, folder / "out", overrides=overrides(folder, with_vectors) | steps)
    nlp = spacy.load(folder / "out" / "model-last")
    golds = [annotate(nlp, text) for text in TEXTS]
    scores = nlp.evaluate([Example(nlp.make_doc(gold.text), gold) for gold in golds])
    weights = nlp.config["training"]["score_weights"]
    assert all(scores[name] is not None for name, weight in weights.items() if weight)
    doc = nlp(TEXTS[0])
    assert doc._.elmo.layers.shape == (3, 6, 256)
    nodes = [node for _, pipe in nlp.pipeline for node in pipe.model.walk()]
    [listener] = [node for node in nodes if isinstance(node, ElmoListener)]
    mix = listener.layers[0]
    if mix.has_param("s"):  # else the layers are side by side
        # Gradients have come as far as the mix, through whatever the listener is part of.
        assert np.abs(mix.get_param("s")).max() > 1e-4
    static = [node for node in nodes if node.name == "static_vectors"]
    assert [node.get_dim("nM") for node in static] == ([7] if with_vectors else [])
