"""Draw all occurrences of one word as a map, a point for each, coloured by sense."""

from pathlib import Path
from typing import List

import numpy as np
import typer
from occurrences import read_occurrences
from wasabi import msg

from spacy_elmo.projects.plots.scatter import draw_map, principal_components
from spacy_elmo.projects.plots.style import new_figure, save


def main(
    occurrences: Path = typer.Argument(..., exists=True, help="By prepare.py"),
    vectors: Path = typer.Argument(..., exists=True, help="By embed.py"),
    output: Path = typer.Argument(..., help="The picture, without suffix: PNG and SVG are written"),
    word: str = typer.Option(..., help="The word"),
    umap: bool = typer.Option(False, "--umap", help="UMAP (umap-learn) in place of PCA"),
) -> None:
    """Draw a panel for each LSTM layer."""
    rows, layers = read_occurrences(occurrences), np.load(vectors)
    chosen = [i for i, row in enumerate(rows) if row.word == word]
    if not chosen:
        words = ", ".join(dict.fromkeys(row.word for row in rows))
        msg.fail(f"'{word}' isn't among the words", words, exits=1)
    figure = new_figure(5.2 * (len(layers) - 1), 4.8)
    panels = figure.subplots(1, len(layers) - 1, squeeze=False)[0]
    for i, axes in enumerate(panels, start=1):
        own = without_forms(layers[i][chosen], [rows[j].tokens[rows[j].index] for j in chosen])
        points = with_umap(own) if umap else principal_components(own)
        draw_map(axes, points, [rows[j].sense for j in chosen], f"{word}, layer {i}")
        axes.set_xlabel("UMAP, no units" if umap else "first principal component")
        axes.set_ylabel("" if umap else "second principal component")
    msg.good(", ".join(map(str, save(figure, output))))


def without_forms(vectors: np.ndarray, forms: List[str]) -> np.ndarray:
    """Of vectors, (n, width), what isn't the mean of the same form: "serve" and "served" would
    otherwise lie further apart than two senses."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / lengths
    lower = np.array([form.lower() for form in forms])
    for form in np.unique(lower):
        unit[lower == form] -= unit[lower == form].mean(axis=0)
    return unit


def with_umap(vectors: np.ndarray) -> np.ndarray:
    """(n, 2), neighbours by the angle between vectors, always the same."""
    try:
        from umap import UMAP
    except ImportError:
        msg.fail("--umap needs umap-learn", "pip install umap-learn", exits=1)
    return UMAP(metric="cosine", random_state=0).fit_transform(vectors)


if __name__ == "__main__":
    typer.run(main)
