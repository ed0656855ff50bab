"""Maps: vectors in two dimensions, coloured by label."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .style import COLOURS, MARKERS, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def principal_components(vectors: np.ndarray) -> np.ndarray:
    """vectors: (n, width).
    RETURNS: (n, 2)."""
    centred = vectors - vectors.mean(axis=0)
    return centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T


def draw_map(axes: "Axes", points: np.ndarray, labels: Sequence[str], title: str) -> None:
    """Draw points on axes without units; the most frequent label is drawn first, below the others.

    points: (n, 2).
    labels: (n,), of at most seven kinds.
    """
    plain(axes, title)
    names, counts = np.unique(np.asarray(labels), return_counts=True)
    for i, name in enumerate(names[np.argsort(-counts, kind="stable")]):
        chosen = np.asarray(labels) == name
        axes.scatter(
            points[chosen, 0],
            points[chosen, 1],
            s=16,
            color=COLOURS[i % len(COLOURS)],
            marker=MARKERS[i % len(MARKERS)],
            linewidths=0,
            alpha=0.65,
            label=f"{name} ({chosen.sum()})",
        )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.legend(fontsize=8, framealpha=0.8, loc="best")
