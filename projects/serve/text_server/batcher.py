"""Puts requests that wait at the same time into one call of the pipeline, which is faster than a
call for each. Nobody waits for company: the first request is computed at once, and those that come
meanwhile are the next batch."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Optional, TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Busy(Exception):
    """Too many requests wait already."""


@dataclass
class _Request(Generic[ItemT, ResultT]):
    items: Sequence[ItemT]
    results: "asyncio.Future[list[ResultT]]"


class Batcher(Generic[ItemT, ResultT]):
    """Computes what is asked for, in a thread of its own, some requests at a time. Used in
    ``async with``, which ends when all that was accepted has been answered.

    process: From items to as many results, in their order.
    max_items: Most items of one call, unless a single request has more.
    max_waiting: Most items that wait; requests beyond are refused.
    on_batch: Is told the number of items of each call.
    """

    def __init__(
        self,
        process: Callable[[list[ItemT]], list[ResultT]],
        max_items: int,
        max_waiting: int,
        on_batch: Callable[[int], Any] = lambda n_items: None,
    ) -> None:
        self.process = process
        self.max_items = max_items
        self.max_waiting = max_waiting
        self.on_batch = on_batch
        self._waiting: deque[_Request[ItemT, ResultT]] = deque()
        self._changed = asyncio.Event()  # a request has come, or the end
        self._is_ending = False

    async def __aenter__(self) -> "Batcher[ItemT, ResultT]":
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._work = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._is_ending = True
        self._changed.set()
        await self._work
        self._thread.shutdown()

    @property
    def n_waiting(self) -> int:
        """Items that wait."""
        return sum(len(request.items) for request in self._waiting)

    async def __call__(self, items: Sequence[ItemT]) -> list[ResultT]:
        """Compute the results of a request.

        RAISES Busy: Too many items wait, or the end has come.
        """
        if self._is_ending or self.n_waiting + len(items) > self.max_waiting:
            raise Busy
        request = _Request(items, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        self._changed.set()
        return await request.results

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._waiting:
                await self._answer(self._take())
            if self._is_ending:
                return

    def _take(self) -> list[_Request[ItemT, ResultT]]:
        """The next requests, as many as fit into one call; those whose askers are gone are left
        out."""
        batch: list[_Request[ItemT, ResultT]] = []
        n_items = 0
        while self._waiting:
            n_items += len(self._waiting[0].items)
            if batch and n_items > self.max_items:
                break
            request = self._waiting.popleft()
            if not request.results.done():
                batch.append(request)
        return batch

    async def _answer(self, batch: list[_Request[ItemT, ResultT]]) -> None:
        items = [item for request in batch for item in request.items]
        if not items:
            return
        self.on_batch(len(items))
        loop = asyncio.get_running_loop()
        try:
            results = await loop.run_in_executor(self._thread, self.process, items)
        except Exception as error:
            if len(batch) > 1:  # one of them is to blame: the others get their results
                for request in batch:
                    await self._answer([request])
            elif not batch[0].results.done():
                batch[0].results.set_exception(error)
            return
        rest = iter(results)
        for request in batch:
            own = [next(rest) for _ in request.items]
            if not request.results.done():
                request.results.set_result(own)
