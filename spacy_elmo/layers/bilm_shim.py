"""What holds the PyTorch biLM for Thinc, with weights that are read when first needed."""

from functools import partial
from typing import Any, Callable, Dict, List, Optional, Sequence, cast

import srsly
from thinc.api import (
    ArgsKwargs,
    NumpyOps,
    Ops,
    Optimizer,
    PyTorchShim,
    get_torch_default_device,
    torch2xp,
)
from thinc.shims import Shim
from torch import Tensor

from ..bilm import BiLMConfig, Engine, Precision
from ..formats import Source, network_from_bytes, network_to_bytes, parse_config, read_source
from .training_cache import CacheLayers, TrainingCache


class BiLMShim(PyTorchShim):
    """Holds the biLM's engine for Thinc and reads it when it is first asked for.

    Serialization is by safetensors, with the options beside them: a shim that is loaded from
    bytes never looks at its source.

    source: Where the weights are read from.
    frozen: Whether the biLM stays as it is.
    precision: What matrix products are computed in, except where gradients are.
    max_batch_tokens: Most tokens that are computed together.
    cache_layers: How to keep the layers of a frozen biLM in training.
    lr_scale: The optimizer's learning rate for the biLM's weights, as a factor of the rate for all
        others.
    """

    def __init__(
        self,
        source: Source,
        frozen: bool,
        precision: Precision,
        max_batch_tokens: int,
        cache_layers: CacheLayers,
        lr_scale: float = 1.0,
    ) -> None:
        self._engine: Optional[Engine] = None
        self._weights_before: Optional[Dict[str, Tensor]] = None  # the first optimizer step
        self._waiting_step: Optional[Callable[[], None]] = None
        self._cache = TrainingCache(cache_layers)
        self.source = source
        self.frozen = frozen
        self.precision = precision
        self.max_batch_tokens = max_batch_tokens
        self.lr_scale = lr_scale
        super().__init__(None)

    @property
    def is_loaded(self) -> bool:
        """Whether the weights have been read."""
        return self._engine is not None

    @property
    def engine(self) -> Engine:
        """The engine, on Thinc's current device when it is read."""
        self._make_waiting_step()
        if self._engine is None:
            self._set_network(read_source(self.source))
        return cast(Engine, self._engine)

    @property
    def config(self) -> BiLMConfig:
        """The biLM's options."""
        return self.engine.network.config

    # Everything that PyTorchShim does, it does to ``_model``: reading on access makes all of it
    # (forward, finish_update, to_device, use_params, …) read the weights first.
    @property
    def _model(self) -> Engine:
        return self.engine

    @_model.setter
    def _model(self, value: Any) -> None:
        assert value is None, "the engine is set by reading weights"

    def embed(self, sentences: List[List[str]], is_train: bool) -> List[Any]:
        """The layers of a frozen biLM; those that were kept in training aren't computed again.

        sentences: The words of each sentence.
        is_train: Whether this is a training batch. From the first one on, batches that are only
            predicted read from the cache, too (development data between training steps), but
            fill no more than its memory.
        RETURNS: For each sentence an array (n_layers + 1, n_words, width).
        """

        def compute(sentences: Sequence[Sequence[str]], ops: Optional[Ops] = None) -> List[Any]:
            kwargs = {"max_batch_tokens": self.max_batch_tokens}
            tensors = self.predict(ArgsKwargs((sentences,), kwargs))
            return [torch2xp(tensor, ops=ops) for tensor in tensors]

        cache = self._cache.open(self.engine, is_train)
        if cache is None:
            return compute(sentences)
        return cache.embed(sentences, partial(compute, ops=NumpyOps()), use_disk=is_train)

    def begin_update(self, inputs: ArgsKwargs) -> Any:
        self._cache.close()
        return super().begin_update(inputs)

    def finish_update(self, optimizer: Optimizer) -> None:
        changes = any(weights.grad is not None for weights in self.engine.parameters())
        if changes and self._weights_before is None:
            state = self.engine.network.state_dict()
            self._weights_before = {name: tensor.clone() for name, tensor in state.items()}
        # PyTorchShim does no more with the optimizer than to call it.
        super().finish_update(cast(Optimizer, partial(optimizer, lr_scale=self.lr_scale)))
        if changes:
            self.engine.forget()  # Thinc's optimizer writes to the weights' memory

    def reset(self) -> None:
        """Go back to the weights as they were read, from the source or from bytes, and forget
        gradients. Read them, if they haven't been yet."""
        engine = self.engine
        engine.zero_grad()
        if self._weights_before is not None:
            engine.network.load_state_dict(self._weights_before)
            engine.forget()
            self._weights_before = None

    # An optimizer step can wait for its gradients (see SharedBatch). Whoever asks for the weights
    # gets them as they are after it: all use goes through ``engine``, all copies and pickles
    # through ``__getstate__``.

    def wait_for(self, step: Optional[Callable[[], None]]) -> None:
        """Set what is called before the weights are used or copied; None for nothing.

        step: Makes the waiting step if its gradients are there.
        """
        self._waiting_step = step

    def _make_waiting_step(self) -> None:
        if self._waiting_step is not None:
            self._waiting_step()

    def __getstate__(self) -> Dict[str, Any]:
        self._make_waiting_step()
        return {**self.__dict__, "_waiting_step": None}

    def copy(self) -> "BiLMShim":
        copied = super().copy()
        with Shim.global_id_lock:  # the optimizer tells parameters apart by this number
            Shim.global_id += 1
            copied.id = Shim.global_id
        return copied

    def to_bytes(self) -> bytes:
        network = self.engine.network
        config = network.config.model_dump(mode="json")
        return srsly.msgpack_dumps({"config": config, "state": network_to_bytes(network)})

    def from_bytes(self, bytes_data: bytes) -> "BiLMShim":
        message = srsly.msgpack_loads(bytes_data)
        config = parse_config(srsly.json_dumps(message["config"]), "Serialized biLM")
        self._set_network(network_from_bytes(config, message["state"]))
        return self

    def _set_network(self, network: Any) -> None:
        self._cache.close()
        self._weights_before = None
        self._engine = Engine(network, self.precision).to(get_torch_default_device())
