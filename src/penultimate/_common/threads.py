"""Limit BLAS to one thread while several threads of this package call it.

The number of threads of a BLAS library is a setting of the whole process. If two threads each save
it, lower it and restore it, overlapping calls leave it lowered for good (A saves 2, B saves 1, A
restores 2, B restores 1). So the limit is reference-counted: the first user saves and lowers the
setting, the last one restores it.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

# Below, products take milliseconds; 4,000 samples of 1,280 features are as many.
_FEW_VALUES = 5_000_000

_validation = threading.RLock()


class _Limit:
    """Reference count of the limit, and the setting before the first user."""

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
        """Restore the original setting, even if the limit is still held."""
        if self._depth:
            self._before.restore_original_limits()


_limit = _Limit()


@cache
def _controller() -> ThreadpoolController:
    # Cached, because listing every library of the process takes milliseconds. The solver calls
    # SciPy's BLAS, which therefore has to be loaded first.
    import scipy.linalg  # noqa: F401

    return ThreadpoolController()


def _start_anew() -> None:
    """Reset the state in a forked process, which does not inherit the other threads."""
    global _limit, _validation
    _limit.abandon()
    _limit, _validation = _Limit(), threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_start_anew)


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Limit BLAS to one thread in the whole process, until the last concurrent user is done.

    Do not hold it across a ``yield`` or while user code runs: a generator that never resumes would
    never release it.

    Examples
    --------
    >>> from penultimate._common.threads import single_threaded_blas
    >>> with single_threaded_blas(), single_threaded_blas():
    ...     pass
    """
    limit = _limit  # a fork replaces the global: leave the one that was entered
    limit.enter()
    try:
        yield
    finally:
        limit.leave()


def quiet_blas(*arrays: NDArray[Any]) -> AbstractContextManager[None]:
    """Limit BLAS to one thread if it works on few values, on which threads mostly wait.

    They wait by spinning, which takes time from whatever else runs: 50 principal components of 307
    samples of 6,912 pixels took 0.1 s of processor time on one thread, and 2.1 s on two of a busy
    machine.

    Parameters
    ----------
    *arrays : ndarray
        What it works on.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate._common.threads import quiet_blas
    >>> with quiet_blas(np.zeros((300, 1280), np.float32)):
    ...     pass
    """
    few = sum(each.size for each in arrays) <= _FEW_VALUES
    return single_threaded_blas() if few else nullcontext()


@contextmanager
def validating() -> Iterator[None]:
    """Serialize scikit-learn's array validation across threads.

    The validation uses ``warnings.catch_warnings``, which saves and restores the filters of the
    whole process: with two overlapping threads, the second one restores the temporary filters of
    the first.
    """
    lock = _validation
    with lock:
        yield
