"""Other processes tokenize, however they are started and whatever ends them."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest
import spacy
from small_texts import ENGLISH, TEXTS, Texts, contents, tokenized
from spacy.util import import_file

from spacy_elmo.pretraining.corpus.text import TextFiles
from spacy_elmo.pretraining.corpus.token_store import TokenStore
from spacy_elmo.pretraining.corpus.tokenization import Tokenization
from spacy_elmo.pretraining.corpus.tokenize import tokenize

CODE = """
from spacy.tokens import Doc
from spacy.util import registry

@registry.tokenizers("tests.WhitespaceTokenizer.v1")
def make_whitespace_tokenizer():
    return lambda nlp: lambda text: Doc(nlp.vocab, words=text.split())

@registry.span_getters("tests.whole.v1")
def make_span_getter():
    return lambda docs: [[doc[:]] for doc in docs]
"""
METHODS = sorted({"fork", "spawn"} & set(multiprocessing.get_all_start_methods()))


@pytest.fixture
def registered(tmp_path):
    """What uses a tokenizer and a span getter of a file of code."""
    code = tmp_path / "code.py"
    code.write_text(CODE)
    import_file("python_code", code)
    config = {"nlp": {"tokenizer": {"@tokenizers": "tests.WhitespaceTokenizer.v1"}}}
    nlp = spacy.blank("en", config=config)
    return Tokenization.of(nlp, {"@span_getters": "tests.whole.v1"}, code)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", METHODS)
def test_what_code_registers(registered, start_method, method):
    """Processes that aren't forked import it themselves."""
    start_method(method)
    for n_process in (1, 2):
        sentences = tokenized("One. Two", "don't", tokenization=registered, n_process=n_process)
        assert sentences == [["One.", "Two"], ["don't"]]


def test_a_process_that_does_not_know_what_is_registered(registered, start_method):
    """It says so, and the memory isn't blamed."""
    start_method("spawn")
    with pytest.raises(ValueError, match="--code.*WhitespaceTokenizer|--code.*whole") as caught:
        tokenized("a b", tokenization=replace(registered, code=None), n_process=2)
    assert "memory" not in str(caught.value)


def test_other_code_makes_another_store(registered, tmp_path):
    texts = Texts(["a b"])
    tokenize(texts, tmp_path / "store", registered, 1)
    tokenize(texts, tmp_path / "store", registered, 1)
    assert texts.n_read == 1
    registered.code.write_text(CODE.replace("text.split()", "list(text)"))
    tokenize(texts, tmp_path / "store", registered, 1)
    assert texts.n_read == 2


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
        from spacy_elmo.pretraining.corpus import TextFiles, Tokenization

        module = import_module("spacy_elmo.pretraining.corpus.tokenize")

        class Stopping(TextFiles):
            def __call__(self, nlp):
                yield from super().__call__(nlp)
                print(len(multiprocessing.active_children()), flush=True)
                time.sleep(60)

        if __name__ == "__main__":
            module.CHUNK_CHARACTERS = 60
            english = Tokenization.of(spacy.blank("en"))
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
