"""The text that a biLM learns from. ``text`` reads it from files, ``tokenize`` cuts it into
sentences of tokens with all cores, ``token_store`` keeps them on disk, ``vocabulary`` says which
words are predicted, and ``batches`` deals the sentences out to the streams of training."""

from .batches import Batch, Batches
from .text import Reader, TextFiles
from .token_store import Chunk, TokenStore
from .tokenize import Tokenization, tokenize, tokenized_chunks
from .vocabulary import BOUNDARIES, UNKNOWN, Vocabulary

__all__ = [
    "BOUNDARIES",
    "UNKNOWN",
    "Batch",
    "Batches",
    "Chunk",
    "Reader",
    "TextFiles",
    "TokenStore",
    "Tokenization",
    "Vocabulary",
    "tokenize",
    "tokenized_chunks",
]
