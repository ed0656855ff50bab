"""Learning from a teacher's vectors beside the next word."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Distillation(nn.Module):
    """Tells a teacher's vectors from the biLM's layers, of both directions together, by one linear
    map. It isn't a part of the biLM: what the map can read, the layers hold.

    width: Of the biLM's layers side by side.
    n_targets: Width of the teacher's vectors.
    weight: Of the loss, beside that of the next word.
    """

    def __init__(self, width: int, n_targets: int, weight: float) -> None:
        super().__init__()
        self.map = nn.Linear(width, n_targets)
        self.weight = weight

    def forward(self, layers: Sequence[Tensor], targets: Tensor) -> Tensor:
        """The mean squared distance to the targets: of those whose deviation is 1, the share of
        variance that isn't told.

        layers: (n_words, width of one layer and direction) each, in a fixed order.
        targets: (n_words, n_targets).
        """
        return nn.functional.mse_loss(self.map(torch.cat(list(layers), dim=1)).float(), targets)
