"""The token encoder: characters of a word to a vector that knows nothing of its sentence."""

import torch
from torch import Tensor, nn

from .characters import N_CHARACTERS
from .config import CharCNNConfig


class Highway(nn.Module):
    """One highway layer (Srivastava et al. 2015), with bilm-tf's naming of the two maps:
    ``y = c * relu(transform(x)) + (1 - c) * x``, where ``c = sigmoid(carry(x))``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.transform = nn.Linear(width, width)
        self.carry = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """x, result: (n_words, width)."""
        carry = torch.sigmoid(self.carry(x))
        return torch.lerp(x, torch.relu(self.transform(x)), carry)


class TokenEncoder(nn.Module):
    """Character embeddings, convolutions, max-pooling, highway layers and a projection
    (Peters et al. 2018, section 3.4; Kim et al. 2016).

    config: Options of the token encoder.
    projection_dim: Width of the result. As in bilm-tf, there is no projection if the number of
        filters is this width already.
    """

    def __init__(self, config: CharCNNConfig, projection_dim: int) -> None:
        super().__init__()
        self.char_embedding = nn.Embedding(N_CHARACTERS, config.embedding.dim)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.embedding.dim, n_filters, width) for width, n_filters in config.filters
        )
        self.activation = torch.relu if config.activation == "relu" else torch.tanh
        self.highways = nn.Sequential(*(Highway(config.n_filters) for _ in range(config.n_highway)))
        self.projection: nn.Module = nn.Identity()
        if config.n_filters != projection_dim:
            self.projection = nn.Linear(config.n_filters, projection_dim)

    def forward(self, char_ids: Tensor) -> Tensor:
        """char_ids: (n_words, n_characters), int64; result: (n_words, projection_dim)."""
        characters = self.char_embedding(char_ids).transpose(1, 2)
        # Both activations grow with their argument, so pooling first gives the same at less cost.
        pooled = [convolution(characters).amax(dim=2) for convolution in self.convolutions]
        return self.projection(self.highways(self.activation(torch.cat(pooled, dim=1))))
