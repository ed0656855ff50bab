"""Trainings side by side: which ones are done, and with which configs. Nothing is trained here."""

from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc
from spacy.util import load_config
from typer.testing import CliRunner

from spacy_elmo.projects import learn as module
from spacy_elmo.projects.__main__ import app
from spacy_elmo.projects.corpora.binary import read_docs, write_docs
from spacy_elmo.projects.systems import SYSTEMS

CONFIG = Path(__file__).parents[2] / "configs" / "ner.cfg"


def test_each_system_has_its_features():
    base = load_config(CONFIG)
    before = base.to_str()
    features = {name: change(base).to_str() for name, change in SYSTEMS.items()}
    assert base.to_str() == before == features["both"]
    parts = {
        name: ("MultiHashEmbed" in text, "ElmoListener" in text) for name, text in features.items()
    }
    assert parts == {"stock": (True, False), "elmo": (False, True), "both": (True, True)}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the command on ten texts; gives its exit code, its output and what was trained."""
    vocab = spacy.blank("en").vocab
    for part in ("train", "dev", "test"):
        docs = [Doc(vocab, words=["Oslo", str(i)], ents=["B-LOC", "O"]) for i in range(10)]
        write_docs(docs, tmp_path / "corpus" / f"{part}.spacy")
    trained = []

    def train(config, folder, use_gpu):
        settings = load_config(config)
        n_texts = len(read_docs(Path(settings["paths"]["train"]), vocab))
        trained.append((folder.name, n_texts, settings["system"]["seed"]))
        (folder / "model-best").mkdir()
        (folder / "model-last").mkdir()

    monkeypatch.setattr(module, "train_pipeline", train)
    monkeypatch.setattr(module, "score_pipeline", lambda model, test: {"ents_f": 0.5})

    def run(*options):
        trained.clear()
        folders = [tmp_path / name for name in ("corpus", "training", "metrics")]
        result = CliRunner().invoke(app, ["learn", str(CONFIG), *map(str, folders), *options])
        return result.exit_code, " ".join(result.output.split()), list(trained)

    return run


def test_what_was_trained_is_not_trained_again(run, tmp_path):
    options = ["--systems", "stock,both", "--shares", "0.3,1", "--seeds", "7"]
    code, output, trained = run(*options)
    assert code == 0 and "both, 10 texts, seed 7: ents_f 50.0" in output
    assert trained == [
        ("stock-30-7", 3, 7),
        ("both-30-7", 3, 7),
        ("stock-100-7", 10, 7),
        ("both-100-7", 10, 7),
    ]
    assert not list((tmp_path / "training").rglob("model-last"))
    assert run(*options)[2] == []
    (tmp_path / "metrics" / "both-30-7.json").unlink()
    assert run(*options)[2] == [("both-30-7", 3, 7)]
    assert run("--systems", "stock", "--seeds", "8")[2] == [("stock-100-8", 10, 8)]
    assert len(list((tmp_path / "metrics").glob("*.json"))) == 5


def test_scores_of_another_config_are_not_kept(run, tmp_path):
    run("--systems", "stock,both")
    _, _, trained = run("--systems", "both", "--training.max_steps", "5")
    assert trained == [("both-100-0", 10, 0)]
    assert [path.stem for path in (tmp_path / "metrics").glob("*.json")] == ["both-100-0"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--systems", "stock,best"], "'best' is none of stock, elmo, both"),
        (["--shares", "0.01"], "A share of 0.01 of 10 texts is none"),
    ],
)
def test_what_cannot_be_trained_is_an_error(run, options, error):
    code, output, trained = run(*options)
    assert code == 1 and error in output and not trained


@pytest.mark.parametrize("option", ["--components.elmo.model.source", "--paths.vectors"])
def test_scores_of_another_source_in_the_same_folder_are_not_kept(run, tmp_path, option):
    (tmp_path / "made").mkdir()
    options = ["--systems", "both", option, str(tmp_path / "made")]
    for weights, n_trained in ((b"one", 1), (b"one", 0), (b"two", 1)):
        (tmp_path / "made" / "weights").write_bytes(weights)
        assert len(run(*options)[2]) == n_trained
