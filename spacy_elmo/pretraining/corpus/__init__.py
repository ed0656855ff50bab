"""The text that a biLM learns from. ``text`` reads it from files, ``tokenization`` cuts it into
sentences of tokens, and ``tokenize`` does so with all cores, by the processes of ``workers``.
``token_store`` keeps the tokens on disk, ``vocabulary`` says which words are predicted, and
``batches`` deals the sentences out to the streams of training."""

from .batches import Batch, Batches, Lessons, Symbols
from .text import Reader, TextFiles
from .token_store import Chunk, TokenStore
from .tokenization import Tokenization
from .tokenize import tokenize, tokenized_chunks
from .vocabulary import BOUNDARIES, UNKNOWN, Vocabulary

__all__ = [
    "BOUNDARIES",
    "UNKNOWN",
    "Batch",
    "Batches",
    "Chunk",
    "Lessons",
    "Reader",
    "Symbols",
    "TextFiles",
    "TokenStore",
    "Tokenization",
    "Vocabulary",
    "tokenize",
    "tokenized_chunks",
]
