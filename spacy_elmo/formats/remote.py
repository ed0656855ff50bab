"""Fetches remote files into a cache, whole or not at all. What is in the cache is never asked for
again, and is compared with the digest that it had then."""

import hashlib
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import fsspec
from filelock import FileLock, Timeout
from tqdm import tqdm

from ..urls import without_secrets
from .archive import contents, unpack
from .digest import path_digest
from .files import refuse_pointer, replacing
from .urls import Url

ATTEMPTS = 4
PAUSE = 1.0  # seconds before the second attempt; twice as long before each further one
CONNECT_TIMEOUT = 30.0  # seconds
READ_TIMEOUT = 60.0  # seconds in which not a byte arrives
LOCK_TIMEOUT = 3600.0  # seconds that another process may take for the same file
CHUNK = 1 << 20

_EXTRAS = {"http": "http", "https": "http", "s3": "s3", "gs": "gs"}
# What the file systems of fsspec call the mark by which a changed file is known.
_VERSIONS = ("ETag", "etag", "Last-Modified", "LastModified", "updated", "mtime", "created")


class NotAvailable(ValueError):
    """The other side has no such file, or doesn't give it to us: trying again is no use."""


class _Interrupted(Exception):
    """Something went wrong that may go well the next time."""


@dataclass
class _Opened:
    """A remote file that is being read.

    file: Has ``read`` and ``close``.
    start: The position of the first byte that is read.
    size: Bytes of the whole file, if known.
    version: Differs if the file is another one, or None if nothing tells.
    """

    file: Any
    start: int
    size: Optional[int]
    version: Optional[str]


def fetch(url: Url, place: Path) -> Path:
    """Fetch a file, unless it is in the cache. A download that was cut off is taken up where it
    ended, if the other side can and the file is still the same.

    url: The file. If it has a checksum, the file is compared with it.
    place: The directory to keep it in.
    RETURNS: The file's path in the cache.
    RAISES NotAvailable: There is no such file, or no right to read it.
    RAISES ValueError: The file can't be fetched or stored, is not the one that was meant, or has
        changed in the cache.
    """
    path = place / url.file_name
    if not path.exists():
        with _alone(path):
            if not path.exists():
                part = _download(url, path)
                try:
                    _keep(part, path)
                finally:
                    part.unlink(missing_ok=True)
    _check_unchanged(path, url)
    return path


def fetch_archive(url: Url, place: Path) -> Path:
    """Fetch an archive and unpack it, unless that is in the cache.

    RETURNS: The directory of its files. If all of them are in one directory of the archive's,
        that one.
    RAISES: As ``fetch`` does, and ValueError if the archive is damaged or unsafe.
    """
    directory = unpacked_path(url, place)
    if not directory.exists():
        with _alone(directory):
            if not directory.exists():
                archive = fetch(url, place)
                unfinished = place / f".{directory.name}.unfinished"
                shutil.rmtree(unfinished, ignore_errors=True)
                try:
                    unpack(archive, unfinished)
                    _keep(unfinished, directory)
                finally:
                    shutil.rmtree(unfinished, ignore_errors=True)
                    archive.unlink()  # a damaged one as well: the next attempt asks for another
                    _digest_path(archive).unlink(missing_ok=True)
    _check_unchanged(directory, url)
    while len(entries := contents(directory)) == 1 and entries[0].is_dir():
        directory = entries[0]
    return directory


def is_cached(url: Url, place: Path) -> bool:
    """Whether a file is here, or an archive's files are."""
    return (place / url.file_name).exists() or unpacked_path(url, place).exists()


def unpacked_path(url: Url, place: Path) -> Path:
    """Where ``fetch_archive`` puts an archive's files."""
    return place / f"{url.file_name}.unpacked"


def _keep(new: Path, path: Path) -> None:
    """Give what was fetched its place in the cache, with a digest beside it."""
    with replacing(_digest_path(path)) as temporary:
        temporary.write_text(path_digest(new), encoding="ascii")
    new.rename(path)


def _check_unchanged(path: Path, url: Url) -> None:
    """What was fetched before there were digests has none, and passes.

    RAISES ValueError: A file or directory of the cache isn't as it was fetched.
    """
    kept = _digest_path(path)
    if kept.exists() and kept.read_bytes() != path_digest(path).encode():
        raise ValueError(
            f"{path}: has changed since it was fetched from {url}; it may be damaged. Delete it, "
            "and it is fetched anew."
        )


def _digest_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.xxh3")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """While this lasts, no other process or thread writes a file of the cache. What goes wrong
    with files here is said as an error of the cache."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{path.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            _say(f"Waiting for another process that fetches {path}")
            lock.acquire(timeout=LOCK_TIMEOUT)
        try:
            yield
        finally:
            lock.release()
    except Timeout as error:
        raise ValueError(
            f"Another process has been fetching {path} for {LOCK_TIMEOUT / 60:.0f} minutes. End "
            "it and try again."
        ) from error
    except OSError as error:
        raise ValueError(
            f"Can't write {path}: {error}. The environment variable SPACY_ELMO_CACHE names "
            "another directory for downloads."
        ) from error


def _download(url: Url, path: Path) -> Path:
    """RETURNS: A file beside ``path`` that is whole and the one that was meant."""
    fs = _filesystem(url)
    _say(f"Fetching {url} to {path}")
    for attempt in range(ATTEMPTS):
        try:
            part = _transfer(fs, url, path)
            break
        except _Interrupted as error:
            if attempt + 1 == ATTEMPTS:
                raise ValueError(f"Can't fetch {url}: {error} ({ATTEMPTS} attempts).") from None
            pause = PAUSE * 2**attempt
            _say(f"{url}: {error}. Trying again in {pause:.0f} s")
            time.sleep(pause)
    try:
        _check(part, url)
    except ValueError:
        part.unlink()
        raise
    return part


def _transfer(fs: Any, url: Url, path: Path) -> Path:
    """Read what is missing of a file.

    RETURNS: A file beside ``path`` with all of it.
    RAISES _Interrupted: The connection was cut; what has come is kept for the next attempt.
    """
    remote = _open(fs, url)
    try:
        # Named by the version, so that halves of two versions never become one file.
        version = hashlib.sha256(f"{remote.version} {remote.size}".encode()).hexdigest()[:12]
        part = path.with_name(f".{path.name}.{version}.part")
        is_same = remote.version is not None and remote.size is not None
        for old in path.parent.glob(f".{path.name}.*.part"):
            if old != part or not is_same:
                old.unlink()
        present = part.stat().st_size if part.exists() else 0
        if 0 < present == remote.size:  # only renaming it was left to do
            return part
        if present:
            remote.file.close()
            remote = _open(fs, url, present, remote.version)
        with open(part, "ab") as output:
            output.truncate(remote.start)
            output.seek(remote.start)
            with tqdm(
                desc=url.file_name,
                total=remote.size,
                initial=remote.start,
                unit="B",
                unit_scale=True,
                disable=None,  # without a terminal
            ) as bar:
                while chunk := _read(remote):
                    output.write(chunk)
                    bar.update(len(chunk))
            n_bytes = output.tell()
    finally:
        remote.file.close()
    if remote.size is not None and n_bytes != remote.size:
        if n_bytes > remote.size:
            part.unlink()
        raise _Interrupted(f"got {n_bytes:,} bytes of {remote.size:,}")
    return part


def _check(path: Path, url: Url) -> None:
    """RAISES ValueError: The file isn't the one that was asked for."""
    refuse_pointer(path, str(url))
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        # What portals and login pages send in place of a file, as if all were well.
        if re.match(rb"\s*<(!doctype html|html)\b", file.read(1000), re.IGNORECASE):
            raise ValueError(f"{url}: got a web page in place of the file.")
        file.seek(0)
        while url.sha256 is not None and (chunk := file.read(CHUNK)):
            digest.update(chunk)
    if url.sha256 not in (None, digest.hexdigest()):
        raise ValueError(
            f"{url}: the file has the sha256 {digest.hexdigest()}, not {url.sha256} as asked for. "
            "It is not kept."
        )


def _filesystem(url: Url) -> Any:
    """fsspec's file system for a URL. It is asked for by its name: fsspec's reading of whole URLs
    would find chains in them."""
    is_http = url.scheme in ("http", "https")
    try:
        return fsspec.filesystem(url.scheme, **(_http_options() if is_http else {}))
    except ImportError as error:
        raise ValueError(
            f"Can't fetch {url}: this needs another package. "
            f"Run: pip install 'spacy-elmo[{_EXTRAS[url.scheme]}]'"
        ) from error


def _http_options() -> dict[str, Any]:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT, sock_read=READ_TIMEOUT)
    return {"client_kwargs": {"timeout": timeout, "trust_env": True}}  # the environment's proxies


def _open(fs: Any, url: Url, start: int = 0, version: Optional[str] = None) -> _Opened:
    """Open a remote file, at a later position if it still has the version and if possible.

    RAISES NotAvailable, _Interrupted
    """
    try:
        if url.scheme in ("http", "https"):
            return _open_http(fs, url.address, start, version)
        address = fs._strip_protocol(url.address)
        info = fs.info(address)
        current = next((str(info[key]) for key in _VERSIONS if info.get(key)), None)
        file = fs.open(address, "rb")
        start = start if current == version and file.seekable() else 0
        file.seek(start)
        return _Opened(file, start, info.get("size"), current)
    except Exception as error:  # every file system has its own
        raise _failure(error, url) from None  # the other error shows the whole URL


def _open_http(fs: Any, address: str, start: int, version: Optional[str]) -> _Opened:
    """fsspec's own reading of a part asks first whether the server can and reports every failure
    as a missing file. One request with ``If-Range`` answers with the rest of the file if it is
    unchanged and with all of it if not, or if the server knows nothing of ranges."""
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": str(version)}
    file = fs.open(address, block_size=0, size=1, headers=headers)  # a size, so that none is asked
    response = file.r
    size = int(response.headers["Content-Length"]) if "Content-Length" in response.headers else None
    if response.status == 206:
        sent = re.match(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if sent is None or int(sent[1]) != start:  # not what was asked for
            file.close()
            return _open_http(fs, address, 0, None)
        size = None if sent[2] == "*" else int(sent[2])
    else:
        start = 0
    if "Content-Encoding" in response.headers:  # then it is not the file's length
        return _Opened(file, start, None, None)
    # Weak marks (W/…) don't promise the same bytes.
    tag = response.headers.get("ETag", "")
    current = tag if tag.startswith('"') else response.headers.get("Last-Modified")
    return _Opened(file, start, size, current)


def _read(remote: _Opened) -> bytes:
    try:
        return remote.file.read(CHUNK)
    except Exception as error:
        raise _Interrupted(f"the connection was cut ({_reason(error)})") from None


def _failure(error: Exception, url: Url) -> Exception:
    """What to raise if a remote file can't be opened."""
    status = getattr(error, "status", None)  # of HTTP
    if isinstance(error, FileNotFoundError) or status in (404, 410):
        return NotAvailable(f"Can't fetch {url}: there is no such file.")
    final = (PermissionError, IsADirectoryError, NotADirectoryError, ValueError, TypeError)
    refused = isinstance(status, int) and 400 <= status < 500 and status not in (408, 425, 429)
    if isinstance(error, final) or refused:
        return NotAvailable(f"Can't fetch {url}: {_reason(error)}")
    return _Interrupted(_reason(error))


def _reason(error: Exception) -> str:
    return without_secrets(str(error)) or type(error).__name__


def _say(text: str) -> None:
    tqdm.write(text, file=sys.stderr)
