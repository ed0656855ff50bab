"""projects/languages: what it makes of the files of a language."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
from project_scripts import PROJECTS, scripts_of
from spacy.tokens import DocBin
from spacy.util import load_config

from spacy_elmo.projects.runs import Run

with scripts_of("languages"):
    import floret_vectors
    import languages
    import make_sentences
    import prepare
    import report

PROJECT = PROJECTS / "languages"
OWN = PROJECT / "assets" / "own"


def test_what_is_shipped_is_what_the_frames_make(tmp_path):
    make_sentences.main(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in OWN.iterdir()}
    for path in tmp_path.iterdir():
        assert path.read_text(encoding="utf-8") == (OWN / path.name).read_text(encoding="utf-8")


def test_most_names_to_find_are_only_in_the_raw_text():
    def names(part):
        return set(re.findall(r"\[([^]]+)\]", (OWN / f"{part}.txt").read_text(encoding="utf-8")))

    words = set(re.findall(r"\w+", (OWN / "raw.txt").read_text(encoding="utf-8")))
    new = names("test") - names("train")
    assert len(new) > 0.6 * len(names("test"))
    assert all(set(name.split()) <= words for name in new)


@pytest.fixture
def german(tmp_path):
    """A folder of files as they are fetched: 60 raw texts, and 20 sentences of entities."""
    folder = tmp_path / "assets"
    folder.mkdir()
    texts = "".join(f"Das ist der {i}. Text.\n" for i in range(60))
    (folder / "raw.txt").write_text(texts, encoding="utf-8")
    rows = "#\thttp://there\t[2010]\n1\tUlm\tB-LOC\tO\n2\tbrennt\tO\tO\t\n\n"
    (folder / "ner.test.tsv").write_text(20 * rows, encoding="utf-8")
    (folder / "ner.dev.tsv").write_text(3 * rows, encoding="utf-8")
    return folder


def test_files_of_a_language_are_made_ready(german, tmp_path):
    out = tmp_path / "out"
    prepare.main("de", german, out, PROJECT / "configs", max_words=10**9)
    sizes = {}
    for path in out.glob("entities/*.spacy"):
        docs = list(DocBin().from_disk(path).get_docs(spacy.blank("de").vocab))
        sizes[path.stem] = len(docs)
        assert {(doc.text, doc.ents[0].text) for doc in docs} == {("Ulm brennt ", "Ulm")}
    assert sizes == {"train": 18, "dev": 2, "test": 3}
    assert len((out / "raw.jsonl").read_text().splitlines()) == 58
    assert len((out / "raw_heldout.jsonl").read_text().splitlines()) == 2
    for name in prepare.CONFIGS:
        assert load_config(out / name)["nlp"]["lang"] == "de"


def test_raw_text_is_read_up_to_a_number_of_words(german, tmp_path):
    prepare.write_raw(languages.LANGUAGES["de"], german, tmp_path, max_words=50)
    assert len((tmp_path / "raw.jsonl").read_text().splitlines()) == 9
    (german / "raw.txt").unlink()
    with pytest.raises(ValueError, match=r"the raw text is one file"):
        prepare.write_raw(languages.LANGUAGES["de"], german, tmp_path, max_words=50)


@pytest.mark.parametrize("name", languages.LANGUAGES)
def test_every_config_has_the_tokenizer_of_the_language(name, tmp_path):
    language = languages.LANGUAGES[name]
    prepare.write_configs(language, PROJECT / "configs", tmp_path)
    for file in prepare.CONFIGS:
        block = load_config(tmp_path / file)["nlp"]
        assert block["lang"] == language.code
        assert block.get("tokenizer") == language.tokenizer


def test_chinese_is_cut_into_words(tmp_path):
    pytest.importorskip("jieba")
    prepare.write_configs(languages.LANGUAGES["zh"], PROJECT / "configs", tmp_path)
    block = load_config(tmp_path / "pretrain.cfg")["nlp"]
    nlp = spacy.blank("zh", config={"nlp": {"tokenizer": block["tokenizer"]}})
    assert "北京" in [token.text for token in nlp("他在北京学习。")]


def test_words_that_floret_has_not_read_have_vectors(tmp_path):
    pytest.importorskip("floret")
    prepare.write_configs(languages.LANGUAGES["own"], PROJECT / "configs", tmp_path)
    raw = tmp_path / "raw.jsonl"
    raw.write_text(30 * '{"text": "Der Zug fährt nach Ulm."}\n', encoding="utf-8")
    settings = {"dim": 8, "epochs": 1, "buckets": 100, "min_count": 1}
    for name in ("one", "two"):
        floret_vectors.main(tmp_path / "ner.cfg", raw, tmp_path / name, **settings)
    one, two = (spacy.load(tmp_path / name).vocab["Zugfahrt"].vector for name in ("one", "two"))
    assert one.shape == (8,) and one.any()
    assert (one == two).all()


def test_a_picture_names_what_has_vectors(tmp_path):
    pytest.importorskip("matplotlib")
    for folder in ("without", "vectors"):
        for system in ("stock", "both"):
            Run(system, 9, 1, 0, {"ents_f": 0.5}).write(tmp_path / folder)
    runs = report.name_runs(tmp_path / "without", "ents_f", "{}")
    runs += report.name_runs(tmp_path / "vectors", "ents_f", report.WITH_VECTORS)
    files = report.draw(runs, "ents_f", [(100, 40.0), (200, 30.0)], tmp_path / "scores", "A title")
    text = files[1].read_text(encoding="utf-8")
    parts = ("spaCy's tok2vec", "ELMo beside spaCy's features, and floret", "50.0", "A title")
    assert all(f">{part}<" in text for part in parts)


@pytest.mark.slow
def test_an_elmo_for_many_langs_in_the_same_config(fixtures, tmp_path):
    project = tmp_path / "languages"
    ignored = ("corpus", "training", "metrics", "results", "de", "fi", "zh", "project.lock")
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns(*ignored))
    settings = {
        "many_langs": fixtures / "many_langs_char_word",
        "max_steps": 2,
        "eval_frequency": 2,
    }
    options = [part for name, value in settings.items() for part in (f"--vars.{name}", str(value))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for command in ("convert", "many_langs"):
        line = [sys.executable, "-m", "weasel", "run", command, str(project), *options]
        done = subprocess.run(line, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    table = (project / "results" / "own-many-langs" / "scores.md").read_text(encoding="utf-8")
    assert "ELMo beside spaCy's features" in table
    assert Path(project, "training", "own-many-langs", "both-100-0", "model-best").is_dir()
