import os

import numpy as np
import pytest
from helpers import save_tiny_bilm

from spacy_elmo.explore import Index, building, find_or_build_index, open_subject
from spacy_elmo.explore.building import first_sentences
from spacy_elmo.pretraining.corpus import Chunk

SENTENCES = [
    ["He", "sat", "on", "the", "bank", "of", "the", "river", "."],
    ["The", "bank", "lends", "money", "!"],
    ["She", "left", "the", "bank", "."],
    ["He", "sat", "on", "the", "bank", "of", "the", "river", "."],
    ["Bank", "on", "it", ":", "the", "river", "is", "wide", "."],
]


def embed_nothing(*arguments):
    raise AssertionError("the index is built anew")


def test_every_word_with_its_layers(subject, index, monkeypatch):
    places = [(i, j) for i, words in enumerate(SENTENCES) for j in range(len(words))]
    assert index.n_rows == len(places) == 37
    assert [index.place(row) for row in range(37)] == places
    assert index.occurrence(10) == (SENTENCES[1], 1)
    layers = np.concatenate(subject.bilm.embed(SENTENCES), axis=1)
    vectors = index.vectors(np.arange(37))
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, layers, rtol=1e-3, atol=1e-6)  # of float16
    for row in range(37):
        expected = vectors[:, row] @ vectors[:, row].T
        np.testing.assert_allclose(index.products[row], expected, rtol=1e-5, atol=1e-6)


def test_in_several_parts(subject, directory, texts, tmp_path, monkeypatch):
    monkeypatch.setattr(building, "SENTENCES_AT_A_TIME", 2)
    monkeypatch.setenv("SPACY_ELMO_CACHE", str(tmp_path / "other"))
    other = find_or_build_index(subject, texts)
    assert other != directory and other.name == directory.name
    one, parts = (Index.open(path, 3, 8) for path in (directory, other))
    np.testing.assert_allclose(
        parts.vectors(np.arange(37)), one.vectors(np.arange(37)), rtol=2e-3, atol=1e-6
    )


def test_rows_of_a_word_with_and_without_capitals(index):
    words = [word for sentence in SENTENCES for word in sentence]
    expected = [i for i, word in enumerate(words) if word in ("bank", "Bank")]
    assert index.rows_of("BANK").tolist() == expected
    assert index.rows_of("shore").tolist() == []
    assert index.count("bAnk") == len(expected) == 5 and index.count("shore") == 0


def test_built_once(subject, directory, texts, cache, monkeypatch):
    monkeypatch.setattr(building, "_embed", embed_nothing)
    assert find_or_build_index(subject, texts) == directory
    assert directory.parent == cache / "explore"
    assert [path for path in directory.parent.iterdir() if path.suffix == ".tmp"] == []


@pytest.mark.slow
def test_other_texts_weights_or_bounds_are_another_index(subject, directory, texts, tmp_path):
    (tmp_path / "more.txt").write_text("More.\n")
    other = open_subject(save_tiny_bilm(tmp_path / "other", seed=1))
    found = {
        directory,
        find_or_build_index(subject, [*texts, str(tmp_path / "more.txt")]),
        find_or_build_index(other, texts),
        find_or_build_index(subject, texts, 20),
    }
    assert len(found) == 4


def test_texts_that_were_changed(subject, directory, texts):
    with open(texts[0], "a") as file:
        file.write("More.\n")
    found = find_or_build_index(subject, texts)
    assert found != directory
    assert Index.open(found, 3, 8).n_rows == 39


@pytest.mark.parametrize("n_words", [9, 13, 14, 36, 37, 1000])
def test_at_most_so_many_words_in_whole_sentences(subject, texts, n_words):
    index = Index.open(find_or_build_index(subject, texts, n_words), 3, 8)
    ends = np.cumsum([len(words) for words in SENTENCES]).tolist()
    assert index.n_rows == max(end for end in ends if end <= n_words)


def test_first_sentences():
    chunk = Chunk(["a", "b"], np.array([0, 1, 1, 0, 0], "int32"), np.array([2, 1, 2]))
    for n_words, (tokens, lengths) in {
        0: ([], []),
        1: ([], []),
        2: ([0, 1], [2]),
        4: ([0, 1, 1], [2, 1]),
        5: ([0, 1, 1, 0, 0], [2, 1, 2]),
    }.items():
        part = first_sentences(chunk, n_words)
        assert part.tokens.tolist() == tokens and part.lengths.tolist() == lengths


def test_no_words(subject, tmp_path, cache):
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(ValueError, match="no words in .*empty.txt"):
        find_or_build_index(subject, [str(tmp_path / "empty.txt")])
    with pytest.raises(FileNotFoundError, match="none.txt"):
        find_or_build_index(subject, [str(tmp_path / "none.txt")])
    assert not [path for path in (cache / "explore").iterdir() if path.suffix != ".lock"]


def test_a_damaged_index_is_built_anew(subject, directory, texts):
    path = directory / "layer1.npy"
    whole = path.read_bytes()
    os.truncate(path, 200)
    with pytest.raises(ValueError, match="layer1.npy"):
        Index.open(directory, 3, 8)
    assert find_or_build_index(subject, texts) == directory
    assert path.read_bytes() == whole


def test_an_index_of_another_biLM(directory):
    with pytest.raises(ValueError, match=r"layer0.npy: has shape \(37, 8\), expected \(37, 16\)"):
        Index.open(directory, 3, 16)


def test_an_interrupted_build_leaves_nothing(subject, texts, cache, monkeypatch):
    monkeypatch.setattr(building, "_layers", embed_nothing)
    with pytest.raises(AssertionError):
        find_or_build_index(subject, texts)
    assert all(path.suffix == ".lock" for path in (cache / "explore").iterdir())
