"""Tokenizes a corpus with all cores, and cuts it into the sentences that the component reads."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional, Union

import numpy as np
import spacy
import tqdm
from filelock import FileLock
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import get_lang_class, registry

from ..spans import SpanGetter, get_sentences
from .text import Reader, Text
from .token_store import TokenStore, write_store

CHUNK_CHARACTERS = 500_000  # of the texts that a process is given at once
_CHARACTERS_A_WORD = 5  # about
SENTENCES = {"@span_getters": "spacy-elmo.sentences.v1"}


class Chunk(NamedTuple):
    """The sentences of some texts.

    words: (n_words,) the distinct words, in the order in which they come.
    tokens: (n_tokens,) int32 positions in ``words``, sentence after sentence.
    lengths: (n_sentences,) int64 numbers of tokens, none of which is 0.
    """

    words: list[str]
    tokens: np.ndarray
    lengths: np.ndarray


@dataclass(frozen=True)
class Tokenization:
    """How texts become sentences. Small, and of what any process can be given.

    nlp_config: The block [nlp]'s keys "lang" and "tokenizer".
    rules: The tokenizer's own state.
    get_spans: The span getter's block.
    """

    nlp_config: dict[str, Any]
    rules: bytes
    get_spans: dict[str, Any]

    @classmethod
    def of(cls, nlp: Language, get_spans: Optional[dict[str, Any]] = None) -> "Tokenization":
        """nlp: A pipeline, of which the tokenizer is taken.
        get_spans: The span getter's block, by default the component's.
        """
        config = {key: nlp.config["nlp"][key] for key in ("lang", "tokenizer")}
        return cls(config, nlp.tokenizer.to_bytes(exclude=["vocab"]), get_spans or SENTENCES)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What shapes the sentences, as JSON."""
        return {
            "spacy": spacy.__version__,
            "nlp": self.nlp_config,
            "rules": sha256(self.rules).hexdigest(),
            "get_spans": self.get_spans,
        }

    def make_nlp(self) -> Language:
        """A pipeline of its tokenizer alone."""
        nlp = get_lang_class(self.nlp_config["lang"]).from_config({"nlp": self.nlp_config})
        nlp.tokenizer.from_bytes(self.rules, exclude=["vocab"])
        return nlp

    def make_span_getter(self) -> SpanGetter:
        """RAISES ConfigValidationError: The block is wrong."""
        return registry.resolve({"get_spans": self.get_spans})["get_spans"]


def tokenize(
    read: Reader,
    directory: Path,
    tokenization: Tokenization,
    n_process: Optional[int] = None,
) -> TokenStore:
    """Tokenize a corpus once, and store it. A store that is there and was made from the same
    texts in the same way is taken as it is. Several processes may ask for the same store: one
    makes it, the others wait.

    read: Reads the texts. If it has the method ``fingerprint()``, which tells texts from others,
        a store can be taken again.
    directory: Where the store is.
    tokenization: How texts become sentences.
    n_process: How many processes tokenize, by default one for each core. The store doesn't
        depend on it.
    RAISES ValueError: A text is wrong, or there are no words.
    RAISES OSError: A file can't be read or written, or a process ended.
    """
    directory = Path(directory)
    fingerprint = getattr(read, "fingerprint", None)
    origin = {
        "texts": fingerprint and fingerprint(),
        "tokenization": tokenization.fingerprint,
    }
    directory.mkdir(parents=True, exist_ok=True)
    with FileLock(directory / ".lock"):
        if fingerprint is not None and (store := _find(directory, origin)) is not None:
            return store
        with write_store(directory, origin) as writer:
            for chunk in tokenized_chunks(read, tokenization, n_process):
                writer.add(chunk.words, chunk.tokens, chunk.lengths)
            if not writer.n_tokens:
                raise ValueError("There are no words in the texts.")
    return TokenStore.open(directory)


def _find(directory: Path, origin: dict[str, Any]) -> Optional[TokenStore]:
    try:
        store = TokenStore.open(directory)
    except ValueError:  # none, or an unfinished one
        return None
    return store if store.origin == origin else None


def tokenized_chunks(
    read: Reader, tokenization: Tokenization, n_process: Optional[int] = None
) -> Iterator[Chunk]:
    """The sentences of a corpus, in the order of its texts, with a bar that shows the progress.

    read: Reads the texts.
    tokenization: How they become sentences.
    n_process: How many processes tokenize, by default one for each core. Docs, which are
        tokenized already, are only cut into sentences, by this process.
    YIELDS: The sentences of some texts. How many doesn't depend on the number of processes.
    RAISES ValueError: A text is wrong.
    RAISES OSError: A file can't be read, or a process ended.
    """
    n_process = n_process or _n_cores()
    worker = _Worker(tokenization)  # in this process, too, so that errors of settings come here
    pending: deque[Callable[[], Chunk]] = deque()
    with ExitStack() as stack:
        bar = stack.enter_context(
            tqdm.tqdm(desc="Tokenizing", unit="words", unit_scale=True, disable=None)
        )
        submit = partial(partial, worker.chunk_of_texts)
        if n_process > 1:
            pool = ProcessPoolExecutor(n_process, None, _start_worker, (tokenization,))
            stack.callback(pool.shutdown, cancel_futures=True)
            submit = lambda texts: pool.submit(_work, texts).result

        def finish() -> Chunk:
            chunk = pending.popleft()()
            bar.update(len(chunk.tokens))
            return chunk

        try:
            for texts in _in_chunks(read(worker.nlp)):
                if isinstance(texts[0], Doc):
                    pending.append(partial(worker.chunk_of_docs, texts))
                else:
                    pending.append(submit(texts))
                if len(pending) > 2 * n_process:  # bounds what is in memory
                    yield finish()
            while pending:
                yield finish()
        except BrokenProcessPool as error:
            raise ChildProcessError(
                "A process that tokenized was ended from outside, perhaps for want of memory. "
                "Use fewer processes."
            ) from error


def _n_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _in_chunks(texts: Iterable[Text]) -> Iterator[list[Text]]:
    """Lists of texts of about ``CHUNK_CHARACTERS``. Docs come in lists of their own."""
    for _, same in groupby(texts, lambda text: isinstance(text, Doc)):
        chunk: list[Text] = []
        size = 0
        for text in same:
            chunk.append(text)
            size += len(text) if isinstance(text, str) else _CHARACTERS_A_WORD * len(text)
            if size >= CHUNK_CHARACTERS:
                yield chunk
                chunk, size = [], 0
        if chunk:
            yield chunk


class _Worker:
    """What each process has."""

    def __init__(self, tokenization: Tokenization) -> None:
        self.nlp = tokenization.make_nlp()
        self.get_spans = tokenization.make_span_getter()

    def chunk_of_texts(self, texts: list[Union[str, list[str]]]) -> Chunk:
        """texts: Texts, or lists of words."""
        with self.nlp.memory_zone():  # forgets new words at its end
            return self.chunk_of_docs([self._make_doc(text) for text in texts])

    def chunk_of_docs(self, docs: list[Doc]) -> Chunk:
        ids: dict[str, int] = {}
        tokens: list[int] = []
        lengths = []
        for sentences in get_sentences(docs, self.get_spans):
            for words, rows, _ in sentences:
                if len(rows) < len(words):  # a window of a long sentence: the others have the rest
                    words = [words[row] for row in rows.tolist()]
                if words:
                    tokens += [ids.setdefault(word, len(ids)) for word in words]
                    lengths.append(len(words))
        return Chunk(list(ids), np.array(tokens, "int32"), np.array(lengths, "int64"))

    def _make_doc(self, text: Union[str, list[str]]) -> Doc:
        if isinstance(text, str):  # not by nlp.make_doc(): a tokenizer needs no nlp.max_length
            return self.nlp.tokenizer(text)
        return Doc(self.nlp.vocab, words=text)


_worker: Optional[_Worker] = None  # of this process, if it was started to tokenize


def _start_worker(tokenization: Tokenization) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its processes
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = _Worker(tokenization)


def _end_with_parent() -> None:
    """A process whose parent was killed would wait for work forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(texts: list[Union[str, list[str]]]) -> Chunk:
    assert _worker is not None
    return _worker.chunk_of_texts(texts)
