"""Tensors in safetensors, with a digest of them: a file that a disk has damaged is an error, not
other vectors. Files without a digest, which others write, are read unchecked."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Optional

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from .digest import digest
from .files import refuse_pointer

_DIGESTS = "digests"  # of tensors and companion. One entry, as several have no fixed order


class Stored(NamedTuple):
    """What was stored.

    tensors: By name, on the CPU. They may lie in a mapped file.
    companion: The digest of what they were stored beside; None if nothing is known of it.
    is_verified: Whether they had a digest, which fits: they are what was written.
    """

    tensors: dict[str, Tensor]
    companion: Optional[str]
    is_verified: bool


def tensors_to_bytes(tensors: Mapping[str, Tensor], companion: bytes) -> bytes:
    """Tensors as the content of a safetensors file.

    tensors: By name, contiguous, on the CPU.
    companion: What they belong to and is stored elsewhere, such as a network's options.
    """
    return save(dict(tensors), {_DIGESTS: f"{tensors_digest(tensors)} {digest(companion)}"})


def read_tensors(path: Path) -> Stored:
    """Read a safetensors file.

    RAISES ValueError: The file is missing or damaged.
    """
    refuse_pointer(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path}: not a readable safetensors file: {error}") from error
    return _checked(tensors, metadata, str(path))


def tensors_from_bytes(content: bytes, where: str) -> Stored:
    """The inverse of ``tensors_to_bytes``.

    where: Where the content comes from, for the error.
    RAISES ValueError: The content is damaged.
    """
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise ValueError(f"{where}: not readable as safetensors: {error}") from error
    end = 8 + int.from_bytes(content[:8], "little")
    return _checked(tensors, json.loads(content[8:end]).get("__metadata__", {}), where)


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """The digest of tensors, their names, types and shapes, in whatever order they are given.

    tensors: By name, on the CPU.
    """
    return digest(*_parts(sorted(tensors.items())))


def _parts(tensors: Iterable[tuple[str, Tensor]]) -> Iterator[bytes | memoryview]:
    for name, tensor in tensors:
        yield f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode()
        yield tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _checked(tensors: dict[str, Tensor], metadata: Mapping[str, str], where: str) -> Stored:
    if _DIGESTS not in metadata:
        return Stored(tensors, None, is_verified=False)
    expected, _, companion = metadata[_DIGESTS].partition(" ")
    if tensors_digest(tensors) != expected:
        raise ValueError(
            f"{where}: damaged: its weights aren't those that were written (by their digest). Get "
            "another copy."
        )
    return Stored(tensors, companion, is_verified=True)
