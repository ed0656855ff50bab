"""The pipeline component ``elmo``."""

import warnings
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Literal,
    Optional,
    cast,
)

from spacy.language import Language
from spacy.pipeline.tok2vec import Tok2Vec, Tok2VecListener
from spacy.tokens import Doc
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.vocab import Vocab
from thinc.api import Config, Model, Optimizer
from thinc.types import Floats2d, Floats3d

from .bilm import BiLMConfig
from .bilm.batches import batches_by_tokens
from .doc import EXTENSION, set_hooks, store_vectors
from .formats import PUBLISHED, Source, bundled_language
from .layers import BiLMShim, ElmoListener, SharedBatch, read_weights
from .layers.shared_batch import Listener

DEFAULT_CONFIG = Config().from_str(
    """
    [elmo]
    store_layers = "float32"
    overwrite_vectors = false

    [elmo.model]
    @architectures = "spacy-elmo.BiLM.v1"
    source = "en_small"
    frozen = true
    precision = "float32"
    mix_weights = null
    max_batch_tokens = 4096
    cache_layers = "float32"
    lr_scale = 1.0

    [elmo.model.get_spans]
    @span_getters = "spacy-elmo.sentences.v1"
    """
)

PIPE_TOKENS = 16_384  # tokens whose layers nlp.pipe computes before it hands their Docs on

StoreLayers = Literal["float32", "float16", "none"]


@Language.factory(
    "elmo",
    assigns=["doc.tensor", *(f"{target}._.{EXTENSION}" for target in ("doc", "span", "token"))],
    default_config=DEFAULT_CONFIG["elmo"],
)
def make_elmo(
    nlp: Language,
    name: str,
    model: Model[List[Doc], List[Floats2d]],
    store_layers: StoreLayers,
    overwrite_vectors: bool,
) -> "Elmo":
    """Construct an ``elmo`` component.

    model (Model[List[Doc], List[Floats2d]]): Built by ``spacy-elmo.BiLM.v1``.
    store_layers (str): How to keep the layers on a Doc: "float32", "float16" (half the memory)
        or "none". Where an ElmoListener listens, they have to be kept.
    overwrite_vectors (bool): Answer ``.vector`` and ``.similarity`` even if the vocabulary has
        static vectors. Where it has none, ELMo always answers.
    """
    return Elmo(
        nlp.vocab, model, name, store_layers=store_layers, overwrite_vectors=overwrite_vectors
    )


class Elmo(Tok2Vec):
    """Gives every token of a Doc its layers by a biLM. Components behind it can listen, each with
    its own mix of the layers (``spacy-elmo.ElmoListener.v1``), or take the component's mix
    (``spacy.Tok2VecListener.v1``).

    vocab: The shared vocabulary.
    model: Built by ``spacy-elmo.BiLM.v1``.
    name: The component's name.
    store_layers: How to keep the layers on a Doc.
    overwrite_vectors: Whether to answer ``.vector`` in place of static vectors.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model[List[Doc], List[Floats2d]],
        name: str = "elmo",
        *,
        store_layers: StoreLayers = "float32",
        overwrite_vectors: bool = False,
    ) -> None:
        if not any(isinstance(shim, BiLMShim) for node in model.layers[:1] for shim in node.shims):
            raise ValueError(
                f"The model of '{name}' isn't a biLM. Use the architecture spacy-elmo.BiLM.v1 in "
                f"[components.{name}.model]."
            )
        super().__init__(vocab, model, name)
        self.store_layers = store_layers
        self.overwrite_vectors = overwrite_vectors
        self._batch: Optional[SharedBatch] = None

    # The model's parts are found by position: a copied model keeps nothing else.

    @property
    def bilm(self) -> Model[List[Doc], List[Floats3d]]:
        """The biLM's layer."""
        return self.model.layers[0]

    @property
    def mix(self) -> Model[List[Floats3d], List[Floats2d]]:
        """The component's own mix."""
        return self.model.layers[1]

    @property
    def _shim(self) -> BiLMShim:
        return cast(BiLMShim, self.bilm.shims[0])

    # Annotating Docs

    def predict(self, docs: Iterable[Doc]) -> List[Floats3d]:
        """Compute the layers without modifying the Docs.

        RETURNS: For each Doc (n_layers + 1, n_tokens, width).
        """
        self.load()
        return self.bilm.predict(list(docs))

    def set_annotations(self, docs: Iterable[Doc], layers: List[Floats3d]) -> None:
        """Store layers and mix on the Docs, as ``doc._.elmo`` and ``doc.tensor``.

        docs: The Docs.
        layers: What ``predict`` gave for them.
        """
        to_numpy = self.model.ops.to_numpy  # a Doc outlives the device, and is serialized
        for doc, array, mixed in zip(docs, layers, self.mix.predict(layers), strict=True):
            kept: Any = None
            if self.store_layers != "none":
                kept = to_numpy(array).astype(self.store_layers, copy=False)
            store_vectors(doc, self.name, to_numpy(mixed), kept)
            doc.tensor = mixed  # type: ignore[assignment]
            if self.overwrite_vectors or not doc.vocab.vectors_length:
                set_hooks(doc)

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Annotate a stream of Docs, as many at a time as have about ``PIPE_TOKENS`` tokens.

        stream: The Docs.
        batch_size: Most Docs at a time.
        YIELDS: The Docs in order.
        """
        error_handler = self.get_error_handler()
        for group in batches_by_tokens(stream, len, PIPE_TOKENS, batch_size):
            try:
                self.set_annotations(group, self.predict(group))
                yield from group
            except Exception as error:
                error_handler(self.name, self, group, error)

    # Linking listeners

    @property  # type: ignore[override]
    def listener_map(self) -> Dict[str, List[Listener]]:
        """The listeners of each downstream component."""
        return self._listener_map

    @listener_map.setter
    def listener_map(self, value: Dict[str, List[Listener]]) -> None:
        # Language begins to link a pipeline by assigning an empty map.
        self._listener_map = value
        self._later_upstreams: List[Tok2Vec] = []

    def find_listeners(self, component: Callable[[Doc], Doc]) -> None:
        """Link the listeners in a downstream component's model, of either kind.

        RAISES ValueError: A listener doesn't say which of two components it means, needs layers
            that aren't stored, or expects another width.
        """
        if isinstance(getattr(component, "model", None), Model):
            for node in component.model.walk():  # type: ignore[attr-defined]
                if isinstance(node, (ElmoListener, Tok2VecListener)) and self._is_upstream_of(node):
                    self.add_listener(node, component.name)  # type: ignore[attr-defined]
        if isinstance(component, Tok2Vec):
            self._later_upstreams.append(component)

    def add_listener(self, listener: Listener, component_name: str) -> None:
        """Link a listener; usually called by ``find_listeners``."""
        super().add_listener(cast(Tok2VecListener, listener), component_name)
        if isinstance(listener, ElmoListener):
            if self.store_layers == "none":
                raise ValueError(
                    f"'{component_name}' listens to the layers of '{self.name}', which doesn't "
                    f'store them. Set store_layers = "float32" in [components.{self.name}].'
                )
            listener.link(self.name, self.load)
        if self._shim.is_loaded:
            self._check_listener(listener, component_name)

    def remove_listener(self, listener: Listener, component_name: str) -> bool:
        """Unlink a listener; usually called by ``Language.replace_listeners``, which is iterating
        over the component's list of listeners at that time. So that is not changed in place."""
        listeners = self.listener_map.get(component_name, [])
        others = [other for other in listeners if other is not listener]
        if others:
            self.listener_map[component_name] = others
        else:
            self.listener_map.pop(component_name, None)
        return len(others) < len(listeners)

    def load(self) -> BiLMConfig:
        """Read the weights, if they haven't been yet, and check what listeners expect.

        RETURNS: The biLM's options.
        RAISES ValueError: The source can't be read, or a listener expects something else.
        """
        if not (self._shim.is_loaded and self.model.has_dim("nO")):
            if not self._shim.is_loaded:
                _check_language(self._shim.source, self.vocab.lang, self.name)
            read_weights(self.model)
            for component_name, listeners in self.listener_map.items():
                for listener in listeners:
                    self._check_listener(listener, component_name)
        return self._shim.config

    def _is_upstream_of(self, listener: Listener) -> bool:
        if listener.upstream_name not in ("*", self.name):
            return False
        if listener.upstream_name == self.name:
            if self._later_upstreams and not isinstance(listener, ElmoListener):
                other = self._later_upstreams[-1].name
                raise ValueError(
                    f"A Tok2VecListener with upstream '{self.name}' would read the vectors of "
                    f"'{other}', which writes doc.tensor after it. Use spacy-elmo.ElmoListener.v1, "
                    f"or put '{self.name}' behind '{other}'."
                )
            return True
        rivals = [other.name for other in self._later_upstreams if isinstance(other, Elmo)]
        if rivals:
            raise ValueError(
                f"A listener with upstream '*' can't tell '{self.name}' from '{rivals[0]}'. "
                "Set its 'upstream' to the name of the component that it listens to."
            )
        # A stock tok2vec between this component and a stock listener is what that listener means.
        return isinstance(listener, ElmoListener) or not self._later_upstreams

    def _check_listener(self, listener: Listener, component_name: str) -> None:
        config = self.load()
        if isinstance(listener, ElmoListener):
            listener.infer_width()
            weights = listener.layers[0].attrs["settings"].weights
            if weights is not None and len(weights) != config.n_layers:
                raise ValueError(
                    f"The ElmoListener of '{component_name}' has {len(weights)} mix_weights, but "
                    f"'{self.name}' has {config.n_layers} layers."
                )
        elif listener.get_dim("nO") != config.width:
            raise ValueError(
                f"The Tok2VecListener of '{component_name}' expects vectors of width "
                f"{listener.get_dim('nO')}, but those of '{self.name}' have {config.width}. "
                f"Set its 'width' to {config.width}, or its 'upstream' to the component it means."
            )

    # Training

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Optional[Language] = None,
    ) -> None:
        """Start anew: from the weights as they were read, from the source or with the pipeline,
        and from the mix that came with them. And check the listeners.

        get_examples: Gives a sample of the training data.
        nlp: The pipeline.
        RAISES ValueError: A listener listens to another component too.
        """
        validate_get_examples(get_examples, "Elmo.initialize")
        if self._batch is not None:
            self._batch.cancel()
        self._batch = None
        for listener in self.listeners:
            listener.receive(None, None, None)  # type: ignore[arg-type]
        self.load()
        self.model.initialize()
        for name, other in nlp.pipeline if nlp is not None else ():
            shared = [node for node in getattr(other, "listeners", ()) if node in self.listeners]
            if other is not self and shared:
                raise ValueError(
                    f"A listener with upstream '{shared[0].upstream_name}' listens to both "
                    f"'{name}' and '{self.name}'. Set its 'upstream' to the one that it means."
                )

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optional[Optimizer] = None,
        losses: Optional[Dict[str, float]] = None,
    ) -> Dict[str, float]:
        """Compute a batch's layers and hand them to the listeners, which send gradients back
        when their components are updated. These go through the biLM once, at ``finish_update``
        or at the next ``update``.

        examples: The batch; only the predicted Docs are used.
        drop: Not used: the biLM has no dropout, and a mix has its own.
        sgd: If given, ``finish_update`` is called with it.
        losses: Gets the sum of squares of the gradients under the component's name.
        RETURNS: The losses.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, "Elmo.update")
        if self._batch is not None:
            self._batch.close()
        self._batch = None
        if not self.listeners:
            return losses
        self.load()
        docs = [example.predicted for example in examples]
        listeners = cast(List[Listener], self.listeners)
        self._batch = SharedBatch(self.model, docs, listeners, losses, self.name)
        if sgd not in (None, False):
            self.finish_update(sgd)
        return losses

    def finish_update(self, sgd: Optimizer) -> None:
        """Run the optimizer, or let it wait for the listeners' gradients: ``Language.update``
        calls this before it updates them. Then the step is made when the biLM is needed next.

        sgd: The optimizer.
        """
        if self._batch is not None and not self._batch.has_gradient:
            self._batch.step_later(sgd)
            return
        if self._batch is not None:
            self._batch.close()
        self.model.finish_update(sgd)


def _check_language(source: Source, lang: str, name: str) -> None:
    """Warn if a bundled biLM is about to be read that knows another language.

    source: Of the biLM.
    lang: Code of the pipeline's language; "xx" is several, "" none that is known.
    name: The component's name.
    """
    read = bundled_language(source)
    if read is None or lang in ("", "xx", read):
        return
    published = f"many_langs/{lang}"
    choice = f"'{published}'" if published in PUBLISHED else "a path or another source"
    warnings.warn(
        f"The biLM '{source}' of '{name}' has read texts of the language '{read}', but the "
        f"pipeline's language is '{lang}'. Set source in [components.{name}.model] to a biLM of "
        f"that language: {choice}, or one that 'python -m spacy elmo pretrain' has trained. "
        f'(nlp.add_pipe("elmo", config={{"model": {{"source": …}}}}))',
        stacklevel=3,
    )
