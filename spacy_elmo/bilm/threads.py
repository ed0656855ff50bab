"""Work that runs on different cores side by side."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import Barrier
from typing import Any, Optional, TypeVar

import torch

ResultT = TypeVar("ResultT")


def side_by_side(
    tasks: Sequence[Callable[[], ResultT]],
    device: torch.device,
    *,
    with_gradients: bool = False,
    n_threads: Optional[int] = None,
) -> list[ResultT]:
    """Run tasks, each on its share of PyTorch's threads, if they don't record gradients, and in
    the caller's mode (``no_grad`` or ``inference_mode``).

    Two tasks that don't wait for each other keep two cores busier than one task whose every
    operation is spread over both. And where other programs want the cores, too, threads that meet
    after every operation wait for each other most of the time; on two cores, there are none.

    tasks: They don't share what they write.
    device: What they compute on. If it isn't the CPU, they run one after the other.
    with_gradients: The tasks compute gradients themselves, each its own. (A graph that they left
        behind would be gone through by one thread.)
    n_threads: How many threads they share, by default the caller's.
    RETURNS: Their results, in order.
    """
    use_one_thread_if_forked()
    n_threads = n_threads or torch.get_num_threads()
    in_turns = torch.is_grad_enabled() and not with_gradients
    if n_threads == 1 or device.type != "cpu" or in_turns:
        return [task() for task in tasks]
    mode: Callable[[], Any] = torch.enable_grad
    if not with_gradients:
        mode = torch.inference_mode if torch.is_inference_mode_enabled() else torch.no_grad
    try:
        futures = [_pool(n_threads).submit(mode()(task)) for task in tasks]
    except RuntimeError:  # the interpreter is ending, and starts nothing in other threads
        return [task() for task in tasks]
    return [future.result() for future in futures]


@contextmanager
def one_thread() -> Iterator[int]:
    """Compute with one thread, which waits for no other after each operation.

    YIELDS: How many threads there were, for ``side_by_side``.
    """
    use_one_thread_if_forked()
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield n_threads
    finally:
        torch.set_num_threads(n_threads)


@cache
def _pool(n_threads: int) -> ThreadPoolExecutor:
    """Two threads of Python that share PyTorch's."""

    def start() -> None:
        torch.get_num_threads()  # else the first operation replaces what is set here
        torch.set_num_threads(n_threads // 2)

    caller = torch.get_num_threads()
    pool = ThreadPoolExecutor(2, "spacy-elmo", start)
    both = Barrier(2)  # starts the second thread now, even if the first has nothing to do
    for future in [pool.submit(both.wait) for _ in range(2)]:
        future.result()
    torch.set_num_threads(caller)  # the threads have changed the value that new ones get
    return pool


_process = os.getpid()


def use_one_thread_if_forked() -> None:
    """PyTorch's thread pool does not survive a fork: a child of a process that has computed with
    several threads would wait for them forever (spaCy's n_process forks). Nor do our threads.

    Called by what computes, before it does: so a child that computes nothing here keeps its
    threads, and one that sets another number later keeps that.
    """
    global _process
    if _process != os.getpid():
        _process = os.getpid()
        _pool.cache_clear()
        torch.set_num_threads(1)
