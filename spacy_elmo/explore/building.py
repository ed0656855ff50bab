"""Builds an index, once for the same biLM and texts."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tqdm
from filelock import FileLock

from ..formats.cache import cache_directory
from ..formats.digest import digest
from ..formats.files import options_bytes
from ..pretraining.corpus import Chunk, TextFiles, TokenStore, tokenized_chunks
from ..pretraining.corpus.token_store import write_store
from .index import DTYPE, PRODUCTS, Index, layer_path
from .subject import Subject

VERSION = 1
MAX_WORDS = 200_000
SENTENCES_AT_A_TIME = 512


def find_or_build_index(subject: Subject, texts: list[str], max_words: int = MAX_WORDS) -> Path:
    """Read texts into an index, unless the cache has it. A bar shows the progress.

    subject: Whose biLM reads them.
    texts: Files, directories, patterns or URLs, as ``TextFiles`` takes them.
    max_words: How many words of them; at most whole sentences.
    RETURNS: The index's directory, in the cache.
    RAISES ValueError: A text is wrong, or there are no words.
    RAISES OSError: A file can't be read or written.
    RAISES ImportError: A file needs a package that is missing.
    """
    reader = TextFiles(texts)
    origin = {
        "version": VERSION,
        "weights": _weights_digest(subject),
        "texts": reader.fingerprint(),
        "tokenization": subject.tokenization.describe(),
        "max_words": max_words,
    }
    name = digest(json.dumps(origin, sort_keys=True).encode())
    folder = cache_directory() / "explore"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{name}.lock"):
        if not _is_whole(folder / name, subject):
            _build(folder / name, subject, reader, origin)
    return folder / name


def _weights_digest(subject: Subject) -> str:
    state = subject.bilm.network.state_dict()
    arrays = (np.ascontiguousarray(state[key].cpu().numpy()) for key in sorted(state))
    return digest(options_bytes(subject.bilm.config), *(array.data for array in arrays))


def _is_whole(directory: Path, subject: Subject) -> bool:
    try:
        Index.open(directory, subject.n_layers, subject.bilm.config.width)
    except ValueError:
        return False
    return True


def _build(directory: Path, subject: Subject, reader: TextFiles, origin: dict[str, Any]) -> None:
    temporary = directory.with_name(f".{directory.name}.{os.getpid()}.tmp")
    try:
        with (
            write_store(temporary, origin) as writer,
            closing(tokenized_chunks(reader, subject.tokenization, n_process=1)) as chunks,
        ):
            for chunk in chunks:
                part = first_sentences(chunk, origin["max_words"] - writer.n_tokens)
                writer.add(part)
                if len(part.tokens) < len(chunk.tokens):
                    break
            if not writer.n_tokens:
                raise ValueError(
                    f"There are no words in {', '.join(reader.files())}, or their first sentence "
                    f"has more than the {origin['max_words']:,} that are read at most."
                )
        _embed(temporary, subject, TokenStore.open(temporary))
        shutil.rmtree(directory, ignore_errors=True)  # what is left of one that was damaged
        os.replace(temporary, directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def first_sentences(chunk: Chunk, n_words: int) -> Chunk:
    """As many whole sentences as have together at most so many words."""
    ends = np.cumsum(chunk.lengths)
    n_sentences = int(np.searchsorted(ends, n_words, "right"))
    n_tokens = int(ends[n_sentences - 1]) if n_sentences else 0
    return Chunk(chunk.words, chunk.tokens[:n_tokens], chunk.lengths[:n_sentences])


def _embed(directory: Path, subject: Subject, store: TokenStore) -> None:
    """Write the layers of a store's words, and their inner products.

    RAISES OSError: The disk is full, or something else is wrong with it.
    """
    n_layers, width = subject.n_layers, subject.bilm.config.width
    with ExitStack() as stack:
        files = [stack.enter_context(layer_path(directory, i).open("wb")) for i in range(n_layers)]
        for file in files:
            _write_header(file, DTYPE, (store.n_tokens, width))
        products = stack.enter_context((directory / PRODUCTS).open("wb"))
        _write_header(products, np.dtype("<f4"), (store.n_tokens, n_layers, n_layers))
        for layers in _layers(subject, store):
            for file, layer in zip(files, layers, strict=True):
                file.write(layer.tobytes())
            rows = layers.astype("float32").transpose(1, 0, 2)  # (n_words, n_layers, width)
            products.write((rows @ rows.transpose(0, 2, 1)).astype("<f4").tobytes())


def _layers(subject: Subject, store: TokenStore) -> Iterator[np.ndarray]:
    """YIELDS: The layers of some sentences' words, (n_layers + 1, n_words, width) float16."""
    with tqdm.tqdm(
        desc="Embedding", unit=" words", unit_scale=True, total=store.n_tokens, disable=None
    ) as bar:
        for start in range(0, store.n_sentences, SENTENCES_AT_A_TIME):
            end = min(start + SENTENCES_AT_A_TIME, store.n_sentences)
            sentences = [store.sentence(i) for i in range(start, end)]
            layers = np.concatenate(subject.bilm.embed(sentences), axis=1)
            yield layers.astype(DTYPE)
            bar.update(layers.shape[1])


def _write_header(file: BinaryIO, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    """That of an ``.npy`` file, whose values are written behind it as they come."""
    about = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, about)
