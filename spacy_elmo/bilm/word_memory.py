"""Remembers what the token encoder made of each word."""

from collections.abc import Callable, Sequence
from threading import Lock

import torch
from torch import Tensor


class WordMemory:
    """The token encoder's output for words that have been seen.

    It depends on nothing but the word, so it is as good as computed anew. When the memory is full,
    it forgets everything and starts again.

    encode: From words to (n_words, projection_dim), float32.
    max_bytes: Most memory of the stored vectors, and most characters of the words; one batch's are
        held even beyond it.
    """

    def __init__(self, encode: Callable[[list[str]], Tensor], max_bytes: int) -> None:
        self.encode = encode
        self.max_bytes = max_bytes
        self._lock = Lock()
        self._forget()

    def look_up(self, words: Sequence[str]) -> tuple[Tensor, Tensor]:
        """words: Any words, also several times.
        RETURNS: A table of vectors, (n_rows, projection_dim), and each word's row in it, (n_words,)
        int64. These rows of this table never change."""
        distinct = dict.fromkeys(words)
        with self._lock:
            missing = [word for word in distinct if word not in self._rows]
            if missing and not self._has_room(missing):
                self._forget()
                missing = list(distinct)
            if missing:
                self._store(missing)
            rows = self._rows
            return self._table, torch.tensor([rows[word] for word in words])

    def forget(self) -> None:
        """Forget all words."""
        with self._lock:
            self._forget()

    def _has_room(self, words: list[str]) -> bool:
        row_bytes = self._table.shape[1] * self._table.element_size()
        n_bytes = (len(self._rows) + len(words)) * row_bytes
        n_characters = self._n_characters + sum(map(len, words))
        return max(n_bytes, n_characters) <= self.max_bytes

    def _forget(self) -> None:
        self._rows: dict[str, int] = {}
        self._n_characters = 0
        self._table = torch.empty(0, 0)

    def _store(self, words: list[str]) -> None:
        vectors = self.encode(words)
        start, stop = len(self._rows), len(self._rows) + len(words)
        if stop > len(self._table):
            most = self.max_bytes // (vectors.shape[1] * vectors.element_size())
            n_rows = max(stop, min(2 * len(self._table), most))
            table = vectors.new_empty(n_rows, vectors.shape[1])
            if start:
                table[:start] = self._table[:start]
            self._table = table
        self._table[start:stop] = vectors
        self._rows.update(zip(words, range(start, stop), strict=True))
        self._n_characters += sum(map(len, words))
