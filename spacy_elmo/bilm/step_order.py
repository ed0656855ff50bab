"""How sentences of different lengths share the time steps of an LSTM without padding."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class StepOrder(NamedTuple):
    """The tokens of several sentences in the order in which an LSTM's time steps read them, as in
    ``torch.nn.utils.rnn.PackedSequence``: all first tokens, then all second tokens, …, longer
    sentences first, so that the batch shrinks as sentences end.

    batch_sizes: Sentences that are still running at each time step.
    forward: (n_tokens,) int64: which token, counted through the sentences as they were given,
        is read where in this order.
    backward: The same for sentences that are read from their end.
    """

    batch_sizes: list[int]
    forward: Tensor
    backward: Tensor

    @classmethod
    def from_lengths(cls, lengths: Sequence[int], device: torch.device) -> "StepOrder":
        """lengths: Tokens of each sentence, each at least 1, in any order."""
        sizes = torch.tensor(lengths)
        sorted_sizes, order = sizes.sort(descending=True, stable=True)
        starts = (sizes.cumsum(0) - sizes)[order]
        steps = torch.arange(int(sorted_sizes[0])).unsqueeze(1)
        running = steps < sorted_sizes  # (n_steps, n_sentences)
        forward = (starts + steps)[running]
        backward = (starts + sorted_sizes - 1 - steps)[running]
        return cls(running.sum(dim=1).tolist(), forward.to(device), backward.to(device))
