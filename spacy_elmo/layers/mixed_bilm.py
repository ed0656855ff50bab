"""A biLM and a mix of its layers, one after the other."""

from typing import Any, Callable, List, Optional, Tuple, cast

from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d, Floats3d

from .bilm import BiLMShim
from .scalar_mix import start_mix

InT = List[Doc]
OutT = List[Floats2d]


def mixed_bilm(
    bilm: Model[InT, List[Floats3d]], mix: Model[List[Floats3d], OutT]
) -> Model[InT, OutT]:
    """What ``chain(bilm, mix)`` computes, but the mix starts from what came with the weights.

    bilm: The biLM's layer.
    mix: The scalar mix.
    """
    return Model("mixed_bilm", forward, init=init, dims={"nO": None}, layers=[bilm, mix])


def init(model: Model[InT, OutT], X: Optional[InT] = None, Y: Optional[OutT] = None) -> None:
    """Read the weights, unless they are there already, and start the mix."""
    bilm, mix = model.layers
    bilm.initialize()
    start_mix(mix, cast(BiLMShim, bilm.shims[0]).config.mix_start)
    model.set_dim("nO", bilm.get_dim("nO"))


def forward(model: Model[InT, OutT], docs: InT, is_train: bool) -> Tuple[OutT, Callable]:
    """docs: Any Docs; result: for each (n_tokens, width)."""
    bilm, mix = cast(Any, model.layers)
    layers, backprop_bilm = bilm(docs, is_train)
    start_mix(mix, cast(BiLMShim, bilm.shims[0]).config.mix_start)
    mixed, backprop_mix = mix(layers, is_train)
    return mixed, lambda d_mixed: backprop_bilm(backprop_mix(d_mixed))
