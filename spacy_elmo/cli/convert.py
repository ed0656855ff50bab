"""``python -m spacy elmo convert``"""

from enum import Enum
from pathlib import Path

import typer
from wasabi import msg

from ..api import BiLM
from ._help import SOURCE


class Format(str, Enum):
    """What ``BiLM.save`` writes."""

    native = "native"
    hdf5 = "hdf5"


def convert(
    source: str = typer.Argument(..., help=SOURCE),
    output: Path = typer.Argument(..., help="A directory, or an HDF5 file for --format hdf5"),
    format: Format = typer.Option(Format.native, help="What to write"),
) -> None:
    """Write a biLM in another format."""
    try:
        BiLM.load(source).save(output, format=format.value)
    except (ValueError, OSError, ImportError) as error:
        msg.fail(f"Can't convert '{source}'", str(error), exits=1)
    beside = " and options.json beside it" if format is Format.hdf5 else ""
    msg.good(f"Wrote {output}{beside}")
