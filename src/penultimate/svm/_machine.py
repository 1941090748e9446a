"""A fitted classifier as the core predicts with it: prepared once, used for every call.

Support vectors are kept in float64 and centered, with their squared norms; otherwise each call
would convert thousands of them to classify a single row. Prediction calls no BLAS and, for few
rows, starts no threads (`decisions.hpp` gives the reasons), so that threads can predict at the same
time without sharing any setting.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from penultimate.svm import _native
from penultimate.svm._kernel import Kernel

_PREDICT_CHUNK = 2**21  # feature values per call of the core: 16 MiB of float64


class FittedSVC(Protocol):
    """A fitted `SVC`, with the solution as the core returned it."""

    kernel: str
    support_: NDArray[np.integer]
    support_vectors_: NDArray[Any]
    n_support_: NDArray[np.integer]
    _mean: NDArray[np.float64]
    _coefficients: NDArray[np.float64]
    _intercepts: NDArray[np.float64]


@dataclass(frozen=True)
class Machine:
    """A fitted classifier in the form that the core takes, with the signs of libsvm.

    Attributes
    ----------
    mean : ndarray of shape (n_features,)
        Subtracted from each sample.
    starts : ndarray of shape (n_classes + 1,), int64
        Start of each class among the support vectors.
    coefficients : ndarray of shape (1, n_classes - 1, n_support)
    intercepts : ndarray of shape (1, n_pairs)
    support : ndarray of shape (n_support, n_features) or None
        None for the precomputed kernel.
    norms : ndarray of shape (n_support,) or None
        Squared norms of `support`.
    largest_norm : float
    columns : ndarray of shape (n_support,), int64, or None
        For the precomputed kernel, the columns of the support vectors.
    """

    mean: NDArray[np.float64]
    starts: NDArray[np.int64]
    coefficients: NDArray[np.float64]
    intercepts: NDArray[np.float64]
    support: NDArray[np.float64] | None
    norms: NDArray[np.float64] | None
    largest_norm: float
    columns: NDArray[np.int64] | None

    @classmethod
    def of(cls, fitted: FittedSVC) -> Self:
        """Prepare an `SVC`."""
        support, norms, columns = None, None, None
        starts = np.concatenate([[0], np.cumsum(fitted.n_support_)]).astype(np.int64)
        coefficients = np.ascontiguousarray(fitted._coefficients, dtype=np.float64)
        if fitted.kernel == "precomputed":
            columns = fitted.support_.astype(np.int64)
        else:
            # In float64 whatever the dtype of the samples: in float32 the sums over many support
            # vectors lose digits that decide between classes.
            support = np.subtract(
                fitted.support_vectors_, fitted._mean, dtype=np.float64, order="C"
            )
            if fitted.kernel == "linear":
                support, starts, coefficients = _summed(support, starts, coefficients)
            norms = np.einsum("ij,ij->i", support, support)
        intercepts = np.ascontiguousarray(fitted._intercepts, dtype=np.float64)
        # With a leading axis: the core takes all solutions of a grid, and here there is one.
        return cls(
            fitted._mean,
            starts,
            coefficients[np.newaxis],
            intercepts[np.newaxis],
            support,
            norms,
            0.0 if norms is None else float(norms.max(initial=0.0)),
            columns,
        )

    def winners(self, X: NDArray[Any], kernel: Kernel, n_jobs: int | None) -> NDArray[np.int32]:
        """Return the index of the class that wins the most pairs, per sample."""
        out = np.empty((1, len(X)), np.int32)
        self._decide(X, kernel, n_jobs, out, None)
        return out[0]

    def decisions(self, X: NDArray[Any], kernel: Kernel, n_jobs: int | None) -> NDArray[np.float64]:
        """Return a value per sample and pair, positive for the first class of the pair."""
        out = np.empty((1, len(X), self.intercepts.shape[1]))
        self._decide(X, kernel, n_jobs, None, out)
        return out[0]

    def _decide(
        self,
        X: NDArray[Any],
        kernel: Kernel,
        n_jobs: int | None,
        winners: NDArray[np.int32] | None,
        values: NDArray[np.float64] | None,
    ) -> None:
        context, for_core = _native.make_context(n_jobs), kernel.for_core()
        # In chunks, because each is copied to float64 and centered: all of `X` at once may not fit.
        chunk = max(1, _PREDICT_CHUNK // X.shape[1])
        for start in range(0, len(X), chunk):
            rows = slice(start, start + chunk)
            _native.core.decide(
                context,
                for_core,
                *self._with_support(X[rows], kernel),
                self.starts,
                self.coefficients,
                self.intercepts,
                # Views, into which the core writes.
                None if winners is None else winners[:, rows],
                None if values is None else values[:, rows],
            )

    def _with_support(self, X: NDArray[Any], kernel: Kernel) -> tuple[Any, ...]:
        """Return the arguments of `decide` for kernel values of `X` with the support vectors."""
        if self.support is None:
            K = np.ascontiguousarray(X, dtype=np.float64)
            return None, None, K, np.arange(len(X)), self.columns, None, None
        # What overflows is refused by the check below, which says more than a warning.
        with np.errstate(over="ignore", invalid="ignore"):
            centered = np.subtract(X, self.mean, dtype=np.float64, order="C")
            norms = np.einsum("ij,ij->i", centered, centered)
        kernel.check_prediction(centered, norms, self.support, self.largest_norm)
        return centered, self.support, None, None, None, norms, self.norms


def _summed(
    support: NDArray[np.float64], starts: NDArray[np.int64], coefficients: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Replace the support vectors of each class by their weighted sums, one per other class.

    The linear kernel of a sum is the sum of the kernels, so these few vectors predict the same.
    """
    n_others = len(coefficients)
    n_classes = n_others + 1
    # With no more support vectors than sums there is nothing to gain.
    if starts[-1] <= n_classes * n_others:
        return support, starts, coefficients
    sums = [coefficients[:, a:b] @ support[a:b] for a, b in pairwise(starts)]
    return (
        np.concatenate(sums),
        np.arange(n_classes + 1, dtype=np.int64) * n_others,
        # Each sum serves against one other class only, and already contains its coefficients.
        np.tile(np.eye(n_others), n_classes),
    )
