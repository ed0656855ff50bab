import gzip
import json

import pytest

from spacy_elmo.pretraining.corpus.vocabulary import Vocabulary

SYMBOLS = ("</S>", "<S>", "<UNK>")


@pytest.fixture
def corpus(tmp_path):
    """Two files of texts."""
    (tmp_path / "a.txt").write_text("The bank, the bank!\nThe river's bank\n")
    line = json.dumps({"text": "The bank of the bank."})
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(line.encode()))
    return tmp_path


def test_vocab_counts_tokens(run, corpus):
    output, counts = corpus / "out" / "vocab.txt", corpus / "counts.tsv"
    files = (corpus / "a.txt", corpus / "b.jsonl.gz")
    code, message = run("vocab", *files, output, "--counts", counts, "--n-process", 1)
    assert code == 0
    words = ("bank", "The", "the", "!", "'s", ",", ".", "of", "river")
    assert Vocabulary.read(output).words == (*SYMBOLS, *words)
    assert "12 words, which cover 100.00% of 16 tokens (9 distinct words)" in message
    numbers = (0, 0, 0, 5, 3, 2, 1, 1, 1, 1, 1, 1)
    lines = [f"{word}\t{n}" for word, n in zip((*SYMBOLS, *words), numbers, strict=True)]
    assert counts.read_text().splitlines() == lines


def test_limits(run, corpus):
    output = corpus / "vocab.txt"
    code, message = run("vocab", corpus / "a.txt", output, "--min-count", 2, "-n", 1)
    assert code == 0
    assert Vocabulary.read(output).words == (*SYMBOLS, "bank", "The")
    assert "cover 50.00% of 10 tokens" in message
    code, _ = run("vocab", corpus / "a.txt", output, "--max-size", 4, "-n", 1, "--force")
    assert code == 0
    assert Vocabulary.read(output).words == (*SYMBOLS, "bank")


def test_language(run, corpus):
    (corpus / "zh.txt").write_text("银行银", encoding="utf-8")
    code, _ = run("vocab", corpus / "zh.txt", corpus / "v.txt", "--lang", "zh", "-n", 1)
    assert code == 0
    assert Vocabulary.read(corpus / "v.txt").words == (*SYMBOLS, "银", "行")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.txt", "v.txt"], "missing.txt"),
        (["a.txt", "b.jsonl.gz"], "b.jsonl.gz exists. --force replaces it."),
        (["a.txt", "v.txt", "--counts", "a.txt"], "a.txt exists. --force replaces it."),
        (["a.txt", "."], ". is a directory."),
        (["a.txt", "v.txt", "--min-count", "6"], "None of 7 words occurs at least 6 times"),
        (["a.txt", "v.txt", "--max-size", "3"], "max_size = 3 leaves no room"),
        (["a.txt", "v.txt", "--lang", "q"], "q"),
        (["empty.txt", "v.txt"], "None of 0 words"),
    ],
)
def test_errors(run, corpus, monkeypatch, arguments, message):
    monkeypatch.chdir(corpus)
    (corpus / "empty.txt").write_text("")
    before = {path.name: path.read_bytes() for path in corpus.iterdir()}
    code, output = run("vocab", *arguments, "-n", 1)
    assert code == 1
    assert message in output
    assert {path.name: path.read_bytes() for path in corpus.iterdir()} == before
