import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spacy_elmo.bilm.characters import word_to_ids, words_to_ids

any_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)


@pytest.mark.parametrize(
    ("word", "ids"),
    [
        ("cat", [258, 99, 97, 116, 259]),
        ("é", [258, 0xC3, 0xA9, 259]),
        ("e\u0301", [258, 0x65, 0xCC, 0x81, 259]),
        ("€", [258, 0xE2, 0x82, 0xAC, 259]),
        ("🙂", [258, 0xF0, 0x9F, 0x99, 0x82, 259]),
        ("מה", [258, 0xD7, 0x9E, 0xD7, 0x94, 259]),
        ("", [258, 259]),
        ("\0", [258, 0, 259]),
        ("a\0b", [258, 97, 0, 98, 259]),
        ("\ud800", [258, 259]),
        ("a\udfffb", [258, 97, 98, 259]),
        ("<S>", [258, 256, 259]),
        ("</S>", [258, 257, 259]),
        ("<s>", [258, 60, 115, 62, 259]),
        ("<S> ", [258, 60, 83, 62, 32, 259]),
    ],
)
def test_ids_of_a_word(word, ids):
    assert word_to_ids(word, 50) == ids


@pytest.mark.parametrize("length", [48, 49, 10_000])
def test_at_most_48_bytes_of_50_characters(length):
    assert word_to_ids("x" * length, 50) == [258, *[120] * 48, 259]


def test_47_bytes_are_kept_whole():
    assert word_to_ids("x" * 47, 50) == [258, *[120] * 47, 259]


def test_a_cut_may_fall_inside_a_character():
    assert word_to_ids("a" + "é" * 24, 50) == [258, 97, *[0xC3, 0xA9] * 23, 0xC3, 259]


def test_the_cut_follows_the_models_length():
    assert word_to_ids("abcdef", 5) == [258, 97, 98, 99, 259]
    assert word_to_ids("abcdef", 3) == [258, 97, 259]
    assert word_to_ids("<S>", 3) == [258, 256, 259]


@given(any_text)
def test_a_word_is_its_bytes_between_two_ids(word):
    first, *characters, last = word_to_ids(word, 1000)
    without_surrogates = "".join(c for c in word if not "\ud800" <= c <= "\udfff")
    assert (first, last) == (258, 259)
    if word not in ("<S>", "</S>"):
        assert bytes(characters).decode("utf-8") == without_surrogates


def test_padding_is_260_and_as_long_as_the_widest_filter():
    ids = words_to_ids(["ab", ""], 50, 3)
    assert ids.dtype == torch.int64
    assert ids.tolist() == [
        [258, 97, 98, 259, 260, 260, 260],
        [258, 259, 260, 260, 260, 260, 260],
    ]


def test_padding_ends_at_the_models_length():
    assert words_to_ids(["abcdefg"], 10, 3).tolist() == [
        [258, *b"abcdefg", 259, 260],
    ]
    assert words_to_ids(["abcdefgh", "a"], 10, 3).shape == (2, 10)
    assert words_to_ids(["abcdefghi"], 10, 3).tolist() == [[258, *b"abcdefgh", 259]]


def test_a_short_word_is_still_as_long_as_the_widest_filter():
    assert words_to_ids([""], 50, 50).shape == (1, 50)
