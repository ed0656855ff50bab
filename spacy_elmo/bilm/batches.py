"""Cutting what is to be computed into batches."""

from collections.abc import Callable, Iterable, Iterator
from typing import Optional, TypeVar

ItemT = TypeVar("ItemT")


def batches_by_tokens(
    items: Iterable[ItemT],
    n_tokens: Callable[[ItemT], int],
    max_tokens: int,
    max_items: Optional[int] = None,
) -> Iterator[list[ItemT]]:
    """Consecutive items that have so many tokens together; a longer one is a batch of its own. No
    item of a batch is kept once the next one is asked for.

    items: Sentences, their indices, Docs, …; read one beyond the batch that is given.
    n_tokens: The tokens of an item.
    max_tokens: Most tokens of a batch.
    max_items: Most items of a batch; None for any number.
    """
    batch: list[ItemT] = []
    n_in_batch = 0
    for item in items:
        n_in_item = n_tokens(item)
        if batch and (n_in_batch + n_in_item > max_tokens or len(batch) == max_items):
            yield batch
            batch, n_in_batch = [], 0
        batch.append(item)
        n_in_batch += n_in_item
    if batch:
        yield batch
