"""Access to the compiled core: its import, and the BLAS, threads and memory that it uses.

The core checks the shapes of its arguments (``arrays.hpp``) and converts no array: a wrong dtype or
layout raises TypeError. What values mean is checked above it, in `SVC` and its searches.
"""

import ctypes
import math
import os
import re
from collections.abc import Callable
from functools import cache

import numpy as np
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads

from penultimate._common.validation import check_n_jobs

try:
    import penultimate.svm._core as core
except ImportError as error:
    raise ImportError(
        "The compiled part of penultimate.svm is missing. Reinstall the package on a system with a "
        "C++17 compiler (g++ 9, clang 10 or newer): pip install --force-reinstall penultimate"
    ) from error

# The values of the core's `KernelType`; `STATUS` is in the order of its `Status`.
KERNELS: dict[str, int] = {"rbf": 0, "linear": 1, "poly": 2, "precomputed": 3}
# The vector instructions to use, "avx512", "avx2" or "plain"; by default the best available.
VARIANT = os.environ.get("PENULTIMATE_SIMD", "")
STATUS = np.array(["converged", "precision_limit", "iteration_limit"])
# Iterations per pair where `max_iter` sets no limit. libsvm stops there, too; a problem that gets
# this far would hardly ever end.
UNLIMITED = 10_000_000
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
_SAFE_SHARE = 0.25  # of the free memory, since other processes allocate, too
# Whatever `n_jobs` says. Each thread takes its share of the memory limit, so that more threads than
# cores make each of them slower.
_MOST_THREADS = 1024


def make_kernel(kernel: str, gamma: float, coef0: float, degree: int) -> "core.Kernel":
    """Make the core's description of a kernel."""
    return core.Kernel(KERNELS[kernel], float(gamma), float(coef0), int(degree))


@cache
def linear_algebra() -> tuple[int, int, int]:
    """Return the addresses of sgemm, dgemm and dposv in the BLAS and LAPACK that SciPy ships.

    SciPy publishes them for Cython, as capsules; reading these needs no Cython.
    """
    from scipy.linalg import cython_blas, cython_lapack

    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    blas, lapack = cython_blas.__pyx_capi__, cython_lapack.__pyx_capi__
    capsules = blas["sgemm"], blas["dgemm"], lapack["dposv"]
    sgemm, dgemm, dposv = (
        int(api.PyCapsule_GetPointer(c, api.PyCapsule_GetName(c))) for c in capsules
    )
    return sgemm, dgemm, dposv


def count_threads(n_jobs: int | None) -> int:
    """Convert `n_jobs` to a number of threads; None takes as many as scikit-learn's own loops."""
    available = int(_openmp_effective_n_threads())
    check_n_jobs(n_jobs, "SVC and its searches")
    if n_jobs is None:
        return available
    return min(n_jobs, _MOST_THREADS) if n_jobs > 0 else max(1, available + 1 + n_jobs)


def make_context(
    n_jobs: int | None, progress: Callable[[int, int], None] | None = None
) -> "core.Context":
    """Make the context of the core: BLAS, vector instructions, threads, progress callback."""
    return core.Context(linear_algebra(), count_threads(n_jobs), VARIANT, progress)


def physical_memory() -> float:
    """Return the bytes of memory that this machine has; infinite where it does not say."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError, AttributeError):  # Windows
        return math.inf


def memory_in_bytes(limit: int | str | None) -> int:
    """Convert a memory limit to bytes; None is a quarter of what is currently free.

    Raises
    ------
    ValueError
        If the limit is neither a positive number of bytes nor text such as "500MiB" or "2GiB".
    """
    if limit is None:
        try:
            free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (ValueError, OSError, AttributeError):
            # macOS and Windows do not say: 4 GiB are assumed.
            free = 2**32
        return int(_SAFE_SHARE * free)
    if isinstance(limit, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMG]?)i?B?\s*", limit)
        size = float(match[1]) * _UNITS[match[2]] if match else 0.0
    else:
        size = float(limit)
    if not size > 0:
        raise ValueError(
            "The 'memory_limit' parameter must be a positive number of bytes or text such as "
            f"'2GiB'; got {limit!r}."
        )
    # The core counts bytes in 64 bits; more than that is no limit.
    return int(min(size, 2.0**62))
