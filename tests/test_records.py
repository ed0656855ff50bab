import bz2
import gzip
import lzma
import random
import re
import traceback

import pytest
import smart_open
import spacy
from spacy.tokens import DocBin

from spacy_elmo.cli._embedder import Embedder
from spacy_elmo.records import open_input


@pytest.fixture
def vocab():
    return spacy.blank("en").vocab


@pytest.fixture
def read(tmp_path, vocab):
    """The values of an input's records."""

    def call(name, content):
        (tmp_path / name).write_bytes(content)
        return [record.value for record in open_input(tmp_path / name, vocab).records]

    return call


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"a b\nc\n", ["a b", "c"]),
        (b"a b\nc", ["a b", "c"]),
        (b"a b\r\n\r\nc\r\n", ["a b", "", "c"]),
        (b"\n\n", ["", ""]),
        (b"", []),
        (b" a\t\n", [" a\t"]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb", ["a", "\ufeffb"]),  # a byte order mark, and none
        ("a\u2028b\x0bc\n".encode(), ["a\u2028b\x0bc"]),  # what str.splitlines would split
    ],
)
def test_lines_of_text(read, content, lines):
    assert read("in.txt", content) == lines


def test_json_lines(read):
    content = b'{"text": "a b"}\n\n  \n{"tokens": ["a", "b c"], "text": 3}\n{"tokens": []}'
    assert read("in.jsonl", content) == ["a b", ["a", "b c"], []]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "not JSON: .*column 2"),
        (b'{"text": "a"} x', "not JSON"),
        (b'"text"', 'expected an object with the key "text" or "tokens", got "text"'),
        (b'{"Text": "a"}', 'expected an object with the key "text" or "tokens"'),
        (b"[1]", "expected an object"),
        (b'{"text": null}', '"text" is not a string'),
        (b'{"tokens": "a b"}', '"tokens" is not a list of strings'),
        (b'{"tokens": ["a", 1]}', '"tokens" is not a list of strings'),
        (b'{"tokens": ["a", ""]}', '"tokens" is not a list of strings that are not empty'),
        (b'{"text": "\xff"}', "not UTF-8"),
        (b'{"text": "a\\ud800"}', "not Unicode: .*surrogates"),
        (b'{"tokens": ["a", "\\ud83d", "\\ude00"]}', "not Unicode: .*surrogates"),
    ],
)
def test_wrong_json_lines_are_named(tmp_path, vocab, line, message):
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"text": "a"}\n\n' + line + b'\n{"text": "b"}')
    records = open_input(path, vocab).records
    assert next(records).value == "a"
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}, line 3: {message}"):
        next(records)


def test_text_that_is_not_utf8_is_named(tmp_path, vocab):
    path = tmp_path / "in.txt"
    path.write_bytes(b"a\nb\n\xe4\n")
    records = open_input(path, vocab).records
    assert [next(records).value for _ in range(2)] == ["a", "b"]
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}, line 3: not UTF-8"):
        next(records)


@pytest.mark.parametrize(
    ("suffix", "compress"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_a_compressed_file_without_its_suffix(read, suffix, compress):
    with pytest.raises(ValueError, match=rf"not UTF-8.*is \{suffix} missing"):
        read("in.txt", compress(b"plain text"))


def test_a_cut_compressed_file_is_named(tmp_path, vocab):
    path = tmp_path / "in.txt.gz"
    lines = b"".join(b"line %d\n" % i for i in range(20_000))
    path.write_bytes(gzip.compress(lines)[:-5000])
    values = []
    with pytest.raises(ValueError, match=r"in\.txt\.gz, after line \d{4,}: can't be read on"):  # noqa: PT012
        for record in open_input(path, vocab).records:
            values.append(record.value)
    assert values == [f"line {i}" for i in range(len(values))]
    assert values


def test_a_file_that_is_not_compressed(read):
    with pytest.raises(ValueError, match=r"in\.txt\.gz, after line 0: can't be read on"):
        read("in.txt.gz", b"plain text")


@pytest.mark.parametrize("content", [b"", b"text", gzip.compress(b"text", mtime=0)])
def test_not_a_docbin(read, content):
    with pytest.raises(ValueError, match=r"in\.spacy: not a DocBin"):
        read("in.spacy", content)


def test_the_words_of_a_docbin_are_counted(tmp_path, vocab):
    nlp = spacy.blank("en")
    DocBin(docs=[nlp("a b"), nlp(""), nlp("c")]).to_disk(tmp_path / "in.spacy")
    corpus = open_input(tmp_path / "in.spacy", vocab)
    assert corpus.n_words == 3
    assert not corpus.is_streamed
    assert [record.value.text for record in corpus.records] == ["a b", "", "c"]


def test_a_text_that_spacy_refuses_is_named(tmp_path):
    """Longer than ``nlp.max_length``."""
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo")
    nlp.max_length = 10
    embedder = Embedder(nlp, "mix", "float32", 1)
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"text": "a"}\n{"text": "more than ten"}')
    good, bad = open_input(path, nlp.vocab).records
    assert embedder.make_doc(good).text == "a"
    with pytest.raises(ValueError, match=r"in\.jsonl, line 2: .*\[E088\]"):
        embedder.make_doc(bad)


@pytest.mark.parametrize("is_cut", [True, False])
def test_a_damaged_zst_file_is_named(tmp_path, vocab, is_cut):
    path = tmp_path / "in.txt.zst"
    with smart_open.open(path, "wb") as file:
        file.write(random.Random(0).randbytes(300_000).hex().encode())
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    path.write_bytes(content[:middle] if is_cut else content[:middle] + b"!" * middle)
    with pytest.raises(ValueError, match=r"in\.txt\.zst, after line \d+: can't be read on"):
        list(open_input(path, vocab).records)
    path.write_bytes(b"plain text")
    with pytest.raises(ValueError, match=r"in\.txt\.zst, after line 0: can't be read on"):
        list(open_input(path, vocab).records)


@pytest.mark.parametrize(
    ("compression", "compress"),
    [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)],
)
def test_compressed_files_and_their_cuts(tmp_path, vocab, compression, compress):
    path = tmp_path / f"in.txt.{compression}"
    lines = [random.Random(i).randbytes(50).hex() for i in range(10_000)]
    content = compress("\n".join(lines).encode())
    path.write_bytes(content)
    assert [record.value for record in open_input(path, vocab).records] == lines
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=rf"in\.txt\.{compression}, after line \d+: can't be read"):
        list(open_input(path, vocab).records)


@pytest.mark.parametrize("query", ["", "?key=a.b/c"])
def test_urls(serve, vocab, query):
    nlp = spacy.blank("en")
    files = {
        "a/in.txt": b"a b\nc\n",
        "in.jsonl.xz": lzma.compress(b'{"text": "a b"}\n{"text": "c"}'),
        "in.spacy": DocBin(docs=[nlp("a b"), nlp("c")]).to_bytes(),
    }
    server = serve({name + query: content for name, content in files.items()})
    for name in files:
        records = open_input(f"{server.url}/{name}{query}", vocab).records
        assert [str(record.value) for record in records] == ["a b", "c"]


def test_a_url_that_fails_is_named(serve, vocab):
    server = serve({"in.txt": b"a line\n" * 100_000, "in.spacy": b"1234" * 100_000})
    server.cuts.update({"in.txt": [350_000], "in.spacy": [1000]})
    with pytest.raises(ValueError, match=rf"^{server.url}/in\.txt, after line \d{{3,}}: can't be"):
        list(open_input(f"{server.url}/in.txt", vocab).records)
    with pytest.raises((ValueError, OSError), match=rf"{server.url}/in\.spacy"):
        open_input(f"{server.url}/in.spacy", vocab)
    for name in ("no.txt", "no.spacy"):
        with pytest.raises((ValueError, OSError), match=rf"{server.url}/{name}"):
            list(open_input(f"{server.url}/{name}", vocab).records)


@pytest.mark.parametrize("name", ["in.csv", "in.spacy.gz", "in", "http://host/in.csv?a.txt"])
def test_unknown_kinds(vocab, name):
    with pytest.raises(ValueError, match=r"the name of an input ends in \.txt, \.jsonl or \.spacy"):
        open_input(name, vocab)


def test_a_url_that_needs_a_package(vocab, monkeypatch):
    """The message is smart-open's, which says how to install it."""

    def fail(*args, **kwargs):
        raise ImportError("pip install smart_open[s3]")

    monkeypatch.setattr(smart_open, "open", fail)
    with pytest.raises(ImportError, match=r"s3://b/in\.txt\.gz: pip install smart_open\[s3\]"):
        list(open_input("s3://b/in.txt.gz", vocab).records)


@pytest.mark.parametrize("name", ["in.txt", "in.spacy"])
def test_other_urls_are_refused(vocab, name):
    for source in (f"hdfs://host/{name}", f"ssh://host/{name}", f"zip://a::http://host/{name}"):
        with pytest.raises(ValueError, match="not a URL that is opened here"):
            open_input(source, vocab)


@pytest.mark.parametrize("name", ["in.txt", "in.jsonl.gz", "in.spacy"])
def test_a_signature_is_not_shown(serve, vocab, name):
    server = serve({})
    with pytest.raises(ValueError, match=name) as error:
        list(open_input(f"{server.url}/{name}?sig=secret", vocab).records)
    assert "secret" not in "".join(traceback.format_exception(error.value, limit=0))
