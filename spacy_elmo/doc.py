"""What the component stores on a ``Doc``, and how it is read back: ``._.elmo``, and spaCy's
``.vector`` and ``.similarity``.

The arrays lie in ``doc.user_data["spacy_elmo"]`` under the component's name, so they survive
``Doc.to_bytes``, pickling and ``DocBin(store_user_data=True)``.
"""

import warnings
from typing import Any, Dict, Optional, Union

import numpy as np
from spacy.errors import Warnings
from spacy.tokens import Doc, Span, Token
from thinc.types import Floats1d, Floats2d, Floats3d

EXTENSION = "elmo"
_KEY = "spacy_elmo"


class ElmoVectors:
    """A ``Doc``'s vectors by one component.

    name: The component's name.
    mix: (n_tokens, width) float32: the component's own mix of the layers. Whitespace has zeros.
    """

    def __init__(self, name: str, mix: Floats2d, layers: Optional[Floats3d]) -> None:
        self.name = name
        self.mix = mix
        self._layers = layers

    @property
    def layers(self) -> Floats3d:
        """(n_layers + 1, n_tokens, width): layer 0 is the token encoder's.

        RAISES ValueError: The component doesn't store layers.
        """
        if self._layers is None:
            raise ValueError(
                f"The component '{self.name}' didn't store its layers on this Doc. Set "
                f'store_layers = "float32" (or "float16") in [components.{self.name}].'
            )
        return self._layers


def store_vectors(doc: Doc, name: str, mix: Floats2d, layers: Optional[Floats3d]) -> None:
    """Store a component's vectors on a Doc.

    doc: The Doc.
    name: The component's name.
    mix: (n_tokens, width).
    layers: (n_layers + 1, n_tokens, width), or None to store none.
    """
    by_name = {**doc.user_data.get(_KEY, {})}  # a new one: Doc.copy shares the old
    by_name[name] = {"mix": mix, "layers": layers, "offsets": _offsets(doc)}
    doc.user_data[_KEY] = by_name


def read_vectors(doc: Doc, name: Optional[str] = None) -> ElmoVectors:
    """A Doc's vectors.

    doc: A Doc that an ``elmo`` component has processed.
    name: The component's name. None takes the only component that has written to the Doc, or
        the one named "elmo" among several.
    RAISES ValueError: There are no such vectors, or the Doc was retokenized since.
    """
    stored = _stored(doc, name)
    if not np.array_equal(stored["offsets"], _offsets(doc)):
        raise ValueError(_RETOKENIZED.format(name=stored["name"]))
    return ElmoVectors(stored["name"], stored["mix"], stored["layers"])


def has_vectors(doc: Doc, name: Optional[str] = None) -> bool:
    """Whether ``read_vectors`` would find vectors, be they outdated or not."""
    return _name(doc, name) in doc.user_data.get(_KEY, {})


def set_hooks(doc: Doc) -> Doc:
    """Let ELMo answer ``.vector``, ``.has_vector`` and ``.similarity`` of a Doc, its spans and
    tokens. spaCy's hooks don't survive serialization or ``n_process``; this restores them.

    doc: A Doc that an ``elmo`` component has processed.
    RETURNS: The same Doc.
    """
    for hooks in (doc.user_hooks, doc.user_token_hooks, doc.user_span_hooks):
        hooks.update(vector=hook_vector, has_vector=hook_has_vector, similarity=hook_similarity)
    # Not on spans: spaCy calls the hook "vector" where it means this one.
    doc.user_hooks["vector_norm"] = doc.user_token_hooks["vector_norm"] = hook_vector_norm
    return doc


# The getters and hooks are functions of the module, because worker processes may pickle them.


def get_vector(target: Union[Doc, Span, Token]) -> Floats1d:
    """The component's mix for a token, or its mean over the tokens of a Doc or span.

    RETURNS: (width,) float32.
    RAISES ValueError: There are no vectors, or the Doc was retokenized since.
    """
    if isinstance(target, Token):
        stored = _stored(target.doc)
        offsets = stored["offsets"]
        # One token is checked alone: reading a long Doc token by token stays linear.
        if len(offsets) != len(target.doc) or tuple(offsets[target.i]) != (
            target.idx,
            target.idx + len(target),
        ):
            raise ValueError(_RETOKENIZED.format(name=stored["name"]))
        return stored["mix"][target.i]
    doc = target if isinstance(target, Doc) else target.doc
    mix: Any = read_vectors(doc).mix
    if isinstance(target, Span):
        mix = mix[target.start : target.end]
    return _mean(mix)


def _mean(vectors: Any) -> Floats1d:
    return vectors.mean(axis=0) if len(vectors) else vectors.sum(axis=0)


def hook_vector(target: Union[Doc, Span, Token]) -> Floats1d:
    """``get_vector``; where it is not clear whose vectors that would be (in the Doc that
    ``span.as_doc()`` makes, or after several components), by ``doc.tensor``, as in spaCy."""
    doc = target if isinstance(target, Doc) else target.doc
    if has_vectors(doc) or len(doc.tensor) != len(doc):
        return get_vector(target)
    if isinstance(target, Token):
        return doc.tensor[target.i]
    return _mean(doc.tensor if isinstance(target, Doc) else target.tensor)


def hook_has_vector(target: Union[Doc, Span, Token]) -> bool:
    """Whether the vector is other than zeros, as whitespace has them."""
    return bool(hook_vector(target).any())


def hook_vector_norm(target: Union[Doc, Token]) -> float:
    """The vector's L2 norm."""
    vector: Any = hook_vector(target)
    return float((vector * vector).sum() ** 0.5)


def hook_similarity(target: Union[Doc, Span, Token], other: Union[Doc, Span, Token]) -> float:
    """Cosine of two vectors; 0 with spaCy's warning W008 if one of them is zero.

    RAISES ValueError: The other object has no vector of the same width.
    """
    vector: Any = hook_vector(target)
    other_vector: Any = other.vector
    if vector.shape != other_vector.shape:
        raise ValueError(
            f"Can't compare a vector by ELMo of shape {vector.shape} with one of shape "
            f"{other_vector.shape} of {other!r}. Process both with the same pipeline; a Doc that "
            "was serialized or went through n_process needs spacy_elmo.set_hooks(doc)."
        )
    norms = float((vector * vector).sum() * (other_vector * other_vector).sum()) ** 0.5
    if norms == 0:
        warnings.warn(Warnings.W008.format(obj=type(target).__name__), stacklevel=3)
        return 0.0
    return float((vector * other_vector).sum()) / norms


def install_extensions() -> None:
    """Register ``Doc._.elmo``, ``Span._.elmo`` and ``Token._.elmo``, where the name is free."""
    getters: Dict[Any, Any] = {Doc: read_vectors, Span: get_vector, Token: get_vector}
    for target, getter in getters.items():
        if not target.has_extension(EXTENSION):
            target.set_extension(EXTENSION, getter=getter)


_RETOKENIZED = (
    "The Doc's tokens have changed since '{name}' computed their vectors, so they don't belong "
    "together any more. Retokenize before '{name}', or run it again."
)


def _name(doc: Doc, name: Optional[str]) -> str:
    """The component that is meant: by default the only one, or the one named like the extension."""
    names = list(doc.user_data.get(_KEY, {}))
    return name or (names[0] if len(names) == 1 else EXTENSION)


def _stored(doc: Doc, name: Optional[str] = None) -> Dict[str, Any]:
    name = _name(doc, name)
    by_name = doc.user_data.get(_KEY, {})
    if name in by_name:
        return {"name": name, **by_name[name]}
    if by_name:
        raise ValueError(
            f"The Doc has no vectors by '{name}', but by {', '.join(map(repr, by_name))}. "
            "Use spacy_elmo.read_vectors(doc, name)."
        )
    raise ValueError(
        "The Doc has no vectors by ELMo. Process it with a pipeline that has an 'elmo' component; "
        "a Doc from a DocBin keeps them with DocBin(store_user_data=True), one from span.as_doc() "
        "with copy_user_data=True if the span is the whole Doc."
    )


def _offsets(doc: Doc) -> "np.ndarray":
    """(n_tokens, 2): each token's first character and the one after its last."""
    lengths = doc.to_array(["LENGTH", "SPACY"]).astype("int32").reshape(len(doc), 2)
    after = lengths.sum(axis=1).cumsum(dtype="int32")
    starts = after - lengths.sum(axis=1, dtype="int32")
    return np.stack([starts, starts + lengths[:, 0]], axis=1)
