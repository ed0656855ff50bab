"""Unpacks archives that come from elsewhere. Nothing is written outside the given directory, no
links are made, and what is written is bounded."""

import lzma
import stat
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO
from zipfile import BadZipFile, ZipFile

from .files import MAX_GROWTH, SMALL

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MAX_FILES = 10_000
CHUNK = 1 << 20

_DAMAGE = (
    BadZipFile,
    tarfile.TarError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    RuntimeError,
    OSError,
)


def is_archive_name(name: str) -> bool:
    """Whether a file's name is an archive's."""
    return name.lower().endswith(SUFFIXES)


def unpack(archive: Path, directory: Path) -> None:
    """Unpack a zip or tar archive, whichever it is by its content.

    archive: The file.
    directory: A new directory for what it holds. If unpacking fails, it may hold a part of it.
    RAISES ValueError: It is no archive, or damaged; a name leads outside the directory; it holds
        links, devices or a file twice; or far more than an archive of weights would.
    """
    room = max(SMALL, MAX_GROWTH * archive.stat().st_size)
    n_files = 0
    directory.mkdir(parents=True)
    try:
        for name, file in _files(archive):
            n_files += 1
            if n_files > MAX_FILES:
                raise ValueError(f"{archive}: holds far more files than a biLM. Not unpacked.")
            target = directory / _safe_name(name, archive)
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb") as output:
                while chunk := file.read(CHUNK):
                    room -= len(chunk)
                    if room < 0:
                        raise ValueError(f"{archive}: holds far more than weights. Not unpacked.")
                    output.write(chunk)
    except _DAMAGE as error:
        raise ValueError(f"{archive}: can't be unpacked: {error}") from error


def contents(directory: Path) -> list[Path]:
    """What was packed of a directory on purpose: macOS adds ``__MACOSX`` and hidden files."""
    return [path for path in directory.iterdir() if not path.name.startswith((".", "__MACOSX"))]


def _files(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The names and contents of an archive's files."""
    with open(archive, "rb") as start:
        is_zip = start.read(2) == b"PK"
    return _zip_files(archive) if is_zip else _tar_files(archive)


def _zip_files(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with ZipFile(archive) as zip_file:
        for member in zip_file.infolist():
            if member.is_dir():
                continue
            kind = stat.S_IFMT(member.external_attr >> 16)  # 0 if it was not packed on Unix
            if kind not in (0, stat.S_IFREG):
                raise ValueError(f"{archive}: '{member.filename}' is not a plain file.")
            with zip_file.open(member) as file:
                yield member.filename, file


def _tar_files(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(archive, "r:*") as tar_file:
        for member in tar_file:
            if member.isdir():
                continue
            file = tar_file.extractfile(member) if member.isreg() else None
            if file is None:
                raise ValueError(f"{archive}: '{member.name}' is not a plain file.")
            yield member.name, file


def _safe_name(name: str, archive: Path) -> PurePosixPath:
    """The path of a file inside the directory.

    RAISES ValueError: By the rules of Unix or Windows, it may lead elsewhere.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or set(name) & set("\\:\0"):
        raise ValueError(f"{archive}: refuses to unpack '{name}', which may lead elsewhere.")
    return path
