"""How exact the faster precisions are."""

from typing import Any

import numpy as np
from wasabi import msg

from spacy_elmo import BiLM
from spacy_elmo.bilm import Precision

FASTER: tuple[Precision, ...] = ("bfloat16", "int8")


def measure(bilms: dict[str, BiLM], sentences: list[list[str]]) -> dict[str, Any]:
    """Compare with float32, layer by layer.

    bilms: By name.
    RETURNS: For each biLM and precision the error of each layer: the root of the mean square of
        the differences, relative to the root of the mean square of the layer.
    """
    errors: dict[str, dict[str, list[float]]] = {}
    for name, bilm in bilms.items():
        exact = np.concatenate(BiLM(bilm.network).embed(sentences), axis=1)
        errors[name] = {}
        for precision in FASTER:
            layers = np.concatenate(BiLM(bilm.network, precision).embed(sentences), axis=1)
            ratio = _rms(layers - exact) / _rms(exact)
            errors[name][precision] = [float(f"{value:.3g}") for value in ratio]
    return {"words": sum(map(len, sentences)), "relative_rms_error_of_each_layer": errors}


def show(result: dict[str, Any]) -> None:
    """Print a table."""
    errors = result["relative_rms_error_of_each_layer"]
    rows = [
        (name, precision, *(f"{value:.2%}" for value in values))
        for name, by_precision in errors.items()
        for precision, values in by_precision.items()
    ]
    n_layers = max(len(row) for row in rows) - 2
    print(f"Relative RMS error against float32, {result['words']:,} words")
    msg.table(
        [(*row, *[""] * (n_layers + 2 - len(row))) for row in rows],
        header=("", "precision", *(f"layer {i}" for i in range(n_layers))),
        aligns=("l", "l", *"r" * n_layers),
    )


def _rms(layers: np.ndarray) -> np.ndarray:
    """layers: (n_layers, n_words, width); result: (n_layers,)."""
    return np.sqrt(np.square(layers).mean(axis=(1, 2)))
