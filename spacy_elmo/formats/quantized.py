"""Weights in 8 bits: each row of a matrix as whole numbers and what one step of them is worth."""

from collections.abc import Mapping

import torch
from torch import Tensor

SCALE = ":scale"  # what the name of a row's steps ends in
_MOST = 127


def quantize(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Round matrices to 8 bits, and vectors, which are small, to half precision.

    tensors: By name, float32 and finite.
    RETURNS: Each matrix (n_rows, …) as int8, and under its name with ``SCALE`` (n_rows,) float32:
        the matrix is about ``scale * int8``, within half a step.
    """
    result = {}
    for name, tensor in tensors.items():
        if tensor.dim() < 2:
            result[name] = tensor.half()
            continue
        rows = tensor.flatten(1)
        steps = (rows.abs().amax(dim=1) / _MOST).clamp_min(torch.finfo(torch.float32).tiny)
        result[name] = (rows / steps.unsqueeze(1)).round().to(torch.int8).view_as(tensor)
        result[name + SCALE] = steps
    return result


def dequantize(tensors: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """The inverse of ``quantize``, but for what was rounded. Other tensors stay as they are.

    where: Where the tensors come from, for the error.
    RAISES ValueError: Steps and matrix don't fit together.
    """
    result = {name: tensor for name, tensor in tensors.items() if not name.endswith(SCALE)}
    for name in tensors.keys() - result.keys():
        matrix, steps = tensors.get(name.removesuffix(SCALE)), tensors[name]
        if (
            matrix is None
            or matrix.dtype != torch.int8
            or matrix.dim() < 2
            or steps.dtype != torch.float32
            or steps.shape != matrix.shape[:1]
        ):
            raise ValueError(f"{where}: array '{name}' has no matrix in int8 that it fits.")
        steps = steps.view(-1, *[1] * (matrix.dim() - 1))
        result[name.removesuffix(SCALE)] = matrix.float() * steps
    return result
