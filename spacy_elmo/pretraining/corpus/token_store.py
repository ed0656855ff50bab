"""The tokenized corpus on disk. It is made once, read in every epoch, and never needs memory for
more than its distinct words."""

import json
from array import array
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Union

import numpy as np

from ...formats.files import replacing

_VERSION = 1
_DESCRIPTION = "store.json"  # is written last: the store is whole if it is there
_TOKENS, _STARTS, _COUNTS, _WORDS = "tokens.i32", "starts.i64", "counts.i64", "words.json"
_FILES = (_TOKENS, _STARTS, _COUNTS, _WORDS)


class TokenStore:
    """A tokenized corpus.

    words: The distinct words. A token is a position in this list.
    counts: (n_words,) int64, how often each word occurs.
    tokens: (n_tokens,) int32, memory-mapped: sentence after sentence, without boundaries.
    starts: (n_sentences + 1,) int64, memory-mapped: sentence i is
        ``tokens[starts[i] : starts[i + 1]]``. No sentence is empty.
    origin: What the store was made from, as ``write_store`` was told.
    """

    def __init__(
        self,
        words: list[str],
        counts: np.ndarray,
        tokens: np.ndarray,
        starts: np.ndarray,
        origin: Any = None,
    ) -> None:
        self.words, self.counts = words, counts
        self.tokens, self.starts = tokens, starts
        self.origin = origin

    @classmethod
    def open(cls, directory: Path) -> "TokenStore":
        """Open a store.

        directory: Where ``write_store`` has written it.
        RAISES ValueError: There is no whole store.
        """
        directory = Path(directory)
        try:
            about = json.loads((directory / _DESCRIPTION).read_bytes())
            if about["version"] != _VERSION:
                raise ValueError(f"its version is {about['version']}, expected {_VERSION}")
            n_words, n_tokens, n_sentences = (
                int(about[key]) for key in ("n_words", "n_tokens", "n_sentences")
            )
            words = json.loads((directory / _WORDS).read_bytes())
            if len(words) != n_words:
                raise ValueError(f"{_WORDS} has {len(words)} words, expected {n_words}")
            return cls(
                words,
                np.array(_map(directory / _COUNTS, "<i8", n_words)),
                _map(directory / _TOKENS, "<i4", n_tokens),
                _map(directory / _STARTS, "<i8", n_sentences + 1),
                about["origin"],
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{directory} is not a whole store of tokens: {error!s}. Tokenize the text again."
            ) from error

    @property
    def n_tokens(self) -> int:
        return len(self.tokens)

    @property
    def n_sentences(self) -> int:
        return len(self.starts) - 1

    def sentence(self, i: int) -> list[str]:
        """The words of a sentence.

        i: Its number, from 0.
        """
        return [self.words[token] for token in self.tokens[self.starts[i] : self.starts[i + 1]]]


class Chunk(NamedTuple):
    """Some sentences.

    words: (n_words,) the distinct words, in the order in which they come.
    tokens: (n_tokens,) int32 positions in ``words``, sentence after sentence.
    lengths: (n_sentences,) int64 numbers of tokens, none of which is 0.
    """

    words: list[str]
    tokens: np.ndarray
    lengths: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """(n_words,) how often each word occurs."""
        return np.bincount(self.tokens, minlength=len(self.words))


class StoreWriter:
    """Gathers what ``write_store`` writes."""

    def __init__(self, tokens: BinaryIO, starts: BinaryIO) -> None:
        self._tokens, self._starts = tokens, starts
        self._ids: dict[str, int] = {}
        self._counts = array("q")
        self.n_tokens = self.n_sentences = 0
        _write(starts, np.zeros(1, "<i8"))

    def add(self, chunk: Chunk) -> None:
        """RAISES OSError: The disk is full, or something else is wrong with it."""
        ids = [self._ids.setdefault(word, len(self._ids)) for word in chunk.words]
        self._counts.extend([0] * (len(self._ids) - len(self._counts)))
        for i, n in zip(ids, chunk.counts.tolist(), strict=True):
            self._counts[i] += n
        _write(self._tokens, np.array(ids, "<i4")[chunk.tokens])
        _write(self._starts, (self.n_tokens + np.cumsum(chunk.lengths)).astype("<i8"))
        self.n_tokens += len(chunk.tokens)
        self.n_sentences += len(chunk.lengths)

    @property
    def words(self) -> list[str]:
        """The distinct words, in the order in which they came."""
        return list(self._ids)

    @property
    def counts(self) -> np.ndarray:
        """(n_words,) int64, how often each occurs."""
        return np.array(self._counts, dtype="<i8")


@contextmanager
def write_store(directory: Path, origin: Mapping[str, Any]) -> Iterator[StoreWriter]:
    """Write a store, which is there when the block ends and not before. One that is there already
    is removed first.

    directory: Where to write it.
    origin: What it is made from, as JSON.
    YIELDS: What takes the sentences.
    RAISES OSError: The disk is full, or something else is wrong with it.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    _remove(directory)
    try:
        with ExitStack() as stack:
            tokens, starts = (stack.enter_context(_writing(directory / f)) for f in _FILES[:2])
            writer = StoreWriter(tokens, starts)
            yield writer
        with _writing(directory / _COUNTS) as file:
            _write(file, writer.counts)
        _write_json(directory / _WORDS, writer.words)
        about = {
            "version": _VERSION,
            "n_words": len(writer.words),
            "n_tokens": writer.n_tokens,
            "n_sentences": writer.n_sentences,
            "origin": origin,
        }
        _write_json(directory / _DESCRIPTION, about)
    except BaseException:
        _remove(directory)
        raise


@contextmanager
def _writing(path: Path) -> Iterator[BinaryIO]:
    with replacing(path) as temporary, temporary.open("wb") as file:
        yield file


def _write_json(path: Path, value: Any) -> None:
    with _writing(path) as file:
        _write(file, json.dumps(value).encode("ascii"))


def _write(file: BinaryIO, data: Union[bytes, np.ndarray]) -> None:
    """RAISES OSError: The disk is full, or something else is wrong; says where."""
    try:
        file.write(data if isinstance(data, bytes) else data.tobytes())
        file.flush()
    except OSError as error:
        raise OSError(error.errno, error.strerror, file.name) from error


def _remove(directory: Path) -> None:
    """Remove a store and what a killed run has left of one."""
    # First the file that a reader has mapped: where it has to stay, all of the store does.
    for name in (*_FILES, _DESCRIPTION):
        try:
            (directory / name).unlink(missing_ok=True)
        except PermissionError as error:  # on Windows, also of a file that someone reads
            raise PermissionError(
                error.errno,
                "The tokens that are there can't be replaced. If another run reads them, this one "
                "takes another folder (corpus.tokens)",
                str(directory / name),
            ) from error
        for leftover in directory.glob(f".{name}.*.tmp"):
            leftover.unlink()


def _map(path: Path, dtype: str, length: int) -> np.ndarray:
    """RAISES ValueError: The file doesn't have this length."""
    expected = length * np.dtype(dtype).itemsize
    if path.stat().st_size != expected:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes, expected {expected}")
    # As a plain array, of which slices are made faster.
    return np.asarray(np.memmap(path, dtype=dtype, mode="r", shape=(length,)))
