"""Decodes images in threads, ahead of who takes them and in their order, within a bound of memory.

While the graph computes, threads decode what comes next, so that no processor waits for the other.
How large an image is, is known only when it was decoded. So a thread begins one only while the
images that are decoded and not yet taken are below the bound, or if it is the one that is waited
for: otherwise later images, which were decoded before it, would keep it out for good.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """An image that was read; its size counts what it holds in memory."""

    @property
    def size(self) -> int:
        """Values."""


T = TypeVar("T", bound=Sized)


class ReadAhead(Generic[T]):
    """Reads items in threads, ahead of who takes them.

    Parameters
    ----------
    read : callable
        Takes the number of an item and returns what is there, or raises.
    n_items : int
    most_items : int
        Items that are asked for ahead.
    most_values : int
        Values of the items that were read and not yet taken; exceeded by one item per thread.
    """

    def __init__(
        self, read: Callable[[int], T], n_items: int, most_items: int, most_values: int
    ) -> None:
        self._read, self._n_items = read, n_items
        self._most_items, self._most_values = most_items, most_values
        self._changed = threading.Condition()
        self._n_values, self._wanted = 0, 0

    def __iter__(self) -> Iterator[tuple[int, Callable[[], T]]]:
        """Yield the number of each item, and a function that returns it, or raises, once."""
        remaining = iter(range(self._n_items))
        with ThreadPoolExecutor(os.cpu_count(), "penultimate-images") as pool:
            try:
                first = islice(remaining, self._most_items)
                ahead = deque((index, pool.submit(self._in_thread, index)) for index in first)
                while ahead:
                    index, future = ahead.popleft()
                    if (following := next(remaining, None)) is not None:
                        ahead.append((following, pool.submit(self._in_thread, following)))
                    self._want(index)
                    yield index, partial(self._take, future)
            except BaseException:  # also Ctrl-C, and who stops taking items
                pool.shutdown(wait=False, cancel_futures=True)
                self._want(self._n_items)
                raise

    def _in_thread(self, index: int) -> T:
        with self._changed:
            self._changed.wait_for(
                lambda: self._n_values < self._most_values or index <= self._wanted
            )
        item = self._read(index)
        with self._changed:
            self._n_values += item.size
        return item

    def _take(self, future: Future[T]) -> T:
        item = future.result()
        with self._changed:
            self._n_values -= item.size
            self._changed.notify_all()
        return item

    def _want(self, index: int) -> None:
        with self._changed:
            self._wanted = index
            self._changed.notify_all()
