"""Questions and answers as vectors: of each layer of the biLM, and of GloVe."""

from typing import Dict, List, NamedTuple

import numpy as np
from index import Index
from lexical import words_of
from spacy.language import Language
from vectors import embed, embed_static, unit

from spacy_elmo.projects.glove import load_glove

GLOVE = "GloVe"
COMMON = 10  # directions that most vectors share, which are taken away


class Space(NamedTuple):
    """questions: (2, n_questions, width): means of words, and means by their inverse frequencies.
    answers: (2, n_answers, width)."""

    questions: np.ndarray
    answers: np.ndarray


def make_spaces(index: Index, questions: List[str], nlp: Language) -> Dict[str, Space]:
    """nlp: By 'vectors.load_pipeline'.
    RETURNS: By name; GloVe is only there if it is installed."""
    spaces = {}
    glove = load_glove()
    if glove is not None:
        texts = [
            [words_of(doc) for doc in nlp.tokenizer.pipe(t)] for t in (questions, index.answers)
        ]
        spaces[GLOVE] = Space(*(embed_static(words, glove, index.words) for words in texts))
    asked = embed(nlp.pipe(questions), index.words)
    for i, (own, answers) in enumerate(zip(asked, index.vectors, strict=True)):
        spaces[layer_name(i)] = Space(own, answers)
    return spaces


def layer_name(i: int) -> str:
    """What a layer of the biLM is called."""
    return f"ELMo, layer {i}"


def without_common(space: Space, known: np.ndarray) -> Space:
    """The weighted means without what they have in common: the mean of their kind, and the
    directions in which answers differ most, which tell their style more than their subject.

    known: Numbers of the questions whose mean it may learn.
    RETURNS: (n_questions, width) and (n_answers, width).
    """
    answers = space.answers[1] - space.answers[1].mean(axis=0)
    questions = space.questions[1] - space.questions[1][known].mean(axis=0)
    directions = np.linalg.svd(answers, full_matrices=False)[2][:COMMON]
    kept = (unit(x - x @ directions.T @ directions) for x in (questions, answers))
    return Space(*kept)
