"""Tokenizes a corpus with all cores, and cuts it into the sentences that the component reads.

The main process reads the texts, hands them out in chunks and gathers the results in the order of
the texts, so that these don't depend on the number of processes.
"""

import json
import multiprocessing
import os
import reprlib
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any, Optional

import numpy as np
import spacy
import tqdm
from filelock import FileLock
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import get_lang_class, registry

from ...spans import SpanGetter, get_sentences
from .text import Reader, Text
from .token_store import Chunk, TokenStore, write_store

CHUNK_CHARACTERS = 500_000  # of the texts that a process is given at once
_CHARACTERS_A_WORD = 5  # about
_MAX_WORDS_KNOWN = 200_000  # by a process: 150 MB. spaCy's vocabulary never forgets a word
_SENTENCES = {"@span_getters": "spacy-elmo.sentences.v1"}  # the component's default


@dataclass(frozen=True)
class Tokenization:
    """How texts become sentences, in a form that other processes can be given.

    nlp_config: The tokenizer's part of the block [nlp]: "lang" and "tokenizer".
    tokenizer: The tokenizer's own data, if it has the method ``to_bytes``.
    get_spans: The span getter's block.
    """

    nlp_config: dict[str, Any]
    tokenizer: bytes
    get_spans: dict[str, Any]

    @classmethod
    def of(cls, nlp: Language, get_spans: Optional[dict[str, Any]] = None) -> "Tokenization":
        """nlp: A pipeline whose config says how its tokenizer is made.
        get_spans: The span getter's block; by default the component's.
        """
        config = {key: nlp.config["nlp"][key] for key in ("lang", "tokenizer")}
        tokenizer: Any = nlp.tokenizer
        # Registered ones need have nothing but __call__.
        data = tokenizer.to_bytes(exclude=["vocab"]) if hasattr(tokenizer, "to_bytes") else b""
        return cls(config, data, get_spans or _SENTENCES)

    def describe(self) -> dict[str, Any]:
        """What shapes the sentences, as JSON."""
        return {
            "spacy": spacy.__version__,
            "nlp": self.nlp_config,
            "tokenizer": sha256(self.tokenizer).hexdigest(),
            "get_spans": self.get_spans,
        }

    def make_nlp(self) -> Language:
        """A pipeline with this tokenizer and no components."""
        nlp = get_lang_class(self.nlp_config["lang"]).from_config({"nlp": self.nlp_config})
        if self.tokenizer:
            tokenizer: Any = nlp.tokenizer
            tokenizer.from_bytes(self.tokenizer, exclude=["vocab"])
        return nlp

    def make_span_getter(self) -> SpanGetter:
        """RAISES ConfigValidationError: The span getter's block is wrong."""
        return registry.resolve({"get_spans": self.get_spans})["get_spans"]


def tokenize(
    read: Reader, directory: Path, tokenization: Tokenization, n_process: Optional[int] = None
) -> TokenStore:
    """Tokenize a corpus once, and store it. A store that is there already and was made from the
    same texts in the same way is taken as it is; another one is replaced. Of several runs that
    share a store, one makes it while the others wait.

    read: Reads the texts, as ``tokenized_chunks`` takes it. Only if it has a method
        ``fingerprint()`` that tells them from others (as JSON), the store can be taken again.
    directory: Where the store is.
    tokenization: How texts become sentences.
    n_process: How many processes tokenize; by default one a core. The store is the same.
    RAISES ValueError: A text is wrong, or there are no words.
    RAISES OSError: A file can't be read or written, or a process was ended.
    RAISES ImportError: A file needs a package that is missing.
    """
    directory = Path(directory)
    fingerprint = getattr(read, "fingerprint", None)
    origin = {
        "texts": None if fingerprint is None else fingerprint(),
        "tokenization": tokenization.describe(),
    }
    directory.mkdir(parents=True, exist_ok=True)
    with FileLock(directory / ".lock"):
        if fingerprint is not None and (store := _find(directory, origin)) is not None:
            return store
        with (
            write_store(directory, origin) as writer,
            closing(tokenized_chunks(read, tokenization, n_process)) as chunks,
        ):
            for chunk in chunks:
                writer.add(chunk)
            if not writer.n_tokens:
                files = ", ".join(read.files()) if hasattr(read, "files") else "the texts"
                raise ValueError(f"There are no words in {files}.")
        return TokenStore.open(directory)


def _find(directory: Path, origin: dict[str, Any]) -> Optional[TokenStore]:
    """The store that was made from this origin."""
    try:
        store = TokenStore.open(directory)
    except ValueError:  # none, or one that isn't whole
        return None
    return store if store.origin == json.loads(json.dumps(origin)) else None


def tokenized_chunks(
    read: Reader, tokenization: Tokenization, n_process: Optional[int] = None
) -> Generator[Chunk, None, None]:
    """The sentences of a corpus, while a bar shows the progress. Every token that isn't
    whitespace comes once: of the windows of a long sentence, each gives the part it is used for.

    read: Reads the texts. Of ``Example``s, which spaCy's own readers yield, the reference Doc is
        taken.
    tokenization: How they become sentences.
    n_process: How many processes tokenize; by default one a core. Docs are tokenized already:
        this process cuts them into sentences.
    YIELDS: The sentences of some texts after the other, the same for any number of processes.
        The processes end with the generator.
    RAISES ValueError, OSError, ImportError: As ``tokenize``.
    """
    n_process = n_process or _n_cores()
    worker = _Worker(tokenization)  # here, too, so that wrong settings are errors of this process
    nlp = tokenization.make_nlp()  # of the reader: the worker's own may be replaced
    pending: deque[Future[Chunk]] = deque()
    with ExitStack() as stack:
        bar = tqdm.tqdm(desc="Tokenizing", unit=" words", unit_scale=True, disable=None)
        stack.enter_context(bar)
        pool = None if n_process == 1 else stack.enter_context(_pool(n_process, tokenization))

        def finish() -> Chunk:
            chunk = pending.popleft().result()
            bar.update(len(chunk.tokens))
            return chunk

        for texts in _in_chunks(map(_check_text, read(nlp))):
            pending.append(_start(texts, worker, pool))
            if len(pending) > 2 * n_process:  # bounds what is in memory
                yield finish()
        while pending:
            yield finish()


def _n_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return min(os.cpu_count() or 1, 61)  # a pool takes no more on Windows


def _check_text(text: Any) -> Text:
    """RAISES ValueError: A reader has yielded something else."""
    if isinstance(text, Example):
        return text.reference
    if isinstance(text, (str, Doc)):
        return text
    if isinstance(text, (list, tuple)) and all(isinstance(word, str) for word in text):
        return list(text)
    raise ValueError(
        f"The reader of the texts yields {type(text).__name__}: {reprlib.repr(text)}. It should "
        "yield texts (str), lists of words, Docs or Examples."
    )


def _in_chunks(texts: Iterable[Text]) -> Iterator[list[Text]]:
    """Lists of texts of about ``CHUNK_CHARACTERS`` together. Docs are in lists of their own."""
    for _, same in groupby(texts, lambda text: isinstance(text, Doc)):
        chunk: list[Text] = []
        size = 0
        for text in same:
            chunk.append(text)
            # An empty text takes memory as well.
            size += 1 + (len(text) if isinstance(text, str) else _CHARACTERS_A_WORD * len(text))
            if size >= CHUNK_CHARACTERS:
                yield chunk
                chunk, size = [], 0
        if chunk:
            yield chunk


def _start(
    texts: list[Text], worker: "_Worker", pool: Optional[ProcessPoolExecutor]
) -> "Future[Chunk]":
    """Have a chunk encoded, by the pool if there is one."""
    if pool is not None and not isinstance(texts[0], Doc):
        return pool.submit(_encode, texts)
    done: Future[Chunk] = Future()
    done.set_result(worker.encode(texts))
    return done


class _Worker:
    """Encodes texts, one chunk after the other."""

    def __init__(self, tokenization: Tokenization) -> None:
        self._tokenization = tokenization
        self._get_spans = tokenization.make_span_getter()
        self._renew()

    def encode(self, texts: list[Text]) -> Chunk:
        if len(self._nlp.vocab) > _MAX_WORDS_KNOWN:
            self._renew()
        docs = [self._make_doc(text) for text in texts]
        ids: dict[str, int] = {}
        tokens: list[int] = []
        lengths = []
        for sentences in get_sentences(docs, self._get_spans):
            for words, rows, _ in sentences:
                if len(rows) < len(words):  # a window of a long sentence
                    words = [words[row] for row in rows.tolist()]
                if words:
                    tokens += [ids.setdefault(word, len(ids)) for word in words]
                    lengths.append(len(words))
        return Chunk(list(ids), np.array(tokens, "int32"), np.array(lengths, "int64"))

    def _make_doc(self, text: Text) -> Doc:
        if isinstance(text, Doc):
            return text
        if isinstance(text, str):  # not by nlp.make_doc(): only parsers need nlp.max_length
            return self._nlp.tokenizer(text)
        return Doc(self._nlp.vocab, words=text)

    def _renew(self) -> None:
        self._nlp = self._tokenization.make_nlp()
        # A memory zone would bound the memory, too, but in one the tokenizer doesn't cache.
        tokenizer: Any = self._nlp.tokenizer
        if hasattr(tokenizer, "max_cache_size"):  # a language's own may have none
            tokenizer.max_cache_size = _MAX_WORDS_KNOWN


_worker: Optional[_Worker] = None  # of a process of the pool


@contextmanager
def _pool(n_process: int, tokenization: Tokenization) -> Iterator[ProcessPoolExecutor]:
    """Processes with a worker each. They end when the block ends, or this process."""
    pool = ProcessPoolExecutor(n_process, initializer=_start_worker, initargs=(tokenization,))
    try:
        yield pool
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "A process that tokenized was ended from outside, perhaps for want of memory. Try "
            "fewer processes."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker(tokenization: Tokenization) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt ends the parent, which ends us
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = _Worker(tokenization)


def _end_with_parent() -> None:
    """A process of a pool whose parent was killed would wait for work forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _encode(texts: list[Text]) -> Chunk:
    assert _worker is not None
    return _worker.encode(texts)
