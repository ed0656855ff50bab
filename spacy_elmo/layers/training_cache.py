"""When the layers of a frozen biLM are kept in training, and under which name."""

from hashlib import sha256
from importlib.metadata import version
from typing import Literal, Optional, Tuple

import torch

from ..bilm import Engine
from ..formats.cache import cache_directory
from .layer_cache import LayerCache

CacheLayers = Literal["float32", "float16", "none"]


class TrainingCache:
    """Has a cache of layers from the first training batch on, for the biLM's weights as they are.
    A copy starts without one.

    dtype: What layers are kept in; "none" keeps none.
    """

    def __init__(self, dtype: CacheLayers) -> None:
        self.dtype: CacheLayers = dtype
        self._cache: Optional[LayerCache] = None
        self._versions: Tuple[int, ...] = ()

    def open(self, engine: Engine, is_train: bool) -> Optional[LayerCache]:
        """What keeps the layers of a batch.

        engine: Holds the biLM's weights.
        is_train: Whether this is a training batch, which switches the cache on.
        RETURNS: The cache; None where none is wanted, and before the first training batch.
        """
        # PyTorch counts what is done to a tensor: the cache is for the weights as they were.
        versions = tuple(weights._version for weights in engine.parameters())
        if versions != self._versions:
            self._cache, self._versions = None, versions
        if self._cache is None and is_train and self.dtype != "none":
            path = cache_directory() / "layers" / f"{_fingerprint(engine)}-{self.dtype}.sqlite"
            config = engine.network.config
            self._cache = LayerCache(path, config.n_layers, config.width, self.dtype)
        return self._cache

    def close(self) -> None:
        """Forget the cache: the weights are others now, or are about to be."""
        self._cache = None


def _fingerprint(engine: Engine) -> str:
    """Names all that shapes the layers: the code, the options, the weights, the precision."""
    options = engine.network.config.model_dump_json()
    digest = sha256(f"{version('spacy-elmo')} {engine.precision} {options}".encode())
    for name, tensor in engine.network.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:32]
