"""The index of some texts: every word of them with its layers, in files that are mapped into memory
and read as they are asked for."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..pretraining.corpus import TokenStore
from ..pretraining.evaluation import Occurrence

PRODUCTS = "products.npy"
DTYPE = np.dtype("<f2")


class Row(NamedTuple):
    """A place in the texts.

    sentence: The sentence's number.
    position: That of the word in it.
    """

    sentence: int
    position: int


class Index:
    """The words of some texts. A row is one occurrence of a word, in the order of the texts.

    store: The texts.
    layers: For each layer (n_rows, width) float16, memory-mapped.
    products: (n_rows, n_layers + 1, n_layers + 1) float32, the inner products of a row's layers
        with each other, from which the length of any mix of them follows.
    """

    def __init__(self, store: TokenStore, layers: list[np.ndarray], products: np.ndarray) -> None:
        self.store, self.layers, self.products = store, layers, products
        self._ids: dict[str, list[int]] = {}
        for i, word in enumerate(store.words):
            self._ids.setdefault(word.lower(), []).append(i)

    @classmethod
    def open(cls, directory: Path, n_layers: int, width: int) -> "Index":
        """Open an index.

        directory: Where it was written.
        n_layers, width: Of the biLM, the token encoder's layer included.
        RAISES ValueError: There is no whole index of such a biLM.
        """
        store = TokenStore.open(directory)
        layers = [
            _open_array(layer_path(directory, i), (store.n_tokens, width)) for i in range(n_layers)
        ]
        products = _open_array(directory / PRODUCTS, (store.n_tokens, n_layers, n_layers))
        return cls(store, layers, products)

    @property
    def n_rows(self) -> int:
        return self.store.n_tokens

    def place(self, row: int) -> Row:
        """Where a row stands."""
        sentence = int(np.searchsorted(self.store.starts, row, "right")) - 1
        return Row(sentence, row - int(self.store.starts[sentence]))

    def occurrence(self, row: int) -> Occurrence:
        """A row's word in its sentence."""
        sentence, position = self.place(row)
        return Occurrence(self.store.sentence(sentence), position)

    def rows_of(self, word: str) -> np.ndarray:
        """The rows of a word, whichever of its letters are capitals: (n_occurrences,), sorted."""
        return np.flatnonzero(np.isin(self.store.tokens, self._ids.get(word.lower(), [])))

    def count(self, word: str) -> int:
        """How many rows a word has."""
        return int(self.store.counts[self._ids.get(word.lower(), [])].sum())

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """rows: (n,). RETURNS: (n_layers + 1, n, width) float32."""
        return np.stack([layer[rows].astype("float32") for layer in self.layers])


def layer_path(directory: Path, layer: int) -> Path:
    """The file of a layer."""
    return directory / f"layer{layer}.npy"


def _open_array(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """RAISES ValueError: There is no such array of this shape."""
    try:
        # As one that could be written to, without changing the file, because PyTorch expects that.
        array = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise ValueError(f"{path}: can't be read: {error}") from error
    if array.shape != shape:
        raise ValueError(f"{path}: has shape {array.shape}, expected {shape}.")
    return array
