"""The projected LSTM of one layer and one direction."""

import math
from collections.abc import Iterator
from typing import NamedTuple, Optional

import torch
from torch import Tensor, nn
from torch.nn import functional

FORGET_BIAS = 1.0  # TensorFlow's LSTMCell adds it; the stored bias is without it
BLOCK_ROWS = 4096  # rows of the input's gate product that exist at a time


class LSTMState(NamedTuple):
    """hidden: (n_sentences, projection_dim); cell: (n_sentences, dim)."""

    hidden: Tensor
    cell: Tensor


class ProjectedLSTM(nn.Module):
    """An LSTM whose output is projected to a smaller width (Sak et al. 2014), with optional
    limits on cell and projection (TensorFlow's ``LSTMCell`` with ``num_proj``).

    Parameters are laid out as those of ``torch.nn.LSTM(proj_size=…)``: gates in the order
    input, forget, cell, output.

    input_size: Width of a token's input.
    hidden_size: Number of cells.
    proj_size: Width of the output.
    cell_clip, proj_clip: Largest absolute value of cell state and output; None for no limit.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        proj_size: int,
        cell_clip: Optional[float] = None,
        proj_clip: Optional[float] = None,
    ) -> None:
        super().__init__()
        self.hidden_size, self.proj_size = hidden_size, proj_size
        self.cell_clip, self.proj_clip = cell_clip, proj_clip
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden_size, proj_size))
        self.weight_hr = nn.Parameter(torch.empty(proj_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(4 * hidden_size))
        bound = 1 / math.sqrt(hidden_size)  # torch.nn.LSTM's initialization
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(
        self, inputs: Tensor, batch_sizes: list[int], state: Optional[LSTMState] = None
    ) -> tuple[Tensor, LSTMState]:
        """Run over a packed batch.

        inputs: (n_tokens, input_size), packed.
        batch_sizes: Sentences that are running at each time step, never growing.
        state: Where each sentence starts; zeros if None.
        RETURNS: The outputs, (n_tokens, proj_size), packed, and the state of each sentence
            after its last token.
        """
        if state is None:
            state = LSTMState(
                inputs.new_zeros(batch_sizes[0], self.proj_size),
                inputs.new_zeros(batch_sizes[0], self.hidden_size),
            )
        hidden, cell = state
        bias = self.bias + self._forget_bias()
        weight_hh, weight_hr = self.weight_hh.t(), self.weight_hr.t()
        outputs: list[Tensor] = []
        ended: list[LSTMState] = []
        start = 0
        for sizes in _blocks(batch_sizes):
            # The input's half of the gates does not depend on time: one product for many steps.
            block = functional.linear(inputs[start : start + sum(sizes)], self.weight_ih, bias)
            start += sum(sizes)
            for step_input, size in zip(block.split(sizes), sizes):
                if size < len(cell):
                    ended.append(LSTMState(hidden[size:], cell[size:]))
                    hidden, cell = hidden[:size], cell[:size]
                gates = torch.addmm(step_input, hidden, weight_hh)
                input_, forget, candidate, output = gates.chunk(4, dim=1)
                cell = torch.sigmoid(forget) * cell + torch.sigmoid(input_) * torch.tanh(candidate)
                if self.cell_clip is not None:
                    cell = cell.clamp(-self.cell_clip, self.cell_clip)
                hidden = (torch.sigmoid(output) * torch.tanh(cell)) @ weight_hr
                if self.proj_clip is not None:
                    hidden = hidden.clamp(-self.proj_clip, self.proj_clip)
                outputs.append(hidden)
        ended.append(LSTMState(hidden, cell))
        # Longer sentences stand first and end last.
        final = LSTMState(*(torch.cat(states) for states in zip(*reversed(ended))))
        return torch.cat(outputs), final

    def _forget_bias(self) -> Tensor:
        forget_bias = self.bias.new_zeros(4, self.hidden_size)
        forget_bias[1] = FORGET_BIAS
        return forget_bias.flatten()


def _blocks(batch_sizes: list[int]) -> Iterator[list[int]]:
    """Cut the time steps into runs of about ``BLOCK_ROWS`` rows, which bounds memory."""
    block: list[int] = []
    rows = 0
    for size in batch_sizes:
        if block and rows + size > BLOCK_ROWS:
            yield block
            block, rows = [], 0
        block.append(size)
        rows += size
    yield block
