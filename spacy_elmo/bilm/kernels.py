"""oneDNN's matrix products.

They are PyTorch's fastest on every x86 processor (on AMD's, more than twice as fast as those behind
``torch.mm``), and the only ones for bfloat16 and int8. But they are operators of PyTorch's own,
which any release may change or drop, and some builds don't have; this is the one module that calls
them. Whoever does asks ``has_onednn`` first, and has a plain product in their place.
"""

import platform
from functools import cache
from typing import Literal, Optional

import torch
from torch import Tensor

from .scripting import only_if

Precision = Literal["float32", "bfloat16", "int8"]
INT8_MAX = 127


def has_onednn(device: torch.device, precision: Precision) -> bool:
    """Whether oneDNN's kernels compute this here. They exist only on CPUs."""
    return device.type == "cpu" and _works(precision)


@cache
def _works(precision: Precision) -> bool:
    """Tried on a small product, once: an operator that is gone, wants other arguments or gives
    other numbers is one that isn't there. oneDNN refuses bfloat16 on processors without AVX-512 or
    the like."""
    try:
        if not torch.backends.mkldnn.is_available():
            return False
        with torch.device("cpu"), torch.inference_mode(False), torch.no_grad():
            return _int8_is_exact() if precision == "int8" else _is_exact(precision)
    except Exception:  # whatever it is that changed
        return False


def _is_exact(precision: Precision) -> bool:
    """On whole numbers and sums that every precision holds."""
    x, weight = torch.arange(128).view(2, 64) % 3, torch.arange(2048).view(32, 64) % 3
    expected = (x.unsqueeze(1) * weight).sum(dim=2)
    x, weight, expected = (
        numbers.to(getattr(torch, precision)) for numbers in (x, weight, expected)
    )
    products = [onednn_product(x, w, None) for w in (weight, onednn_layout(weight))]
    return all(torch.equal(y, expected) for y in products)


def _int8_is_exact() -> bool:
    """Without VNNI instructions, sums of large products saturate, without an error."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    weight = onednn_layout(torch.full((32, 64), INT8_MAX, dtype=torch.int8))
    x = torch.full((2, 64), 255, dtype=torch.uint8)
    scale = torch.ones(32, dtype=torch.float32)
    y = onednn_int8_product(x, weight, scale, torch.zeros(32, dtype=torch.int64))
    return bool((y == (255 - 128) * INT8_MAX * 64).all())


@cache
def rounds_by_rows() -> bool:
    """Whether oneDNN's bfloat16 products round a row in another way when it is one of more rows, as
    they do on processors with AMX, for sums of 512 and more: their blocks depend on both numbers.
    Tried on a product, once. Only to be asked where they exist."""
    with torch.device("cpu"), torch.inference_mode(False), torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        x, weight = torch.randn(2, 512, 512, generator=generator).to(torch.bfloat16)
        weight = onednn_layout(weight)
        whole = onednn_product(x, weight, None)
        return any(
            not torch.equal(onednn_product(x[:n_rows], weight, None), whole[:n_rows])
            for n_rows in (32, 64, 96, 160, 256)
        )


def onednn_layout(weight: Tensor) -> Tensor:
    """A weight as oneDNN's products read it fastest.

    weight: (out_features, in_features), float32, bfloat16 or int8.
    RETURNS: Of a shape and layout of oneDNN's own.
    """
    if weight.dtype == torch.int8:
        return torch.ops.onednn.qlinear_prepack(weight, None)
    return torch.ops.mkldnn._reorder_linear_weight(weight, None)


@only_if(lambda: _works("float32") or _works("bfloat16"))
def onednn_product(x: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:
    """``x @ weight.t() + bias``.

    x: (n_rows, in_features), float32 or bfloat16, as the result.
    weight: (out_features, in_features), of x's type, with or without ``onednn_layout``.
    """
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


@only_if(lambda: _works("int8"))
def onednn_int8_product(x: Tensor, weight: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
    """``(x - 128) @ (scale * weight).t()``.

    x: (n_rows, in_features), uint8, where 128 stands for zero.
    weight: int8, by ``onednn_layout``.
    scale: (out_features,): what one step of the weight is worth.
    zero_point: (out_features,), zeros.
    RETURNS: (n_rows, out_features), float32.
    """
    return torch.ops.onednn.qlinear_pointwise(
        x, 1.0, 128, weight, scale, zero_point, None, 1.0, 0, torch.float32, "none", [], "",
    )  # fmt: skip


def product(x: Tensor, weight: Tensor, onednn: bool) -> Tensor:
    """``x @ weight.t()`` for weights that change after a few products, as in training.

    x: (n_rows, in_features). weight: (out_features, in_features), of x's type.
    onednn: Whether to call oneDNN's float32 product; ``torch.mm`` finds that for bfloat16 itself.
    RETURNS: (n_rows, out_features), of x's type.
    """
    if onednn:
        return onednn_product(x, weight, None)
    return torch.mm(x, weight.t())
