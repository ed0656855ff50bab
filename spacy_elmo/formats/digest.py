"""A digest that tells damage: bytes that a disk, a cable or a program has changed. It is fast, and
no proof of who wrote them."""

from pathlib import Path
from typing import Union

import xxhash

_CHUNK = 1 << 18  # bytes that stay near the processor


def digest(*parts: Union[bytes, bytearray, memoryview]) -> str:
    """The 128-bit XXH3 of all parts, one after the other.

    parts: Contiguous memory, such as the ``data`` of a NumPy array.
    RETURNS: 32 hexadecimal digits.
    """
    result = xxhash.xxh3_128()
    for part in parts:
        result.update(part)
    return result.hexdigest()


def path_digest(path: Path) -> str:
    """The digest of a file, or of all files in a directory and their names. Hidden files, which
    systems leave behind, don't count.

    RAISES OSError: A file can't be read.
    """
    result = xxhash.xxh3_128()
    buffer = memoryview(bytearray(_CHUNK))
    for file in _files(path) if path.is_dir() else [path]:
        if file != path:
            result.update(f"{file.relative_to(path).as_posix()}\0{file.stat().st_size}\0".encode())
        with open(file, "rb", buffering=0) as content:
            while n_bytes := content.readinto(buffer):
                result.update(buffer[:n_bytes])
    return result.hexdigest()


def _files(directory: Path) -> list[Path]:
    found = (path for path in directory.rglob("*") if path.is_file())
    return sorted(path for path in found if not path.name.startswith("."))
