"""The nearest words of an index, by any weighting of the layers.

The search is exact. A mix of layers is never computed for the texts: its inner product with a
query q is the sum of the layers' own, ``sum_j w_j (q . x_j)``, and its squared length is ``w' G w``
with the products G that the index holds. So each question reads the layers that have a weight once:
for a million words, three layers of width 256 in float16, that is 1.5 GB and 0.8 billion
multiplications, one to three seconds on one core. An index for approximate search would have to be
built anew at each move of a slider.
"""

from collections.abc import Sequence
from typing import Optional

import numpy as np
import torch

from ..pretraining.evaluation import Neighbour
from .index import Index

BLOCK = 512  # rows that are computed together: their vectors stay near the processor
_TINY = 1e-12


def nearest(
    index: Index,
    query: np.ndarray,
    weights: np.ndarray,
    n: int,
    *,
    among: Optional[np.ndarray] = None,
    but: Sequence[str] = (),
) -> list[Neighbour]:
    """Find the words of an index that are nearest to one by the cosine of their mixed layers. Of
    sentences with the same words, one occurrence is given at most.

    index: The index.
    query: (n_layers + 1, width), the layers of a word.
    weights: (n_layers + 1,), not negative; a 1 among zeros looks at one layer.
    n: How many.
    among: (n_rows,) the rows that are compared; by default all.
    but: A sentence that is left out: that of the query.
    RETURNS: The nearest first.
    """
    cosines = mixed_cosines(index, query, weights, among)
    taken = {tuple(but)}
    found: list[Neighbour] = []
    for i in np.argsort(-cosines, kind="stable").tolist():  # a tie by the order of the texts
        if len(found) == n:
            break
        occurrence = index.occurrence(int(i if among is None else among[i]))
        if tuple(occurrence.words) not in taken:
            taken.add(tuple(occurrence.words))
            found.append(Neighbour(occurrence, float(cosines[i])))
    return found


def mixed_cosines(
    index: Index, query: np.ndarray, weights: np.ndarray, among: Optional[np.ndarray] = None
) -> np.ndarray:
    """The cosine of a word's mixed layers with those of others.

    index, query, weights, among: As ``nearest`` takes them.
    RETURNS: (n_rows,) float32.
    """
    weights = np.asarray(weights, "float32")
    mixed = np.tensordot(weights, np.asarray(query, "float32"), axes=1)
    n_rows = index.n_rows if among is None else len(among)
    results = np.empty(n_rows, "float32")
    vector = torch.from_numpy(mixed)
    buffer = torch.empty(BLOCK, len(mixed))  # new memory for each block would take most of the time
    for start in range(0, n_rows, BLOCK):
        end = min(start + BLOCK, n_rows)
        rows = slice(start, end) if among is None else among[start:end]
        products = np.zeros(end - start, "float32")
        for weight, layer in zip(weights, index.layers, strict=True):
            if weight:
                block = buffer[: end - start].copy_(torch.from_numpy(layer[rows]))
                products += weight * (block @ vector).numpy()
        squares = np.einsum("i,rij,j->r", weights, index.products[rows], weights)
        lengths = np.sqrt(np.maximum(squares, 0)) * np.linalg.norm(mixed)
        results[start:end] = products / np.maximum(lengths, _TINY)
    return results
