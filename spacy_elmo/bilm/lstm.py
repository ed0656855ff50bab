"""The projected LSTM of one layer and one direction."""

import math
from typing import List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn

from .scripting import scripted

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
        self, inputs: Tensor, batch_sizes: List[int], state: Optional[LSTMState] = None
    ) -> Tuple[Tensor, LSTMState]:
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
        bias = self.bias + self._forget_bias()
        if inputs.is_cuda and self.runs_in_cudnn:
            return self._run_library(inputs, batch_sizes, state, bias)
        outputs, hidden, cell = _run_steps(
            inputs, step_blocks(batch_sizes, BLOCK_ROWS), state.hidden, state.cell,
            self.weight_ih, self.weight_hh, self.weight_hr, bias,
            self.cell_clip, self.proj_clip,
        )  # fmt: skip
        return outputs, LSTMState(hidden, cell)

    @property
    def runs_in_cudnn(self) -> bool:
        """Whether cuDNN's LSTM computes the same: it knows no limits."""
        return self.cell_clip is None and self.proj_clip is None

    def _run_library(
        self, inputs: Tensor, batch_sizes: List[int], state: LSTMState, bias: Tensor
    ) -> Tuple[Tensor, LSTMState]:
        """PyTorch's own LSTM: on CUDA devices, cuDNN's."""
        weights = [self.weight_ih, self.weight_hh, bias, torch.zeros_like(bias), self.weight_hr]
        outputs, hidden, cell = torch.lstm(
            inputs, torch.tensor(batch_sizes), tuple(value.unsqueeze(0) for value in state),
            weights, True, 1, 0.0, torch.is_grad_enabled(), False,
        )  # fmt: skip
        return outputs, LSTMState(hidden[0], cell[0])

    def _forget_bias(self) -> Tensor:
        forget_bias = self.bias.new_zeros(4, self.hidden_size)
        forget_bias[1] = FORGET_BIAS
        return forget_bias.flatten()


def step_blocks(batch_sizes: List[int], block_rows: int) -> List[List[int]]:
    """Cut the time steps into runs of at most ``block_rows`` rows, or of one step. The input's half
    of the gates does not depend on time: one product computes it for all steps of a block.

    RETURNS: For each block the rows of its steps.
    """
    blocks: List[List[int]] = []
    n_rows = 0
    for size in batch_sizes:
        n_rows += size
        if not blocks or n_rows > block_rows:
            blocks.append([])
            n_rows = size
        blocks[-1].append(size)
    return blocks


@scripted
def _run_steps(
    inputs: Tensor,
    blocks: List[List[int]],
    hidden: Tensor,
    cell: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    weight_hr: Tensor,
    bias: Tensor,
    cell_clip: Optional[float],
    proj_clip: Optional[float],
) -> Tuple[Tensor, Tensor, Tensor]:
    """All time steps. RETURNS: The outputs, and the last hidden and cell of each sentence."""
    # Transposed once, so that their gradients are summed up as they come.
    weight_hh, weight_hr = weight_hh.t(), weight_hr.t()
    outputs: List[Tensor] = []
    ended_hidden: List[Tensor] = []
    ended_cell: List[Tensor] = []
    start = 0
    for sizes in blocks:
        n_rows = sum(sizes)
        block = torch.nn.functional.linear(inputs[start : start + n_rows], weight_ih, bias)
        start += n_rows
        # Split, not sliced: the gradient of a slice is a zero-filled block of its own.
        for block_step in block.split_with_sizes(sizes):
            size = block_step.shape[0]
            if size < cell.shape[0]:
                ended_hidden.append(hidden[size:])
                ended_cell.append(cell[size:])
                hidden, cell = hidden[:size], cell[:size]
            gates = torch.addmm(block_step, hidden, weight_hh)
            input_, forget, candidate, output = gates.chunk(4, dim=1)
            cell = torch.sigmoid(forget) * cell + torch.sigmoid(input_) * torch.tanh(candidate)
            if cell_clip is not None:
                cell = cell.clamp(-cell_clip, cell_clip)
            hidden = (torch.sigmoid(output) * torch.tanh(cell)) @ weight_hr
            if proj_clip is not None:
                hidden = hidden.clamp(-proj_clip, proj_clip)
            outputs.append(hidden)
    # Longer sentences stand first and end last.
    ended_hidden.append(hidden)
    ended_cell.append(cell)
    ended_hidden.reverse()
    ended_cell.reverse()
    return torch.cat(outputs), torch.cat(ended_hidden), torch.cat(ended_cell)
