"""The listener: a downstream component's view of an ``elmo`` component, with its own mix."""

from typing import Any, Callable, Iterable, List, NamedTuple, Optional, Tuple, cast

from spacy.errors import Errors
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d, Floats3d

from ..bilm import BiLMConfig
from ..doc import has_vectors, read_vectors
from .scalar_mix import output_width, start_mix

InT = List[Doc]
OutT = List[Floats2d]
Backprop = Callable[[List[Floats3d]], Any]
BatchId = Tuple[bytes, ...]


class Batch(NamedTuple):
    """What a component hands over for training.

    id: ``get_batch_id`` of its Docs.
    layers: For each Doc (n_layers + 1, n_tokens, width).
    backprop: Takes the gradient of the layers.
    """

    id: BatchId
    layers: List[Floats3d]
    backprop: Backprop

    def __reduce__(self) -> Any:
        """Pickled and copied as None: its gradient belongs to this process and this listener."""
        return type(None), ()

    def __deepcopy__(self, memo: Any) -> None:
        return None


class Upstream:
    """The way to a listener's component. A copy of a listener's model leads to the same one
    (spaCy copies models for rehearsal), instead of to a copy of the biLM."""

    def __init__(self, get_config: Callable[[], BiLMConfig]) -> None:
        self.get_config = get_config

    def __deepcopy__(self, memo: Any) -> "Upstream":
        return self


class ElmoListener(Model[InT, OutT]):
    """Takes the layers that an ``elmo`` component has computed and mixes them.

    In training, the component hands the layers of each batch over and takes their gradient
    back. In use, the layers are read from the Docs.

    mix: The scalar mix, the listener's one sublayer.
    upstream: Name of the component to listen to; "*" is the one that there is.
    """

    name = "elmo-listener"

    def __init__(self, mix: Model[List[Floats3d], OutT], upstream: str) -> None:
        super().__init__(self.name, forward, init=init, dims={"nO": None}, layers=[mix])
        self.upstream_name = upstream
        self.linked_name: Optional[str] = None
        self._upstream: Optional[Upstream] = None
        self._infers_shape = False
        self._batch: Optional[Batch] = None

    def link(self, name: str, get_config: Callable[[], BiLMConfig]) -> None:
        """Connect to a component; done when a pipeline is put together, and once more at the end
        of its initialization.

        name: The component's name.
        get_config: Gives its biLM's options, and reads the weights for it.
        """
        self.linked_name = name
        self._upstream = Upstream(get_config)
        self._infers_shape = False

    def infer_width(self, *, anew: bool = False) -> None:
        """Learn the width, and where the mix starts, from the component.

        anew: Forget what the mix has learned.
        RAISES ValueError: There is no component to listen to.
        """
        if self._upstream is None:
            raise ValueError(
                f"An ElmoListener (upstream '{self.upstream_name}') has no 'elmo' component to "
                "listen to. Add one to the pipeline, before the component that listens, or use "
                "the architecture spacy-elmo.Tok2VecElmo.v1, which needs none."
            )
        config = self._upstream.get_config()
        self.set_dim("nO", output_width(self.layers[0], config), force=True)
        start_mix(self.layers[0], config.mix_start, anew=anew)

    @staticmethod
    def get_batch_id(docs: Iterable[Doc]) -> BatchId:
        """What tells a batch from others: the words of its Docs in order."""
        return tuple(doc.to_array("ORTH").tobytes() for doc in docs)

    def receive(
        self,
        batch_id: Optional[BatchId],
        layers: Optional[List[Floats3d]],
        backprop: Optional[Backprop],
    ) -> None:
        """Take over a batch for training; usually called by the component.

        batch_id: ``get_batch_id`` of the batch's Docs; None for no batch.
        layers: For each Doc (n_layers + 1, n_tokens, width).
        backprop: Takes the gradient of the layers.
        """
        self._batch = None
        if batch_id is not None:
            self._batch = Batch(batch_id, cast(Any, layers), cast(Any, backprop))

    def verify_inputs(self, docs: Iterable[Doc]) -> None:
        """Check that Docs are those of the batch that was handed over.

        RAISES ValueError: They are others, or in another order.
        """
        if self._batch is not None and self._batch.id != self.get_batch_id(docs):
            raise ValueError(
                f"A listener to '{self.linked_name}' is trained on other Docs than those that "
                f"'{self.linked_name}' was updated with last. Update '{self.linked_name}' with "
                "the same Docs, in the same order, before the component that listens, as "
                "nlp.update does."
            )

    def is_annotated(self, doc: Doc) -> bool:
        """Whether the component has written to a Doc."""
        return has_vectors(doc, self.linked_name)


def init(model: ElmoListener, X: Optional[InT] = None, Y: Optional[OutT] = None) -> None:
    """Start anew, with the width of upstream, from which layers that follow infer their shapes."""
    model.infer_width(anew=True)
    model._infers_shape = True


def forward(model: ElmoListener, docs: InT, is_train: bool) -> Tuple[OutT, Callable]:
    """docs: The batch; result: for each Doc (n_tokens, width).

    RAISES ValueError: The component has neither handed these Docs over for training nor written
        to them, or it has handed over others.
    """
    mix = model.layers[0]
    if is_train and model._batch is not None:
        model.verify_inputs(docs)
        layers, backprop_upstream = model._batch.layers, model._batch.backprop
        model._batch = None  # for one use; what is only predicted in between leaves it alone
    elif not is_train and model._infers_shape and not any(map(model.is_annotated, docs)):
        # Initialization asks for an output of the right shape before any component has run.
        return [model.ops.alloc2f(len(doc), model.get_dim("nO")) for doc in docs], lambda dY: []
    else:
        if is_train and not all(map(model.is_annotated, docs)):
            model.infer_width()  # says so if there is nothing to listen to
            raise ValueError(Errors.E203.format(name=model.linked_name or model.upstream_name))
        read = [read_vectors(doc, model.linked_name).layers for doc in docs]
        layers = [model.ops.asarray3f(array, dtype="float32") for array in read]
        backprop_upstream = _no_gradient
    model._infers_shape = False
    mixed, backprop_mix = mix(layers, is_train)

    def backprop(dY: OutT) -> InT:
        backprop_upstream(backprop_mix(dY))
        return []

    return mixed, backprop


def _no_gradient(d_layers: List[Floats3d]) -> None:
    """What upstream does with a gradient if it isn't being trained."""
