"""Words to ids by a lexicon of Unicode characters and one of words, as in ELMoForManyLangs.

A character is a code point: what a reader sees as one may be several. Follows ``create_one_batch``
and ``read_list`` of the published code.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .characters import pad

OOV = "<oov>"
PAD = "<pad>"
SENTENCE_BEGIN = "<bos>"
SENTENCE_END = "<eos>"
# The published code gives each the other's id. Models were trained that way, so it stays.
WORD_BEGIN = "<eow>"
WORD_END = "<bow>"
SPECIAL_CHARACTERS = (OOV, PAD, SENTENCE_BEGIN, SENTENCE_END, WORD_BEGIN, WORD_END)

Ids = Mapping[str, int]


def cut(word: str, max_characters: int) -> str:
    """What remains of a word whose begin and end are to fit into ``max_characters`` as well. It
    is this that is looked up, among characters and among words."""
    return word[: max_characters - 2]


def word_to_character_ids(word: str, characters: Ids, max_characters: int) -> list[int]:
    """Character ids of a word without padding.

    word: Any string. ``<bos>`` and ``<eos>`` are sentence boundaries, as in the reference.
    characters: The ids of characters; must hold ``SPECIAL_CHARACTERS``.
    max_characters: Most ids to give, begin and end of word among them; the rest is cut.
    RETURNS: Between 2 and ``max_characters`` ids.
    """
    word = cut(word, max_characters)
    parts = [word] if word in (SENTENCE_BEGIN, SENTENCE_END) else word
    oov = characters[OOV]
    ids = [characters.get(part, oov) for part in parts]
    return [characters[WORD_BEGIN], *ids, characters[WORD_END]]


def words_to_character_ids(
    words: Sequence[str], characters: Ids, max_characters: int, widest_filter: int
) -> Tensor:
    """Character ids of words, padded to a common length as ``characters.pad`` does it.

    words: At least one word.
    RETURNS: Tensor of shape (n_words, n_characters), int64.
    """
    ids = [word_to_character_ids(word, characters, max_characters) for word in words]
    return pad(ids, characters[PAD], max_characters, widest_filter)


def words_to_word_ids(words: Sequence[str], lexicon: Ids, max_characters: int) -> Tensor:
    """The id of each whole word.

    lexicon: The ids of words; must hold ``<oov>``.
    max_characters: Where words are cut before they are looked up.
    RETURNS: Tensor of shape (n_words,), int64.
    """
    oov = lexicon[OOV]
    return torch.tensor([lexicon.get(cut(word, max_characters), oov) for word in words])
