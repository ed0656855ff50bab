"""A teacher's vectors on disk: computed once, for a part of the text, and read in every epoch."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tqdm
import xxhash
from filelock import FileLock
from wasabi import msg

from ...formats.files import replacing
from ..corpus import TokenStore
from .teacher import Taught, Teacher

_VERSION = 1
_DESCRIPTION, _VALUES, _SENTENCES = "targets.json", "targets.i8", "sentences.i64"
_CHUNK_WORDS = 50_000  # that the teacher reads between two writes
_STEPS_A_DEVIATION, _LARGEST, _UNKNOWN = 24, 127, -128


class TargetStore:
    """Targets of some sentences of a text. A dimension's values have mean 0 and deviation 1, and
    are stored in steps of 1 / 24 up to 5.3 deviations.

    sentences: (n_sentences,) int64, their numbers in the text.
    starts: (n_sentences + 1,) int64: the words of the i-th of them are rows ``starts[i]`` to
        ``starts[i + 1]``.
    values: (n_words, width) int8, memory-mapped.
    """

    def __init__(self, sentences: np.ndarray, starts: np.ndarray, values: np.ndarray) -> None:
        self.sentences, self.starts, self.values = sentences, starts, values

    @property
    def width(self) -> int:
        """Of a word's target."""
        return self.values.shape[1]

    @property
    def n_words(self) -> int:
        return int(self.starts[-1])

    def read(self, i: int) -> Taught:
        """The targets of a sentence's words.

        i: Which of ``sentences``.
        """
        values = self.values[self.starts[i] : self.starts[i + 1]]
        return Taught(values.astype("float32") / _STEPS_A_DEVIATION, values[:, 0] != _UNKNOWN)


def compute_targets(
    store: TokenStore,
    teacher: Teacher,
    directory: Path,
    max_words: int,
    *,
    mixed_precision: bool = False,
) -> TargetStore:
    """Have a teacher read a part of a text, or what it hasn't read yet: a run that was ended goes
    on, and a larger ``max_words`` adds to what is there.

    store: The text. Its sentences are taken in a random order, always the same.
    teacher: Who reads.
    directory: Where the targets are.
    max_words: So many words are read, whole sentences of them, if the text has them.
    mixed_precision: Whether matrix products are computed in bfloat16.
    RAISES ValueError: The targets that are there are of another text or teacher, or damaged.
    RAISES OSError: The disk is full, or something else is wrong with it. What is there can be used.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lengths = np.diff(store.starts)
    with FileLock(directory / ".lock"):
        files = _Files(directory, {"text": _describe(store), "teacher": teacher.describe()})
        done = files.repair(lengths)
        left = _choose(lengths, done, max_words)
        if len(left):
            msg.info(f"The teacher reads {int(lengths[left].sum()):,} words: {teacher.name}")
        with tqdm.tqdm(
            desc="Targets",
            unit=" words",
            unit_scale=True,
            disable=None if len(left) else True,
            total=int(lengths[left].sum() + lengths[done].sum()),
            initial=int(lengths[done].sum()),
        ) as bar:
            for numbers in _chunks(left, lengths):
                sentences = [store.sentence(i) for i in numbers]
                taught = teacher(sentences, mixed_precision=mixed_precision)
                files.add(numbers, taught)
                bar.update(len(taught.vectors))
        return files.open(lengths, max_words)


def _describe(store: TokenStore) -> dict[str, Any]:
    digest = xxhash.xxh3_128(np.ascontiguousarray(store.tokens).tobytes())
    digest.update("\n".join(store.words).encode("utf-8", "surrogatepass"))
    sizes = {"sentences": store.n_sentences, "tokens": store.n_tokens}
    return {**sizes, "digest": digest.hexdigest()}


def _choose(lengths: np.ndarray, done: np.ndarray, max_words: int) -> np.ndarray:
    """The sentences that are still to be read."""
    order = np.random.default_rng(0).permutation(len(lengths))
    is_done = np.zeros(len(lengths), bool)
    is_done[done] = True
    left = order[~is_done[order]]
    n_words = int(lengths[done].sum())
    return left[: np.searchsorted(np.cumsum(lengths[left]), max_words - n_words, side="right")]


def _chunks(sentences: np.ndarray, lengths: np.ndarray) -> Iterator[list[int]]:
    chunk: list[int] = []
    n_words = 0
    for i in sentences.tolist():
        chunk.append(i)
        n_words += int(lengths[i])
        if n_words >= _CHUNK_WORDS:
            yield chunk
            chunk, n_words = [], 0
    if chunk:
        yield chunk


class _Files:
    """The files of a target store.

    directory: Where they are.
    origin: Text and teacher.
    RAISES ValueError: What is there is of another text or teacher, or damaged.
    """

    def __init__(self, directory: Path, origin: dict[str, Any]) -> None:
        self.directory, self.origin = directory, origin
        self.values, self.sentences = directory / _VALUES, directory / _SENTENCES
        path = directory / _DESCRIPTION
        self.about: dict[str, Any] = {}
        if not path.exists():
            return
        try:
            self.about = json.loads(path.read_bytes())
            there = {key: self.about[key] for key in origin}
            known = self.about["version"] == _VERSION and len(self.about["mean"]) > 0
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is damaged: {error}. Remove the folder.") from error
        if not known or there != origin:
            raise ValueError(
                f"{directory} holds targets of {_named(there)}, but this run has "
                f"{_named(origin)}. Give another folder (training.distillation.targets), or remove "
                "this one."
            )

    def repair(self, lengths: np.ndarray) -> np.ndarray:
        """Cut off what a killed run has begun to write.

        lengths: Words of all sentences of the text.
        RETURNS: The sentences that are there.
        RAISES ValueError: A file is missing.
        """
        if not self.about:
            self.values.write_bytes(b"")
            self.sentences.write_bytes(b"")
            return np.zeros(0, "int64")
        width = len(self.about["mean"])
        try:
            n_rows = self.values.stat().st_size // width
            data = self.sentences.read_bytes()
        except OSError as error:
            raise ValueError(f"{self.directory} is damaged: {error}. Remove the folder.") from error
        sentences = np.frombuffer(data[: len(data) // 8 * 8], "<i8")
        ends = np.cumsum(lengths[sentences])
        sentences = sentences[: np.searchsorted(ends, n_rows, side="right")]
        n_rows = int(lengths[sentences].sum())
        for path, size in ((self.values, n_rows * width), (self.sentences, 8 * len(sentences))):
            with path.open("r+b") as file:
                file.truncate(size)
        return sentences

    def add(self, sentences: Sequence[int], taught: Taught) -> None:
        """Write the targets of sentences behind the others. Those of the first call say what a
        dimension's mean and deviation are."""
        if not self.about:
            self._describe(taught)
        mean, deviation = (np.array(self.about[key], "float32") for key in ("mean", "deviation"))
        steps = (taught.vectors - mean) / deviation * _STEPS_A_DEVIATION
        values = np.rint(steps).clip(-_LARGEST, _LARGEST).astype("int8")
        values[~taught.is_known] = _UNKNOWN
        # Sentences last: they say which rows count.
        for path, array in ((self.values, values), (self.sentences, np.array(sentences, "<i8"))):
            try:
                with path.open("ab") as file:
                    file.write(array.tobytes())
            except OSError as error:
                n_bytes = self.sentences.stat().st_size
                raise OSError(
                    error.errno,
                    f"{error.strerror}. The targets of {n_bytes // 8:,} sentences are there: the "
                    "same command goes on where there is room, and a lower "
                    "training.distillation.max_words does with them",
                    str(path),
                ) from error

    def _describe(self, taught: Taught) -> None:
        known = taught.vectors[taught.is_known]
        if not len(known):
            raise ValueError("The teacher knows no word of the text.")
        deviation = known.std(axis=0)
        # Dimensions that are constant teach nothing.
        is_constant = deviation < 1e-3 * np.median(deviation)
        self.about = {
            "version": _VERSION,
            **self.origin,
            "mean": known.mean(axis=0).tolist(),
            "deviation": np.where(is_constant, 1e30, deviation).tolist(),
        }
        with replacing(self.directory / _DESCRIPTION) as path:
            path.write_text(json.dumps(self.about), encoding="ascii")

    def open(self, lengths: np.ndarray, max_words: int) -> TargetStore:
        """RAISES ValueError: There are none."""
        sentences = np.fromfile(self.sentences, "<i8")
        ends = np.cumsum(lengths[sentences])
        sentences = sentences[: np.searchsorted(ends, max_words, side="right")]
        if not len(sentences):
            raise ValueError(
                f"No sentence of the text fits into training.distillation.max_words, {max_words}."
            )
        starts = np.concatenate([[0], np.cumsum(lengths[sentences])])
        shape = (int(starts[-1]), len(self.about["mean"]))
        return TargetStore(sentences, starts, np.memmap(self.values, "int8", "r", shape=shape))


def _named(origin: dict[str, Any]) -> str:
    text, teacher = origin["text"], origin["teacher"]
    return (
        f"{teacher.get('name')}, layers {teacher.get('layers')} (weights "
        f"{str(teacher.get('weights'))[:8]}), for a text of {text.get('tokens'):,} tokens "
        f"(digest {str(text.get('digest'))[:8]})"
    )
