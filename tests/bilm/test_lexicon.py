import pytest
import torch

from spacy_elmo.bilm.lexicon import (
    word_to_character_ids,
    words_to_character_ids,
    words_to_word_ids,
)

# As the published code's training writes them: characters as they occur, then the special ones.
CHARACTERS = {
    **{"a": 0, "<": 1, "b": 2, "银": 3, "e": 4, "\u0301": 5, "é": 6, "👩": 7, "\u200d": 8, "ب": 9},
    **{"<bos>": 10, "<eos>": 11, "<oov>": 12, "<pad>": 13, "<bow>": 14, "<eow>": 15},
}
# Begin and end of word have each other's id, as in the published code.
BEGIN, END, OOV, PAD = 15, 14, 12, 13


@pytest.mark.parametrize(
    ("word", "ids"),
    [
        ("ab", [0, 2]),
        ("银", [3]),
        ("e\u0301", [4, 5]),
        ("é", [6]),
        ("👩\u200d👩", [7, 8, 7]),
        ("باب", [9, OOV, 9]),
        ("", []),
        ("A", [OOV]),
        ("\ud800a", [OOV, 0]),
        ("\0", [OOV]),
        ("<bos>", [10]),
        ("<eos>", [11]),
        ("<oov>", [1, OOV, OOV, OOV, OOV]),
        ("<pad>", [1, OOV, 0, OOV, OOV]),
        ("<S>", [1, OOV, OOV]),
        ("<bos>a", [1, 2, OOV, OOV, OOV, 0]),
    ],
)
def test_character_ids_of_a_word(word, ids):
    assert word_to_character_ids(word, CHARACTERS, 50) == [BEGIN, *ids, END]


def test_a_word_is_cut_to_48_code_points_of_50():
    for length in (48, 49, 10_000):
        assert word_to_character_ids("银" * length, CHARACTERS, 50) == [BEGIN, *[3] * 48, END]
    assert word_to_character_ids("银" * 47, CHARACTERS, 50) == [BEGIN, *[3] * 47, END]


def test_a_word_is_cut_before_it_may_be_a_boundary():
    assert word_to_character_ids("<bos>a", CHARACTERS, 7) == [BEGIN, 10, END]
    assert word_to_character_ids("<bos>", CHARACTERS, 7) == [BEGIN, 10, END]


def test_padding_is_as_long_as_the_widest_filter():
    ids = words_to_character_ids(["ab", ""], CHARACTERS, 50, 3)
    assert ids.dtype == torch.int64
    assert ids.tolist() == [[BEGIN, 0, 2, END, PAD, PAD, PAD], [BEGIN, END, *[PAD] * 5]]


def test_padding_ends_at_the_models_length():
    assert words_to_character_ids(["aaa"], CHARACTERS, 7, 5).tolist() == [
        [BEGIN, 0, 0, 0, END, PAD, PAD]
    ]
    assert words_to_character_ids(["a" * 9], CHARACTERS, 7, 5).tolist() == [
        [BEGIN, *[0] * 5, END],
    ]


def test_ids_of_whole_words():
    lexicon = {"<oov>": 0, "<bos>": 1, "<eos>": 2, "<pad>": 3, "bank": 4, "Bank": 5, "abcde": 6}
    words = ["bank", "Bank", "BANK", "<bos>", "<pad>", "", "abcdefgh"]
    ids = words_to_word_ids(words, lexicon, 50)
    assert ids.dtype == torch.int64
    assert ids.tolist() == [4, 5, 0, 1, 3, 0, 0]
    # Cut before it is looked up.
    assert words_to_word_ids(["abcdefgh"], lexicon, 7).tolist() == [6]


def test_without_boundaries_in_the_lexicon_they_are_unknown_words():
    assert words_to_word_ids(["<bos>"], {"<oov>": 7}, 50).tolist() == [7]
