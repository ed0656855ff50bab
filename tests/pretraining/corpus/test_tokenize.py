"""A corpus is tokenized once, and stored."""

import multiprocessing
import os
import threading
import time

import pytest
import spacy
from small_texts import ENGLISH, TEXTS, WHOLE, Texts, contents, sentences_of, tokenized
from spacy.tokens import DocBin
from spacy.util import registry

from spacy_elmo.pretraining.corpus.text import TextFiles
from spacy_elmo.pretraining.corpus.token_store import StoreWriter, TokenStore
from spacy_elmo.pretraining.corpus.tokenization import Tokenization
from spacy_elmo.pretraining.corpus.tokenize import tokenize, tokenized_chunks


def test_readers_of_spacy(tmp_path):
    """They yield Examples."""
    (tmp_path / "in.jsonl").write_text('{"text": "A cat. It sat."}\n{"text": "Go"}\n')
    read = registry.readers.get("spacy.JsonlCorpus.v1")(tmp_path / "in.jsonl")
    sentences = sentences_of(tokenized_chunks(read, ENGLISH, 1))
    assert sentences == [["A", "cat", "."], ["It", "sat", "."], ["Go"]]


@pytest.mark.parametrize("wrong", [{"text": "a b"}, b"a b", None, ["a", 1], ("a b", {})])
def test_what_is_no_text_is_refused(wrong):
    with pytest.raises(ValueError, match=f"yields {type(wrong).__name__}: .*should yield texts"):
        tokenized("a b", wrong)


def mixed(nlp):
    for i, text in enumerate(TEXTS):
        yield nlp(text) if i % 10 == 3 else text.split() if i % 10 == 8 else f"{text} {i}"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_the_store_does_not_depend_on_the_processes(tmp_path, small_chunks, start_method):
    tokenize(mixed, tmp_path / "one", ENGLISH, 1)
    expected = contents(tmp_path / "one")
    assert TokenStore.open(tmp_path / "one").n_tokens > 200
    for method in {"fork", "spawn"} & set(multiprocessing.get_all_start_methods()):
        start_method(method)
        for n_process in (2, 3) if method == "fork" else (2,):
            directory = tmp_path / f"{method}{n_process}"
            tokenize(mixed, directory, ENGLISH, n_process)
            assert contents(directory) == expected


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("n_process", [1, 2])
def test_texts_are_read_as_they_are_needed(small_chunks, n_process):
    n_read = 0

    def read(nlp):
        nonlocal n_read
        for n_read in range(1, 1001):  # noqa: B007
            yield "A text of thirty characters..."

    chunks = tokenized_chunks(read, ENGLISH, n_process)
    assert next(chunks).lengths.tolist() == [6, 6]
    assert n_read <= 2 * (2 * n_process + 1)
    chunks.close()


def test_a_store_is_made_once(tmp_path):
    texts = Texts(["a b"])
    first = tokenize(texts, tmp_path, ENGLISH, 1)
    second = tokenize(texts, tmp_path, ENGLISH, 1)
    assert texts.n_read == 1
    assert second.sentence(0) == first.sentence(0) == ["a", "b"]


def test_a_store_of_files_is_made_again_when_one_changes(tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("one")
    texts = TextFiles([str(path)])
    assert tokenize(texts, tmp_path / "store", ENGLISH, 1).words == ["one"]
    path.write_text("two")
    os.utime(path, (1, 1))
    assert tokenize(texts, tmp_path / "store", ENGLISH, 1).words == ["two"]


@pytest.mark.parametrize(
    "other",
    [
        (Texts(["c d"]), ENGLISH),
        (Texts(["a b"]), Tokenization.of(spacy.blank("zh"))),
        (Texts(["a b"]), Tokenization.of(spacy.blank("en"), WHOLE)),
    ],
)
def test_a_store_of_something_else_is_replaced(tmp_path, other):
    tokenize(Texts(["a b"]), tmp_path, ENGLISH, 1)
    texts, tokenization = other
    store = tokenize(texts, tmp_path, tokenization, 1)
    assert texts.n_read == 1
    assert store.origin["tokenization"] == tokenization.describe()
    assert store.origin["texts"] == texts.fingerprint()


def test_texts_that_cannot_be_told_from_others_are_read_again(tmp_path):
    texts = iter(["a", "b"])
    words = [tokenize(lambda nlp: iter([next(texts)]), tmp_path, ENGLISH, 1).words for _ in "ab"]
    assert words == [["a"], ["b"]]


def test_of_several_that_want_a_store_one_makes_it(tmp_path):
    class Slow(Texts):
        def __call__(self, nlp):
            time.sleep(0.3)
            return super().__call__(nlp)

    texts = Slow(["a b"])
    stores = []

    def run():
        stores.append(tokenize(texts, tmp_path, ENGLISH, 1))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [store.words for store in stores] == [["a", "b"]] * 3
    assert texts.n_read == 1


@pytest.mark.parametrize("texts", [[], ["", " \n"]])
def test_no_words(tmp_path, texts):
    with pytest.raises(ValueError, match="no words in the texts"):
        tokenize(Texts(texts), tmp_path, ENGLISH, 1)
    assert contents(tmp_path) == {}


def test_an_error_of_a_file_leaves_no_store(tmp_path, small_chunks):
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "A text of more than thirty characters."}\n' * 9 + "{")
    with pytest.raises(ValueError, match=r"in\.jsonl, line 10: not JSON"):
        tokenize(TextFiles([str(path)]), tmp_path / "store", ENGLISH, 1)
    assert contents(tmp_path / "store") == {}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_full_disk_leaves_no_store_and_no_processes(tmp_path, small_chunks, monkeypatch):
    def add(self, chunk):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(StoreWriter, "add", add)
    with pytest.raises(OSError, match="No space left") as caught:
        tokenize(Texts(TEXTS), tmp_path, ENGLISH, 2)
    assert caught.tb is not None  # the error is still held, and with it the frames
    assert multiprocessing.active_children() == []
    assert contents(tmp_path) == {}


def test_shards_of_docs(tmp_path):
    nlp = spacy.blank("en")
    for name, text in (("a", "One. Two."), ("b", "Three.")):
        DocBin(docs=[nlp(text)]).to_disk(tmp_path / f"{name}.spacy")
    store = tokenize(TextFiles([str(tmp_path)]), tmp_path / "store", ENGLISH, 1)
    sentences = [store.sentence(i) for i in range(store.n_sentences)]
    assert sentences == [["One", "."], ["Two", "."], ["Three", "."]]
