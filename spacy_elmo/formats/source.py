"""Finds out what a source of weights is and reads it."""

from collections.abc import Sequence
from os.path import isdir, isfile
from pathlib import Path
from typing import Union

from ..bilm import BiLMNetwork
from .hdf5 import read_hdf5
from .many_langs import find_many_langs, read_many_langs
from .native import CONFIG_NAME, WEIGHTS_NAME, read_native

MODELS = Path(__file__).parent.parent / "models"

Source = Union[str, Path, Sequence[Union[str, Path]]]


def bundled_names() -> list[str]:
    """Names of the biLMs that come with the package."""
    return sorted(path.parent.name for path in MODELS.glob(f"*/{CONFIG_NAME}"))


def read_source(source: Source) -> BiLMNetwork:
    """Read a biLM from wherever it is.

    source: A bundled name; a native directory; a directory with one ``*options.json`` and one
        HDF5 file; an HDF5 file in such a directory; a pair of options and weights; or a
        directory of ELMoForManyLangs.
    RAISES ValueError: There is no such source (the error lists what was tried), or it is
        damaged (the error names file and array).
    """
    if not isinstance(source, (str, Path)):
        if len(source) != 2:
            raise ValueError(
                f"A source of several files is a pair (options, weights), but got {source!r}."
            )
        options, weights = source
        return read_hdf5(Path(options), Path(weights))
    if str(source) in bundled_names():
        return read_native(MODELS / str(source))
    path = Path(source)
    if path.name == WEIGHTS_NAME:
        return read_native(path.parent)
    if isfile(path):  # unlike Path's method, false for what can't be a path
        return read_hdf5(_only(path.parent, "*options.json"), path)
    if str(source) and isdir(path):
        many_langs = find_many_langs(path)
        if many_langs is not None and not (path / WEIGHTS_NAME).exists():
            return read_many_langs(many_langs)
        if (path / WEIGHTS_NAME).exists() or (path / CONFIG_NAME).exists():
            return read_native(path)
        return read_hdf5(_only(path, "*options.json"), _only(path, "*.hdf5", "*.h5"))
    raise ValueError(
        f"Can't find the biLM '{source}'. Tried: a bundled name ({', '.join(bundled_names())}); "
        f"a file or directory at {path.absolute()}. Give one of these names, a directory that "
        f"holds {CONFIG_NAME} and {WEIGHTS_NAME}, options.json and an HDF5 file of weights, or a "
        "biLM of ELMoForManyLangs, or a pair of paths (options, weights)."
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
