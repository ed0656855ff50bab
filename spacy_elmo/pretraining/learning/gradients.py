"""The size of all gradients together, and its limit."""

from collections.abc import Iterable
from typing import Optional

import torch
from torch import Tensor, nn


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: Optional[float]) -> float:
    """Scale gradients down if they are larger than allowed. (PyTorch's ``clip_grad_norm_`` refuses
    sparse ones.)

    parameters: Whose gradients. Sparse ones become coalesced: each row once.
    max_norm: Largest norm of all together; None for no limit.
    RETURNS: The norm before; infinite or NaN if a gradient isn't finite.
    """
    values: list[Tensor] = []
    for parameter in parameters:
        gradient = parameter.grad
        assert gradient is not None
        if gradient.is_sparse:
            parameter.grad = gradient = gradient.coalesce()
            gradient = gradient._values()
        values.append(gradient)
    norms = torch.stack(torch._foreach_norm(values))
    norm = norms.norm().item()
    if max_norm is not None and norm > max_norm:
        torch._foreach_mul_(values, max_norm / norm)
    return norm
