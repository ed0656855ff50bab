"""Thinc layers, one a file."""

from .bilm import bilm_layer
from .bilm_shim import BiLMShim, CacheLayers
from .listener import ElmoListener
from .mixed_bilm import mixed_bilm
from .scalar_mix import scalar_mix, start_mix
from .shared_batch import SharedBatch

__all__ = [
    "BiLMShim",
    "CacheLayers",
    "ElmoListener",
    "SharedBatch",
    "bilm_layer",
    "mixed_bilm",
    "scalar_mix",
    "start_mix",
]
