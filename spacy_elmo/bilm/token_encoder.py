"""The token encoder of bilm-tf: the bytes of a word to a vector that knows nothing of its
sentence."""

from collections.abc import Sequence

from torch import Tensor, nn

from .char_cnn import CharCNN
from .characters import N_CHARACTERS, words_to_ids
from .config import CharCNNConfig


class TokenEncoder(CharCNN):
    """The network over a word's bytes, then a projection (Peters et al. 2018, section 3.4).

    config: Options of the token encoder.
    projection_dim: Width of the result. As in bilm-tf, there is no projection if the number of
        filters is this width already.
    """

    def __init__(self, config: CharCNNConfig, projection_dim: int) -> None:
        super().__init__(config, N_CHARACTERS, config.embedding.dim)
        self.max_characters = config.max_characters_per_token
        self.widest_filter = config.widest_filter
        self.projection: nn.Module = nn.Identity()
        if config.n_filters != projection_dim:
            self.projection = nn.Linear(config.n_filters, projection_dim)

    def words_to_ids(self, words: Sequence[str]) -> tuple[Tensor, ...]:
        """What ``forward`` takes: char_ids, on the CPU. words: At least one."""
        return (words_to_ids(words, self.max_characters, self.widest_filter),)

    def forward(self, char_ids: Tensor) -> Tensor:
        """char_ids: (n_words, n_characters), int64; result: (n_words, projection_dim)."""
        return self.projection(self.encode_characters(char_ids))
