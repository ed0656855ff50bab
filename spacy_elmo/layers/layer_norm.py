"""Layer norm of a biLM's layers (Ba et al. 2016, without learned gain and bias)."""

from typing import Any, Callable, List, Tuple

from thinc.types import Floats3d

LayersT = List[Floats3d]

_EPSILON = 1e-5  # as in torch.nn.LayerNorm


def normalize(X: LayersT) -> Tuple[LayersT, Callable[[LayersT], LayersT]]:
    """Each layer of each token to mean 0 and variance 1; rows of zeros (whitespace) stay zeros.

    X: For each Doc (n_layers, n_tokens, width).
    RETURNS: The same shapes, and the callback for their gradients.
    """
    arrays: List[Any] = list(X)
    centred = [x - x.mean(axis=-1, keepdims=True) for x in arrays]
    scales = [((x * x).mean(axis=-1, keepdims=True) + _EPSILON) ** -0.5 for x in centred]
    normed = [x * scale for x, scale in zip(centred, scales, strict=True)]

    def backprop(dY: List[Any]) -> LayersT:
        dX = []
        for dy, y, scale in zip(dY, normed, scales, strict=True):
            along = (dy * y).mean(axis=-1, keepdims=True)
            dX.append(scale * (dy - dy.mean(axis=-1, keepdims=True) - y * along))
        return dX

    return normed, backprop
