"""A training batch that several listeners share: its gradients are collected and go through the
biLM once."""

from typing import Any, Callable, Dict, List, Optional, Sequence, Union, cast

from spacy.pipeline.tok2vec import Tok2VecListener
from spacy.tokens import Doc
from thinc.api import Model, Optimizer
from thinc.types import Floats2d, Floats3d

from .bilm import BiLMShim
from .listener import ElmoListener

Listener = Union[ElmoListener, Tok2VecListener]


class SharedBatch:
    """Runs the biLM forward, hands the result to listeners and takes their gradients back.

    model: A biLM with the component's own mix, which stock listeners get and train.
    docs: The batch.
    listeners: Who gets it: ours the layers, stock ones the component's mix.
    losses: Where the sum of squares of each arriving gradient is added (as spaCy's Tok2Vec
        reports its loss).
    name: The component's name, which is the key in ``losses``.
    """

    def __init__(
        self,
        model: Model[List[Doc], List[Floats2d]],
        docs: List[Doc],
        listeners: Sequence[Listener],
        losses: Dict[str, float],
        name: str,
    ) -> None:
        bilm, mix = cast(Any, model.layers)
        self._model, self._losses, self._name = model, losses, name
        self._shim: BiLMShim = bilm.shims[0]
        self._is_frozen = self._shim.frozen
        self._d_layers: Optional[List[Floats3d]] = None
        self._sgd: Optional[Optimizer] = None
        self._is_open = True
        self.has_gradient = False  # whether a listener has sent one
        self._backprop_bilm: Optional[Callable]
        layers, self._backprop_bilm = bilm.begin_update(docs)
        for listener in listeners:
            if isinstance(listener, ElmoListener):
                listener.receive(ElmoListener.get_batch_id(docs), layers, self._collect)
        stock = [listener for listener in listeners if not isinstance(listener, ElmoListener)]
        if stock:
            mixed, backprop_mix = mix.begin_update(layers)
            for listener in stock:
                backprop = self._through_mix(listener, backprop_mix)
                listener.receive(Tok2VecListener.get_batch_id(docs), mixed, backprop)

    def __reduce__(self) -> Any:
        """Pickled as None: a batch in training is nothing to send to another process."""
        return type(None), ()

    def step_later(self, sgd: Optimizer) -> None:
        """Run the optimizer when gradients have arrived and the biLM is needed next, be it to
        compute, to be copied or to be saved."""
        self._sgd = sgd
        self._shim.wait_for(self._step_if_ready)

    def close(self) -> None:
        """Run backward through the biLM with all that has been collected, and make the optimizer
        step if one waits. After that, gradients come too late."""
        sgd, d_layers, backprop = self._sgd, self._d_layers, self._backprop_bilm
        self.cancel()
        if d_layers is not None and backprop is not None:
            backprop(d_layers)
        if sgd is not None:
            self._model.finish_update(sgd)

    def cancel(self) -> None:
        """Forget what has been collected, and the step that waits."""
        self._is_open = False
        self._sgd = self._d_layers = self._backprop_bilm = (
            None  # which holds the whole forward pass
        )
        self._shim.wait_for(None)

    def _step_if_ready(self) -> None:
        if self.has_gradient:
            self.close()

    def _collect(self, d_layers: List[Floats3d], report: bool = True) -> None:
        if report:
            self._report(d_layers)
        self.has_gradient = True
        if self._is_frozen:
            return
        if not self._is_open:
            raise ValueError(
                f"A gradient for '{self._name}' came too late: its weights have been used or "
                "updated since that batch. Update all components that listen to it before it is "
                "used or updated again, as nlp.update does."
            )
        if self._d_layers is None:
            self._d_layers = [array.copy() for array in d_layers]
        else:
            for total, array in zip(self._d_layers, d_layers, strict=True):
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
