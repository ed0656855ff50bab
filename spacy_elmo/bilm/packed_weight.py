"""Linear maps whose weights are laid out for the processor's instructions.

Where oneDNN's kernels aren't there, the same numbers come from plain products.
"""

from typing import List, NamedTuple, Optional

import torch
from torch import Tensor

from .kernels import (
    INT8_MAX,
    Precision,
    has_onednn,
    onednn_int8_product,
    onednn_layout,
    onednn_product,
    rounds_by_rows,
)


class PackedWeight(NamedTuple):
    """The weight of a linear map, ready for ``linear``. TorchScript reads it, too.

    kernel: Which product to use: "onednn", "plain" or "blocks" (oneDNN's, always of as many rows),
        a space, and the precision.
    weight: Of ``out_features`` x ``in_features`` values, in the kernel's own layout.
    scale: (out_features,): what one step of an int8 weight is worth; empty otherwise.
    zero_point: (out_features,), zeros; empty unless the kernel needs it.
    """

    kernel: str
    weight: Tensor
    scale: Tensor
    zero_point: Tensor


def pack_weight(weight: Tensor, precision: Precision) -> PackedWeight:
    """Lay out a weight for ``linear``.

    weight: (out_features, in_features), float32.
    precision: "int8" has one scale for each row of the weight, symmetric around zero.
    """
    weight = weight.detach()
    onednn = has_onednn(weight.device, precision)
    scale = zero_point = weight.new_empty(0)
    if precision == "int8":
        scale = (weight.abs().amax(dim=1) / INT8_MAX).clamp_min(torch.finfo(torch.float32).tiny)
        weight = (weight / scale.unsqueeze(1)).round().to(torch.int8)
        if onednn:
            zero_point = torch.zeros(len(weight), dtype=torch.int64)
            weight = onednn_layout(weight)
        else:
            weight = weight.float()
    else:
        weight = weight.to(getattr(torch, precision))
        if onednn:
            weight = onednn_layout(weight)
    product = "onednn" if onednn else "plain"
    if onednn and precision == "bfloat16" and rounds_by_rows():
        product = "blocks"
    return PackedWeight(f"{product} {precision}", weight, scale, zero_point)


def linear(x: Tensor, packed: PackedWeight, bias: Optional[Tensor] = None) -> Tensor:
    """``x @ weight.t() + bias``, computed in the weight's precision.

    In int8, each row of x is rounded to 8 bits by its own largest value, so that a row's result
    doesn't depend on the rows beside it.

    x: (n_rows, in_features), float32; for a bfloat16 weight, bfloat16 as well.
    bias: (out_features,), float32.
    RETURNS: (n_rows, out_features), of x's type, in memory that nothing else uses.
    """
    kernel = packed.kernel
    n_rows = x.shape[0]
    if kernel == "blocks bfloat16":
        missing = blocks_of(n_rows) * 64 - n_rows
    else:
        missing = round_up(n_rows) - n_rows
    if missing > 0:
        x = torch.nn.functional.pad(x, [0, 0, 0, missing])
    if kernel == "onednn float32":
        return onednn_product(x, packed.weight, bias)[:n_rows]
    if kernel == "plain float32":
        return torch.nn.functional.linear(x, packed.weight, bias)[:n_rows]
    if kernel == "onednn bfloat16":
        y = onednn_product(x.to(torch.bfloat16), packed.weight, None).to(x.dtype)
    elif kernel == "blocks bfloat16":
        rows = x.to(torch.bfloat16)
        blocks: List[Tensor] = []
        for i in range(blocks_of(n_rows)):
            blocks.append(onednn_product(rows[64 * i : 64 * i + 64], packed.weight, None))
        y = torch.cat(blocks).to(x.dtype)
    elif kernel == "plain bfloat16":
        y = torch.mm(x.to(torch.bfloat16), packed.weight.t()).to(x.dtype)
    else:
        steps = x.abs().amax(dim=1, keepdim=True).div_(127.0).clamp_min_(1e-30)
        rounded = (x / steps).round_()
        if kernel == "onednn int8":
            # oneDNN has fast products of unsigned by signed bytes only: hence the 128.
            rows = rounded.add_(128.0).to(torch.uint8)
            y = onednn_int8_product(rows, packed.weight, packed.scale, packed.zero_point)
            y.mul_(steps)
        else:
            y = torch.mm(rounded, packed.weight.t()).mul_(packed.scale).mul_(steps)
    if bias is not None:
        y.add_(bias)
    return y[:n_rows]


def blocks_of(n_rows: int) -> int:
    """In how many blocks of 64 rows a product is made where it ``rounds_by_rows``."""
    return (max(n_rows, 1) + 63) // 64


def round_up(n_rows: int) -> int:
    """The next number of rows that products are made for. oneDNN compiles a kernel for each
    number, which takes time and memory; a sixteenth more rows at most keep them few. Its kernels
    for a single row round differently from all others, which would make a sentence's vectors
    depend on its company: hence two at least."""
    n_rows = max(n_rows, 2)
    step = 1
    while n_rows > 32 * step:
        step *= 2
    return (n_rows + step - 1) // step * step
