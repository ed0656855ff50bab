"""The projected LSTM of one layer and one direction."""

import math
from typing import List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn

from .recurrence import Recurrence, Steps

FORGET_BIAS = 1.0  # TensorFlow's LSTMCell adds it; the stored bias is without it


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
        self,
        inputs: Tensor,
        batch_sizes: List[int],
        state: Optional[LSTMState] = None,
        keep: Optional[Tensor] = None,
    ) -> Tuple[Tensor, LSTMState]:
        """Run over all time steps. Under ``torch.autocast``, matrix products are computed in its
        type.

        inputs: (n_tokens, input_size), in the order of time steps (``StepOrder``).
        batch_sizes: Sentences that are running at each time step, never growing.
        state: Where each sentence starts; zeros if None.
        keep: (n_tokens, 1): 0 for tokens that are read from a state of zeros, else 1; None for
            all ones.
        RETURNS: The outputs, (n_tokens, proj_size), in the order of the inputs, and the state of
            each sentence after its last token.
        """
        device = inputs.device.type
        dtype = inputs.dtype
        if torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)
            inputs = inputs.to(self.bias.dtype)
        if state is None:
            state = LSTMState(
                inputs.new_zeros(batch_sizes[0], self.proj_size),
                inputs.new_zeros(batch_sizes[0], self.hidden_size),
            )
        bias = self.bias + self._forget_bias()
        # Under autocast, PyTorch runs cuDNN's LSTM in float16, whatever type was asked for.
        in_library = inputs.is_cuda and self.runs_in_cudnn and dtype == inputs.dtype
        if in_library and keep is None:
            return self._run_library(inputs, batch_sizes, state, bias)
        with torch.autocast(device, enabled=False):
            outputs, hidden, cell = Recurrence.apply(
                inputs, state.hidden, state.cell, keep,
                self.weight_ih, self.weight_hh, self.weight_hr, bias,
                Steps(batch_sizes, self.cell_clip, self.proj_clip, dtype),
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
