"""The layer from Docs to the layers of their tokens."""

from typing import Callable, List, Optional, Tuple, cast

from spacy.tokens import Doc
from thinc.api import ArgsKwargs, Model, torch2xp, xp2torch
from thinc.types import Floats3d

from ..bilm import BiLMConfig, Precision
from ..formats import Source
from ..spans import SpanGetter, get_sentences
from .bilm_shim import BiLMShim
from .training_cache import CacheLayers

InT = List[Doc]
OutT = List[Floats3d]


def bilm_layer(
    source: Source,
    frozen: bool,
    precision: Precision,
    max_batch_tokens: int,
    get_spans: SpanGetter,
    cache_layers: CacheLayers,
    width: Optional[int] = None,
    lr_scale: float = 1.0,
) -> Model[InT, OutT]:
    """Compute the layers of every token.

    source: Where the weights are read from when they are first needed.
    frozen: Whether the biLM stays as it is; its layer then has no gradient.
    precision: What matrix products are computed in, except where gradients are.
    max_batch_tokens: Most tokens that are computed together.
    get_spans: Cuts Docs into sentences.
    cache_layers: How to keep the layers of a frozen biLM in training.
    width: The biLM's, if layers that follow have to know it before the weights are read.
    lr_scale: Factor of the optimizer's learning rate for a biLM that isn't frozen.
    """
    return Model(
        "bilm",
        forward,
        init=init,
        dims={"nO": width},
        attrs={"get_spans": get_spans},
        shims=[BiLMShim(source, frozen, precision, max_batch_tokens, cache_layers, lr_scale)],
    )


def init(model: Model[InT, OutT], X: Optional[InT] = None, Y: Optional[OutT] = None) -> None:
    """Read the weights, or go back to them as they were read."""
    cast(BiLMShim, model.shims[0]).reset()
    read_config(model)


def read_config(model: Model[InT, OutT]) -> BiLMConfig:
    """The biLM's options, for which its weights are read, unless they are there already.

    model: A biLM's layer, which knows its width then.
    RAISES ValueError: The weights can't be read, or have another width than is expected.
    """
    shim = cast(BiLMShim, model.shims[0])
    config = shim.config
    expected = model.maybe_get_dim("nO")
    if expected not in (None, config.width):
        raise ValueError(
            f"The biLM of source '{shim.source}' has the width {config.width}, but {expected} is "
            f"expected of it. Where the config says width = {expected}, say {config.width}."
        )
    model.set_dim("nO", config.width)
    return config


def forward(model: Model[InT, OutT], docs: InT, is_train: bool) -> Tuple[OutT, Callable]:
    """docs: Any Docs; result: for each (n_layers + 1, n_tokens, width), zeros for whitespace."""
    shim = cast(BiLMShim, model.shims[0])
    config = read_config(model)
    sentences = get_sentences(docs, model.attrs["get_spans"])
    words = [s.words for in_doc in sentences for s in in_doc]
    if shim.frozen:
        arrays = shim.embed(words, is_train)
    else:
        inputs = ArgsKwargs((words,), {"max_batch_tokens": shim.max_batch_tokens})
        tensors, backprop_tensors = shim(inputs, is_train)
        arrays = [torch2xp(tensor, ops=model.ops) for tensor in tensors]

    layers = [model.ops.alloc3f(config.n_layers, len(doc), config.width) for doc in docs]
    results = iter(arrays)
    for array, in_doc in zip(layers, sentences, strict=True):
        for sentence in in_doc:
            result = model.ops.asarray3f(next(results))
            array[:, sentence.tokens] = result[:, sentence.rows]  # type: ignore[index]

    if shim.frozen or not is_train:
        return layers, lambda d_layers: []

    def backprop(d_layers: OutT) -> InT:
        outputs, gradients = [], []
        results = iter(tensors)
        for array, in_doc in zip(d_layers, sentences, strict=True):
            for sentence in in_doc:
                output = next(results)
                if sentence.words:  # what was not computed has no gradient
                    gradient = model.ops.alloc3f(*output.shape)
                    gradient[:, sentence.rows] = array[:, sentence.tokens]  # type: ignore[index]
                    outputs.append(output)
                    gradients.append(xp2torch(gradient, device=shim.device))
        if outputs:
            backprop_tensors(ArgsKwargs((outputs,), {"grad_tensors": gradients}))
        return []

    return layers, backprop
