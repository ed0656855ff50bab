"""Words to character ids: the UTF-8 bytes of a word between begin- and end-of-word ids.

Follows bilm-tf's ``UnicodeCharsVocabulary``. The ids index the 261 stored rows directly.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

N_CHARACTERS = 261  # 256 bytes and the five ids below
SENTENCE_BEGIN_ID = 256
SENTENCE_END_ID = 257
WORD_BEGIN_ID = 258
WORD_END_ID = 259
PAD_ID = 260

SENTENCE_BEGIN = "<S>"
SENTENCE_END = "</S>"
_BOUNDARIES = {SENTENCE_BEGIN: SENTENCE_BEGIN_ID, SENTENCE_END: SENTENCE_END_ID}


def word_to_ids(word: str, max_characters: int) -> list[int]:
    """Character ids of a word without padding.

    word: Any string. ``<S>`` and ``</S>`` are sentence boundaries, as in the reference. Lone
        surrogates, which UTF-8 cannot express, are left out.
    max_characters: Most ids to give, begin and end of word among them; further bytes are cut.
    RETURNS: Between 2 and ``max_characters`` ids.
    """
    if word in _BOUNDARIES:
        characters = [_BOUNDARIES[word]]
    else:
        characters = list(word.encode("utf-8", "ignore")[: max_characters - 2])
    return [WORD_BEGIN_ID, *characters, WORD_END_ID]


def words_to_ids(words: Sequence[str], max_characters: int, widest_filter: int) -> Tensor:
    """Character ids of words, padded to a common length as ``pad`` does it.

    words: At least one word.
    RETURNS: Tensor of shape (n_words, n_characters), int64.
    """
    ids = [word_to_ids(word, max_characters) for word in words]
    return pad(ids, PAD_ID, max_characters, widest_filter)


def pad(ids: Sequence[list[int]], pad_id: int, max_characters: int, widest_filter: int) -> Tensor:
    """Pad the character ids of words to a common length.

    The padding takes part in the max-pooling of the token encoder. A word is therefore followed
    by as much padding as the widest filter covers (or reaches ``max_characters``): all windows
    beyond that hold nothing but padding and repeat one that is there.

    ids: Ids of at least one word, of each at most ``max_characters``.
    pad_id: The id to pad with.
    max_characters: Length that the model was trained to pad to.
    widest_filter: Width of the model's widest convolution, in characters.
    RETURNS: Tensor of shape (n_words, n_characters), int64.
    """
    length = min(max(map(len, ids)) + widest_filter, max_characters)
    return torch.tensor([row + [pad_id] * (length - len(row)) for row in ids])
