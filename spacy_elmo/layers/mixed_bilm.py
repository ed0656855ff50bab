"""A biLM and a mix of its layers, one after the other."""

from typing import Any, Callable, List, Optional, Tuple, cast

from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d, Floats3d

from ..bilm import BiLMConfig
from .bilm import read_config
from .scalar_mix import output_width, start_mix

InT = List[Doc]
OutT = List[Floats2d]


def mixed_bilm(
    bilm: Model[InT, List[Floats3d]], mix: Model[List[Floats3d], OutT]
) -> Model[InT, OutT]:
    """What ``chain(bilm, mix)`` computes, but the mix starts from what came with the weights.

    bilm: The biLM's layer.
    mix: The scalar mix.
    """
    is_sum = mix.attrs["settings"].combine == "sum"
    dims = {"nO": bilm.maybe_get_dim("nO") if is_sum else None}
    return Model("mixed_bilm", forward, init=init, dims=dims, layers=[bilm, mix])


def init(model: Model[InT, OutT], X: Optional[InT] = None, Y: Optional[OutT] = None) -> None:
    """Start anew: from the weights as they were read, and from the mix that came with them."""
    bilm, mix = cast(Any, model.layers)
    bilm.initialize()
    start_mix(mix, read_weights(model).mix_start, anew=True)


def read_weights(model: Model[InT, OutT]) -> BiLMConfig:
    """Read the weights, unless they are there already, and start the mix, unless it has learned.

    model: A biLM with a mix, which knows its width then.
    RETURNS: The biLM's options.
    RAISES ValueError: The weights can't be read, or have another width than is expected.
    """
    bilm, mix = cast(Any, model.layers)
    config = read_config(bilm)
    start_mix(mix, config.mix_start)
    model.set_dim("nO", output_width(mix, config))
    return config


def forward(model: Model[InT, OutT], docs: InT, is_train: bool) -> Tuple[OutT, Callable]:
    """docs: Any Docs; result: for each (n_tokens, width), or what the mix makes of it."""
    read_weights(model)
    bilm, mix = cast(Any, model.layers)
    layers, backprop_bilm = bilm(docs, is_train)
    mixed, backprop_mix = mix(layers, is_train)
    return mixed, lambda d_mixed: backprop_bilm(backprop_mix(d_mixed))
