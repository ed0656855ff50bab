import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from importlib import import_module

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin
from spacy.util import registry

from spacy_elmo.layers import BiLMShim
from spacy_elmo.pretraining.corpus.text import TextFiles
from spacy_elmo.pretraining.corpus.token_store import StoreWriter, TokenStore
from spacy_elmo.pretraining.corpus.tokenize import Tokenization, tokenize, tokenized_chunks

module = import_module("spacy_elmo.pretraining.corpus.tokenize")  # not the function

TEXTS = [
    "He sat on the bank. It was  green!\n\nThe river's bank (1.5 km)…",
    "",
    " \n ",
    "Money? “In the bank,” she said.",
    "日本 银行。Hello",
] * 7
ENGLISH = Tokenization.of(spacy.blank("en"))
WORKER = module._Worker(ENGLISH)
WHOLE = {"@span_getters": "spacy-elmo.whole_doc.v1"}


class Texts:
    """A reader that counts how often it is asked."""

    def __init__(self, texts):
        self.texts, self.n_read = texts, 0

    def __call__(self, nlp):
        self.n_read += 1
        yield from self.texts

    def fingerprint(self):
        return [str(text) for text in self.texts]


def sentences_of(chunks):
    return [
        [chunk.words[token] for token in tokens]
        for chunk in chunks
        for tokens in np.split(chunk.tokens, np.cumsum(chunk.lengths)[:-1])
        if len(tokens)
    ]


def tokenized(*texts, tokenization=ENGLISH, n_process=1):
    return sentences_of(tokenized_chunks(Texts(texts), tokenization, n_process))


def contents(directory):
    names = [path for path in directory.iterdir() if path.name != ".lock"]
    return {path.name: path.read_bytes() for path in names}


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(module, "CHUNK_CHARACTERS", 60)


def test_sentences(small_chunks):
    assert tokenized(*TEXTS[:4]) == [
        ["He", "sat", "on", "the", "bank", "."],
        ["It", "was", "green", "!"],
        ["The", "river", "'s", "bank", "(", "1.5", "km", ")", "…"],
        ["Money", "?", "“"],
        ["In", "the", "bank", ",", "”", "she", "said", "."],
    ]


@pytest.fixture(scope="module")
def sentences_the_component_embeds():
    """What the biLM of a pipeline is given for a text, without sentences that are empty."""
    nlp = spacy.blank("en")
    elmo = nlp.add_pipe("elmo")
    shim = elmo.bilm.shims[0]
    n_layers, width = shim.config.n_layers, shim.config.width
    seen = []

    def embed(self, sentences, is_train):
        seen.extend(sentences)
        return [np.zeros((n_layers, len(words), width), "f") for words in sentences]

    def call(text):
        seen.clear()
        nlp(text)
        return [words for words in seen if words]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BiLMShim, "embed", embed)
        yield call


@settings(deadline=None, max_examples=300)
@given(text=st.text(st.sampled_from("ab A.!?。”'\"()1,\n\t\u2028\xa0é日😀-")))
def test_sentences_are_those_that_the_component_embeds(sentences_the_component_embeds, text):
    assert sentences_of([WORKER.encode([text])]) == sentences_the_component_embeds(text)


def test_every_token_of_a_long_sentence_comes_once():
    """Windows overlap in what the component reads, not in what it keeps."""
    words = [f"w{i}" for i in range(1000)]
    sentences = tokenized(words)
    assert [word for sentence in sentences for word in sentence] == words
    assert len(sentences) > 1
    assert max(map(len, sentences)) <= 256


def test_texts_words_and_docs():
    nlp = spacy.blank("en")
    doc = Doc(nlp.vocab, words=["don't", " ", "go", ".", "Now"])
    assert tokenized("don't", ["don't", "go"], doc, "a b") == [
        ["do", "n't"],
        ["don't", "go"],
        ["don't", "go", "."],
        ["Now"],
        ["a", "b"],
    ]


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


def test_languages():
    chinese = Tokenization.of(spacy.blank("zh"))  # by characters, unless told otherwise
    assert tokenized("日本银行。", tokenization=chinese) == [list("日本银行。")]


def test_the_tokenizer_is_the_one_of_the_pipeline():
    nlp = spacy.blank("en")
    nlp.tokenizer.add_special_case("riverbank", [{"ORTH": "river"}, {"ORTH": "bank"}])
    tokenization = Tokenization.of(nlp)
    assert tokenized("A riverbank", tokenization=tokenization) == [["A", "river", "bank"]]
    assert tokenization.describe() != ENGLISH.describe()


@registry.tokenizers("tests.WhitespaceTokenizer.v1")
def make_whitespace_tokenizer():
    return lambda nlp: lambda text: Doc(nlp.vocab, words=text.split())


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_registered_tokenizer(start_method):
    """It needs to be a function and no more."""
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("a process that isn't forked doesn't know what this file registers")
    start_method("fork")
    config = {"nlp": {"tokenizer": {"@tokenizers": "tests.WhitespaceTokenizer.v1"}}}
    tokenization = Tokenization.of(spacy.blank("en", config=config))
    for n_process in (1, 2):
        sentences = tokenized("don't  go.", tokenization=tokenization, n_process=n_process)
        assert sentences == [["don't", "go."]]


def test_span_getters():
    text = "One. Two."
    assert tokenized(text) == [["One", "."], ["Two", "."]]
    whole = Tokenization.of(spacy.blank("en"), WHOLE)
    assert tokenized(text, tokenization=whole) == [["One", ".", "Two", "."]]


def test_texts_longer_than_a_parser_takes():
    text = "abcdefghi " * 100_001
    assert len(text) > spacy.blank("en").max_length
    assert sum(map(len, tokenized(text))) == 100_001


def test_a_vocabulary_that_is_forgotten_changes_nothing(small_chunks, monkeypatch):
    before = tokenized(*TEXTS)
    monkeypatch.setattr(module, "_MAX_WORDS_KNOWN", 0)
    assert tokenized(*TEXTS) == before


def mixed(nlp):
    for i, text in enumerate(TEXTS):
        yield nlp(text) if i % 10 == 3 else text.split() if i % 10 == 8 else f"{text} {i}"


@pytest.fixture
def start_method():
    """Sets how processes are started, for the test."""
    before = multiprocessing.get_start_method(allow_none=True)
    yield lambda name: multiprocessing.set_start_method(name, force=True)
    multiprocessing.set_start_method(before, force=True)


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


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("n_process", [1, 2])
def test_an_error_of_a_process_arrives(tmp_path, n_process):
    needs_sents = {"@span_getters": "spacy-elmo.sentences.v1", "use_doc_sents": True}
    tokenization = Tokenization.of(spacy.blank("en"), needs_sents)
    with pytest.raises(ValueError, match="use_doc_sents = true"):
        tokenize(Texts(["a b"]), tmp_path, tokenization, n_process)
    assert contents(tmp_path) == {}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_that_is_killed_is_an_error(tmp_path, small_chunks):
    def read(nlp):
        yield from TEXTS * 9
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        while True:  # until it is noticed
            yield "A text of thirty characters..."

    with pytest.raises(ChildProcessError, match="fewer processes"):
        tokenize(read, tmp_path, ENGLISH, 2)
    assert contents(tmp_path) == {}


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_an_interrupt_leaves_no_store_and_no_processes(tmp_path, small_chunks):
    def read(nlp):
        yield from TEXTS
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tokenize(read, tmp_path, ENGLISH, 2)
    assert contents(tmp_path) == {}
    assert multiprocessing.active_children() == []


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


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills")
def test_a_run_that_is_killed(tmp_path):
    """What it has written is not taken for a store, and its processes end, too."""
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent(f"""
        import multiprocessing, time
        from pathlib import Path
        import spacy
        from importlib import import_module
        module = import_module("spacy_elmo.pretraining.corpus.tokenize")
        from spacy_elmo.pretraining.corpus.text import TextFiles

        class Stopping(TextFiles):
            def __call__(self, nlp):
                yield from super().__call__(nlp)
                print(len(multiprocessing.active_children()), flush=True)
                time.sleep(60)

        if __name__ == "__main__":
            module.CHUNK_CHARACTERS = 60
            english = module.Tokenization.of(spacy.blank("en"))
            texts = Stopping([{str(path)!r}])
            module.tokenize(texts, Path({str(tmp_path / "store")!r}), english, 2)
        """)
    )
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE)
    assert int(process.stdout.readline()) >= 2
    written = contents(tmp_path / "store")
    assert [name.split(".")[1] for name in sorted(written)] == ["starts", "tokens"]
    assert all(written.values())
    process.kill()
    # The pipe ends when all that have it open have ended.
    process.communicate(timeout=30)

    with pytest.raises(ValueError, match="not a whole store"):
        TokenStore.open(tmp_path / "store")
    store = tokenize(TextFiles([str(path)]), tmp_path / "store", ENGLISH, 1)
    assert store.n_tokens == sum(map(len, tokenized(*TEXTS)))
    names = ["counts.i64", "starts.i64", "store.json", "tokens.i32", "words.json"]
    assert sorted(contents(tmp_path / "store")) == names


def test_shards_of_docs(tmp_path):
    nlp = spacy.blank("en")
    for name, text in (("a", "One. Two."), ("b", "Three.")):
        DocBin(docs=[nlp(text)]).to_disk(tmp_path / f"{name}.spacy")
    store = tokenize(TextFiles([str(tmp_path)]), tmp_path / "store", ENGLISH, 1)
    sentences = [store.sentence(i) for i in range(store.n_sentences)]
    assert sentences == [["One", "."], ["Two", "."], ["Three", "."]]
