"""Runs that end before they are done."""

import itertools
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
import spacy
from filelock import FileLock
from helpers import save_tiny_bilm
from spacy.tokens import DocBin
from typer.testing import CliRunner

from spacy_elmo.cli import _shards, elmo_cli
from spacy_elmo.cli._embedder import Embedder

OUTPUTS = (".spacy", ".hdf5", ".parquet")
LINES = [f"The bank number {i} is open. Is it{' not' * (i % 7)}?" for i in range(12)]
LINES[4] = ""


class Killed(BaseException):
    """What no handler of the program catches."""


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(_shards, "SHARD_TOKENS", 40)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return save_tiny_bilm(tmp_path_factory.mktemp("run") / "bilm")


@pytest.fixture
def embed(run, source, tmp_path):
    """Embeds ``in.txt``, which it writes first if lines are given."""

    def call(*options, lines=None, input="in.txt", output="out.hdf5"):
        if lines is not None:
            (tmp_path / input).write_text("\n".join(lines))
        arguments = [tmp_path / input, tmp_path / output, "--source", source, *options]
        return run("embed", *arguments)

    return call


@pytest.fixture
def kill(monkeypatch):
    """A context in which the program ends at the nth renaming of a file, before or after it."""

    @contextmanager
    def kill(n, is_before):
        count = itertools.count(1)
        replace = os.replace

        def dying(*args):
            is_last = next(count) == n
            if is_last and is_before:
                raise Killed
            replace(*args)
            if is_last:
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", dying)
            yield

    return kill


@pytest.fixture
def computed(monkeypatch):
    """The texts of the Docs that have been embedded."""
    texts = []
    embed = Embedder.embed

    def spy(self, docs):
        texts.extend(doc.text for doc in docs)
        return embed(self, docs)

    monkeypatch.setattr(Embedder, "embed", spy)
    return texts


def interrupt(tmp_path, source, kill, n, is_before=False, output="out.hdf5", input="in.txt"):
    """Run until the nth renaming; two of them belong to each shard."""
    arguments = ["embed", tmp_path / input, tmp_path / output, "--source", source]
    with kill(n, is_before), pytest.raises(Killed):
        CliRunner().invoke(elmo_cli, [str(argument) for argument in arguments])


def progress_of(tmp_path, output="out.hdf5"):
    return json.loads((tmp_path / f"{output}.partial" / "progress.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("suffix", OUTPUTS)
def test_killed_anywhere(embed, source, kill, tmp_path, monkeypatch, suffix):
    """At every renaming of a file, before and after it: the output is whole or not there, and the
    same command gives the same bytes as one that was never ended."""
    monkeypatch.setattr(_shards, "SHARD_TOKENS", 80)
    output = tmp_path / f"out{suffix}"
    embed(lines=LINES, output=output.name)
    unbroken = output.read_bytes()
    output.unlink()
    n_renamings = 6  # those of two shards, each with its progress; the whole file; the output
    for n, is_before in itertools.product(range(1, n_renamings + 1), (True, False)):
        interrupt(tmp_path, source, kill, n, is_before, output.name)
        if (n, is_before) == (n_renamings, False):
            assert output.read_bytes() == unbroken
        else:
            assert not output.exists()
        code, _ = embed("--force", output=output.name)
        assert code == 0
        assert output.read_bytes() == unbroken
        assert not (tmp_path / f"out{suffix}.partial").exists()
        output.unlink()


KILLS_ITSELF = """
import os, signal
from spacy_elmo.cli import _shards, elmo_cli
from spacy_elmo.cli._embedder import Embedder

embed = Embedder.embed
n = 0

def dying(self, docs):
    global n
    for doc in embed(self, docs):
        if n == 6:
            os.kill(os.getpid(), signal.SIGKILL)
        n += 1
        yield doc

_shards.SHARD_TOKENS = 40
Embedder.embed = dying
elmo_cli()
"""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", OUTPUTS)
def test_a_process_that_is_killed(embed, source, tmp_path, suffix):
    """By ``kill -9``, while it writes a shard."""
    embed(lines=LINES, output=f"unbroken{suffix}")
    output = tmp_path / f"out{suffix}"
    arguments = ["embed", str(tmp_path / "in.txt"), str(output), "--source", source]
    done = subprocess.run([sys.executable, "-c", KILLS_ITSELF, *arguments], capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert not output.exists()
    n_docs = progress_of(tmp_path, output.name)["n_docs"]
    assert 0 < n_docs < 6

    code, message = embed(output=output.name)
    assert code == 0
    assert f"{n_docs} Docs are done already" in message
    assert "12 Docs with" in message
    assert output.read_bytes() == (tmp_path / f"unbroken{suffix}").read_bytes()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted(["in.txt", output.name, f"unbroken{suffix}"])


def test_shards_are_not_computed_again(embed, source, kill, computed, tmp_path):
    (tmp_path / "in.txt").write_text("\n".join(LINES))
    interrupt(tmp_path, source, kill, 4)
    n_docs = progress_of(tmp_path)["n_docs"]
    assert computed == LINES[:n_docs]
    computed.clear()
    code, _ = embed()
    assert code == 0
    assert computed == LINES[n_docs:]


def test_leftovers_are_removed_and_other_files_are_not(embed, source, kill, tmp_path):
    (tmp_path / "in.txt").write_text("\n".join(LINES))
    interrupt(tmp_path, source, kill, 4)
    folder = tmp_path / "out.hdf5.partial"
    (folder / ".00000002.shard.1234.tmp").write_text("half a shard")
    (folder / "notes").write_text("mine")
    code, _ = embed()
    assert code == 0
    assert [path.name for path in folder.iterdir()] == ["notes"]


def test_an_input_that_was_changed_is_refused(embed, source, kill, tmp_path):
    (tmp_path / "in.txt").write_text("\n".join(LINES))
    interrupt(tmp_path, source, kill, 4)
    n_docs = progress_of(tmp_path)["n_docs"]
    inserted = ["New.", *LINES]
    shorter = LINES[: n_docs - 1]
    other = [*LINES[: n_docs - 1], "Other.", *LINES[n_docs:]]
    for lines in (inserted, shorter, other):
        code, message = embed(lines=lines)
        assert code == 1
        assert f"its first {n_docs} Docs are not those" in message
        assert not (tmp_path / "out.hdf5").exists()
    code, _ = embed(lines=LINES)
    assert code == 0


def test_what_comes_later_may_change(embed, source, kill, tmp_path):
    (tmp_path / "in.txt").write_text("\n".join(LINES))
    interrupt(tmp_path, source, kill, 4)
    n_docs = progress_of(tmp_path)["n_docs"]
    lines = [*LINES[:n_docs], "New and", "more.", *LINES[n_docs + 1 :]]
    code, _ = embed(lines=lines)
    assert code == 0
    embed(output="unbroken.hdf5")
    assert (tmp_path / "out.hdf5").read_bytes() == (tmp_path / "unbroken.hdf5").read_bytes()


def test_binary_docs_that_were_changed_are_refused(embed, source, kill, tmp_path):
    nlp = spacy.blank("en")
    docs = [nlp(line) for line in LINES]
    path = tmp_path / "in.spacy"
    DocBin(docs=docs).to_disk(path)
    same = path.read_bytes()
    interrupt(tmp_path, source, kill, 4, input=path.name)
    DocBin(docs=[*docs, nlp("New")]).to_disk(path)
    code, message = embed(input=path.name)
    assert code == 1
    assert "The input has changed" in message
    path.write_bytes(same)
    code, message = embed(input=path.name)
    assert code == 0
    assert "12 Docs with" in message


def test_other_settings_are_refused(embed, source, run, kill, tmp_path):
    (tmp_path / "in.txt").write_text("\n".join(LINES))
    interrupt(tmp_path, source, kill, 4)
    for options, name in [
        (["--layers", "mix"], "layers was 'all' and is 'mix'"),
        (["--dtype", "float16"], "dtype was 'float32' and is 'float16'"),
        (["--whole-doc"], "get_spans was"),
        (["--lang", "de"], "lang was 'en' and is 'de'"),
    ]:
        code, message = embed(*options)
        assert code == 1
        assert name in message
    other = save_tiny_bilm(tmp_path / "other", seed=1)
    arguments = [tmp_path / "in.txt", tmp_path / "out.hdf5", "--source", other]
    code, message = run("embed", *arguments)
    assert code == 1
    assert "weights was" in message

    for path in (tmp_path / "out.hdf5.partial").iterdir():
        path.unlink()
    code, message = run("embed", *arguments)
    assert code == 0
    assert "done already" not in message


def test_the_batch_size_may_change(embed, source, kill, tmp_path):
    (tmp_path / "in.txt").write_text("\n".join(LINES))
    interrupt(tmp_path, source, kill, 4)
    code, message = embed("--batch-size", "1")
    assert code == 0
    assert "done already" in message


@pytest.mark.parametrize("text", ["{", "[]", '{"n_shards": 1, "other": 2}'])
def test_a_damaged_state_is_an_error(embed, source, kill, tmp_path, text):
    (tmp_path / "in.txt").write_text("\n".join(LINES))
    interrupt(tmp_path, source, kill, 4)
    (tmp_path / "out.hdf5.partial" / "progress.json").write_text(text)
    code, message = embed()
    assert code == 1
    assert "is damaged" in message


def test_a_wrong_line_loses_nothing(embed, computed, tmp_path):
    lines = [json.dumps({"text": line}) for line in LINES]
    wrong = [*lines[:9], "{", *lines[10:]]
    code, message = embed(lines=wrong, input="in.jsonl")
    assert code == 1
    assert "line 10: not JSON" in message
    assert "Finished shards" in message
    n_docs = progress_of(tmp_path)["n_docs"]
    assert computed == LINES[:n_docs]
    assert n_docs > 3
    computed.clear()
    code, _ = embed(lines=lines, input="in.jsonl")
    assert code == 0
    assert computed == LINES[n_docs:]
    embed(output="unbroken.hdf5", lines=LINES)
    assert (tmp_path / "out.hdf5").read_bytes() == (tmp_path / "unbroken.hdf5").read_bytes()


def test_an_input_of_many_shards_is_never_in_memory(embed, monkeypatch):
    """Docs are made shard by shard, and spaCy forgets their words."""
    sizes = []
    embed_docs = Embedder.embed

    def spy(self, docs):
        sizes.append((len(docs), len(self.nlp.vocab.strings), len([*self.nlp.vocab])))
        return embed_docs(self, docs)

    monkeypatch.setattr(Embedder, "embed", spy)
    lines = [f"word{i} other{i}" for i in range(100)]
    code, _ = embed(lines=lines)
    assert code == 0
    assert len(sizes) > 5
    assert max(n_docs for n_docs, _, _ in sizes) < 20
    assert sizes[-1][1] <= sizes[0][1] + 20
    assert sizes[-1][2] <= sizes[0][2] + 20


def test_two_runs_with_the_same_output(embed, tmp_path):
    lock = FileLock(tmp_path / ".out.hdf5.lock")
    with lock:
        code, message = embed(lines=LINES)
        assert code == 1
        assert "Another run is writing" in message
        assert not (tmp_path / "out.hdf5").exists()
        assert embed(output="other.hdf5")[0] == 0
    assert embed()[0] == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["in.txt", "other.hdf5", "out.hdf5"]
