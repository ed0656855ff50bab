"""The softmax over all words, of which a block at a time is computed."""

from typing import Protocol

import torch
from torch import Tensor

from ...bilm.packed_weight import linear, pack_weight

# Logits of so many tokens and words exist at a time: 4 MB, which stay in the processor's cache.
BLOCK_TOKENS = 256
BLOCK_WORDS = 4096


class Softmax(Protocol):
    """weight: (n_words, projection_dim). bias: (n_words,)."""

    @property
    def weight(self) -> Tensor: ...
    @property
    def bias(self) -> Tensor: ...


class FullSoftmax:
    """The softmax over all words.

    softmax: Its weights.
    """

    def __init__(self, softmax: Softmax) -> None:
        self._weight, self._bias = softmax.weight.detach(), softmax.bias.detach()
        blocks = zip(self._weight.split(BLOCK_WORDS), self._bias.split(BLOCK_WORDS), strict=True)
        self._blocks = [(pack_weight(weight, "float32"), bias) for weight, bias in blocks]

    def loss(self, x: Tensor, targets: Tensor) -> float:
        """How badly tokens were predicted.

        x: (n_tokens, projection_dim). targets: (n_tokens,), rows of the softmax.
        RETURNS: The sum of the tokens' losses, in nats."""
        return self.losses(x, targets).double().sum().item()

    def losses(self, x: Tensor, targets: Tensor) -> Tensor:
        """How badly each token was predicted.

        x: (n_tokens, projection_dim). targets: (n_tokens,), rows of the softmax.
        RETURNS: (n_tokens,), in nats."""
        losses = []
        for rows, ids in zip(x.split(BLOCK_TOKENS), targets.split(BLOCK_TOKENS), strict=True):
            right = (rows * self._weight[ids]).sum(dim=1) + self._bias[ids]
            parts = [linear(rows, weight, bias).logsumexp(dim=1) for weight, bias in self._blocks]
            losses.append(torch.stack(parts).logsumexp(dim=0) - right)
        return torch.cat(losses)

    def log_probabilities(self, x: Tensor) -> Tensor:
        """What is predicted.

        x: (n_tokens, projection_dim).
        RETURNS: (n_tokens, n_words), natural logarithms."""
        parts = [linear(x, weight, bias) for weight, bias in self._blocks]
        return torch.cat(parts, dim=1).log_softmax(dim=1)
