import copy
import multiprocessing
import os
import pickle
import sqlite3
import time
import warnings

import numpy as np
import pytest

from spacy_elmo.layers.layer_cache import LayerCache

N_LAYERS, WIDTH = 3, 64
SENTENCES = [["w", str(i)] for i in range(300)]  # 1.5 KB each in float32

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks, to be fast")
FORK = multiprocessing.get_context("fork") if hasattr(os, "fork") else None


def cache_at(path, dtype="float32"):
    return LayerCache(path, N_LAYERS, WIDTH, dtype)


def layers_of(sentences):
    """Layers that are told apart by their sentence."""
    for words in sentences:
        rng = np.random.default_rng(list("".join(words).encode()))
        yield rng.normal(size=(N_LAYERS, len(words), WIDTH)).astype("f")


def check_batches(cache, sentences=SENTENCES):
    """That all sentences come out right, whether they can be kept or not."""
    for i in range(0, len(sentences), 3):
        check(cache.embed(sentences[i : i + 3], layers_of, use_disk=True), sentences[i : i + 3])


def never(sentences):
    raise AssertionError(f"computed: {sentences}")


def check(found, sentences):
    for array, expected in zip(found, layers_of(sentences), strict=True):
        assert (array == expected).all()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "layers.sqlite"


@pytest.fixture
def no_memory(monkeypatch):
    monkeypatch.setenv("SPACY_ELMO_CACHE_MEMORY", "0")


def test_each_sentence_is_computed_once(path):
    cache = cache_at(path)
    asked = []

    def compute(sentences):
        asked.extend(sentences)
        return layers_of(sentences)

    batch = [["a", "b"], ["c"], [], ["a", "b"]]
    check(cache.embed(batch, compute, use_disk=True), batch)
    check(cache.embed([["c"], ["d"]], compute, use_disk=True), [["c"], ["d"]])
    assert asked == [["a", "b"], ["c"], [], ["d"]]
    assert not path.exists()


def test_words_that_join_to_the_same_text_are_other_sentences(path):
    batch = [["ab"], ["a", "b"], ["a", "", "b"], ["a b"], ["a\0b"], ["a", "b", ""], [""], []]
    sizes = [array.shape[1] for array in cache_at(path).embed(batch, layers_of, use_disk=True)]
    assert sizes == [1, 2, 3, 1, 1, 3, 1, 0]


def test_what_is_kept_is_safe_from_changes(path):
    cache = cache_at(path)
    given = np.ones((N_LAYERS, 1, WIDTH), "f")
    cache.embed([["a"]], lambda sentences: [given], use_disk=True)
    given.fill(7)
    [kept] = cache.embed([["a"]], never, use_disk=True)
    assert (kept == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        kept.fill(7)


@pytest.mark.parametrize("memory", ["0", "100"])
def test_half_precision(path, monkeypatch, memory):
    monkeypatch.setenv("SPACY_ELMO_CACHE_MEMORY", memory)
    cache = cache_at(path, "float16")
    [exact] = layers_of([["a"]])
    for compute in (layers_of, never):
        [array] = cache.embed([["a"]], compute, use_disk=True)
        assert array.dtype == "float32" and (array == exact.astype("float16")).all()


def test_beyond_the_budget_of_memory_comes_the_file(path, monkeypatch):
    monkeypatch.setenv("SPACY_ELMO_CACHE_MEMORY", "1")
    many = [["w", str(i)] for i in range(1000)]  # 1.5 MB
    cache = cache_at(path)
    cache.embed(many, layers_of, use_disk=True)
    check(cache.embed(many, never, use_disk=True), many)
    assert 0.4e6 < path.stat().st_size < 0.8e6
    # Another cache finds there what the file has, and only that.
    asked = []
    cache_at(path).embed(many, lambda s: (asked.extend(s), layers_of(s))[1], use_disk=True)
    assert 650 < len(asked) < 750


def test_without_the_disk_what_does_not_fit_is_computed_again(path, no_memory):
    cache = cache_at(path)
    for _ in range(2):
        check(cache.embed(SENTENCES, layers_of, use_disk=False), SENTENCES)
    assert not path.exists()


def write(path, first, done):
    """For a process of its own: fills the file, batch after batch."""
    warnings.simplefilter("error")
    cache = cache_at(path)
    for i in range(first, len(SENTENCES), 3):
        cache.embed(SENTENCES[i : i + 3], layers_of, use_disk=True)
        done.send(i)


def start_writer(path, first):
    done, sender = FORK.Pipe(duplex=False)
    writer = FORK.Process(target=write, args=(path, first, sender))
    writer.start()
    return writer, done


@needs_fork
def test_processes_share_a_file(path, no_memory):
    for writer, _ in [start_writer(path, first) for first in (0, 2)]:
        writer.join()
        assert writer.exitcode == 0
    check(cache_at(path).embed(SENTENCES, never, use_disk=True), SENTENCES)


@needs_fork
def test_a_killed_process_leaves_nothing_wrong(path, no_memory):
    warnings.simplefilter("error")
    for n_batches in (1, 20, 60):
        writer, done = start_writer(path, 0)
        for _ in range(n_batches):
            done.recv()
        writer.kill()
        writer.join()
        written = SENTENCES[: 3 * n_batches]
        check(cache_at(path).embed(written, never, use_disk=True), written)
        check(cache_at(path).embed(SENTENCES, layers_of, use_disk=False), SENTENCES)


def test_a_damaged_row_is_computed_again(path, no_memory):
    cache_at(path).embed(SENTENCES[:3], layers_of, use_disk=True)
    with sqlite3.connect(path) as database:
        [(data,)] = database.execute("SELECT data FROM layers LIMIT 1")
        database.execute(
            "UPDATE layers SET data = ? WHERE data = ?",
            (data[:100] + bytes([data[100] ^ 1]) + data[101:], data),
        )
    database.close()
    asked = []
    compute = lambda s: (asked.extend(s), layers_of(s))[1]  # noqa: E731
    check(cache_at(path).embed(SENTENCES[:3], compute, use_disk=True), SENTENCES[:3])
    assert len(asked) == 1


def test_a_damaged_file_is_left_alone_with_one_warning(path, no_memory):
    path.parent.mkdir()
    path.write_bytes(b"no database " * 1000)
    cache = cache_at(path)
    with pytest.warns(UserWarning, match=r"layers\.sqlite: file is not a database") as record:
        check_batches(cache)
    assert len(record) == 1


def test_a_file_that_cannot_be_written_is_one_warning(path, no_memory):
    path.parent.write_text("not a folder")
    cache = cache_at(path)
    with pytest.warns(UserWarning, match="computed in every epoch") as record:
        check_batches(cache)
    assert len(record) == 1


def folder_size(path):
    return sum(file.stat().st_size for file in path.parent.iterdir())


def test_a_file_that_fills_the_folder_is_one_warning(path, no_memory, monkeypatch):
    """A full disk gives the same error as a full file."""
    monkeypatch.setenv("SPACY_ELMO_CACHE_DISK", "1")
    long = [words * 20 for words in SENTENCES]  # 30 KB each
    cache = cache_at(path)
    with pytest.warns(UserWarning, match=r"full.*1 MB \(SPACY_ELMO_CACHE_DISK\)") as record:
        check_batches(cache, long)
    assert len(record) == 1
    assert 900_000 < path.stat().st_size <= folder_size(path) <= 1 << 20
    check(cache.embed(long[:18], never, use_disk=True), long[:18])


def other_files(path, n_bytes, ages):
    """Files of other biLMs, last used so many seconds ago."""
    path.parent.mkdir()
    files = []
    for age in ages:
        files.append(path.parent / f"{age}.sqlite")
        files[-1].write_bytes(bytes(n_bytes))
        os.utime(files[-1], (time.time() - age,) * 2)
    return files


def test_other_bilms_files_make_room_those_used_least_recently_first(path, no_memory, monkeypatch):
    monkeypatch.setenv("SPACY_ELMO_CACHE_DISK", "1")
    middle, oldest, newest = other_files(path, 240_000, (200, 300, 100))
    oldest.with_name(f"{oldest.name}-journal").write_bytes(b"of a run that was killed")
    kept = (path.parent / "notes.txt", path.parent.parent / "fetched.sqlite")
    for file in kept:
        file.write_bytes(bytes(300_000))
    cache = cache_at(path)
    warnings.simplefilter("error")
    there = []
    for i in range(0, len(SENTENCES), 3):
        check(cache.embed(SENTENCES[i : i + 3], layers_of, use_disk=True), SENTENCES[i : i + 3])
        there.append([file.exists() for file in (oldest, middle, newest)])
        assert sum(file.stat().st_size for file in path.parent.glob("*.sqlite")) <= 1 << 20
    assert there[0] == [True, True, True] and there[-1] == [False, True, True]
    assert not oldest.with_name(f"{oldest.name}-journal").exists()
    assert all(file.exists() for file in kept)
    check(cache_at(path).embed(SENTENCES, never, use_disk=True), SENTENCES)


def test_reading_a_file_is_using_it(tmp_path, no_memory, monkeypatch):
    monkeypatch.setenv("SPACY_ELMO_CACHE_DISK", "1")
    first, second, third = (tmp_path / f"{name}.sqlite" for name in "abc")
    for file, seconds in ((first, 200), (second, 100)):
        cache_at(file).embed(SENTENCES[:250], layers_of, use_disk=True)
        os.utime(file, (time.time() - seconds,) * 2)
    cache_at(first).embed(SENTENCES[:1], never, use_disk=True)
    cache_at(third).embed(SENTENCES[:250], layers_of, use_disk=True)
    assert first.exists() and third.exists() and not second.exists()


def test_a_file_that_is_deleted_while_it_is_used_is_begun_again(path, no_memory):
    warnings.simplefilter("error")
    cache = cache_at(path)
    for _ in range(2):
        check(cache.embed(SENTENCES[:9], layers_of, use_disk=True), SENTENCES[:9])
        check(cache.embed(SENTENCES[:9], never, use_disk=True), SENTENCES[:9])
        path.unlink()


def test_a_budget_that_is_no_number_is_an_error(path, monkeypatch):
    monkeypatch.setenv("SPACY_ELMO_CACHE_MEMORY", "2 GB")
    with pytest.raises(ValueError, match="SPACY_ELMO_CACHE_MEMORY is '2 GB'"):
        cache_at(path)


def test_copies_and_pickles_leave_it_behind(path):
    cache = cache_at(path)
    assert copy.deepcopy(cache) is None and pickle.loads(pickle.dumps(cache)) is None
