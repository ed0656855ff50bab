"""Signals that end a run."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Optional


class Interrupt:
    """is_set: Whether someone wants the run to end."""

    is_set = False


@contextmanager
def interrupts() -> Iterator[Interrupt]:
    """Ctrl-C and the signal that ends processes only ask training to end after its step; a second
    one ends it at once (``KeyboardInterrupt``).

    YIELDS: What tells of the first one.
    """
    interrupt = Interrupt()

    def handle(number: int, frame: Optional[FrameType]) -> None:
        if interrupt.is_set:
            raise KeyboardInterrupt
        interrupt.is_set = True

    old = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
