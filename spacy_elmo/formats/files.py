"""What all formats share: option files, checks of arrays, and files that are never half written."""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Optional, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor

from ..bilm import BiLMConfig, BiLMNetwork
from ..bilm.config import KINDS

Parsed = TypeVar("Parsed", bound=BaseModel)

MAX_GROWTH = 50  # bytes unpacked for one packed; weights hardly shrink, vocabularies to a quarter
SMALL = 64 << 20  # bytes that any file may hold
_POINTER = b"version https://git-lfs.github.com/spec/"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file under a temporary name beside ``path`` and rename it at the end, so that
    ``path`` is always a whole file. Nothing is left behind if writing fails.

    path: The file's final name. Its folder is created if need be.
    YIELDS: The name to write to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def refuse_pointer(path: Path, where: Optional[str] = None) -> None:
    """where: The file, for the error; by default its path.
    RAISES ValueError: The file is a pointer of Git LFS, which stands for one that was not fetched.
    """
    with suppress(OSError), open(path, "rb") as file:
        if file.read(len(_POINTER)) == _POINTER:
            raise ValueError(
                f"{where or path}: a Git LFS pointer in place of the file. Fetch the file itself "
                "('git lfs pull' in its repository)."
            )


def options_bytes(config: BiLMConfig) -> bytes:
    """A biLM's options in one form, whatever file they stand in: what their digest is taken of.
    Options that are not given are left out, so that later ones don't change it."""
    options = config.model_dump(mode="json", exclude_defaults=True)
    return json.dumps(options, sort_keys=True).encode()


def read_config(path: Path) -> BiLMConfig:
    """Read a biLM's options.

    path: A JSON file in the layout of the published ``options.json``.
    RAISES ValueError: The file is missing, isn't JSON, or a field is missing or wrong.
    """
    return read_json(path, BiLMConfig, "the options of a biLM")


def parse_config(text: str, where: str) -> BiLMConfig:
    """Parse a biLM's options.

    text: JSON in the layout of the published ``options.json``.
    where: Where the text comes from, for the error.
    RAISES ValueError: Names ``where`` and every field that is missing or wrong.
    """
    return _parse_json(text, BiLMConfig, where, "the options of a biLM")


def read_json(path: Path, kind: type[Parsed], what: str) -> Parsed:
    """Read a JSON file.

    path: The file.
    kind: What to make of it.
    what: What the file should hold, for the error.
    RAISES ValueError: The file is missing, isn't JSON, or a field is missing or wrong.
    """
    refuse_pointer(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"Can't read options: {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a JSON file: {error}") from error
    return _parse_json(text, kind, str(path), what)


def _parse_json(text: str, kind: type[Parsed], where: str, what: str) -> Parsed:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        problems = []
        for problem in error.errors():
            # The kind of token encoder that pydantic adds to a field's name isn't in the file.
            names = [str(name) for name in problem["loc"] if name not in KINDS]
            problems.append(f"{'.'.join(names) or 'file'}: {problem['msg']}")
        raise ValueError(f"{where}: not {what}: " + "; ".join(problems)) from None


def build_network(config: BiLMConfig, parameters: Mapping[str, Tensor]) -> BiLMNetwork:
    """A network that owns the given parameters. It is in evaluation mode, and can learn even if
    it is built in PyTorch's inference mode.

    config: Options that the parameters fit.
    parameters: Every entry of the network's ``state_dict``, float32.
    """
    with torch.inference_mode(False):
        with torch.device("meta"):  # no time spent on initial values that are thrown away
            network = BiLMNetwork(config)
        # Kernels round differently on memory that is aligned differently. Memory of PyTorch's own
        # makes the same weights give the same vectors, wherever they come from.
        own = {name: tensor.clone() for name, tensor in parameters.items()}
        network.load_state_dict(own, assign=True)
    return network.eval()


def check_depth(where: str, config: BiLMConfig, n_arrays: int) -> None:
    """What the options ask for is looked at one layer after the other. This bounds it by what is
    there.

    RAISES ValueError: The options describe more layers than there are arrays.
    """
    cnn, lstm = config.char_cnn, config.lstm
    if max(lstm.n_layers, cnn.n_highway, len(cnn.filters)) > n_arrays:
        raise ValueError(
            f"{where}: {n_arrays} arrays are too few for {lstm.n_layers:,} LSTM layers, "
            f"{len(cnn.filters):,} convolutions and {cnn.n_highway:,} highway layers. "
            "Do options and weights belong together?"
        )


def check_growth(where: str, n_bytes: int, n_stored: int) -> None:
    """RAISES ValueError: Arrays take far more memory than the file that is said to hold them."""
    if n_bytes > max(SMALL, MAX_GROWTH * n_stored):
        raise ValueError(
            f"{where}: a file of {n_stored:,} bytes that claims to hold {n_bytes:,}. Not read."
        )


def check_names(where: str, names: Collection[str], expected: Collection[str]) -> None:
    """RAISES ValueError: An array is missing or unknown."""
    for problem, wrong in [
        ("missing", set(expected) - set(names)),
        ("unknown", set(names) - set(expected)),
    ]:
        if wrong:
            raise ValueError(
                f"{where}: array '{min(wrong)}' is {problem}. "
                "Do options and weights belong together?"
            )


def check_array(
    where: str,
    name: str,
    shape: tuple[int, ...],
    expected: tuple[int, ...],
    dtype: str,
    dtypes: tuple[str, ...],
) -> None:
    """RAISES ValueError: An array's shape isn't the one that the options ask for, or its type
    isn't among ``dtypes``."""
    if shape != expected:
        raise ValueError(
            f"{where}: array '{name}' has shape {shape}, but by the options it is {expected}. "
            "Do options and weights belong together?"
        )
    if dtype not in dtypes:
        raise ValueError(
            f"{where}: array '{name}' has type {dtype}, but weights are {' or '.join(dtypes)}."
        )


def check_finite(where: str, name: str, array: np.ndarray) -> None:
    """RAISES ValueError: The array holds infinite values or NaN."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = array.sum()  # a quicker look, which one such value is enough to spoil
    if not np.isfinite(total) and not np.isfinite(array).all():
        raise ValueError(f"{where}: array '{name}' holds values that are not finite numbers.")
