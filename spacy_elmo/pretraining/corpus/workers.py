"""Processes that cut texts into sentences side by side."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Union

from .text import Text
from .token_store import Chunk
from .tokenization import SentenceEncoder, Tokenization

Encode = Callable[[list[Text]], "Future[Chunk]"]


def n_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return min(os.cpu_count() or 1, 61)  # a pool takes no more on Windows


@contextmanager
def start_workers(n_process: int, tokenization: Tokenization) -> Iterator[Encode]:
    """Start processes with an encoder each, as multiprocessing starts them here. Those that aren't
    forked know nothing of this one: they import the tokenization's code. They end when the block
    ends, or this process.

    n_process: How many.
    tokenization: How texts become sentences.
    YIELDS: What gives one of them texts to encode. Its ``Future`` raises ValueError if a process
        can't make what the tokenization names.
    RAISES ChildProcessError: A process has ended before its work was done.
    """
    context = multiprocessing.get_context()
    is_forked = context.get_start_method() == "fork"
    pool = ProcessPoolExecutor(
        n_process, context, initializer=_start, initargs=(tokenization, is_forked)
    )
    try:
        yield lambda texts: pool.submit(_encode, texts)
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "A process that tokenized has ended before its work was done. What it has printed may "
            "say why. If there is nothing, the memory may have been short: try fewer processes."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


# Of a process of the pool: what encodes, or why there is nothing that could.
_encoder: Union[SentenceEncoder, str, None] = None


def _start(tokenization: Tokenization, is_forked: bool) -> None:
    global _encoder
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt ends the parent, which ends us
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        if not is_forked:
            tokenization.import_code()
        _encoder = SentenceEncoder(tokenization)
    except Exception as error:
        # A pool whose processes can't start doesn't say why: the first texts' error will. As text,
        # because not every exception can be sent.
        _encoder = f"{type(error).__name__}: {error}"


def _end_with_parent() -> None:
    """A process of a pool whose parent was killed would wait for work forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _encode(texts: list[Text]) -> Chunk:
    assert _encoder is not None
    if isinstance(_encoder, str):
        raise ValueError(
            "A process that tokenizes can't begin. What a config names must be registered by a "
            "package that is installed, or by the file of --code, which every process imports; "
            f"with n_process = 1 there is no other process. {_encoder}"
        )
    return _encoder.encode(texts)
