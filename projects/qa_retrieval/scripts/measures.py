"""How good a ranking is."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from collection import Question


class Measures(NamedTuple):
    """In percent: questions whose first answer is right, questions with a right one among the first
    five, and the mean of 1 / rank of the first right answer."""

    top1: float
    top5: float
    mrr: float


def ranks_of(scores: np.ndarray, questions: Sequence[Question]) -> np.ndarray:
    """The rank of the first right answer of each question; what scores as much as it does is before
    it.

    scores: (n_questions, n_answers).
    RETURNS: (n_questions,), from 1.
    """
    ranks = np.empty(len(questions))
    for i, question in enumerate(questions):
        best = scores[i, question.answers].max()
        wrong = scores[i] >= best
        wrong[question.answers] = False
        ranks[i] = 1 + wrong.sum()
    return ranks


def summarize(ranks: np.ndarray) -> Measures:
    """ranks: (n_questions,)."""
    top1, top5 = (100 * float((ranks <= k).mean()) for k in (1, 5))
    return Measures(top1, top5, 100 * float((1 / ranks).mean()))
