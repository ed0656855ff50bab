"""The output vocabulary: the words that a biLM learns to predict."""

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Optional

import numpy as np

from ...formats.files import replacing
from ...formats.softmax import fits_a_line, read_words, words_to_bytes

BOUNDARIES = ("<S>", "</S>")
UNKNOWN = "<UNK>"
_SYMBOLS = ("</S>", "<S>", UNKNOWN)  # in the order of bilm-tf's published vocabulary


class Vocabulary:
    """The output vocabulary. Row i of the softmax predicts ``words[i]``.

    words: The words. Among them are the boundaries ``<S>`` and ``</S>`` and ``<UNK>``, which
        stands for all that are missing. Sampled softmax expects falling frequency.
    RAISES ValueError: A symbol is missing, or a word comes twice or doesn't fit on a line.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self.words = tuple(words)
        self._ids = {word: i for i, word in enumerate(self.words)}
        for symbol in _SYMBOLS:
            if symbol not in self._ids:
                raise ValueError(
                    f"The vocabulary lacks '{symbol}'. It must have {', '.join(_SYMBOLS)}."
                )
        for i, word in enumerate(self.words):
            if self._ids[word] != i:
                raise ValueError(f"The word '{word}' comes twice in the vocabulary.")
            if not fits_a_line(word):
                raise ValueError(f"The word {word!r} of the vocabulary doesn't fit on a line.")
        self.begin_id = self._ids["<S>"]
        self.end_id = self._ids["</S>"]
        self.unknown_id = self._ids[UNKNOWN]

    @classmethod
    def from_counts(
        cls, counts: Mapping[str, int], *, min_count: int = 1, max_size: Optional[int] = None
    ) -> "Vocabulary":
        """The most frequent words, by falling frequency, words of the same one in the order of
        their characters. The three symbols come first.

        counts: How often each word occurs. Words with a line break are left out.
        min_count: Rarer words are left out.
        max_size: Most words, with the three symbols. No limit by default.
        RAISES ValueError: No word is left.
        """
        if max_size is not None and max_size <= len(_SYMBOLS):
            raise ValueError(
                f"max_size = {max_size} leaves no room for words beside {', '.join(_SYMBOLS)}."
            )
        frequent = [
            (-n, word)
            for word, n in counts.items()
            if n >= min_count and word not in _SYMBOLS and fits_a_line(word)
        ]
        if not frequent:
            raise ValueError(f"None of {len(counts):,} words occurs at least {min_count} times.")
        by_frequency = (word for _, word in sorted(frequent))
        n_words = None if max_size is None else max_size - len(_SYMBOLS)
        return cls([*_SYMBOLS, *islice(by_frequency, n_words)])

    @classmethod
    def read(cls, path: Path) -> "Vocabulary":
        """Read a vocabulary in bilm-tf's form.

        path: UTF-8 text, one word a line.
        RAISES ValueError: It is no vocabulary, or there is no such file.
        """
        words = read_words(Path(path))
        try:
            return cls(words)
        except ValueError as error:
            raise ValueError(f"{path}: not a vocabulary of one word a line: {error}") from error

    def write(self, path: Path) -> None:
        """Write the vocabulary in bilm-tf's form.

        path: The file, which is replaced if it exists.
        """
        with replacing(Path(path)) as temporary:
            temporary.write_bytes(words_to_bytes(self.words))

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.words == other.words

    def __hash__(self) -> int:
        return hash(self.words)

    def ids(self, words: Iterable[str]) -> np.ndarray:
        """The words' positions in the vocabulary.

        words: Words, known or not.
        RETURNS: (n_words,) int64; ``unknown_id`` for words that the vocabulary doesn't have.
        """
        get, unknown = self._ids.get, self.unknown_id
        return np.fromiter((get(word, unknown) for word in words), dtype="int64")
