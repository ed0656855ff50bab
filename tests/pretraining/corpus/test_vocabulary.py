from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_elmo.pretraining.corpus.vocabulary import Vocabulary

SYMBOLS = ("</S>", "<S>", "<UNK>")
COUNTS = {"a": 2, "the": 7, "b": 2, "rare": 1, "Z": 2}


def test_words_are_ordered_by_falling_frequency():
    assert Vocabulary.from_counts(COUNTS).words == (*SYMBOLS, "the", "Z", "a", "b", "rare")


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"min_count": 2}, ("the", "Z", "a", "b")),
        ({"min_count": 7}, ("the",)),
        ({"max_size": 5}, ("the", "Z")),
        ({"max_size": 100}, ("the", "Z", "a", "b", "rare")),
        ({"min_count": 2, "max_size": 4}, ("the",)),
    ],
)
def test_limits(limits, words):
    assert Vocabulary.from_counts(COUNTS, **limits).words == (*SYMBOLS, *words)


def test_symbols_in_the_text_are_the_symbols():
    vocabulary = Vocabulary.from_counts({"<S>": 9, "a": 3, "<UNK>": 5})
    assert vocabulary.words == (*SYMBOLS, "a")


def test_words_that_fit_on_no_line_are_left_out():
    words = {"a\nb": 5, "\r": 5, "": 5, "Hà Nội": 4, "a\u2028b": 3}
    assert Vocabulary.from_counts(words).words == (*SYMBOLS, "Hà Nội", "a\u2028b")


def test_a_vocabulary_without_words_is_an_error():
    with pytest.raises(ValueError, match="None of 5 words occurs at least 8 times"):
        Vocabulary.from_counts(COUNTS, min_count=8)
    with pytest.raises(ValueError, match="max_size = 3 leaves no room"):
        Vocabulary.from_counts(COUNTS, max_size=3)


def test_ids():
    vocabulary = Vocabulary(["<S>", "a", "<UNK>", "b", "</S>"])
    assert (vocabulary.begin_id, vocabulary.end_id, vocabulary.unknown_id) == (0, 4, 2)
    ids = vocabulary.ids(["b", "c", "a", "<S>"])
    assert ids.tolist() == [3, 2, 1, 0]
    assert ids.dtype == np.int64
    assert vocabulary.ids([]).shape == (0,)
    assert len(vocabulary) == 5
    assert "b" in vocabulary
    assert "c" not in vocabulary


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["</S>", "<S>", "a"], "lacks '<UNK>'"),
        (["a"], "lacks '</S>'"),
        ([*SYMBOLS, "a", "b", "a"], "'a' comes twice"),
        ([*SYMBOLS, "<S>"], "'<S>' comes twice"),
        ([*SYMBOLS, "a\nb"], "doesn't fit on a line"),
        ([*SYMBOLS, ""], "'' of the vocabulary doesn't fit"),
    ],
)
def test_what_is_no_vocabulary(tmp_path, words, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary(words)


def test_the_form_of_bilm_tf(tmp_path):
    """One word a line, as its ``Vocabulary`` reads it with ``for line in f: line.strip()``."""
    path = tmp_path / "new" / "vocab.txt"
    vocabulary = Vocabulary.from_counts({"Zürich": 2, "a": 1})
    vocabulary.write(path)
    assert path.read_bytes() == "</S>\n<S>\n<UNK>\nZürich\na\n".encode()
    with path.open(encoding="utf-8") as file:
        assert tuple(line.strip() for line in file) == vocabulary.words


@pytest.mark.parametrize(
    "content",
    [
        b"</S>\n<S>\n<UNK>\nthe\n",
        b"</S>\n<S>\n<UNK>\nthe",
        b"</S>\r\n<S>\r\n<UNK>\r\nthe\r\n",
        b"\xef\xbb\xbf</S>\n<S>\n<UNK>\nthe\n",
        b"</S>\n<S>\n<UNK>\nthe\n!!!MAXTERMID\n",  # which bilm-tf skips
    ],
)
def test_vocabularies_of_others(tmp_path, content):
    path = tmp_path / "vocab.txt"
    path.write_bytes(content)
    assert Vocabulary.read(path).words == (*SYMBOLS, "the")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "lacks '</S>'"),
        (b"</S>\n<S>\n<UNK>\n\nthe\n", "'' of the vocabulary doesn't fit"),
        (b"</S>\n<S>\n<UNK>\n\xff\n", "not UTF-8"),
        (b"</S>\n<S>\n<UNK>\na\na\n", "'a' comes twice"),
    ],
)
def test_a_file_that_is_no_vocabulary_is_named(tmp_path, content, message):
    path = tmp_path / "vocab.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"vocab\.txt: .*{message}"):
        Vocabulary.read(path)


words = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1)


@given(counts=st.dictionaries(words, st.integers(1, 5), min_size=1))
def test_round_trip(tmp_path_factory, counts):
    counts = Counter({word: n for word, n in counts.items() if word not in SYMBOLS})
    if not counts:
        return
    vocabulary = Vocabulary.from_counts(counts)
    assert set(vocabulary.words) == {*SYMBOLS, *counts}
    frequencies = [counts[word] for word in vocabulary.words[3:]]
    assert frequencies == sorted(frequencies, reverse=True)
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    vocabulary.write(path)
    if "!!!MAXTERMID" not in counts:
        assert Vocabulary.read(path) == vocabulary
