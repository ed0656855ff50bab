"""Matrix products with weights that are laid out for the processor's instructions.

oneDNN's kernels are PyTorch's fastest on every x86 processor (on AMD's, more than twice as fast as
those behind ``torch.mm``), and the only ones for bfloat16 and int8. They are not a part of
``torch.nn``; this is the one module that calls them. Where a build of PyTorch or a device doesn't
have them, the same numbers come from plain products.
"""

import platform
from collections.abc import Callable
from functools import cache
from typing import Any, Literal, NamedTuple, Optional

import torch
from torch import Tensor

Precision = Literal["float32", "bfloat16", "int8"]
_INT8_MAX = 127
_BUILT_WITH_ONEDNN = (
    torch.backends.mkldnn.is_available()
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    and hasattr(torch.ops.onednn, "qlinear_pointwise")
)


class PackedWeight(NamedTuple):
    """The weight of a linear map, ready for ``linear``. TorchScript reads it, too.

    kernel: Which product to use: "onednn" or "plain", a space, and the precision.
    weight: Of ``out_features`` x ``in_features`` values, in the kernel's own layout.
    scale: (out_features,): what one step of an int8 weight is worth; empty otherwise.
    zero_point: (out_features,), zeros; empty unless the kernel needs it.
    """

    kernel: str
    weight: Tensor
    scale: Tensor
    zero_point: Tensor


def has_onednn(device: torch.device, precision: Precision) -> bool:
    """Whether oneDNN's kernels compute this here. They exist only on CPUs, and it refuses bfloat16
    on processors without AVX-512 or the like."""
    if device.type != "cpu" or not _BUILT_WITH_ONEDNN:
        return False
    if precision == "bfloat16":
        return torch.ops.mkldnn._is_mkldnn_bf16_supported()
    if precision == "int8":
        return platform.machine() in ("x86_64", "AMD64") and _int8_products_are_exact()
    return True


@cache
def _int8_products_are_exact() -> bool:
    """Without VNNI instructions, sums of large products saturate, without an error."""
    with torch.device("cpu"):
        weight = torch.full((32, 64), _INT8_MAX, dtype=torch.int8)
        packed = PackedWeight(
            "onednn int8",
            torch.ops.onednn.qlinear_prepack(weight, None),
            torch.ones(32),
            torch.zeros(32, dtype=torch.int64),
        )
        product = _onednn_int8_product(torch.full((2, 64), 255, dtype=torch.uint8), packed)
    return bool((product == (255 - 128) * _INT8_MAX * 64).all())


def pack_weight(weight: Tensor, precision: Precision) -> PackedWeight:
    """Lay out a weight for ``linear``.

    weight: (out_features, in_features), float32.
    precision: "int8" has one scale for each row of the weight, symmetric around zero.
    """
    weight = weight.detach()
    onednn = has_onednn(weight.device, precision)
    scale = zero_point = weight.new_empty(0)
    if precision == "int8":
        scale = (weight.abs().amax(dim=1) / _INT8_MAX).clamp_min(torch.finfo(torch.float32).tiny)
        weight = (weight / scale.unsqueeze(1)).round().to(torch.int8)
        if onednn:
            zero_point = torch.zeros(len(weight), dtype=torch.int64)
            weight = torch.ops.onednn.qlinear_prepack(weight, None)
        else:
            weight = weight.float()
    else:
        weight = weight.to(getattr(torch, precision))
        if onednn:
            weight = torch.ops.mkldnn._reorder_linear_weight(weight, None)
    return PackedWeight(f"{'onednn' if onednn else 'plain'} {precision}", weight, scale, zero_point)


def _if_built(function: Callable[..., Any]) -> Callable[..., Any]:
    """TorchScript looks up operators when it compiles a function, even one that is never called:
    it isn't shown those that this build of PyTorch doesn't have."""
    return function if _BUILT_WITH_ONEDNN else torch.jit.unused(function)


@_if_built
def _onednn_product(x: Tensor, packed: PackedWeight, bias: Optional[Tensor]) -> Tensor:
    """x: (n_rows, in_features), in the weight's precision, as the result."""
    return torch.ops.mkldnn._linear_pointwise(x, packed.weight, bias, "none", [], "")


@_if_built
def _onednn_int8_product(x: Tensor, packed: PackedWeight) -> Tensor:
    """x: (n_rows, in_features), uint8, where 128 stands for zero. RETURNS: float32."""
    return torch.ops.onednn.qlinear_pointwise(
        x, 1.0, 128, packed.weight, packed.scale, packed.zero_point,
        None, 1.0, 0, torch.float32, "none", [], "",
    )  # fmt: skip


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
    missing = round_up(n_rows) - n_rows
    if missing > 0:
        x = torch.nn.functional.pad(x, [0, 0, 0, missing])
    if kernel == "onednn float32":
        return _onednn_product(x, packed, bias)[:n_rows]
    if kernel == "plain float32":
        return torch.nn.functional.linear(x, packed.weight, bias)[:n_rows]
    if kernel == "onednn bfloat16":
        y = _onednn_product(x.to(torch.bfloat16), packed, None).to(x.dtype)
    elif kernel == "plain bfloat16":
        y = torch.mm(x.to(torch.bfloat16), packed.weight.t()).to(x.dtype)
    else:
        steps = x.abs().amax(dim=1, keepdim=True).div_(127.0).clamp_min_(1e-30)
        rounded = (x / steps).round_()
        if kernel == "onednn int8":
            # oneDNN has fast products of unsigned by signed bytes only: hence the 128.
            y = _onednn_int8_product(rounded.add_(128.0).to(torch.uint8), packed).mul_(steps)
        else:
            y = torch.mm(rounded, packed.weight.t()).mul_(packed.scale).mul_(steps)
    if bias is not None:
        y.add_(bias)
    return y[:n_rows]


@_if_built
def _onednn_dense_product(x: Tensor, weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")


def product(x: Tensor, weight: Tensor, onednn: bool) -> Tensor:
    """``x @ weight.t()`` for weights that change after a few products, as in training.

    x: (n_rows, in_features). weight: (out_features, in_features), of x's type.
    onednn: Whether to call oneDNN's float32 product; ``torch.mm`` finds that for bfloat16 itself.
    RETURNS: (n_rows, out_features), of x's type.
    """
    if onednn:
        return _onednn_dense_product(x, weight)
    return torch.mm(x, weight.t())


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
