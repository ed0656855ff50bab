"""What a classifier is told of an occurrence."""

from collections.abc import Sequence
from typing import Dict, List, Mapping

import numpy as np
from occurrences import Occurrence
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from spacy_elmo.projects.glove import load_glove

MOST_FREQUENT = "most frequent sense"
WINDOW = 10  # words on either side whose static vectors are averaged


def list_features(
    occurrences: Sequence[Occurrence], vectors: np.ndarray
) -> Dict[str, tuple[object, Pipeline]]:
    """All kinds of features, each with an untrained classifier for it.

    occurrences: All of them.
    vectors: (n_layers, n_occurrences, width), of the biLM.
    RETURNS: Arrays of a row for each occurrence, or lists of tokens, and classifiers.
    """
    others = [o.tokens[: o.index] + o.tokens[o.index + 1 :] for o in occurrences]
    found: Dict[str, tuple[object, Pipeline]] = {
        MOST_FREQUENT: (np.zeros((len(occurrences), 1)), DummyClassifier(strategy="prior")),
        "words around it (TF-IDF)": (others, _of_words()),
    }
    glove = load_glove()
    if glove is not None:
        means = np.stack([_mean_around(occurrence, glove) for occurrence in occurrences])
        found["words around it (GloVe, mean)"] = (means, _of_vectors())
    for i, layer in enumerate(vectors):
        name = "layer 0: its characters" if i == 0 else f"layer {i}: LSTM"
        found[name] = (layer, _of_vectors())
    found["mean of all layers"] = (vectors.mean(axis=0), _of_vectors())
    found["all layers side by side"] = (np.concatenate(list(vectors), axis=1), _of_vectors())
    return found


def _of_vectors() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000, tol=1e-3))


def _of_words() -> Pipeline:
    words = TfidfVectorizer(analyzer=_lower, sublinear_tf=True)
    return make_pipeline(words, LogisticRegression(C=10, max_iter=500))


def _lower(tokens: List[str]) -> List[str]:
    return [token.lower() for token in tokens]


def _mean_around(occurrence: Occurrence, glove: Mapping[str, np.ndarray]) -> np.ndarray:
    """(50,) the mean of the words around a word; the word itself is the same everywhere."""
    i, tokens = occurrence.index, occurrence.tokens
    around = tokens[max(0, i - WINDOW) : i] + tokens[i + 1 : i + 1 + WINDOW]
    known = [glove[token.lower()] for token in around if token.lower() in glove]
    return np.mean(known, axis=0) if known else np.zeros(50)
