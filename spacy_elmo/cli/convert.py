"""``python -m spacy elmo convert``"""

from enum import Enum
from pathlib import Path
from typing import Optional

import typer
from wasabi import msg

from ..api import BiLM
from ..formats import MissingVocabulary, SoftmaxWeights, read_softmax
from ..urls import shown
from ._help import SOURCE, VOCABULARY


class Format(str, Enum):
    """What ``BiLM.save`` writes."""

    native = "native"
    hdf5 = "hdf5"


class DType(str, Enum):
    """How a native directory stores weights."""

    float32 = "float32"
    float16 = "float16"
    int8 = "int8"


def convert(
    source: str = typer.Argument(..., help=SOURCE),
    output: Path = typer.Argument(..., help="A directory, or an HDF5 file (.hdf5, .h5)"),
    format: Optional[Format] = typer.Option(None, help="What to write, if the name doesn't tell"),
    softmax: bool = typer.Option(
        True,
        help="Write the softmax that the source has, too (native only). Perplexity and further "
        "training need it, vectors don't",
    ),
    vocabulary: Optional[Path] = typer.Option(
        None, "--vocabulary", exists=True, dir_okay=False, help=VOCABULARY
    ),
    dtype: DType = typer.Option(
        DType.float32, help="How to store weights (native only): half or a quarter of the size"
    ),
) -> None:
    """Write a biLM in another format."""
    kept: Optional[SoftmaxWeights] = None
    if format is None:
        format = Format.hdf5 if output.suffix in (".hdf5", ".h5") else Format.native
    try:
        bilm = BiLM.load(source)
        if softmax:
            try:
                kept = read_softmax(source, vocabulary)
            except MissingVocabulary as error:
                msg.warn("The softmax is left out", f"{error} (--vocabulary)")
        if kept is not None and format is Format.hdf5:
            msg.info("The softmax is left out: the HDF5 layout has no place for it.")
            kept = None
        bilm.save(output, format=format.value, dtype=dtype.value, softmax=kept)
    except (ValueError, OSError, ImportError) as error:
        msg.fail(f"Can't convert '{shown(source)}'", str(error), exits=1)
    beside = " and options.json beside it" if format is Format.hdf5 else ""
    if kept is not None:
        beside = f" with a softmax over {len(kept.words):,} words"
    msg.good(f"Wrote {output}{beside}")
