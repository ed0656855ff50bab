"""The scalar mix: a task's own weighting of the layers (Peters et al. 2018, equation 1)."""

from dataclasses import dataclass
from typing import Any, Callable, List, Optional, Tuple, cast

from thinc.api import Model
from thinc.types import Floats1d, Floats2d, Floats3d

from ..bilm import ScalarMixConfig

InT = List[Floats3d]
OutT = List[Floats2d]

_EPSILON = 1e-5  # of the layer norm, as in torch.nn.LayerNorm


def scalar_mix(
    weights: Optional[List[float]] = None, layer_norm: bool = False, dropout: float = 0.0
) -> Model[InT, OutT]:
    """Mix layers: ``gamma * sum_j softmax(s)_j * h_j``. Learning starts from the mean of the
    layers (s = 0, gamma = 1), unless ``start_mix`` has set something else.

    weights (Optional[List[float]]): The factor of each layer as it is, nothing learned;
        [0, 0, 1] is the top of three layers. None learns s and gamma.
    layer_norm (bool): Scale each layer of each token to mean 0 and variance 1 first. (The
        reference implementations take mean and variance over a whole batch; that would make a
        token's vector depend on what it is batched with.)
    dropout (float): Share of the mix that is set to zero in training. It is this layer's alone:
        [training.dropout] doesn't change it.
    RAISES ValueError: The dropout is not in [0, 1).
    """
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout = {dropout} of a scalar mix is not in [0, 1).")
    return Model(
        "scalar_mix",
        forward,
        init=init,
        params={} if weights is not None else {"s": None, "gamma": None},
        attrs={"settings": MixSettings(weights, layer_norm, dropout)},
    )


@dataclass(frozen=True)
class MixSettings:
    """The arguments of ``scalar_mix``. Thinc stores plain values with a model's weights and would
    put them over those of the config that the weights are loaded into; it leaves this alone."""

    weights: Optional[List[float]]
    layer_norm: bool
    dropout: float


def init(model: Model[InT, OutT], X: Optional[InT] = None, Y: Optional[OutT] = None) -> None:
    """Start from the mean of the layers; without X, when there are some."""
    if X:
        start_mix(model, _mean_of(X), anew=True)
    else:
        for name in model.param_names:
            model.set_param(name, None)


def start_mix(model: Model[InT, OutT], start: ScalarMixConfig, *, anew: bool = False) -> None:
    """Set what learning starts from.

    model: A scalar mix. One with fixed weights stays as it is.
    start: The biLM's ``mix_start``.
    anew: Also forget what was learned. Otherwise that is kept if it is for as many layers.
    """
    if model.has_param("s") is False:
        return
    s = cast(Optional[Floats1d], model.get_param("s")) if model.has_param("s") else None
    if anew or s is None or len(s) != len(start.weights):
        for name, values in (("s", start.weights), ("gamma", [start.gamma])):
            param = model.ops.asarray1f(values, dtype="float32")
            model.set_param(name, param)
            if model.has_grad(name):  # of the weights as they were
                model.set_grad(name, model.ops.alloc1f(len(param)))


def forward(model: Model[InT, OutT], X: InT, is_train: bool) -> Tuple[OutT, Callable]:
    """X: For each doc (n_layers, n_tokens, width); result: (n_tokens, width).

    RAISES ValueError: The number of layers isn't that of the weights.
    """
    if not X:
        return [], lambda dY: []
    if model.has_param("s") is None:
        start_mix(model, _mean_of(X))
    settings: MixSettings = model.attrs["settings"]
    weights, backprop_weights = _layer_weights(model)
    if len(weights) != len(X[0]):
        raise ValueError(f"A scalar mix with {len(weights)} weights can't mix {len(X[0])} layers.")
    if settings.layer_norm:
        X, backprop_norm = _layer_norm(X)
    xp = model.ops.xp
    Y = [xp.tensordot(weights, x, axes=1) for x in X]
    masks = None
    if is_train and settings.dropout:
        masks = [model.ops.get_dropout_mask(y.shape, settings.dropout) for y in Y]
        Y = [y * mask for y, mask in zip(Y, masks, strict=True)]

    def backprop(dY: OutT) -> InT:
        if masks is not None:
            dY = [dy * mask for dy, mask in zip(dY, masks, strict=True)]
        backprop_weights(sum(xp.tensordot(x, dy, axes=2) for x, dy in zip(X, dY, strict=True)))
        dX = [xp.multiply.outer(weights, dy) for dy in dY]
        return backprop_norm(dX) if settings.layer_norm else dX

    return Y, backprop


def _mean_of(X: InT) -> ScalarMixConfig:
    """The start that gives the mean of the layers."""
    return ScalarMixConfig(weights=(0.0,) * len(X[0]), gamma=1.0)


def _layer_weights(model: Model[InT, OutT]) -> Tuple[Floats1d, Callable[[Floats1d], None]]:
    """The factor of each layer, (n_layers,), and the callback for its gradient."""
    fixed = model.attrs["settings"].weights
    if fixed is not None:
        return model.ops.asarray1f(fixed, dtype="float32"), lambda d_weights: None
    gamma = model.get_param("gamma")
    shares = model.ops.softmax(cast(Floats1d, model.get_param("s")))

    def backprop(d_weights: Floats1d) -> None:
        model.inc_grad("gamma", (shares * d_weights).sum(keepdims=True))
        d_shares = gamma * d_weights
        model.inc_grad("s", shares * (d_shares - (shares * d_shares).sum()))

    return cast(Floats1d, gamma * shares), backprop


def _layer_norm(X: InT) -> Tuple[InT, Callable[[InT], InT]]:
    """Each row to mean 0 and variance 1; rows of zeros (whitespace) stay zeros."""
    arrays: List[Any] = list(X)
    centred = [x - x.mean(axis=-1, keepdims=True) for x in arrays]
    scales = [((x * x).mean(axis=-1, keepdims=True) + _EPSILON) ** -0.5 for x in centred]
    normed = [x * scale for x, scale in zip(centred, scales, strict=True)]

    def backprop(dY: List[Any]) -> InT:
        dX = []
        for dy, y, scale in zip(dY, normed, scales, strict=True):
            along = (dy * y).mean(axis=-1, keepdims=True)
            dX.append(scale * (dy - dy.mean(axis=-1, keepdims=True) - y * along))
        return dX

    return normed, backprop
