import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_elmo.pretraining.corpus.token_store import Chunk, TokenStore, write_store

NAMES = ["counts.i64", "starts.i64", "store.json", "tokens.i32", "words.json"]


def chunk_of(sentences):
    ids = {}
    tokens = [ids.setdefault(word, len(ids)) for words in sentences for word in words]
    lengths = [len(words) for words in sentences]
    return Chunk(list(ids), np.array(tokens, "int32"), np.array(lengths, "int64"))


def write(directory, chunks, origin=None):
    with write_store(directory, origin) as writer:
        for sentences in chunks:
            writer.add(chunk_of(sentences))


@pytest.fixture
def store(tmp_path):
    """The directory of a store."""
    directory = tmp_path / "deep" / "store"
    write(directory, [[["a", "b", "a"], ["c"]], [], [["c", "d"]]], {"from": "here"})
    return directory


def test_what_is_stored(store):
    opened = TokenStore.open(store)
    assert opened.words == ["a", "b", "c", "d"]
    assert opened.counts.tolist() == [2, 1, 2, 1]
    assert opened.tokens.tolist() == [0, 1, 0, 2, 2, 3]
    assert opened.starts.tolist() == [0, 3, 4, 6]
    assert (opened.counts.dtype, opened.tokens.dtype, opened.starts.dtype) == ("i8", "i4", "i8")
    assert (opened.n_tokens, opened.n_sentences) == (6, 3)
    assert [opened.sentence(i) for i in range(3)] == [["a", "b", "a"], ["c"], ["c", "d"]]
    assert opened.origin == {"from": "here"}
    assert sorted(path.name for path in store.iterdir()) == NAMES


def test_tokens_stay_on_the_disk(store):
    opened = TokenStore.open(store)
    for array in (opened.tokens, opened.starts):
        assert isinstance(array.base, np.memmap)
        assert not array.flags.writeable


sentences = st.lists(st.lists(st.text(st.characters(codec="utf-8")), min_size=1))


@pytest.mark.slow
@given(chunks=st.lists(sentences))
def test_round_trip(tmp_path_factory, chunks):
    expected = [words for sentences in chunks for words in sentences]
    directory = tmp_path_factory.mktemp("store")
    write(directory, chunks or [[]])
    if not expected:
        return
    store = TokenStore.open(directory)
    assert [store.sentence(i) for i in range(store.n_sentences)] == expected
    flat = [word for words in expected for word in words]
    assert dict(zip(store.words, store.counts.tolist(), strict=True)) == {
        w: flat.count(w) for w in flat
    }


def test_tokens_that_someone_reads_stay_on_windows(store, monkeypatch):
    """It removes no file that is mapped."""
    unlink = Path.unlink

    def refuse(path, missing_ok=False):
        if path.name in ("tokens.i32", "starts.i64"):
            raise PermissionError(13, "used by another process", str(path))
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        with pytest.raises(
            PermissionError, match=r"another folder \(corpus\.tokens\).*tokens\.i32"
        ):
            write(store, [[["new"]]])
    assert TokenStore.open(store).words == ["a", "b", "c", "d"]


def test_a_new_store_replaces_the_old_one(store):
    old = TokenStore.open(store)
    write(store, [[["x"]]])
    assert TokenStore.open(store).words == ["x"]
    assert old.tokens.tolist() == [0, 1, 0, 2, 2, 3]  # a run that reads it can go on
    assert sorted(path.name for path in store.iterdir()) == NAMES


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_store_is_there_only_when_it_is_whole(store, error):
    (store / "mine.txt").write_text("something else")
    (store / ".tokens.i32.123.tmp").write_bytes(b"of a run that was killed")
    with pytest.raises(error), write_store(store, None) as writer:  # noqa: PT012
        writer.add(chunk_of([["a"]]))
        with pytest.raises(ValueError, match="not a whole store"):
            TokenStore.open(store)
        raise error
    assert [path.name for path in store.iterdir()] == ["mine.txt"]


def test_a_full_disk(tmp_path):
    """A limit of the size of files is as good."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    sentences = [[str(i) for i in range(10_000)]]
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"tokens\.i32"):
            write(tmp_path, [sentences, sentences, sentences])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file(store, name):
    (store / name).unlink()
    with pytest.raises(ValueError, match=rf"{store} is not a whole store of tokens: .*{name}"):
        TokenStore.open(store)


@pytest.mark.parametrize("name", ["counts.i64", "starts.i64", "tokens.i32"])
def test_a_file_of_the_wrong_size(store, name):
    path = store / name
    path.write_bytes(path.read_bytes() + b"1234")
    with pytest.raises(ValueError, match=rf"not a whole store of tokens: {name} has \d+ bytes"):
        TokenStore.open(store)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("store.json", "{", "Expecting"),
        ("store.json", "[]", "indices"),
        ("store.json", '{"version": 2}', "its version is 2, expected 1"),
        ("words.json", '["a"]', r"words\.json has 1 words, expected 4"),
    ],
)
def test_damaged_files(store, name, content, message):
    (store / name).write_text(content)
    with pytest.raises(ValueError, match=rf"not a whole store of tokens: .*{message}"):
        TokenStore.open(store)


def test_words_may_hold_anything(tmp_path):
    words = ["a\nb", '"', "\\", "\u2028", "é", "😀", ""]
    write(tmp_path, [[words]])
    assert TokenStore.open(tmp_path).sentence(0) == words
    assert json.loads((tmp_path / "words.json").read_bytes()) == words
