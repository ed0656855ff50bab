"""Finds out what a source of weights is and reads it."""

from collections.abc import Sequence
from os.path import isdir, isfile
from pathlib import Path
from typing import Union

from ..bilm import BiLMNetwork
from .hdf5 import read_hdf5
from .native import CONFIG_NAME, WEIGHTS_NAME, read_native
from .tensorflow import is_checkpoint, read_checkpoint

MODELS = Path(__file__).parent.parent / "models"

Source = Union[str, Path, Sequence[Union[str, Path]]]


def bundled_names() -> list[str]:
    """Names of the biLMs that come with the package."""
    return sorted(path.parent.name for path in MODELS.glob(f"*/{CONFIG_NAME}"))


def read_source(source: Source) -> BiLMNetwork:
    """Read a biLM from wherever it is.

    source: A bundled name; a native directory; a directory with one ``*options.json`` and one
        HDF5 file; an HDF5 file in such a directory; a TensorFlow checkpoint (bilm-tf's training
        directory, a prefix in it such as ``model.ckpt-60``, or a TF-Hub module); or a pair of
        options and weights.
    RAISES ValueError: There is no such source (the error lists what was tried), or it is
        damaged (the error names file and array).
    RAISES ImportError: It is a TensorFlow checkpoint, and TensorFlow isn't installed.
    """
    if not isinstance(source, (str, Path)):
        if len(source) != 2:
            raise ValueError(
                f"A source of several files is a pair (options, weights), but got {source!r}."
            )
        options, weights = source
        if is_checkpoint(Path(weights)):
            return read_checkpoint(Path(weights), Path(options))
        return read_hdf5(Path(options), Path(weights))
    if str(source) in bundled_names():
        return read_native(MODELS / str(source))
    path = Path(source)
    if path.name == WEIGHTS_NAME:
        return read_native(path.parent)
    if isfile(path):  # unlike Path's method, false for what can't be a path
        return read_hdf5(_only(path.parent, "*options.json"), path)
    if str(source) and isdir(path):
        if (path / WEIGHTS_NAME).exists() or (path / CONFIG_NAME).exists():
            return read_native(path)
        if not is_checkpoint(path) or any(path.glob("*.h*5")):  # these need no TensorFlow
            return read_hdf5(_only(path, "*options.json"), _only(path, "*.hdf5", "*.h5"))
    if str(source) and is_checkpoint(path):
        return read_checkpoint(path)
    raise ValueError(
        f"Can't find the biLM '{source}'. Tried: a bundled name ({', '.join(bundled_names())}); "
        f"a file or directory at {path.absolute()}. Give one of these names, a directory that "
        f"holds {CONFIG_NAME} and {WEIGHTS_NAME} or options.json and an HDF5 file of weights, a "
        "TensorFlow checkpoint, or a pair of paths (options, weights)."
    )


def _only(directory: Path, *patterns: str) -> Path:
    """The one file in a directory that matches a pattern."""
    found = [path for pattern in patterns for path in sorted(directory.glob(pattern))]
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise ValueError(
            f"{directory.absolute()}: expected one file {' or '.join(patterns)} (found: {names}). "
            "A pair of paths (options, weights) says which files to use."
        )
    return found[0]
