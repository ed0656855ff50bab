"""A training batch that several listeners share: its gradients are collected and go through the
biLM once."""

from typing import Any, Callable, Dict, List, Optional, Union, cast

from spacy.pipeline.tok2vec import Tok2VecListener
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d, Floats3d

from .bilm import BiLMShim
from .listener import ElmoListener

Listener = Union[ElmoListener, Tok2VecListener]


class SharedBatch:
    """Runs the biLM forward, hands the result to listeners and takes their gradients back.

    bilm: The biLM's layer.
    mix: The component's own mix, which stock listeners get and train.
    docs: The batch.
    losses: Where the sum of squares of each arriving gradient is added (as spaCy's Tok2Vec
        reports its loss).
    name: The key in ``losses``.
    """

    def __init__(
        self,
        bilm: Model[List[Doc], List[Floats3d]],
        mix: Model[List[Floats3d], List[Floats2d]],
        docs: List[Doc],
        losses: Dict[str, float],
        name: str,
    ) -> None:
        self._mix, self._losses, self._name = mix, losses, name
        self._batch_id = Tok2VecListener.get_batch_id(docs)
        self._layers, self._backprop_bilm = bilm.begin_update(docs)
        self._d_layers: Optional[List[Floats3d]] = None
        self._is_frozen = cast(BiLMShim, bilm.shims[0]).frozen
        self.has_gradient = False  # whether a listener has sent one

    def __reduce__(self) -> Any:
        """Pickled as None: a batch in training is nothing to send to another process."""
        return type(None), ()

    def send(self, listeners: List[Listener]) -> None:
        """Hand the batch over: layers to our listeners, the component's mix to stock ones."""
        stock = [node for node in listeners if not isinstance(node, ElmoListener)]
        for listener in listeners:
            if isinstance(listener, ElmoListener):
                listener.receive(self._batch_id, self._layers, self._collect)
        if stock:
            mixed, backprop_mix = self._mix.begin_update(self._layers)
            for listener in stock:
                listener.receive(self._batch_id, mixed, self._through_mix(listener, backprop_mix))

    def backprop(self) -> None:
        """Run backward through the biLM with all that has been collected."""
        if self._d_layers is not None:
            self._backprop_bilm(self._d_layers)

    def _collect(self, d_layers: List[Floats3d], report: bool = True) -> None:
        if report:
            self._report(d_layers)
        self.has_gradient = True
        if self._is_frozen:
            return
        if self._d_layers is None:
            self._d_layers = [array.copy() for array in d_layers]
        else:
            for total, array in zip(self._d_layers, d_layers):
                total += array

    def _through_mix(
        self, listener: Tok2VecListener, backprop_mix: Callable
    ) -> Callable[[List[Floats2d]], List[Floats2d]]:
        def backprop(d_mixed: List[Floats2d]) -> List[Floats2d]:
            self._report(d_mixed)
            self._collect(backprop_mix(d_mixed), report=False)
            # A stock listener keeps its batch, and would compare later ones with it (E953).
            listener.receive(None, None, None)  # type: ignore[arg-type]
            return []

        return backprop

    def _report(self, gradients: List) -> None:
        self._losses[self._name] += sum(float((array**2).sum()) for array in gradients)
