"""The questions of a collection, put to an index."""

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List

import numpy as np
from collection import Collection, Question, read_collection
from index import Index, read_index
from lexical import words_of
from measures import ranks_of
from reranker import CANDIDATES, Lists, Reranker
from spaces import Space, make_spaces
from vectors import load_pipeline

BLOCK = 256  # questions that are put at a time: each makes a score for every answer


@dataclass(frozen=True)
class Asked:
    """collection: With the same answers as the index.
    index: Which was asked.
    words: Those of each question.
    spaces: By name, the vectors of all questions and answers.
    ranks: (n_questions,) of the first right answer, by BM25.
    candidates: (n_questions, CANDIDATES) numbers of the best answers by BM25, the best first.
    scores: (n_questions, CANDIDATES), theirs.
    right: (n_questions, CANDIDATES), whether each is right."""

    collection: Collection
    index: Index
    words: List[List[str]]
    spaces: Dict[str, Space]
    ranks: np.ndarray
    candidates: np.ndarray
    scores: np.ndarray
    right: np.ndarray

    def of_part(self, part: str) -> np.ndarray:
        """The numbers of a part's questions."""
        return np.array([i for i, q in enumerate(self.collection.questions) if q.part == part])

    def questions(self, chosen: np.ndarray) -> List[Question]:
        """Questions by their numbers."""
        return [self.collection.questions[i] for i in chosen]

    def lists(self, chosen: np.ndarray, space: Space) -> Lists:
        """What a re-ranker learns from: questions for which BM25 finds a right answer."""
        found = chosen[self.right[chosen].any(axis=1)]
        parts = (self.candidates[found], self.scores[found], self.right[found])
        return Lists(space.questions[0][found], *parts)

    def reranked(self, chosen: np.ndarray, space: Space, model: Reranker) -> np.ndarray:
        """RETURNS: (n_chosen,) ranks of the first right answers, after the candidates were put into
        a new order; the others follow as before."""
        answers = space.answers[0][self.candidates[chosen]]
        new = model.rank(space.questions[0][chosen], answers, self.scores[chosen])
        right = self.right[chosen]
        best = np.where(right, new, -np.inf).max(axis=1, keepdims=True)
        ranks = 1 + (~right & (new >= best)).sum(axis=1)
        return np.where(right.any(axis=1), ranks, self.ranks[chosen])


def ask_all(index: Path, collection: Path) -> Asked:
    """RAISES ValueError: A file is missing or of another form, or they don't belong together."""
    built, known = read_index(index), read_collection(collection)
    if built.answers != known.answers:
        raise ValueError(f"{index} isn't the index of {collection}: build it anew.")
    nlp = load_pipeline(built.source)
    texts = [question.text for question in known.questions]
    words = [words_of(doc) for doc in nlp.tokenizer.pipe(texts)]
    ranks, candidates, scores, right = [], [], [], []
    for start in range(0, len(texts), BLOCK):
        questions = known.questions[start : start + BLOCK]
        every = built.score(words[start : start + BLOCK])
        best = np.argsort(-every, axis=1, kind="stable")[:, :CANDIDATES]
        ranks.append(ranks_of(every, questions))
        candidates.append(best)
        scores.append(np.take_along_axis(every, best, axis=1))
        pairs = zip(best, questions, strict=True)
        right.append(np.stack([np.isin(row, question.answers) for row, question in pairs]))
    arrays = map(np.concatenate, (ranks, candidates, scores, right))
    return Asked(known, built, words, make_spaces(built, texts, nlp), *arrays)
