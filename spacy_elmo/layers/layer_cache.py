"""Layers of sentences that a frozen biLM has computed, so that it computes each of them once."""

import os
import sqlite3
import warnings
import zlib
from contextlib import closing, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Literal, Sequence, Tuple

import numpy as np

Words = Sequence[str]

MEMORY_MB = "SPACY_ELMO_CACHE_MEMORY"
DISK_MB = "SPACY_ELMO_CACHE_DISK"
_DEFAULTS = {MEMORY_MB: 1024, DISK_MB: 10_240}
_PAGE_SIZE = 16_384  # bytes
_LOCK_SECONDS = 20  # to wait for another process that is writing


class LayerCache:
    """Keeps layers by their sentence: in memory up to a budget, then in a file.

    The file is an SQLite database, which brings what processes that share it need: locks,
    transactions of which nothing is left if the process is killed, and a limit on its size. It is
    not synced to disk, so a power failure can damage it; checksums keep a damaged row from being
    used. If the file can't be used, its sentences are computed again, and a warning says so.

    Threads may share a cache. It is pickled and copied as None: a copy starts without one.

    path: The file, for one biLM and one ``dtype``; it is made when memory is full. All files in
        its folder together stay below the limit: those of other biLMs that were used least
        recently are deleted for it.
    n_layers: Layers of a sentence, the token encoder's included.
    width: Their width.
    dtype: What the layers are kept in.
    RAISES ValueError: An environment variable that sets a budget isn't a number.
    """

    def __init__(
        self, path: Path, n_layers: int, width: int, dtype: Literal["float32", "float16"]
    ) -> None:
        self.path = path
        self.n_layers, self.width, self.dtype = n_layers, width, np.dtype(dtype)
        self._memory: Dict[bytes, np.ndarray] = {}
        self._memory_left = _megabytes(MEMORY_MB)
        self._disk_limit = _megabytes(DISK_MB)
        self._reads_file = self._writes_file = True

    def __reduce__(self) -> Any:
        return type(None), ()

    def embed(
        self,
        sentences: Sequence[Words],
        compute: Callable[[List[Words]], Iterable[np.ndarray]],
        use_disk: bool,
    ) -> List[np.ndarray]:
        """The layers of sentences, computed for those that are not kept yet.

        sentences: The words of each sentence, as the biLM reads them.
        compute: Gives the layers of some of the sentences, for each (n_layers, n_words, width).
        use_disk: Whether what doesn't fit into memory may be written to the file.
        RETURNS: For each sentence (n_layers, n_words, width), float32, read-only.
        """
        keys = [_key(words) for words in sentences]
        distinct = dict(zip(keys, sentences, strict=True))
        found = {key: self._memory[key] for key in distinct if key in self._memory}
        if len(found) < len(distinct):
            found.update(self._read({k: words for k, words in distinct.items() if k not in found}))
            missing = {key: words for key, words in distinct.items() if key not in found}
            computed = {
                key: np.array(array, dtype=self.dtype)  # a copy: a view would hold its whole batch
                for key, array in zip(
                    missing, compute(list(missing.values())) if missing else (), strict=True
                )
            }
            self._keep(computed, use_disk)
            found.update(computed)
        for array in found.values():
            array.flags.writeable = False
        return [found[key].astype("float32", copy=False) for key in keys]

    def _keep(self, computed: Dict[bytes, np.ndarray], use_disk: bool) -> None:
        rows = []
        for key, array in computed.items():
            if array.nbytes <= self._memory_left:
                self._memory[key] = array
                self._memory_left -= array.nbytes
            else:
                data = array.tobytes()
                rows.append((key, _checksum(key, data), data))
        if rows and use_disk and self._writes_file:
            try:
                self._write(rows)
            except (sqlite3.Error, OSError) as error:
                self._writes_file = False
                self._warn(error)

    def _write(self, rows: List[Tuple[bytes, int, bytes]]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            room = self._disk_limit - sum(size for _, size, _ in self._other_files())
            try:
                with closing(self._open()) as database, database:  # one transaction
                    database.execute(f"PRAGMA max_page_count = {max(1, room // _PAGE_SIZE)}")
                    database.executemany("INSERT OR IGNORE INTO layers VALUES (?, ?, ?)", rows)
                return
            except sqlite3.OperationalError as error:  # of the file or of the disk
                if "full" not in str(error) or not self._delete_another_file():
                    raise

    def _other_files(self) -> List[Tuple[float, int, Path]]:
        """When the files of other biLMs were last used, their sizes and paths."""
        found = []
        for file in self.path.parent.glob("*.sqlite"):
            with suppress(FileNotFoundError):  # another process deletes files, too
                status = file.stat()
                found.append((status.st_mtime, status.st_size, file))
        return [entry for entry in found if entry[-1] != self.path]

    def _delete_another_file(self) -> bool:
        """Delete the file that was used least recently.

        RETURNS: Whether there was one.
        """
        for _, _, file in sorted(self._other_files()):
            with suppress(OSError):  # Windows keeps a file that somebody reads
                file.unlink(missing_ok=True)
                # A journal that is left would be taken for that of a new file of this name.
                file.with_name(f"{file.name}-journal").unlink(missing_ok=True)
                return True
        return False

    def _read(self, wanted: Dict[bytes, Words]) -> Dict[bytes, np.ndarray]:
        """The sentences that are in the file."""
        found: Dict[bytes, np.ndarray] = {}
        if not self._reads_file:
            return found
        try:
            if not self.path.exists():
                return found
            with closing(self._open()) as database:
                for key, words in wanted.items():
                    query = "SELECT checksum, data FROM layers WHERE key = ?"
                    for checksum, data in database.execute(query, (key,)):
                        shape = (self.n_layers, len(words), self.width)
                        n_bytes = int(np.prod(shape)) * self.dtype.itemsize
                        if len(data) == n_bytes and checksum == _checksum(key, data):
                            found[key] = np.frombuffer(data, self.dtype).reshape(shape)
        except (sqlite3.Error, OSError) as error:
            self._reads_file = self._writes_file = False
            self._warn(error)
        return found

    def _open(self) -> sqlite3.Connection:
        """A connection for one use: none has to be kept from forks, threads and copies."""
        with suppress(OSError):  # not there yet, or not ours to write
            os.utime(self.path)  # used now
        database = sqlite3.connect(self.path, timeout=_LOCK_SECONDS)
        for statement in (
            f"PRAGMA page_size = {_PAGE_SIZE}",
            f"PRAGMA mmap_size = {self._disk_limit}",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE IF NOT EXISTS layers (key BLOB PRIMARY KEY, checksum INT, data BLOB)",
        ):
            database.execute(statement)
        return database

    def _warn(self, error: Exception) -> None:
        warnings.warn(
            f"{self.path}: {error}. The file keeps layers of a frozen biLM for training. What it "
            "can't take is computed in every epoch, which is slower and changes nothing else. Its "
            f"folder may grow to {self._disk_limit >> 20} MB ({DISK_MB}); files in it can be "
            'deleted. cache_layers = "float16" needs half the room.',
            stacklevel=2,
        )


def _key(words: Words) -> bytes:
    """16 bytes for a word sequence. No UTF-8 has the byte that ends each word."""
    text = b"".join(word.encode("utf8", "surrogatepass") + b"\xff" for word in words)
    return blake2b(text, digest_size=16).digest()


def _checksum(key: bytes, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(key))


def _megabytes(variable: str) -> int:
    """The bytes of a budget, which the environment gives in MB."""
    value = os.environ.get(variable) or str(_DEFAULTS[variable])
    if not value.isdecimal():
        raise ValueError(f"The environment variable {variable} is '{value}', not a number of MB.")
    return int(value) << 20
