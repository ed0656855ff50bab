"""The time steps of a projected LSTM, with their gradient.

PyTorch's automatic gradient records each operation of each time step, and sums the weights'
gradients step by step. Written out, both loops run without Python, and each weight's gradient is
one large product.
"""

from typing import Any, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .kernels import has_onednn, product
from .scripting import scripted


class Steps(NamedTuple):
    """What the steps need beside tensors that learn.

    sizes: Rows of each step, never growing.
    cell_clip, proj_clip: Largest absolute value of cell and output; None for no limit.
    dtype: What matrix products are computed in; everything else is in the inputs' type.
    """

    sizes: List[int]
    cell_clip: Optional[float]
    proj_clip: Optional[float]
    dtype: torch.dtype


class Recurrence(torch.autograd.Function):
    """All time steps, as ``apply`` takes them:

    inputs: (n_tokens, input_size), in the order of time steps (``StepOrder``).
    hidden, cell: (n_sentences, proj_size) and (n_sentences, hidden_size), where they start.
    keep: (n_tokens, 1), what hidden and cell are multiplied by before a token is read: 0 where it
        starts from zeros, else 1. None for all ones.
    weight_ih, weight_hh, weight_hr, bias: As ``ProjectedLSTM`` has them; gates in the order input,
        forget, candidate, output.
    steps: The rest.
    RETURNS: The outputs, (n_tokens, proj_size), in the order of the inputs, and the last hidden and
        cell of each sentence.
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        hidden: Tensor,
        cell: Tensor,
        keep: Optional[Tensor],
        weight_ih: Tensor,
        weight_hh: Tensor,
        weight_hr: Tensor,
        bias: Tensor,
        steps: Steps,
    ) -> Tuple[Tensor, Tensor, Tensor]:
        onednn = steps.dtype == torch.float32 and has_onednn(inputs.device, "float32")
        weights = [weight.to(steps.dtype) for weight in (weight_ih, weight_hh, weight_hr)]
        x = inputs.to(steps.dtype)
        # tanh(x) = 2 sigmoid(2 x) - 1, which PyTorch computes ten times as fast. The doubling of
        # the candidate's x goes into its weights: it changes no digit.
        doubling = torch.ones_like(bias).view(4, -1)
        doubling[2] = 2.0
        doubling = doubling.flatten()
        folded_ih, folded_hh = (w * doubling.unsqueeze(1).to(steps.dtype) for w in weights[:2])
        n_tokens, n_cells = len(inputs), cell.shape[1]
        gates = inputs.new_empty(n_tokens, 4 * n_cells)
        outputs = inputs.new_empty(n_tokens, hidden.shape[1])
        cells, tanh_cells = (inputs.new_empty(n_tokens, n_cells) for _ in range(2))
        # What weights are multiplied by, for their gradients.
        read = torch.empty_like(outputs, dtype=steps.dtype)
        squeezed = torch.empty_like(cells, dtype=steps.dtype)
        last_hidden, last_cell = _forward_steps(
            product(x, folded_ih, onednn), steps.sizes, hidden, cell, keep, folded_hh, weights[2],
            bias * doubling, steps.cell_clip, steps.proj_clip, onednn,
            gates, outputs, cells, tanh_cells, read, squeezed,
        )  # fmt: skip
        ctx.save_for_backward(x, cell, keep, *weights, gates, outputs, cells, tanh_cells)
        ctx.read, ctx.squeezed = read, squeezed
        ctx.steps, ctx.onednn = steps, onednn
        return outputs, last_hidden, last_cell

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, d_outputs: Tensor, d_last_hidden: Tensor, d_last_cell: Tensor
    ) -> Tuple[Optional[Tensor], ...]:
        (x, cell, keep, weight_ih, weight_hh, weight_hr,
            gates, outputs, cells, tanh_cells) = ctx.saved_tensors  # fmt: skip
        steps: Steps = ctx.steps
        onednn: bool = ctx.onednn
        dtype = d_outputs.dtype
        d_gates = torch.empty_like(gates, dtype=steps.dtype)
        d_projected = torch.empty_like(ctx.read)
        d_hidden, d_cell = _backward_steps(
            d_outputs, d_last_hidden, d_last_cell, steps.sizes, cell, keep,
            weight_hh.t().contiguous(), weight_hr.t().contiguous(),
            steps.cell_clip, steps.proj_clip, onednn, gates, outputs, cells, tanh_cells,
            d_gates, d_projected,
        )  # fmt: skip
        transposed = d_gates.t()
        d_inputs = None
        if ctx.needs_input_grad[0]:
            d_inputs = product(d_gates, weight_ih.t(), onednn).to(dtype)
        return (
            d_inputs,
            d_hidden,
            d_cell,
            None,
            product(transposed, x.t(), onednn).to(dtype),
            product(transposed, ctx.read.t(), onednn).to(dtype),
            product(d_projected.t(), ctx.squeezed.t(), onednn).to(dtype),
            d_gates.sum(dim=0, dtype=dtype),
            None,
        )


# Steps are small enough to stay in a core's cache, all of them together are not: so whatever can
# be computed by step is.


@scripted
def _forward_steps(
    sums: Tensor,
    sizes: List[int],
    hidden: Tensor,
    cell: Tensor,
    keep: Optional[Tensor],
    weight_hh: Tensor,
    weight_hr: Tensor,
    bias: Tensor,
    cell_clip: Optional[float],
    proj_clip: Optional[float],
    onednn: bool,
    gates: Tensor,
    outputs: Tensor,
    cells: Tensor,
    tanh_cells: Tensor,
    read: Tensor,
    squeezed: Tensor,
) -> Tuple[Tensor, Tensor]:
    """sums: The inputs' part of the gates.
    gates, outputs, cells, tanh_cells, read, squeezed: Written; the candidates among the gates as
        tanh, ``read`` the hidden that each token finds, ``squeezed`` what is projected.
    RETURNS: The last hidden and cell of each sentence."""
    ended_hidden: List[Tensor] = []
    ended_cell: List[Tensor] = []
    start = 0
    for size in sizes:
        end = start + size
        if size < cell.shape[0]:
            ended_hidden.append(hidden[size:])
            ended_cell.append(cell[size:])
            hidden, cell = hidden[:size], cell[:size]
        if keep is not None:
            hidden, cell = hidden * keep[start:end], cell * keep[start:end]
        found = read[start:end].copy_(hidden)
        step = gates[start:end].copy_(sums[start:end])
        step.add_(product(found, weight_hh, onednn).to(step.dtype)).add_(bias).sigmoid_()
        input_, forget, candidate, output = step.chunk(4, dim=1)
        candidate.mul_(2.0).sub_(1.0)
        new_cell = cells[start:end]
        torch.mul(forget, cell, out=new_cell)
        cell = new_cell.addcmul_(input_, candidate)
        if cell_clip is not None:
            cell.clamp_(-cell_clip, cell_clip)
        tanh_cell = tanh_cells[start:end]
        torch.mul(cell, 2.0, out=tanh_cell)
        tanh_cell.sigmoid_().mul_(2.0).sub_(1.0)
        projected = squeezed[start:end].copy_(output * tanh_cell)
        hidden = outputs[start:end].copy_(product(projected, weight_hr, onednn))
        if proj_clip is not None:
            hidden.clamp_(-proj_clip, proj_clip)
        start = end
    # Longer sentences stand first and end last. Copies, because views would keep all steps.
    ended_hidden.append(hidden)
    ended_cell.append(cell)
    ended_hidden.reverse()
    ended_cell.reverse()
    return torch.cat(ended_hidden), torch.cat(ended_cell)


@scripted
def _backward_steps(
    d_outputs: Tensor,
    d_last_hidden: Tensor,
    d_last_cell: Tensor,
    sizes: List[int],
    first_cell: Tensor,
    keep: Optional[Tensor],
    weight_hh: Tensor,
    weight_hr: Tensor,
    cell_clip: Optional[float],
    proj_clip: Optional[float],
    onednn: bool,
    gates: Tensor,
    outputs: Tensor,
    cells: Tensor,
    tanh_cells: Tensor,
    d_gates: Tensor,
    d_projected: Tensor,
) -> Tuple[Tensor, Tensor]:
    """weight_hh, weight_hr: Transposed. d_gates, d_projected: Written; gradients of what the gates
    are made of and of the outputs before their limit.
    RETURNS: The gradients of the states that the steps started from."""
    n_steps = len(sizes)
    size = sizes[n_steps - 1]
    end = outputs.shape[0]
    d_hidden, d_cell = d_last_hidden[:size], d_last_cell[:size]
    for i in range(n_steps - 1, -1, -1):
        if sizes[i] > size:  # sentences that end at this step
            old, size = size, sizes[i]
            d_hidden = torch.cat([d_hidden, d_last_hidden[old:size]])
            d_cell = torch.cat([d_cell, d_last_cell[old:size]])
        start = end - size
        d_hidden = d_hidden + d_outputs[start:end]
        if proj_clip is not None:
            # Beyond a limit, nothing that led there has a gradient.
            d_hidden.mul_(outputs[start:end].abs() < proj_clip)
        d_squeezed = product(d_projected[start:end].copy_(d_hidden), weight_hr, onednn).to(
            d_cell.dtype
        )
        gate = gates[start:end]
        input_, forget, candidate, output = gate.chunk(4, dim=1)
        tanh_cell = tanh_cells[start:end]
        # The derivative of a tanh t is 1 - t * t, of a sigmoid s it is s - s * s.
        through_tanh = torch.addcmul(output, output * tanh_cell, tanh_cell, value=-1.0)
        d_cell = torch.addcmul(d_cell, d_squeezed, through_tanh)
        if cell_clip is not None:
            d_cell.mul_(cells[start:end].abs() < cell_clip)
        previous_cell = first_cell[:size]
        if i > 0:
            before = start - sizes[i - 1]
            previous_cell = cells[before : before + size]
        slopes = torch.addcmul(gate, gate, gate, value=-1.0)
        of_input, of_forget, of_candidate, of_output = slopes.chunk(4, dim=1)
        of_input.mul_(candidate).mul_(d_cell)
        of_forget.mul_(previous_cell).mul_(d_cell)
        if keep is not None:
            of_forget.mul_(keep[start:end])
        torch.addcmul(input_, input_ * candidate, candidate, value=-1.0, out=of_candidate)
        of_candidate.mul_(d_cell)
        of_output.mul_(tanh_cell).mul_(d_squeezed)
        d_hidden = product(d_gates[start:end].copy_(slopes), weight_hh, onednn).to(d_cell.dtype)
        d_cell = d_cell * forget
        if keep is not None:
            d_hidden = d_hidden * keep[start:end]
            d_cell.mul_(keep[start:end])
        end = start
    return d_hidden, d_cell
