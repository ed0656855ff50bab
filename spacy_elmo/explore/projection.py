"""A map of the occurrences of one word: their mixed layers in two dimensions."""

from typing import NamedTuple, Optional

import numpy as np

from .index import Index

MAX_POINTS = 1000
MIN_POINTS = 3


class Map(NamedTuple):
    """Points in a plane.

    rows: (n,) the rows of the index.
    points: (n, 2) float32, where they lie.
    query: (2,) float32, where another word lies among them, or None.
    share: How much of the variance of the vectors the plane shows, from 0 to 1.
    """

    rows: np.ndarray
    points: np.ndarray
    query: Optional[np.ndarray]
    share: float


def project(
    index: Index, rows: np.ndarray, weights: np.ndarray, query: Optional[np.ndarray] = None
) -> Map:
    """Draw a map by principal components, of vectors of length 1.

    index: The index.
    rows: (n,) at least ``MIN_POINTS``. Of more than ``MAX_POINTS``, as many at equal distances.
    weights: (n_layers + 1,) of the layers.
    query: (n_layers + 1, width), the layers of a word that is put among them and doesn't shape the
        map.
    RAISES ImportError: scikit-learn is missing.
    """
    from sklearn.decomposition import PCA

    if len(rows) > MAX_POINTS:
        rows = rows[np.arange(MAX_POINTS) * len(rows) // MAX_POINTS]
    mixed = _mix(index.vectors(rows), weights)
    pca = PCA(n_components=2, svd_solver="full")
    points = pca.fit_transform(mixed)
    variance = mixed.var(axis=0).sum()
    share = float(pca.explained_variance_ratio_.sum()) if variance > 0 else 0.0
    place = None if query is None else pca.transform(_mix(query[:, None], weights))[0]
    return Map(rows, points, place, share)


def _mix(layers: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """layers: (n_layers + 1, n, width). RETURNS: (n, width), of length 1."""
    mixed = np.tensordot(np.asarray(weights, "float32"), layers.astype("float32"), axes=1)
    return mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-12)
