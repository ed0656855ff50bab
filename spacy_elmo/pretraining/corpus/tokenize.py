"""Tokenizes a corpus with all cores.

The main process reads the texts, hands them out in chunks and gathers the results in the order of
the texts, so that these don't depend on the number of processes.
"""

import json
import reprlib
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing
from itertools import groupby
from pathlib import Path
from typing import Any, Optional

import tqdm
from filelock import FileLock
from spacy.tokens import Doc
from spacy.training import Example

from .text import Reader, Text
from .token_store import Chunk, TokenStore, write_store
from .tokenization import SentenceEncoder, Tokenization
from .workers import Encode, n_cores, start_workers

CHUNK_CHARACTERS = 500_000  # of the texts that a process is given at once
_CHARACTERS_A_WORD = 5  # about


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
    RAISES OSError: A file can't be read or written, or a process has ended.
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
    n_process = n_process or n_cores()
    nlp = tokenization.make_nlp()  # which the reader keeps, whatever the encoder makes later
    encoder = SentenceEncoder(tokenization, nlp)  # also so that what is wrong is an error here
    pending: deque[Future[Chunk]] = deque()
    with ExitStack() as stack:
        bar = tqdm.tqdm(desc="Tokenizing", unit=" words", unit_scale=True, disable=None)
        stack.enter_context(bar)
        workers: Optional[Encode] = None
        if n_process > 1:
            workers = stack.enter_context(start_workers(n_process, tokenization))

        def finish() -> Chunk:
            chunk = pending.popleft().result()
            bar.update(len(chunk.tokens))
            return chunk

        for texts in _in_chunks(map(_check_text, read(nlp))):
            pending.append(_start(texts, encoder, workers))
            if len(pending) > 2 * n_process:  # bounds what is in memory
                yield finish()
        while pending:
            yield finish()


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
    texts: list[Text], encoder: SentenceEncoder, workers: Optional[Encode]
) -> "Future[Chunk]":
    """Have a chunk encoded, by other processes if there are any."""
    if workers is not None and not isinstance(texts[0], Doc):
        return workers(texts)
    done: Future[Chunk] = Future()
    done.set_result(encoder.encode(texts))
    return done
