"""Reading and writing the weights of biLMs. Knows nothing of spaCy or Thinc."""

from .files import parse_config
from .hdf5 import read_hdf5, write_hdf5
from .hub import is_hub
from .many_langs import read_many_langs
from .native import (
    DType,
    StoredDType,
    network_from_bytes,
    network_to_bytes,
    read_native,
    write_native,
)
from .published import PUBLISHED
from .softmax import MissingVocabulary, SoftmaxWeights, read_words
from .source import (
    Source,
    bundled_language,
    pin_source,
    read_local_softmax,
    read_softmax,
    read_source,
    resolve_source,
)
from .tensorflow import read_checkpoint

__all__ = [
    "PUBLISHED",
    "DType",
    "MissingVocabulary",
    "SoftmaxWeights",
    "Source",
    "StoredDType",
    "bundled_language",
    "is_hub",
    "network_from_bytes",
    "network_to_bytes",
    "parse_config",
    "pin_source",
    "read_checkpoint",
    "read_hdf5",
    "read_local_softmax",
    "read_many_langs",
    "read_native",
    "read_softmax",
    "read_source",
    "read_words",
    "resolve_source",
    "write_hdf5",
    "write_native",
]
