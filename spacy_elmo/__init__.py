"""ELMo in spaCy: context-dependent word vectors from bidirectional language models."""

from importlib.metadata import version

from .api import BiLM
from .doc import ElmoVectors, install_extensions, read_vectors, set_hooks

__version__ = version("spacy-elmo")

install_extensions()  # so that Docs from a file can be read before any pipeline is made

__all__ = ["BiLM", "ElmoVectors", "__version__", "read_vectors", "set_hooks"]
