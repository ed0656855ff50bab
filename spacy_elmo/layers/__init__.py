"""Thinc layers, one a file."""

from .bilm import BiLMShim, bilm_layer
from .listener import ElmoListener
from .scalar_mix import scalar_mix
from .shared_batch import SharedBatch

__all__ = ["BiLMShim", "ElmoListener", "SharedBatch", "bilm_layer", "scalar_mix"]
