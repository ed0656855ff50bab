"""Words through the token encoder, many at a time."""

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Union

import torch
from torch import Tensor

from .lexicon_encoder import LexiconEncoder
from .token_encoder import TokenEncoder

WORDS_PER_PRODUCT = 256  # words that pass the token encoder together

Encoder = Union[TokenEncoder, LexiconEncoder]


def encode(encoder: Encoder, words: Sequence[str], device: torch.device) -> Tensor:
    """words: At least one, by their length, so that short ones need little padding.
    RETURNS: (n_words, projection_dim)."""
    n_products = ceil(len(words) / WORDS_PER_PRODUCT)
    n_words = ceil(len(words) / n_products)  # each; a small rest would read all weights, too
    encoded = []
    for start in range(0, len(words), n_words):
        ids = encoder.words_to_ids(words[start : start + n_words])
        encoded.append(encoder(*(array.to(device) for array in ids)))
    return torch.cat(encoded)


def encode_distinct(
    encoder: Encoder, words: Iterable[str], device: torch.device
) -> tuple[Tensor, dict[str, int]]:
    """Encode each distinct word once.

    words: At least one; any words, also several times.
    RETURNS: (n_distinct, projection_dim), and each word's row of it.
    """
    # Not a set: its order would change from run to run, and sums with it.
    distinct = sorted(dict.fromkeys(words), key=len)
    rows = {word: row for row, word in enumerate(distinct)}
    return encode(encoder, distinct, device), rows
