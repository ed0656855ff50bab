"""What holds the PyTorch biLM for Thinc, with weights that are read when first needed."""

from functools import partial
from hashlib import sha256
from importlib.metadata import version
from typing import Any, List, Literal, Optional, Sequence, Tuple, cast

import srsly
import torch
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

from ..bilm import BiLMConfig, Engine, Precision
from ..formats import Source, network_from_bytes, network_to_bytes, parse_config, read_source
from ..formats.cache import cache_directory
from .layer_cache import LayerCache

CacheLayers = Literal["float32", "float16", "none"]


class BiLMShim(PyTorchShim):
    """Holds the biLM's engine for Thinc and reads it when it is first asked for.

    Serialization is by safetensors, with the options beside them: a shim that is loaded from
    bytes never looks at its source.

    source: Where the weights are read from.
    frozen: Whether the biLM stays as it is.
    precision: What matrix products are computed in, except where gradients are.
    max_batch_tokens: Most tokens that are computed together.
    cache_layers: How to keep the layers of a frozen biLM in training.
    """

    def __init__(
        self,
        source: Source,
        frozen: bool,
        precision: Precision,
        max_batch_tokens: int,
        cache_layers: CacheLayers,
    ) -> None:
        self._engine: Optional[Engine] = None
        self._cache: Optional[LayerCache] = None
        self._cached_versions: Tuple[int, ...] = ()
        self.source = source
        self.frozen = frozen
        self.precision = precision
        self.max_batch_tokens = max_batch_tokens
        self.cache_layers = cache_layers
        super().__init__(None)

    @property
    def is_loaded(self) -> bool:
        """Whether the weights have been read."""
        return self._engine is not None

    @property
    def engine(self) -> Engine:
        """The engine, on Thinc's current device when it is read."""
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
        """The layers of a frozen biLM. The first training batch switches the cache on. From then
        on, batches that are only predicted read from it, too (development data between training
        steps), but fill no more than its memory.

        sentences: The words of each sentence.
        is_train: Whether this is a training batch.
        RETURNS: For each sentence an array (n_layers + 1, n_words, width).
        """

        def compute(sentences: Sequence[Sequence[str]], ops: Optional[Ops] = None) -> List[Any]:
            kwargs = {"max_batch_tokens": self.max_batch_tokens}
            tensors = self.predict(ArgsKwargs((sentences,), kwargs))
            return [torch2xp(tensor, ops=ops) for tensor in tensors]

        # PyTorch counts what is done to a tensor: the cache is for the weights as they were.
        versions = tuple(weights._version for weights in self.engine.parameters())
        if versions != self._cached_versions:
            self._cache, self._cached_versions = None, versions
        if self._cache is None and is_train and self.cache_layers != "none":
            name = f"{self._fingerprint()}-{self.cache_layers}.sqlite"
            path = cache_directory() / "layers" / name
            self._cache = LayerCache(
                path, self.config.n_layers, self.config.width, self.cache_layers
            )
        if self._cache is None:
            return compute(sentences)
        return self._cache.embed(sentences, partial(compute, ops=NumpyOps()), use_disk=is_train)

    def begin_update(self, inputs: ArgsKwargs) -> Any:
        self._cache = None  # the weights are about to change
        return super().begin_update(inputs)

    def finish_update(self, optimizer: Optimizer) -> None:
        changed = any(weights.grad is not None for weights in self.engine.parameters())
        super().finish_update(optimizer)
        if changed:
            self.engine.forget()  # Thinc's optimizer writes to the weights' memory

    def _fingerprint(self) -> str:
        """Names all that shapes the layers: the code, the options, the weights, the precision."""
        network = self.engine.network
        options = network.config.model_dump_json()
        digest = sha256(f"{version('spacy-elmo')} {self.precision} {options}".encode())
        for name, tensor in network.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.cpu().contiguous().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:32]

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
        self._cache = None
        self._engine = Engine(network, self.precision).to(get_torch_default_device())
