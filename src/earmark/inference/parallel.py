"""Work on several threads with results in order, never more of it under way than the threads can use."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_AHEAD = 2  # items under way for each thread: one being worked on, one ready


def ordered_map(function: Callable[[Item], Answer], items: Iterable[Item], threads: int) -> Iterator[Answer]:
    """Apply a function to items on threads and yield the answers in the order of the items.

    Items are drawn in the caller's thread, at most `2 * threads` ahead of the answer that is asked for, so an endless
    or huge iterable costs constant memory. An error comes out at its item's place. A single item starts no thread.
    """
    iterator = iter(items)
    first = list(islice(iterator, 2))
    if threads == 1 or len(first) < 2:
        yield from map(function, chain(first, iterator))
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="earmark")
    pending: deque[Future[Answer]] = deque()
    try:
        for item in chain(first, iterator):
            pending.append(pool.submit(function, item))
            if len(pending) >= _AHEAD * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        # Whoever stops early does not wait here for what is under way; the interpreter does, when it ends.
        pool.shutdown(wait=False, cancel_futures=True)
