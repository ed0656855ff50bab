"""The network as it computes vectors fastest: the same modules, with packed weights in place of
those that learn."""

import copy
from typing import List, Optional, Tuple

import torch
from torch import Tensor, nn

from .char_cnn import PooledConvolution
from .kernels import Precision
from .lstm import FORGET_BIAS, LSTMState, ProjectedLSTM
from .network import BiLMNetwork
from .packed_weight import PackedWeight, linear, pack_weight
from .scripting import scripted

BLOCK_ROWS = 256  # rows of the input's gate product that exist at a time


def pack_network(network: BiLMNetwork, precision: Precision) -> BiLMNetwork:
    """A network that gives the same layers without gradients. Weights that need no packing are
    shared, so it is of use as long as none of them changes.

    network: The biLM, float32.
    precision: What matrix products are computed in; everything else is float32.
    """
    return _pack(network, precision)  # type: ignore[return-value]


def _pack(module: nn.Module, precision: Precision) -> nn.Module:
    if isinstance(module, nn.Linear):
        return PackedLinear(module, precision)
    if isinstance(module, PooledConvolution):
        return PackedConvolution(module, precision)
    if isinstance(module, ProjectedLSTM):
        in_cudnn = module.weight_ih.is_cuda and module.runs_in_cudnn and precision == "float32"
        return module if in_cudnn else PackedLSTM(module, precision)
    twin = copy.copy(module)
    twin._modules = {
        name: None if child is None else _pack(child, precision)
        for name, child in module._modules.items()
    }
    return twin


class PackedLinear(nn.Module):
    """A linear layer with a packed weight.

    layer: The layer it stands for.
    precision: Of the product.
    """

    def __init__(self, layer: nn.Linear, precision: Precision) -> None:
        super().__init__()
        self.packed = pack_weight(layer.weight, precision)
        self.bias = None if layer.bias is None else layer.bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        """x: (n_rows, in_features); result: (n_rows, out_features)."""
        return linear(x, self.packed, self.bias)


class PackedConvolution(nn.Module):
    """A convolution with max-pooling, as one product with all windows.

    layer: The layer it stands for.
    precision: Of the product.
    """

    def __init__(self, layer: PooledConvolution, precision: Precision) -> None:
        super().__init__()
        n_filters, _, self.width = layer.weight.shape
        self.packed = pack_weight(layer.weight.transpose(1, 2).reshape(n_filters, -1), precision)
        self.bias = layer.bias.detach()  # type: ignore[union-attr]
        # What lies between product and pooling is large: the smaller type saves time.
        self.dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32

    def forward(self, x: Tensor) -> Tensor:
        """x: (n_words, embedding_dim, n_characters); result: (n_words, n_filters)."""
        windows = x.to(self.dtype).unfold(2, self.width, 1).permute(0, 2, 3, 1)
        n_words, n_windows = windows.shape[:2]
        # Adding the bias after pooling gives the same at less cost.
        products = linear(windows.reshape(n_words * n_windows, -1), self.packed)
        return products.view(n_words, n_windows, -1).amax(dim=1).float().add_(self.bias)


class PackedLSTM(nn.Module):
    """A projected LSTM with packed weights.

    A hyperbolic tangent is computed as a sigmoid, which PyTorch does ten times as fast:
    tanh(x) = 2 sigmoid(2 x) - 1. The factors go into weights and bias (they are powers of two and
    change no digit), and the cell is kept doubled. Gates are in the order input, forget, output,
    candidate.

    layer: The LSTM it stands for.
    precision: Of the products.
    """

    def __init__(self, layer: ProjectedLSTM, precision: Precision) -> None:
        super().__init__()
        self.hidden_size, self.proj_size = layer.hidden_size, layer.proj_size
        self.cell_clip, self.proj_clip = layer.cell_clip, layer.proj_clip
        self.weight_ih = pack_weight(_fold(layer.weight_ih), precision)
        self.weight_hh = pack_weight(_fold(layer.weight_hh), precision)
        self.weight_hr = pack_weight(2 * layer.weight_hr, precision)
        bias = layer.bias.detach().clone()
        bias[layer.hidden_size : 2 * layer.hidden_size] += FORGET_BIAS
        self.bias = _fold(bias)

    def forward(
        self, inputs: Tensor, batch_sizes: List[int], state: Optional[LSTMState] = None
    ) -> Tuple[Tensor, LSTMState]:
        """As ``ProjectedLSTM.forward``; the state after the last token is that of the sentences
        that are as long as the longest."""
        if state is None:
            state = LSTMState(
                inputs.new_zeros(batch_sizes[0], self.proj_size),
                inputs.new_zeros(batch_sizes[0], self.hidden_size),
            )
        outputs = inputs.new_empty(len(inputs), self.proj_size)
        hidden, cell = _run_steps(
            inputs, step_blocks(batch_sizes, BLOCK_ROWS), state.hidden, 2 * state.cell, outputs,
            self.weight_ih, self.weight_hh, self.weight_hr, self.bias,
            self.cell_clip, self.proj_clip,
        )  # fmt: skip
        return outputs, LSTMState(hidden, cell / 2)


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
    outputs: Tensor,
    weight_ih: PackedWeight,
    weight_hh: PackedWeight,
    weight_hr: PackedWeight,
    bias: Tensor,
    cell_clip: Optional[float],
    proj_clip: Optional[float],
) -> Tuple[Tensor, Tensor]:
    """All time steps; ``cell`` is doubled, and changed in place. RETURNS: The last states."""
    start = 0
    for sizes in blocks:
        n_rows = sum(sizes)
        block = linear(inputs[start : start + n_rows], weight_ih, bias)
        row = 0
        for size in sizes:
            gates = linear(hidden[:size], weight_hh).add_(block[row : row + size]).sigmoid_()
            input_, forget, output, candidate = gates.chunk(4, dim=1)
            cell = cell[:size].mul_(forget)
            cell.addcmul_(input_, candidate, value=4.0).sub_(input_, alpha=2.0)
            if cell_clip is not None:
                cell.clamp_(-2.0 * cell_clip, 2.0 * cell_clip)
            hidden = linear(cell.sigmoid().sub_(0.5).mul_(output), weight_hr)
            if proj_clip is not None:
                hidden.clamp_(-proj_clip, proj_clip)
            outputs[start + row : start + row + size] = hidden
            row += size
        start += n_rows
    return hidden, cell


def _fold(gates: Tensor) -> Tensor:
    """gates: (4 * hidden_size, …) in PyTorch's order: input, forget, candidate, output.
    RETURNS: In the order input, forget, output, candidate, the last doubled."""
    input_, forget, candidate, output = gates.detach().chunk(4)
    return torch.cat([input_, forget, output, 2 * candidate])
