"""The bidirectional language model in plain PyTorch: no spaCy, no Thinc, no files."""

from .config import (
    BiLMConfig,
    CharCNNConfig,
    EmbeddingConfig,
    LexiconCNNConfig,
    LexiconConfig,
    LSTMConfig,
    ScalarMixConfig,
)
from .engine import Engine
from .kernels import Precision
from .network import BiLMNetwork

__all__ = [
    "BiLMConfig",
    "BiLMNetwork",
    "CharCNNConfig",
    "EmbeddingConfig",
    "Engine",
    "LSTMConfig",
    "LexiconCNNConfig",
    "LexiconConfig",
    "Precision",
    "ScalarMixConfig",
]
