"""``python -m spacy_elmo.projects``, without training."""

import hashlib
import json

import pytest
import spacy
from spacy.tokens import DocBin
from typer.testing import CliRunner

from spacy_elmo.projects.__main__ import app
from spacy_elmo.projects.corpora.binary import write_docs
from spacy_elmo.projects.runs import Run, read_run


def invoke(*arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)), env={"WASABI_NO_PRETTY": "1"})
    return result.exit_code, " ".join(result.output.split())


def load(path):
    return list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))


def test_convert_holds_texts_out_and_completes_labels(tmp_path):
    (tmp_path / "train.tsv").write_text("".join(f"w{i}\t{i % 2}\n" for i in range(20)))
    (tmp_path / "test.tsv").write_text("x\t1\n")
    columns = ["--text", 1, "--label", 2, "--labels", "0=no,1=yes", "--dev-share", 0.1]
    files = [tmp_path / "train.tsv", tmp_path / "test.tsv", tmp_path / "out"]
    code, output = invoke("convert", *files, "--format", "tsv", *columns)
    assert code == 0, output
    parts = {path.stem: load(path) for path in (tmp_path / "out").glob("*.spacy")}
    assert {name: len(docs) for name, docs in parts.items()} == {"train": 18, "dev": 2, "test": 1}
    assert parts["test"][0].cats == {"no": 0.0, "yes": 1.0}
    assert not {doc.text for doc in parts["train"]} & {doc.text for doc in parts["dev"]}


def test_convert_tears_no_document_apart(tmp_path):
    document = "Ann\t0\tB-PER\n\nsat\t4\tO\n\n"
    (tmp_path / "train.txt").write_text(document * 20)
    options = ["--format", "columns", "--documents", "offset", "--dev-share", 0.1]
    code, output = invoke("convert", tmp_path / "train.txt", tmp_path / "out", *options)
    assert code == 0, output
    dev = load(tmp_path / "out" / "dev.spacy")
    assert [doc.text for doc in dev] == ["Ann ", "sat "] * 2
    assert len(load(tmp_path / "out" / "train.spacy")) == 36


def test_user_data_is_written_where_there_is_some(tmp_path):
    docs = [spacy.blank("en")(text) for text in ("One.", "Two.")]
    write_docs(docs, tmp_path / "without.spacy")
    docs[1].user_data["source"] = "here"
    write_docs(iter(docs), tmp_path / "with.spacy")
    for name, found in (("without", None), ("with", "here")):
        assert load(tmp_path / f"{name}.spacy")[1].user_data.get("source") == found


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("Ann O\n\nIt O\n", "none of its 2 texts has a label"),
        ("Ann B-PER\nLee\n", "line 2: there is one column"),
    ],
)
def test_convert_says_what_is_wrong(text, error, tmp_path):
    (tmp_path / "train.conll").write_text(text)
    arguments = [tmp_path / "train.conll", tmp_path / "out", "--format", "columns"]
    code, output = invoke("convert", *arguments)
    assert code == 1 and error in output and "train.conll" in output
    assert not (tmp_path / "out").exists()


def test_assets_that_are_not_as_they_should_be(tmp_path):
    right = hashlib.md5(b"right").hexdigest()
    (tmp_path / "origin").write_bytes(b"wrong")
    url = (tmp_path / "origin").as_uri()
    asset = {"dest": "assets/x", "url": url, "checksum": right}
    (tmp_path / "project.yml").write_text(json.dumps({"title": "T", "assets": [asset]}))
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "x").write_bytes(b"right")
    assert invoke("assets", tmp_path)[0] == 0
    asset["url"] = str(tmp_path / "origin")
    (tmp_path / "project.yml").write_text(json.dumps({"title": "T", "assets": [asset]}))
    (tmp_path / "assets" / "x").write_bytes(b"damaged")
    code, output = invoke("assets", tmp_path)
    assert code == 1 and f"its checksum isn't {right}" in output
    code, output = invoke("assets", tmp_path, "--under", "assets/y")
    assert code == 1 and "has none under assets/y" in output


def test_assets_of_one_folder(tmp_path):
    there = hashlib.md5(b"there").hexdigest()
    assets = [{"dest": f"assets/{name}/x", "checksum": there} for name in ("de", "dekko")]
    (tmp_path / "project.yml").write_text(json.dumps({"title": "T", "assets": assets}))
    (tmp_path / "assets" / "de").mkdir(parents=True)
    (tmp_path / "assets" / "de" / "x").write_bytes(b"there")
    assert invoke("assets", tmp_path, "--under", "assets/de")[0] == 0
    code, output = invoke("assets", tmp_path)
    assert code == 1 and "dekko" in output


def test_a_repository_is_cloned_unless_its_folder_is_there(tmp_path):
    git = {"repo": (tmp_path / "none").as_uri(), "branch": "master", "path": ""}
    asset = {"dest": "assets/x", "git": git}
    (tmp_path / "project.yml").write_text(json.dumps({"title": "T", "assets": [asset]}))
    code, output = invoke("assets", tmp_path)
    assert code == 1 and "couldn't be fetched from file://" in output
    (tmp_path / "assets" / "x").mkdir(parents=True)
    (tmp_path / "assets" / "x" / "mine").write_text("kept")
    assert invoke("assets", tmp_path)[0] == 0
    assert (tmp_path / "assets" / "x" / "mine").read_text() == "kept"


def write_runs(folder):
    """Two systems, two seeds, one of them of only one system."""
    for system, n_texts, seed, score in [
        ("both", 40, 0, 0.4),
        ("stock", 40, 0, 0.3),
        ("stock", 4, 0, 0.1),
        ("stock", 40, 1, 0.2),
    ]:
        Run(system, n_texts, n_texts / 40, seed, {"ents_f": score}).write(folder)


def test_compare_shows_each_seed_and_the_mean(tmp_path):
    write_runs(tmp_path / "metrics")
    code, output = invoke("compare", tmp_path / "metrics", tmp_path / "scores.md")
    lines = (tmp_path / "scores.md").read_text().splitlines()
    assert code == 0, output
    assert lines[0] == "| training texts | entities, F (%) | seed 0 | seed 1 | mean |"
    assert lines[2:] == [
        "| 4 | spaCy's tok2vec | 10.0 |  | **10.0** |",
        "| 40 | spaCy's tok2vec | 30.0 | 20.0 | **25.0** |",
        "| 40 | ELMo beside spaCy's features | 40.0 |  | **40.0** |",
    ]
    code, output = invoke("compare", tmp_path / "metrics", tmp_path / "x.md", "--score", "tag_acc")
    assert code == 1 and "has no score 'tag_acc', but ents_f" in output
    (tmp_path / "metrics" / "other.json").write_text("{}")
    code, output = invoke("compare", tmp_path / "metrics", tmp_path / "x.md")
    assert code == 1 and "other.json: not scores of a run" in output


def test_a_picture_is_the_same_file_each_time(tmp_path):
    pytest.importorskip("matplotlib")
    write_runs(tmp_path / "metrics")
    for name in ("one", "two"):
        assert invoke("curve", tmp_path / "metrics", tmp_path / name / "curve")[0] == 0
    for kind in ("png", "svg"):
        first, second = (
            (tmp_path / name / f"curve.{kind}").read_bytes() for name in ("one", "two")
        )
        assert first == second
    assert "training texts" in first.decode()


def test_runs_are_read_as_they_were_written(tmp_path):
    run = Run("both", 7, 0.03, 2, {"ents_f": 0.5}, "abc")
    run.write(tmp_path)
    assert read_run(tmp_path / "both-3-2.json") == run
