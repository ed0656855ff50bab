"""One vector a text, of the vectors of its words."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import spacy
from lexical import Words, is_word
from spacy.language import Language
from spacy.tokens import Doc

POOLINGS = ("mean", "weighted")


def load_pipeline(source: str) -> Language:
    """A pipeline that tokenizes and keeps the layers of a biLM."""
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo", config={"model": {"source": source}})
    return nlp


def embed(docs: Iterable[Doc], words: Words) -> np.ndarray:
    """RETURNS: (n_layers, 2, n_docs, width), of length 1: the mean of a text's words, and the mean
    weighted by their inverse frequencies."""
    pooled = [pool(doc._.elmo.layers, doc, words) for doc in docs]
    return unit(np.stack(pooled, axis=2))


def pool(layers: np.ndarray, doc: Doc, words: Words) -> np.ndarray:
    """layers: (n_layers, n_tokens, width).
    RETURNS: (n_layers, 2, width)."""
    chosen = [token.i for token in doc if is_word(token.text)]
    if not chosen:
        return np.zeros((len(layers), len(POOLINGS), layers.shape[2]), "float32")
    own = layers[:, chosen]
    weights = np.array([words.weight(doc[i].lower_) for i in chosen], "float32")
    weighted = np.einsum("lnw,n->lw", own, weights / max(weights.sum(), 1e-6))
    return np.stack([own.mean(axis=1), weighted], axis=1)


def embed_static(
    texts: Sequence[Sequence[str]], table: Mapping[str, np.ndarray], words: Words
) -> np.ndarray:
    """As 'embed' does, of static vectors.

    texts: The words of each.
    table: The vector of each word.
    RETURNS: (2, n_texts, width)."""
    width = len(next(iter(table.values())))
    means = np.zeros((len(POOLINGS), len(texts), width), "float32")
    for i, text in enumerate(texts):
        known = [word for word in text if word in table]
        if known:
            own = np.stack([table[word] for word in known]).astype("float32")
            weights = np.array([words.weight(word) for word in known], "float32")
            means[0, i] = own.mean(axis=0)
            means[1, i] = weights @ own / max(weights.sum(), 1e-6)
    return unit(means)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype("float32")
