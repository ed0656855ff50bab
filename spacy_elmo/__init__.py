"""ELMo in spaCy: context-dependent word vectors from bidirectional language models."""

from importlib.metadata import version

from .api import BiLM
from .doc import ElmoVectors, read_vectors, set_hooks

__version__ = version("spacy-elmo")

__all__ = ["BiLM", "ElmoVectors", "__version__", "read_vectors", "set_hooks"]
