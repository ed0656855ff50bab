"""What a teacher is."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Optional, Protocol, runtime_checkable

import numpy as np


class Taught(NamedTuple):
    """What a teacher makes of the words of some sentences, sentence after sentence.

    vectors: (n_words, width) float32; all its layers side by side.
    is_known: (n_words,) bool: whether it has read the word.
    """

    vectors: np.ndarray
    is_known: np.ndarray


@runtime_checkable
class Teacher(Protocol):
    """A model whose vectors a biLM learns to tell.

    name: What model cards call it.
    layers: Which of its layers it teaches.
    licence: Of its weights; None if unknown.
    """

    name: str
    layers: Sequence[int]
    licence: Optional[str]

    def describe(self) -> dict[str, Any]:
        """What tells it from other teachers, as JSON."""

    def __call__(self, sentences: Sequence[Sequence[str]], *, mixed_precision: bool) -> Taught:
        """Read sentences, each for itself.

        sentences: The words of each.
        mixed_precision: Whether matrix products are computed in bfloat16.
        """
