"""One thread for BLAS while threads of our own call it.

The number of threads of a BLAS library is a setting of the whole process. Two threads that each
save it, lower it and restore it leave it lowered for good when they overlap (A saves 2, B saves 1,
A restores 2, B restores 1). So the limit is counted: the first to come saves and lowers, the last
to leave restores, and whoever comes in between only adds to the count.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

_validation = threading.RLock()


class _Limit:
    """How many hold the limit, and what was set before the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._before: Any = None

    def enter(self) -> None:
        with self._lock:
            if self._depth == 0:
                self._before = _controller().limit(limits=1, user_api="blas")
            self._depth += 1

    def leave(self) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                self._before.restore_original_limits()

    def abandon(self) -> None:
        """Restore what was set, whoever still holds the limit."""
        if self._depth:
            self._before.restore_original_limits()


_limit = _Limit()


@cache
def _controller() -> ThreadpoolController:
    # Made once: it lists every library of the process, which takes milliseconds. SciPy's BLAS is
    # the one that the solver calls, so it has to be among them.
    import scipy.linalg  # noqa: F401

    return ThreadpoolController()


def _start_anew() -> None:
    """Forget, in a forked process, the threads that were not forked with it."""
    global _limit, _validation
    _limit.abandon()
    _limit, _validation = _Limit(), threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_start_anew)


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Keep BLAS to one thread, in the whole process, until the last of all who asked is done.

    Do not hold it across a ``yield`` or while code of the user's runs: what never resumes never
    lets go.

    Examples
    --------
    >>> from penultimate._common.threads import single_threaded_blas
    >>> with single_threaded_blas(), single_threaded_blas():
    ...     pass
    """
    limit = _limit  # after a fork the one that was entered is another
    limit.enter()
    try:
        yield
    finally:
        limit.leave()


@contextmanager
def validating() -> Iterator[None]:
    """Let one thread at a time have scikit-learn validate its arrays.

    It does so within ``warnings.catch_warnings``, which saves the filters of the whole process and
    sets them back: of two threads that overlap, the second leaves those that the first had set.
    """
    lock = _validation
    with lock:
        yield
