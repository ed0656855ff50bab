"""The time steps of a projected LSTM, with their gradient.

PyTorch's automatic gradient records some twenty operations a time step, and sums the weights'
gradients step by step. Written out, a backward step has six, all that doesn't depend on later steps
is computed for all steps at once, and each weight's gradient is one large product.
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
    """All time steps of a packed batch, as ``apply`` takes them:

    inputs: (n_tokens, input_size), packed.
    hidden, cell: (n_sentences, proj_size) and (n_sentences, hidden_size), where they start.
    keep: (n_tokens, 1), what hidden and cell are multiplied by before a token is read: 0 where it
        starts from zeros, else 1. None for all ones.
    weight_ih, weight_hh, weight_hr, bias: As ``ProjectedLSTM`` has them; gates in the order input,
        forget, candidate, output.
    steps: The rest.
    RETURNS: The outputs, (n_tokens, proj_size), packed, and the last hidden and cell of each
        sentence.
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
        weights = [weight.to(steps.dtype) for weight in (weight_ih, weight_hh, weight_hr)]
        typed_inputs = inputs.to(steps.dtype)
        onednn = steps.dtype == torch.float32 and has_onednn(inputs.device, "float32")
        # tanh(x) = 2 sigmoid(2 x) - 1, which PyTorch computes ten times as fast. The doubling of
        # the candidate's x goes into its weights: it changes no digit.
        doubling = torch.ones_like(bias).view(4, -1)
        doubling[2] = 2.0
        doubling = doubling.flatten()
        folded_ih, folded_hh = (weight * doubling.unsqueeze(1) for weight in weights[:2])
        gates = product(typed_inputs, folded_ih.to(steps.dtype), onednn).to(inputs.dtype)
        gates.add_(bias * doubling)
        outputs = inputs.new_empty(len(inputs), hidden.shape[1])
        cells, tanh_cells = (inputs.new_empty(len(inputs), cell.shape[1]) for _ in range(2))
        last_hidden, last_cell = _forward_steps(
            gates, steps.sizes, hidden, cell, keep, folded_hh.to(steps.dtype), weights[2],
            steps.cell_clip, steps.proj_clip, onednn, outputs, cells, tanh_cells,
        )  # fmt: skip
        ctx.save_for_backward(
            typed_inputs, hidden, cell, keep, *weights, gates, outputs, cells, tanh_cells
        )
        ctx.steps, ctx.onednn = steps, onednn
        return outputs, last_hidden, last_cell

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, d_outputs: Tensor, d_last_hidden: Tensor, d_last_cell: Tensor
    ) -> Tuple[Optional[Tensor], ...]:
        (inputs, hidden, cell, keep, weight_ih, weight_hh, weight_hr,
            gates, outputs, cells, tanh_cells) = ctx.saved_tensors  # fmt: skip
        steps: Steps = ctx.steps
        onednn: bool = ctx.onednn
        dtype = d_outputs.dtype
        previous_hidden = _previous(hidden, outputs, steps.sizes)
        previous_cell = _previous(cell, cells, steps.sizes)
        if keep is not None:
            previous_hidden, previous_cell = previous_hidden * keep, previous_cell * keep
        input_, forget, candidate, output = gates.chunk(4, dim=1)
        # How the sum of a gate grows with the cell's gradient; for the output gate, with that of
        # what is projected. The derivative of a sigmoid s is s (1 - s), of a tanh t 1 - t * t.
        slopes = torch.empty_like(gates)
        torch.addcmul(gates, gates, gates, value=-1.0, out=slopes)
        slopes_i, slopes_f, slopes_c, slopes_o = slopes.chunk(4, dim=1)
        slopes_i.mul_(candidate)
        slopes_f.mul_(previous_cell)
        slopes_o.mul_(tanh_cells)
        torch.addcmul(input_, input_ * candidate, candidate, value=-1.0, out=slopes_c)
        through_tanh = torch.addcmul(output, output * tanh_cells, tanh_cells, value=-1.0)
        passed = forget
        if steps.cell_clip is not None:
            # Where the cell was clipped, nothing before it has a gradient.
            inside = cells.abs() < steps.cell_clip
            slopes.view(len(slopes), 4, -1)[:, :3].mul_(inside.unsqueeze(1))
            passed = forget * inside
        if keep is not None:
            passed = passed * keep
        d_gates = torch.empty_like(gates)
        d_projected = torch.empty_like(outputs)
        d_hidden, d_cell = _backward_steps(
            d_outputs.contiguous(), d_last_hidden, d_last_cell, steps.sizes, outputs, keep,
            slopes, through_tanh, passed, weight_hh.t().contiguous(), weight_hr.t().contiguous(),
            steps.proj_clip, onednn, d_gates, d_projected,
        )  # fmt: skip
        typed_gates = d_gates.to(steps.dtype)
        transposed = typed_gates.t()
        d_weight_ih = product(transposed, inputs.t(), onednn).to(dtype)
        d_weight_hh = product(transposed, previous_hidden.to(steps.dtype).t(), onednn).to(dtype)
        squeezed = (output * tanh_cells).to(steps.dtype)
        d_weight_hr = product(d_projected.to(steps.dtype).t(), squeezed.t(), onednn).to(dtype)
        d_inputs = None
        if ctx.needs_input_grad[0]:
            d_inputs = product(typed_gates, weight_ih.t(), onednn).to(dtype)
        return (
            d_inputs, d_hidden, d_cell, None, d_weight_ih, d_weight_hh, d_weight_hr,
            d_gates.sum(dim=0), None,
        )  # fmt: skip


def _previous(first: Tensor, following: Tensor, sizes: List[int]) -> Tensor:
    """What each token of a packed batch found as state: (n_tokens, …).

    first: (n_sentences, …), before the first step.
    following: (n_tokens, …), after each token.
    """
    steps = following.split_with_sizes(sizes)
    return torch.cat([first[: sizes[0]], *(step[:n] for step, n in zip(steps, sizes[1:]))])


@scripted
def _forward_steps(
    gates: Tensor,
    sizes: List[int],
    hidden: Tensor,
    cell: Tensor,
    keep: Optional[Tensor],
    weight_hh: Tensor,
    weight_hr: Tensor,
    cell_clip: Optional[float],
    proj_clip: Optional[float],
    onednn: bool,
    outputs: Tensor,
    cells: Tensor,
    tanh_cells: Tensor,
) -> Tuple[Tensor, Tensor]:
    """gates: The inputs' half of the sums; becomes the gates, the candidate as a tanh.
    outputs, cells, tanh_cells: Written. RETURNS: The last hidden and cell of each sentence."""
    dtype = weight_hh.dtype
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
        step = gates[start:end]
        step.add_(product(hidden.to(dtype), weight_hh, onednn)).sigmoid_()
        input_, forget, candidate, output = step.chunk(4, dim=1)
        candidate.mul_(2.0).sub_(1.0)
        new_cell = cells[start:end]
        torch.mul(forget, cell, out=new_cell)
        new_cell.addcmul_(input_, candidate)
        if cell_clip is not None:
            new_cell.clamp_(-cell_clip, cell_clip)
        cell = new_cell
        tanh_cell = tanh_cells[start:end]
        torch.mul(cell, 2.0, out=tanh_cell)
        tanh_cell.sigmoid_().mul_(2.0).sub_(1.0)
        hidden = outputs[start:end]
        hidden.copy_(product((output * tanh_cell).to(dtype), weight_hr, onednn))
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
    outputs: Tensor,
    keep: Optional[Tensor],
    slopes: Tensor,
    through_tanh: Tensor,
    passed: Tensor,
    weight_hh: Tensor,
    weight_hr: Tensor,
    proj_clip: Optional[float],
    onednn: bool,
    d_gates: Tensor,
    d_projected: Tensor,
) -> Tuple[Tensor, Tensor]:
    """weight_hh, weight_hr: Transposed. d_gates, d_projected: Written.
    RETURNS: The gradients of the states that the steps started from."""
    dtype = weight_hh.dtype
    n_steps = len(sizes)
    n_cells = through_tanh.shape[1]
    size = sizes[n_steps - 1]
    end = outputs.shape[0]
    d_hidden, d_cell = d_last_hidden[:size], d_last_cell[:size]
    for i in range(n_steps):
        if sizes[n_steps - 1 - i] > size:  # sentences that end at this step
            old, size = size, sizes[n_steps - 1 - i]
            d_hidden = torch.cat([d_hidden, d_last_hidden[old:size]])
            d_cell = torch.cat([d_cell, d_last_cell[old:size]])
        start = end - size
        d_step = d_projected[start:end]
        torch.add(d_outputs[start:end], d_hidden, out=d_step)
        if proj_clip is not None:
            d_step.mul_(outputs[start:end].abs() < proj_clip)
        d_squeezed = product(d_step.to(dtype), weight_hr, onednn)
        d_cell = torch.addcmul(d_cell, d_squeezed, through_tanh[start:end])
        d_gate = d_gates[start:end]
        slope = slopes[start:end]
        torch.mul(
            slope.view(size, 4, n_cells)[:, :3],
            d_cell.unsqueeze(1),
            out=d_gate.view(size, 4, n_cells)[:, :3],
        )
        torch.mul(
            slope.narrow(1, 3 * n_cells, n_cells),
            d_squeezed,
            out=d_gate.narrow(1, 3 * n_cells, n_cells),
        )
        d_hidden = product(d_gate.to(dtype), weight_hh, onednn).to(d_outputs.dtype)
        if keep is not None:
            d_hidden = d_hidden * keep[start:end]
        d_cell = d_cell * passed[start:end]
        end = start
    return d_hidden, d_cell
