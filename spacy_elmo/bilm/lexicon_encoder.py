"""The token encoder of ELMoForManyLangs: Unicode characters of a word, and the word itself, to a
vector that knows nothing of its sentence."""

from collections.abc import Sequence
from typing import Optional

import torch
from torch import Tensor, nn

from .char_cnn import CharCNN, embedding
from .config import LexiconCNNConfig
from .lexicon import words_to_character_ids, words_to_word_ids


class LexiconEncoder(CharCNN):
    """The network over a word's characters, with the word's own embedding before its result if
    there is a lexicon of words, then a projection (the published ``ConvTokenEmbedder``).

    config: Options of the token encoder.
    projection_dim: Width of the result.
    """

    def __init__(self, config: LexiconCNNConfig, projection_dim: int) -> None:
        super().__init__(config, len(config.characters.entries), config.characters.dim)
        self.max_characters = config.max_characters_per_token
        self.widest_filter = config.widest_filter
        self.characters = _ids(config.characters.entries)
        self.words: Optional[dict[str, int]] = None
        width = config.n_filters
        if config.words is not None:
            self.words = _ids(config.words.entries)
            self.word_embedding = embedding(len(self.words), config.words.dim)
            width += config.words.dim
        self.projection = nn.Linear(width, projection_dim)

    def words_to_ids(self, words: Sequence[str]) -> tuple[Tensor, ...]:
        """What ``forward`` takes: char_ids, and word_ids if there is a lexicon of words, on the
        CPU. words: At least one."""
        char_ids = words_to_character_ids(
            words, self.characters, self.max_characters, self.widest_filter
        )
        if self.words is None:
            return (char_ids,)
        return char_ids, words_to_word_ids(words, self.words, self.max_characters)

    def forward(self, char_ids: Tensor, word_ids: Optional[Tensor] = None) -> Tensor:
        """char_ids: (n_words, n_characters), int64; word_ids: (n_words,), int64, if there is a
        lexicon of words; result: (n_words, projection_dim)."""
        encoded = self.encode_characters(char_ids)
        if word_ids is not None:
            encoded = torch.cat([self.word_embedding(word_ids), encoded], dim=1)
        return self.projection(encoded)


def _ids(entries: Sequence[str]) -> dict[str, int]:
    return {entry: row for row, entry in enumerate(entries)}
