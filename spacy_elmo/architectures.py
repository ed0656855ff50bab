"""The registered architectures: what a config can name."""

from math import inf
from typing import Any, Dict, Iterator, List, Optional, Union

from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d

from .bilm import Precision
from .layers import CacheLayers, Combine, ElmoListener, bilm_layer, mixed_bilm, scalar_mix
from .spans import SpanGetter

Tok2Vec = Model[List[Doc], List[Floats2d]]
SourceConfig = Union[str, List[str]]

_LISTENER = "spacy-elmo.ElmoListener.v1"
_TOK2VEC = "spacy-elmo.Tok2VecElmo.v1"
_STOCK_LISTENERS = ("spacy.Tok2VecListener.v1", "spacy-legacy.Tok2VecListener.v1")
_KEPT_ARGUMENTS = ("mix_weights", "layer_norm", "dropout", "combine", "width")


def build_bilm_v1(
    source: SourceConfig,
    get_spans: SpanGetter,
    frozen: bool = True,
    precision: Precision = "float32",
    mix_weights: Optional[List[float]] = None,
    max_batch_tokens: int = 4096,
    cache_layers: CacheLayers = "float32",
    lr_scale: float = 1.0,
) -> Tok2Vec:
    """The model of the ``elmo`` component: a biLM and the component's own mix of its layers.

    source (Union[str, List[str]]): Where the weights come from: a bundled or published name, a
        directory, an HDF5 file, a URL, ``hf:OWNER/NAME[@REVISION]`` of the Hugging Face Hub, or a
        list of two paths or URLs (options, weights). Read (and fetched, if it is remote) only when
        the weights are first needed, and never when a trained pipeline is loaded.
    get_spans (Callable[[List[Doc]], List[List[Span]]]): Cuts Docs into what the biLM reads.
    frozen (bool): Keep the biLM as it is and let only the mixes learn; false fine-tunes it.
    precision (str): What matrix products are computed in where no gradient is needed: "float32"
        (exact), or "bfloat16" or "int8", which are faster and a little less exact.
    mix_weights (Optional[List[float]]): The own mix's factor of each layer, not learned. By
        default it starts as their mean, or as the mix that came with the weights (TF-Hub's modules
        have one), and learns if a stock Tok2VecListener is trained with it.
    max_batch_tokens (int): Most tokens that are computed together; bounds the memory.
    cache_layers (str): How training keeps the layers of a frozen biLM, so that each sentence is
        computed once: "float32", "float16" (half the room, layers rounded) or "none".
    lr_scale (float): The learning rate of a biLM that isn't frozen, as a factor of the optimizer's:
        weights that have been learned from much text want smaller steps than new ones.
    RAISES ValueError: max_batch_tokens isn't positive, or lr_scale is below 0 or not finite.
    """
    return build_tok2vec_elmo_v1(
        source=source,
        get_spans=get_spans,
        frozen=frozen,
        precision=precision,
        mix_weights=mix_weights,
        max_batch_tokens=max_batch_tokens,
        cache_layers=cache_layers,
        lr_scale=lr_scale,
    )


def build_elmo_listener_v1(
    mix_weights: Optional[List[float]] = None,
    layer_norm: bool = False,
    dropout: float = 0.0,
    combine: Combine = "sum",
    upstream: str = "*",
) -> Tok2Vec:
    """A tok2vec layer that listens to an ``elmo`` component and has its own mix of the layers.

    mix_weights (Optional[List[float]]): Each layer's factor, not learned; [0, 0, 1] takes the
        top of three layers. By default the mix is learned, from the mean of the layers or the
        mix that came with the weights.
    layer_norm (bool): Normalize each layer of a token before mixing.
    dropout (float): Share of the mix that is set to zero in training, besides
        [training.dropout].
    combine (str): "sum" mixes the layers, as the paper does; "concatenate" puts them side by
        side, which makes the output as many times wider.
    upstream (str): The component's name; "*" if there is only one.
    """
    return ElmoListener(scalar_mix(mix_weights, layer_norm, dropout, combine), upstream)


def build_tok2vec_elmo_v1(
    source: SourceConfig,
    get_spans: SpanGetter,
    frozen: bool = True,
    precision: Precision = "float32",
    mix_weights: Optional[List[float]] = None,
    layer_norm: bool = False,
    dropout: float = 0.0,
    combine: Combine = "sum",
    max_batch_tokens: int = 4096,
    cache_layers: CacheLayers = "float32",
    width: Optional[int] = None,
    lr_scale: float = 1.0,
) -> Tok2Vec:
    """A tok2vec layer with a biLM of its own, for a single component. Needs no ``elmo`` component.

    The arguments are those of ``spacy-elmo.BiLM.v1`` and ``spacy-elmo.ElmoListener.v1``, and

    width (Optional[int]): The biLM's width, for an architecture that has to know it when it is
        put together, before the weights are read. spacy.EntityLinker.v2 is one.
        Not with "concatenate", whose output is wider.
    RAISES ValueError: max_batch_tokens or the width isn't positive, the width can't be told, or
        lr_scale is below 0 or not finite.
    """
    if width is not None and width < 1:
        raise ValueError(f"width = {width} is not a positive number.")
    if width is not None and combine == "concatenate":
        raise ValueError('The width is the biLM\'s: leave it out with combine = "concatenate".')
    if max_batch_tokens < 1:
        raise ValueError(f"max_batch_tokens = {max_batch_tokens} is not a positive number.")
    if not 0 <= lr_scale < inf:
        raise ValueError(f"lr_scale = {lr_scale} is no factor of a learning rate: 0.1 is a tenth.")
    model = mixed_bilm(
        bilm_layer(
            source, frozen, precision, max_batch_tokens, get_spans, cache_layers, width, lr_scale
        ),
        scalar_mix(mix_weights, layer_norm, dropout, combine),
    )
    model.attrs["replace_listener"] = replace_listener
    model.attrs["replace_listener_cfg"] = replace_listener_config
    return model


def replace_listener(copied: Tok2Vec, listener: Model, elmo: Any) -> Tok2Vec:
    """For ``nlp.replace_listeners``: what takes a listener's place.

    copied: A copy of the component's model.
    listener: The listener. One of ours brings its mix along; a stock one had the component's.
    elmo: The component.
    RETURNS: A model as ``spacy-elmo.Tok2VecElmo.v1`` builds it.
    """
    if not isinstance(listener, ElmoListener):
        return copied
    # A copied model has no attributes of subclasses and no refs; its layers are as they were.
    return mixed_bilm(copied.layers[0], listener.layers[0])


def replace_listener_config(bilm: Dict[str, Any], tok2vec: Dict[str, Any]) -> Dict[str, Any]:
    """For ``nlp.replace_listeners``: the config of what takes a listener's place.

    bilm: The block [components.elmo.model].
    tok2vec: The block of the downstream component's ``tok2vec``, which is the listener or holds
        it somewhere inside.
    RETURNS: The block of the replacement.
    RAISES ValueError: There are several listeners with different mixes.
    """
    listeners = list(_find_listeners(tok2vec))
    found = [{key: block[key] for key in _KEPT_ARGUMENTS if key in block} for block in listeners]
    is_ours = [block["@architectures"] == _LISTENER for block in listeners]
    if any(arguments != found[0] for arguments in found) or len(set(is_ours)) > 1:
        raise ValueError(
            "Can't replace listeners of one component that mix the layers differently: spaCy "
            "doesn't say which of them is meant. Give each its own spacy-elmo.Tok2VecElmo.v1."
        )
    if not found:
        return bilm
    return {**bilm, **found[0], "@architectures": _TOK2VEC}


def _find_listeners(block: Any) -> Iterator[Dict[str, Any]]:
    """The blocks of listeners of either kind, at any depth."""
    if isinstance(block, dict):
        if block.get("@architectures") in (_LISTENER, *_STOCK_LISTENERS):
            yield block
        for value in block.values():
            yield from _find_listeners(value)
