"""Compute the vectors of words in their sentences, layer by layer."""

from pathlib import Path

import numpy as np
import typer
from occurrences import read_occurrences
from wasabi import msg

from spacy_elmo import BiLM


def main(
    occurrences: Path = typer.Argument(..., exists=True, help="By prepare.py"),
    output: Path = typer.Argument(..., help="The vectors, .npy"),
    source: str = typer.Option("en_small", help="The biLM: a name, a path or a URL"),
) -> None:
    """Write an array (n_layers, n_occurrences, width)."""
    rows = read_occurrences(occurrences)
    embedded = BiLM.load(source).embed([row.tokens for row in rows])
    vectors = np.stack([a[:, row.index] for a, row in zip(embedded, rows, strict=True)], axis=1)
    temporary = output.with_suffix(".tmp")
    with temporary.open("wb") as file:
        np.save(file, vectors)
    temporary.replace(output)
    n_layers, n, width = vectors.shape
    msg.good(f"{output}: {n_layers} layers of {n} words, {width} values each")


if __name__ == "__main__":
    typer.run(main)
