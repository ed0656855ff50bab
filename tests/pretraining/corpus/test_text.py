import gzip
import math
import os
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import DocBin
from spacy.util import registry

from spacy_elmo.pretraining.corpus.text import TextFiles


@pytest.fixture
def corpus(tmp_path):
    """A directory of files with a text each."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    nlp = spacy.blank("en")
    (tmp_path / "b.txt").write_text("b1\nb2\n")
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"text": "a"}\n{"tokens": ["a", "x"]}'))
    DocBin(docs=[nlp("c c")]).to_disk(tmp_path / "deep" / "c.spacy")
    (tmp_path / "deep" / "er" / "d.txt").write_text("d")
    (tmp_path / "README.md").write_text("no text")
    (tmp_path / "x.spacy.gz").write_bytes(b"")
    (tmp_path / "e.txt").mkdir()
    return tmp_path


def read(*sources, shares=None):
    """The texts, of Docs the words in brackets."""
    texts = TextFiles([str(source) for source in sources], shares)(spacy.blank("en"))
    return [
        text if isinstance(text, (str, list)) else f"[{' '.join(token.text for token in text)}]"
        for text in texts
    ]


def test_a_directory(corpus):
    assert read(corpus) == ["a", ["a", "x"], "b1", "b2", "[c c]", "d"]


def test_files_and_patterns(corpus):
    assert read(corpus / "deep" / "c.spacy", corpus / "b.txt") == ["[c c]", "b1", "b2"]
    assert read(corpus / "*.txt") == ["b1", "b2"]
    assert read(corpus / "**" / "*.txt") == ["b1", "b2", "d"]
    assert read(corpus / "b.txt", corpus / "b.txt") == ["b1", "b2", "b1", "b2"]


def test_a_name_that_looks_like_a_pattern(tmp_path):
    (tmp_path / "[a].txt").write_text("brackets")
    (tmp_path / "a.txt").write_text("none")
    assert read(tmp_path / "[a].txt") == ["brackets"]


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("missing.txt", FileNotFoundError, r"missing\.txt"),
        ("*.jsonl", ValueError, r"\*\.jsonl: no file has such a name"),
        ("e.txt", ValueError, r"e\.txt: there are no files with texts in this directory"),
        ("README.md", ValueError, r"README\.md: the name of an input ends in"),
        ("http://localhost/a.csv", ValueError, r"a\.csv: the name of an input ends in"),
    ],
)
def test_errors_come_before_anything_is_read(corpus, source, error, message):
    name = source if "://" in source else str(corpus / source)
    texts = TextFiles([str(corpus / "b.txt"), name])(spacy.blank("en"))
    with pytest.raises(error, match=message):
        next(texts)


def test_files_are_opened_one_after_the_other(corpus):
    (corpus / "z.jsonl").write_text("{")
    texts = TextFiles([str(corpus / "b.txt"), str(corpus / "z.jsonl")])(spacy.blank("en"))
    assert [next(texts), next(texts)] == ["b1", "b2"]
    with pytest.raises(ValueError, match=r"z\.jsonl, line 1: not JSON"):
        next(texts)


def test_urls(corpus, serve):
    files = {"my/a.jsonl.gz": (corpus / "a.jsonl.gz").read_bytes()}
    files["c.spacy?key=1"] = (corpus / "deep" / "c.spacy").read_bytes()
    server = serve(files)
    assert read(f"{server.url}/my/a.jsonl.gz", f"{server.url}/c.spacy?key=1") == [
        *("a", ["a", "x"]),
        "[c c]",
    ]


def test_fingerprint_tells_files_from_others(corpus):
    texts = TextFiles([str(corpus), "http://localhost/x.txt"])
    first = texts.fingerprint()
    assert len(first) == 5
    assert first[-1] == {"name": "http://localhost/x.txt"}
    assert texts.fingerprint() == first
    file = corpus / "b.txt"
    os.utime(file, (1, 1))
    second = texts.fingerprint()
    assert second != first
    file.write_text("longer than before")
    os.utime(file, (1, 1))
    assert texts.fingerprint() not in (first, second)


def test_paths_in_a_fingerprint_are_absolute(corpus, monkeypatch):
    monkeypatch.chdir(corpus)
    assert TextFiles(["b.txt"]).fingerprint() == TextFiles([str(corpus / "b.txt")]).fingerprint()


@pytest.mark.parametrize("path", ["b.txt", ["b.txt"]])
def test_the_registered_reader(corpus, monkeypatch, path):
    monkeypatch.chdir(corpus)
    config = {"corpus": {"@readers": "spacy-elmo.Text.v1", "path": path}}
    reader = registry.resolve(config)["corpus"]
    assert list(reader(spacy.blank("en"))) == ["b1", "b2"]


def test_shares(corpus):
    (corpus / "long.txt").write_text("0\n1\n2\n3\n4\n5\n6\n")
    assert read(corpus / "long.txt", shares={"*.txt": 0.5}) == ["1", "3", "5"]
    assert read(corpus / "long.txt", shares={"long.*": 0.3}) == ["3", "6"]
    # The first pattern counts; what no pattern fits is read once.
    shares = {"b.txt": 2.5, "er/*": 0, "*.txt": 0}
    once = ["a", ["a", "x"]]
    assert read(corpus, shares=shares) == [*once, "b1", "b2", "b1", "b2", "b2", "[c c]"]


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(st.integers(1, 50), st.floats(0, 3))
def test_a_share_is_a_share_of_the_texts(n, share):
    with TemporaryDirectory() as directory:
        path = Path(directory) / "a.txt"
        path.write_text("".join(f"{i}\n" for i in range(n)))
        counts = Counter(read(path, shares={"*": share}))
    assert abs(counts.total() - n * share) < 1
    assert all(int(share) <= counts[str(i)] <= int(share) + 1 for i in range(n))


@pytest.mark.parametrize("share", [-0.5, math.inf, math.nan])
def test_a_wrong_share(corpus, share):
    with pytest.raises(ValueError, match=r"share of b\.\*"):
        TextFiles([str(corpus)], {"b.*": share}).files()


def test_a_share_of_no_file(corpus):
    with pytest.raises(ValueError, match=r"share of z\.txt"):
        TextFiles([str(corpus)], {"z.txt": 1}).fingerprint()


def test_shares_tell_texts_from_others(corpus):
    prints = [
        TextFiles([str(corpus / "b.txt")], shares).fingerprint()
        for shares in (None, {"b.*": 1}, {"b.*": 2})
    ]
    assert prints[0] == prints[1] != prints[2]
