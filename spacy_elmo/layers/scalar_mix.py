"""The scalar mix: a task's own weighting of the layers (Peters et al. 2018, equation 1). Or all of
them side by side, for the layer that follows to weight value by value."""

from dataclasses import dataclass
from typing import Any, Callable, List, Literal, NamedTuple, Optional, Tuple, cast

import numpy as np
from thinc.api import Model
from thinc.types import Floats1d, Floats2d, Floats3d

from ..bilm import BiLMConfig, ScalarMixConfig
from .layer_norm import normalize

InT = List[Floats3d]
OutT = List[Floats2d]
Combine = Literal["sum", "concatenate"]


def scalar_mix(
    weights: Optional[List[float]] = None,
    layer_norm: bool = False,
    dropout: float = 0.0,
    combine: Combine = "sum",
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
    combine (str): "sum" is the formula above, "concatenate" puts the layers side by side, which
        has no weights.
    RAISES ValueError: The dropout is not in [0, 1), or there are weights for layers side by side.
    """
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout = {dropout} of a scalar mix is not in [0, 1).")
    if combine not in ("sum", "concatenate"):
        raise ValueError(f"combine = {combine!r} of a scalar mix: 'sum' or 'concatenate'.")
    if combine == "concatenate" and weights is not None:
        raise ValueError("mix_weights are for combine = 'sum': layers side by side have none.")
    is_learned = combine == "sum" and weights is None
    return Model(
        "scalar_mix",
        forward,
        init=init,
        params={"s": None, "gamma": None} if is_learned else {},
        attrs={"settings": MixSettings(weights, layer_norm, dropout, combine)},
    )


@dataclass(frozen=True)
class MixSettings:
    """The arguments of ``scalar_mix``. Thinc stores plain values with a model's weights and would
    put them over those of the config that the weights are loaded into; it leaves this alone."""

    weights: Optional[List[float]]
    layer_norm: bool
    dropout: float
    combine: Combine


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


class MixWeights(NamedTuple):
    """What a mix makes of the layers: gamma * sum_j shares_j * h_j.

    shares: (n_layers + 1,) float64, which add up to 1 unless they were set.
    gamma: The factor of the whole."""

    shares: np.ndarray
    gamma: float


def read_mix(model: Model[InT, OutT]) -> Optional[MixWeights]:
    """Read what a scalar mix has learned, or what was set.

    RETURNS: None if there are no weights: the layers are put side by side, or there have been none
        yet.
    """
    settings: MixSettings = model.attrs["settings"]
    if settings.weights is not None:
        return MixWeights(np.array(settings.weights, "float64"), 1.0)
    if not model.has_param("s"):
        return None
    s = model.ops.to_numpy(cast(Floats1d, model.get_param("s"))).astype("float64")
    powers = np.exp(s - s.max())
    return MixWeights(powers / powers.sum(), float(cast(Floats1d, model.get_param("gamma"))[0]))


def output_width(model: Model[InT, OutT], config: BiLMConfig) -> int:
    """Values a token that a mix gives of a biLM with these options."""
    settings: MixSettings = model.attrs["settings"]
    return config.width * (config.n_layers if settings.combine == "concatenate" else 1)


def forward(model: Model[InT, OutT], X: InT, is_train: bool) -> Tuple[OutT, Callable]:
    """X: For each doc (n_layers, n_tokens, width); result: (n_tokens, width), or with
    "concatenate" (n_tokens, n_layers * width), layer after layer.

    RAISES ValueError: The number of layers isn't that of the weights.
    """
    if not X:
        return [], lambda dY: []
    settings: MixSettings = model.attrs["settings"]
    backprops: List[Callable] = []
    if settings.layer_norm:
        X, backprop_norm = normalize(X)
        backprops.append(backprop_norm)
    Y, backprop_combined = _concatenate(X) if settings.combine == "concatenate" else _sum(model, X)
    backprops.append(backprop_combined)
    if is_train and settings.dropout:
        Y, backprop_dropout = _dropout(model, Y)
        backprops.append(backprop_dropout)

    def backprop(dY: OutT) -> InT:
        gradients: Any = dY
        for step in reversed(backprops):
            gradients = step(gradients)
        return gradients

    return Y, backprop


def _sum(model: Model[InT, OutT], X: InT) -> Tuple[OutT, Callable[[OutT], InT]]:
    if model.has_param("s") is None:
        start_mix(model, _mean_of(X))
    weights, backprop_weights = _layer_weights(model)
    if len(weights) != len(X[0]):
        raise ValueError(f"A scalar mix with {len(weights)} weights can't mix {len(X[0])} layers.")
    xp = model.ops.xp

    def backprop(dY: OutT) -> InT:
        backprop_weights(sum(xp.tensordot(x, dy, axes=2) for x, dy in zip(X, dY, strict=True)))
        return [xp.multiply.outer(weights, dy) for dy in dY]

    return [xp.tensordot(weights, x, axes=1) for x in X], backprop


def _concatenate(X: InT) -> Tuple[OutT, Callable[[OutT], InT]]:
    arrays: List[Any] = list(X)

    def backprop(dY: List[Any]) -> InT:
        shapes = [(n_tokens, n_layers, width) for n_layers, n_tokens, width in map(np.shape, X)]
        return [dy.reshape(s).transpose(1, 0, 2) for dy, s in zip(dY, shapes, strict=True)]

    width = arrays[0].shape[0] * arrays[0].shape[2]  # of no tokens, -1 could be anything
    return [x.transpose(1, 0, 2).reshape(x.shape[1], width) for x in arrays], backprop


def _dropout(model: Model[InT, OutT], Y: OutT) -> Tuple[OutT, Callable[[OutT], OutT]]:
    rate = model.attrs["settings"].dropout
    masks = [model.ops.get_dropout_mask(y.shape, rate) for y in Y]

    def drop(arrays: OutT) -> OutT:
        return [array * mask for array, mask in zip(arrays, masks, strict=True)]

    return drop(Y), drop


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
