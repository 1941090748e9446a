"""All pairs of classes of one classifier, solved to the tolerance and certified in float64.

The samples go to the core twice: it does most of the work in float32, and finishes in float64
(``pair.cpp``). They are sorted by class, so that a class is a range of rows, and for an RBF
centered, which changes no distance and leaves float32 more digits for it.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from penultimate._common.threads import single_threaded_blas
from penultimate.svm import _native
from penultimate.svm._kernel import Kernel
from penultimate.svm._pairs import SortedClasses


@dataclass
class Solutions:
    """Results that the core fills in, for samples sorted by class.

    Attributes
    ----------
    coefficients : ndarray of shape (n_classes - 1, n_samples)
        In libsvm's layout: for a sample of class c, the row of another class o is o, or o - 1 where
        o > c. Positive in the first class of a pair.
    intercepts, gaps : ndarray of shape (n_pairs,)
    iterations, statuses : ndarray of shape (n_pairs,), int64
    """

    coefficients: NDArray[np.float64]
    intercepts: NDArray[np.float64]
    gaps: NDArray[np.float64]
    iterations: NDArray[np.int64]
    statuses: NDArray[np.int64]

    @classmethod
    def empty(cls, n_classes: int, n_samples: int) -> Self:
        """Allocate room for solutions."""
        n_pairs = n_classes * (n_classes - 1) // 2
        # The core writes into these arrays and converts none, so dtypes and layout have to be its
        # own.
        coefficients = np.zeros((n_classes - 1, n_samples))
        intercepts, gaps = np.zeros((2, n_pairs))
        iterations, statuses = np.zeros((2, n_pairs), np.int64)
        return cls(coefficients, intercepts, gaps, iterations, statuses)


@dataclass(frozen=True)
class Start:
    """What a solution starts from.

    Attributes
    ----------
    solutions : Solutions
        The coefficients to start from. The core writes its results over them.
    unchanged : ndarray of shape (n_pairs,), int64
        1 for each pair whose problem is the one that was solved: `solutions` has the results.
    """

    solutions: Solutions
    unchanged: NDArray[np.int64]


def solve_pairs(
    X: NDArray[Any],
    mean: NDArray[np.float64],
    C_per_sample: NDArray[np.float64],
    layout: SortedClasses,
    kernel: Kernel,
    *,
    tol: float,
    max_iter: int,
    n_jobs: int | None,
    memory: int,
    f32: "_native.core.SingleSource | None" = None,
    start: Start | None = None,
) -> Solutions:
    """Solve the dual problem of every pair of classes.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The samples or, for the precomputed kernel, the Gram matrix.
    mean : ndarray of shape (n_features,)
        Subtracted from each sample.
    C_per_sample : ndarray of shape (n_samples,)
        `C` times the weight of each sample.
    layout : SortedClasses
    kernel : Kernel
    tol : float
    max_iter : int
    n_jobs : int or None
    memory : int
        Bytes for rows of the Gram matrix.
    f32 : core.SingleSource, optional
        The samples in float32, if the core already has them.
    start : Start, optional
        What to start from.

    Returns
    -------
    Solutions

    Raises
    ------
    ValueError
        If kernel values overflow.
    """
    order = layout.order
    if kernel.name == "precomputed":
        X64 = np.ascontiguousarray(X[np.ix_(order, order)], dtype=np.float64)
        f64 = _native.core.DoubleSource(None, X64, None)
    else:
        X64 = np.ascontiguousarray(X[order], dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            # In float64, where the difference of samples that are close to the limits of float32
            # cannot overflow.
            X64 -= mean
            norms = np.einsum("ij,ij->i", X64, X64)
        # Before the solver: NaN would only show as a failure to converge.
        kernel.check_fit(X, float(norms.max()))
        f64 = _native.core.DoubleSource(X64, None, norms)
    # After a search there is a float32 copy already; making another one would cost time and memory.
    if f32 is None:
        f32 = _make_f32(X64, kernel)
    solutions = Solutions.empty(layout.n_classes, len(X)) if start is None else start.solutions
    # The core's threads each call BLAS; with threads of its own, there would be too many.
    with single_threaded_blas():
        _native.core.solve_pairs(
            _native.make_context(n_jobs),
            f32,
            f64,
            kernel.for_core(),
            C_per_sample[order],
            layout.starts,
            tol,
            max_iter,
            memory,
            # A leading axis for the number of settings, as in the arrays of a grid; here there is
            # one.
            *(array[np.newaxis] for array in vars(solutions).values()),
            None if start is None else start.unchanged,
        )
    return solutions


def _make_f32(X64: NDArray[np.float64], kernel: Kernel) -> "_native.core.SingleSource | None":
    with np.errstate(over="ignore"):
        X32 = X64.astype(np.float32)
    if not np.isfinite(X32).all():
        return None  # out of the range of float32: the core uses float64 only
    if kernel.name == "precomputed":
        return _native.core.SingleSource(None, X32, None)
    return _native.core.SingleSource(X32, None, np.einsum("ij,ij->i", X32, X32))
