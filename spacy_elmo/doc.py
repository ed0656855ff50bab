"""What the component stores on a ``Doc``, and how it is read back: ``._.elmo``, and spaCy's
``.vector`` and ``.similarity``.

The arrays lie in ``doc.user_data`` under ``("spacy_elmo", component name)``, so they survive
``Doc.to_bytes``, pickling and ``DocBin(store_user_data=True)``.
"""

import warnings
from typing import Any, Dict, List, Optional, Union

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
    user_data: Dict[Any, Any] = doc.user_data
    user_data[_KEY, name] = {"mix": mix, "layers": layers, "offsets": _offsets(doc)}


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
    return bool(_names(doc) if name is None else (_KEY, name) in doc.user_data)


def set_hooks(doc: Doc) -> Doc:
    """Let ELMo answer ``.vector``, ``.has_vector`` and ``.similarity`` of a Doc, its spans and
    tokens. spaCy's hooks don't survive serialization or ``n_process``; this restores them.

    doc: A Doc that an ``elmo`` component has processed.
    RETURNS: The same Doc.
    """
    for hooks in (doc.user_hooks, doc.user_token_hooks, doc.user_span_hooks):
        hooks.update(vector=get_vector, has_vector=get_has_vector, similarity=get_similarity)
    # Not on spans: spaCy calls the hook "vector" where it means this one.
    doc.user_hooks["vector_norm"] = doc.user_token_hooks["vector_norm"] = get_vector_norm
    return doc


# The getters and hooks are functions of the module, because worker processes may pickle them.


def get_vector(target: Union[Doc, Span, Token]) -> Floats1d:
    """The component's mix for a token, or its mean over the tokens of a Doc or span.

    RETURNS: (width,) float32.
    RAISES ValueError: There are no vectors, or the Doc was retokenized since.
    """
    if isinstance(target, Token):
        stored, start, end = _stored(target.doc), target.i, target.i + 1
        first = target.idx, target.idx + len(target)
        # One token is checked alone: reading a long Doc token by token stays linear.
        if end > len(stored["offsets"]) or tuple(stored["offsets"][start]) != first:
            raise ValueError(_RETOKENIZED.format(name=stored["name"]))
        return stored["mix"][start]
    doc = target if isinstance(target, Doc) else target.doc
    mix: Any = read_vectors(doc).mix
    if isinstance(target, Span):
        mix = mix[target.start : target.end]
    return mix.mean(axis=0) if len(mix) else mix.sum(axis=0)


def get_has_vector(target: Union[Doc, Span, Token]) -> bool:
    """Whether the vector is other than zeros, as whitespace has them."""
    return bool(get_vector(target).any())


def get_vector_norm(target: Union[Doc, Token]) -> float:
    """The vector's L2 norm."""
    vector: Any = get_vector(target)
    return float((vector * vector).sum() ** 0.5)


def get_similarity(target: Union[Doc, Span, Token], other: Union[Doc, Span, Token]) -> float:
    """Cosine of two vectors; 0 with spaCy's warning W008 if one of them is zero.

    RAISES ValueError: The other object has no vector of the same width.
    """
    vector: Any = get_vector(target)
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
    """Register ``Doc._.elmo``, ``Span._.elmo`` and ``Token._.elmo``."""
    if not Doc.has_extension(EXTENSION):
        Doc.set_extension(EXTENSION, getter=read_vectors)
        Span.set_extension(EXTENSION, getter=get_vector)
        Token.set_extension(EXTENSION, getter=get_vector)


_RETOKENIZED = (
    "The Doc's tokens have changed since '{name}' computed their vectors, so they don't belong "
    "together any more. Retokenize before '{name}', or run it again."
)


def _names(doc: Doc) -> List[str]:
    return [key[1] for key in doc.user_data if isinstance(key, tuple) and key[0] == _KEY]


def _stored(doc: Doc, name: Optional[str] = None) -> Dict[str, Any]:
    names = _names(doc)
    if name is None:
        name = names[0] if len(names) == 1 else EXTENSION
    if name in names:
        user_data: Dict[Any, Any] = doc.user_data
        return {"name": name, **user_data[_KEY, name]}
    if names:
        raise ValueError(
            f"The Doc has no vectors by '{name}', but by {', '.join(map(repr, names))}. "
            "Use spacy_elmo.read_vectors(doc, name)."
        )
    raise ValueError(
        "The Doc has no vectors by ELMo. Process it with a pipeline that has an 'elmo' component; "
        "a Doc from a DocBin keeps them with DocBin(store_user_data=True)."
    )


def _offsets(doc: Doc) -> "np.ndarray":
    """(n_tokens, 2): each token's first character and the one after its last."""
    lengths = doc.to_array(["LENGTH", "SPACY"]).astype("int32").reshape(len(doc), 2)
    after = lengths.sum(axis=1).cumsum(dtype="int32")
    starts = after - lengths.sum(axis=1, dtype="int32")
    return np.stack([starts, starts + lengths[:, 0]], axis=1)
