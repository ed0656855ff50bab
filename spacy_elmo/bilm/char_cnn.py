"""The convolutional network over the characters of words that all token encoders have."""

import torch
from torch import Tensor, nn

from .config import ConvolutionConfig


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


def embedding(n_entries: int, dim: int) -> nn.Embedding:
    """A table of embeddings that starts from bilm-tf's uniform distribution. (PyTorch's normal one
    makes it import its compiler, half a second, where weights are read.)"""
    weight = torch.empty(n_entries, dim).uniform_(-1, 1)
    return nn.Embedding.from_pretrained(weight, freeze=False)


class PooledConvolution(nn.Conv1d):
    """A convolution over characters and the largest value of each filter."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (n_words, embedding_dim, n_characters); result: (n_words, n_filters)."""
        # As pictures of one row whose channels lie side by side: so both operations and their
        # gradients go through several filters at once. (The gradient of amax would search all
        # values for the largest ones again.)
        pictures = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        y = nn.functional.conv2d(pictures, self.weight.unsqueeze(2), self.bias)
        return nn.functional.max_pool2d(y, (1, y.shape[3])).flatten(1)


class CharCNN(nn.Module):
    """Character embeddings, convolutions, max-pooling and highway layers (Peters et al. 2018,
    section 3.4; Kim et al. 2016). What a token encoder makes of them is its own.

    config: Options of the network.
    n_characters: Rows of the table of character embeddings.
    embedding_dim: Width of the table.
    """

    def __init__(self, config: ConvolutionConfig, n_characters: int, embedding_dim: int) -> None:
        super().__init__()
        self.char_embedding = embedding(n_characters, embedding_dim)
        self.convolutions = nn.ModuleList(
            PooledConvolution(embedding_dim, n_filters, width)
            for width, n_filters in config.filters
        )
        self.activation = torch.relu if config.activation == "relu" else torch.tanh
        self.highways = nn.Sequential(*(Highway(config.n_filters) for _ in range(config.n_highway)))

    def encode_characters(self, char_ids: Tensor) -> Tensor:
        """char_ids: (n_words, n_characters), int64; result: (n_words, n_filters)."""
        characters = self.char_embedding(char_ids).transpose(1, 2)
        # Both activations grow with their argument, so pooling first gives the same at less cost.
        pooled = [convolution(characters) for convolution in self.convolutions]
        return self.highways(self.activation(torch.cat(pooled, dim=1)))
