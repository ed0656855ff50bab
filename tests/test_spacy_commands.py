"""spaCy's own commands on pipelines with ``elmo``, and what becomes of them elsewhere."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
import spacy
from helpers import LISTENER, save_tiny_bilm
from numpy.testing import assert_allclose, assert_array_equal
from spacy.cli import app
from spacy.tokens import DocBin
from spacy.training import Example
from thinc.api import Config
from typer.testing import CliRunner

from spacy_elmo import set_hooks

TEXTS = {"He sat on the bank .": "RIVER", "The bank lends money .": "MONEY", "Money !": "MONEY"}
TEXTCAT = {
    "@architectures": "spacy.TextCatReduce.v1",
    "exclusive_classes": False,
    "use_reduce_first": False,
    "use_reduce_last": False,
    "use_reduce_max": True,
    "use_reduce_mean": True,
    "tok2vec": LISTENER,
}


def cats_of(label):
    return {other: float(other == label) for other in ("RIVER", "MONEY")}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return save_tiny_bilm(tmp_path_factory.mktemp("commands") / "bilm")


@pytest.fixture(scope="module")
def nlp(source):
    """Trained for a few steps: a classifier that listens to ``elmo``."""
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo", config={"model": {"source": source}})
    nlp.add_pipe("textcat_multilabel", config={"model": TEXTCAT})
    examples = [
        Example.from_dict(nlp.make_doc(text), {"cats": cats_of(label)})
        for text, label in TEXTS.items()
    ]
    sgd = nlp.initialize(lambda: examples)
    for _ in range(30):
        nlp.update(examples, sgd=sgd)
    return nlp


@pytest.fixture(scope="module")
def pipeline(nlp, tmp_path_factory):
    path = tmp_path_factory.mktemp("commands") / "pipeline"
    nlp.to_disk(path)
    return path


@pytest.fixture(scope="module")
def data(nlp, tmp_path_factory):
    """The texts with their labels."""
    docs = []
    for text, label in TEXTS.items():
        docs.append(nlp.make_doc(text))
        docs[-1].cats = cats_of(label)
    path = tmp_path_factory.mktemp("commands") / "data.spacy"
    DocBin(docs=docs * 4).to_disk(path)
    return path


def spacy_command(*arguments, exit_code=0):
    """RETURNS: The output of a command that ended as it should."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == exit_code, result.output
    return result.output


def test_evaluate(pipeline, data, tmp_path):
    spacy_command("evaluate", pipeline, data, "--output", tmp_path / "scores.json")
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert set(scores["cats_auc_per_type"]) == {"RIVER", "MONEY"}
    assert scores["speed"] > 0


@pytest.mark.slow
def test_benchmark_speed(pipeline, data):
    output = spacy_command("benchmark", "speed", pipeline, data, "--warmup", 0, "--batches", 30)
    assert float(re.search(r"Mean: ([\d.]+) words/s", output)[1]) > 0


def test_find_threshold(nlp, pipeline, data):
    arguments = [pipeline, data, "textcat_multilabel", "threshold", "cats_macro_f"]
    output = spacy_command("find-threshold", *arguments, "--n_trials", 5)
    best, score = re.search(
        r"Best threshold: ([\d.]+) with cats_macro_f value of ([\d.]*\d)", output
    ).groups()
    assert 0 <= float(best) <= 1
    # Every label for every text is what a threshold of 0 gives: recalls of 1.
    assert float(score) >= (0.5 + 0.8) / 2 - 0.01


def test_fill_config(tmp_path):
    base = Config({"nlp": {"lang": "en", "pipeline": ["elmo"]}})
    base["components"] = {"elmo": {"factory": "elmo", "model": {"source": "my_bilm"}}}
    base.to_disk(tmp_path / "base.cfg")
    spacy_command("init", "fill-config", tmp_path / "base.cfg", tmp_path / "config.cfg")
    elmo = Config().from_disk(tmp_path / "config.cfg")["components"]["elmo"]
    assert elmo["store_layers"] == "float32"
    assert elmo["model"]["@architectures"] == "spacy-elmo.BiLM.v1"
    assert elmo["model"]["source"] == "my_bilm"
    assert elmo["model"]["get_spans"]["@span_getters"] == "spacy-elmo.sentences.v1"
    assert elmo["model"]["get_spans"]["use_doc_sents"] is False


def test_debug_data(nlp, data, tmp_path):
    nlp.config.to_disk(tmp_path / "config.cfg")
    paths = ["--paths.train", data, "--paths.dev", data]
    arguments = ["debug", "data", tmp_path / "config.cfg", *paths, "--no-format"]
    output = spacy_command(*arguments, exit_code=1)  # because so few texts are one error of its
    assert "Pipeline can be initialized with data" in output
    assert "Training pipeline: elmo, textcat_multilabel" in output
    assert "Text Classification: 2 label(s)" in output
    assert "1 error" in output
    assert "Low number of examples" in output


def test_assemble_from_a_source(source, tmp_path):
    config = Config({"nlp": {"lang": "en", "pipeline": ["elmo"]}})
    config["components"] = {"elmo": {"factory": "elmo", "model": {"source": source}}}
    config.to_disk(tmp_path / "config.cfg")
    spacy_command("assemble", tmp_path / "config.cfg", tmp_path / "out")
    fresh = spacy.blank("en")
    fresh.add_pipe("elmo", config={"model": {"source": source}})
    assert_array_equal(spacy.load(tmp_path / "out")("The bank").tensor, fresh("The bank").tensor)


def test_assemble_from_a_trained_pipeline(nlp, pipeline, tmp_path):
    config = Config({"nlp": {"lang": "en", "pipeline": nlp.pipe_names}})
    config["components"] = {name: {"source": str(pipeline)} for name in nlp.pipe_names}
    config.to_disk(tmp_path / "config.cfg")
    spacy_command("assemble", tmp_path / "config.cfg", tmp_path / "out")
    assembled = spacy.load(tmp_path / "out")
    for text in TEXTS:
        assert assembled(text).cats == pytest.approx(nlp(text).cats)


WHEEL_WORKS = """
import json, spacy
doc = spacy.load("en_banks")("The bank lends money .")
print(json.dumps([doc.cats, doc[1].similarity(doc[1])]))
"""


@pytest.mark.slow
def test_a_wheel(nlp, tmp_path):
    """It names spacy-elmo, has the biLM in it, and works where it is installed, with nothing else
    of what it was made from."""
    source = save_tiny_bilm(tmp_path / "bilm")
    copy = spacy.blank("en")
    copy.add_pipe("elmo", config={"model": {"source": source}})
    copy.add_pipe("textcat_multilabel", config={"model": TEXTCAT})
    copy.from_bytes(nlp.to_bytes())
    copy.to_disk(tmp_path / "pipeline")
    (tmp_path / "out").mkdir()
    arguments = [tmp_path / "pipeline", tmp_path / "out", "--build", "wheel", "--name", "banks"]
    spacy_command("package", *arguments, "--version", "1.2.3")
    (wheel,) = (tmp_path / "out").rglob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        (metadata,) = (name for name in file.namelist() if name.endswith("/METADATA"))
        assert re.search("Requires-Dist: spacy-elmo *[(<>=]", file.read(metadata).decode())

    target = tmp_path / "site"
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target]
    subprocess.run([sys.executable, *install, wheel], check=True)
    for folder in ("bilm", "pipeline", "out"):
        shutil.rmtree(tmp_path / folder)
    env = {**os.environ, "PYTHONPATH": str(target)}
    done = subprocess.run(
        [sys.executable, "-c", WHEEL_WORKS],
        env=env,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 0
    cats, similarity = json.loads(done.stdout)
    assert cats == pytest.approx(nlp("The bank lends money .").cats)
    assert similarity == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*W109")
@pytest.mark.filterwarnings("ignore:.*W007")
def test_vectors_after_two_processes(nlp):
    """``.vector`` comes back. Hooks don't, so ``.similarity`` needs one call."""
    text = "He sat on the bank . The bank lends money ."
    here = nlp(text)
    assert here[4].similarity(here[7]) < 0.999
    there = list(nlp.pipe([text] * 4, n_process=2, batch_size=2))
    assert len(there) == 4
    for doc in there:
        assert_allclose(doc[4].vector, here[4].vector, atol=1e-5)
        assert_allclose(doc[0:4].vector, here[0:4].vector, atol=1e-5)
        assert_allclose(doc.vector, here.vector, atol=1e-5)
        assert doc[4].similarity(doc[7]) == 1  # spaCy's, of the same word
        set_hooks(doc)
        assert doc[4].similarity(doc[7]) == pytest.approx(here[4].similarity(here[7]), abs=1e-5)
        assert doc.similarity(here) == pytest.approx(1, abs=1e-5)
