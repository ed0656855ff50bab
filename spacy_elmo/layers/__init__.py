"""Thinc layers, one a file."""

from .bilm import bilm_layer
from .bilm_shim import BiLMShim
from .listener import ElmoListener
from .mixed_bilm import mixed_bilm, read_weights
from .scalar_mix import Combine, MixWeights, read_mix, scalar_mix, start_mix
from .shared_batch import SharedBatch
from .training_cache import CacheLayers

__all__ = [
    "BiLMShim",
    "CacheLayers",
    "Combine",
    "ElmoListener",
    "MixWeights",
    "SharedBatch",
    "bilm_layer",
    "mixed_bilm",
    "read_mix",
    "read_weights",
    "scalar_mix",
    "start_mix",
]
