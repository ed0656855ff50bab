import json
import shutil

import numpy as np
import pytest
import spacy
from helpers import LISTENER, save_tiny_bilm, textcat_pipeline
from spacy.training import Example

from spacy_elmo import BiLM
from spacy_elmo.cli._card import find_licence, find_vocabulary_size


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("# Model\n\n| Size | 6 MB |\n| Licence | MIT for the weights |\n", "MIT for the weights"),
        ("---\nlanguage: en\nlicense: cc-by-4.0\n---\n", "cc-by-4.0"),
        ("- **License:** Apache 2.0\n", "Apache 2.0"),
        ("* License: Apache 2.0  \r\n", "Apache 2.0"),
        ("License  : see LICENSE|\n", "see LICENSE"),
        ("The licensed text.\nlicenses: many\n# License\n", None),
        ("License:\nMIT\n", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("name", ["README.md", "model_card.md"])
def test_find_licence(tmp_path, name, text, licence):
    (tmp_path / name).write_text(text)
    assert find_licence(tmp_path) == licence


def test_a_card_need_not_be_there_or_utf8(tmp_path):
    assert find_licence(tmp_path) is None
    (tmp_path / "README.md").write_bytes(b"Gr\xfc\xdfe\nLicence: MIT\n")
    assert find_licence(tmp_path) == "MIT"


def test_vocabulary_size(tmp_path):
    assert find_vocabulary_size(tmp_path) is None
    (tmp_path / "vocab.txt").write_text("<S>\n</S>\n<UNK>\nthe\nof\n")
    assert find_vocabulary_size(tmp_path) == 5
    (tmp_path / "options.json").write_text('{"lstm": {}}')
    assert find_vocabulary_size(tmp_path) == 5
    (tmp_path / "options.json").write_text('{"lstm": {}, "n_tokens_vocab": 793471}')
    assert find_vocabulary_size(tmp_path) == 793471


def test_info_tells_the_licence_of_the_bundled_model(run):
    _, output = run("info", "en_small")
    assert "Licence MIT for the weights; several texts ask to be named, as below" in output
    assert "Vocabulary any word" in output


def test_info_of_a_model_with_a_card(run, fixtures, tmp_path):
    shutil.copy(fixtures / "deep" / "weights.hdf5", tmp_path)
    options = json.loads((fixtures / "deep" / "options.json").read_text())
    (tmp_path / "options.json").write_text(json.dumps({**options, "n_tokens_vocab": 12345}))
    for source in (tmp_path, tmp_path / "weights.hdf5"):
        code, output = run("info", source)
        assert code == 0
        assert "any word; 12,345 were predicted in training" in output
        assert "Licence unknown" in output
    (tmp_path / "README.md").write_text("license: mit\n")
    assert "Licence mit" in run("info", tmp_path)[1]


def test_info_of_a_trained_pipeline(run, tmp_path):
    source = save_tiny_bilm(tmp_path / "bilm")
    nlp, _ = textcat_pipeline(source, LISTENER)
    nlp.meta["license"] = "CC0"
    (listener,) = nlp.get_pipe("elmo").listeners
    listener.layers[0].set_param("s", np.log(np.array([1, 2, 5], dtype="float32")))
    listener.layers[0].set_param("gamma", np.array([2], dtype="float32"))
    nlp.to_disk(tmp_path / "pipeline")
    code, output = run("info", tmp_path / "pipeline")
    assert code == 0
    assert "== elmo ==" in output
    assert "Layers 3 of width 8" in output
    n_parameters = sum(weights.numel() for weights in BiLM.load(source).network.parameters())
    assert f"Parameters {n_parameters:,}" in output
    assert "Licence CC0" in output
    assert "Mix 0.333, 0.333, 0.333" in output
    assert "Mix of textcat 0.250, 0.500, 1.250" in output  # 2 * (1, 2, 5) / 8


def test_info_of_a_pipeline_that_names_no_licence(run, tmp_path):
    """As that of a training config."""
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo")
    nlp.to_disk(tmp_path / "bundled")
    output = run("info", tmp_path / "bundled")[1]
    assert "Licence MIT for the weights" in output and "en_small, which the biLM comes" in output
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo", config={"model": {"source": save_tiny_bilm(tmp_path / "bilm")}})
    nlp.to_disk(tmp_path / "own")
    assert "Licence unknown" in run("info", tmp_path / "own")[1]


def test_info_of_a_mix_that_was_set(run, tmp_path):
    nlp = spacy.blank("en")
    source = save_tiny_bilm(tmp_path / "bilm")
    nlp.add_pipe("elmo", config={"model": {"source": source, "mix_weights": [0, 0, 1]}})
    nlp.initialize()
    nlp.to_disk(tmp_path / "pipeline")
    assert "Mix 0.000, 0.000, 1.000" in run("info", tmp_path / "pipeline")[1]


def test_info_of_layers_side_by_side(run, tmp_path):
    nlp = spacy.blank("en")
    source = save_tiny_bilm(tmp_path / "bilm")
    nlp.add_pipe("elmo", config={"model": {"source": source}})
    listener = {"@architectures": "spacy-elmo.ElmoListener.v1", "combine": "concatenate"}
    nlp.add_pipe("tagger", config={"model": {"tok2vec": listener}}).add_label("X")
    doc = nlp.make_doc("a")
    nlp.initialize(lambda: [Example.from_dict(doc, {"tags": ["X"]})])
    nlp.to_disk(tmp_path / "pipeline")
    output = run("info", tmp_path / "pipeline")[1]
    assert "Mix of tagger none: the layers are side by side" in output


def test_info_of_a_pipeline_without_elmo(run, tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(tmp_path / "pipeline")
    code, output = run("info", tmp_path / "pipeline")
    assert code == 1
    assert "The pipeline sentencizer has no 'elmo' component" in output


@pytest.mark.parametrize("content", [b"[]", b"3", b"{", b"\xff", b'{"n_tokens_vocab": "many"}'])
def test_other_json_beside_the_weights(run, fixtures, tmp_path, content):
    for name in ("options.json", "weights.hdf5"):
        shutil.copy(fixtures / "deep" / name, tmp_path)
    (tmp_path / "config.json").write_bytes(content)
    code, output = run("info", tmp_path / "weights.hdf5")
    assert code == 0
    assert "Vocabulary any word" in output
