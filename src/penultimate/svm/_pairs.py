"""One class against one: the layout that pairs of classes share, and their votes."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SortedClasses:
    """Samples ordered by class, so that a class is a range of rows.

    Attributes
    ----------
    order : ndarray of shape (n_samples,)
        Positions of the samples as given, class by class.
    starts : ndarray of shape (n_classes + 1,), int64
        Where each class begins.
    """

    order: NDArray[np.intp]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, codes: NDArray[np.integer], n_classes: int) -> Self:
        """Order samples by their class indices, stably."""
        order = np.argsort(codes, kind="stable")
        starts = np.searchsorted(codes[order], np.arange(n_classes + 1)).astype(np.int64)
        return cls(order, starts)

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.starts) - 1


def pair_indices(n_classes: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first and the second class of each pair, in libsvm's order."""
    return np.triu_indices(n_classes, 1)


def pair_decisions(
    K: NDArray[Any], coefficients: NDArray[Any], starts: NDArray[np.int64], intercepts: NDArray[Any]
) -> NDArray[Any]:
    """Compute the decision value of each pair; positive for its first class.

    Parameters
    ----------
    K : ndarray of shape (n_samples, n_support)
        Kernel values with the support vectors, sorted by class.
    coefficients : ndarray of shape (n_settings, n_classes - 1, n_support)
        As libsvm lays them out: for a support vector of class c, the row of another class o is o,
        or o - 1 where o > c.
    starts : ndarray of shape (n_classes + 1,)
        Where the support vectors of each class begin.
    intercepts : ndarray of shape (n_settings, n_pairs)

    Returns
    -------
    ndarray of shape (n_settings, n_samples, n_pairs)
    """
    n_settings, n_classes = len(coefficients), len(starts) - 1
    # All settings at once, for K is large and read from memory.
    parts = np.empty((n_classes, n_settings * (n_classes - 1), len(K)), K.dtype)
    for c in range(n_classes):
        block = slice(starts[c], starts[c + 1])
        rows = np.ascontiguousarray(coefficients[:, :, block]).reshape(parts.shape[1], -1)
        np.matmul(rows, K[:, block].T, out=parts[c])
    parts = parts.reshape(n_classes, n_settings, n_classes - 1, len(K))
    first, second = pair_indices(n_classes)
    decisions = parts[first, :, second - 1] + parts[second, :, first]
    decisions += intercepts.T[:, :, np.newaxis].astype(K.dtype)
    return decisions.transpose(1, 2, 0)


def count_votes(decisions: NDArray[Any], n_classes: int) -> NDArray[np.int64]:
    """Return the class index that wins most pairs; the lowest where several do, as in libsvm."""
    first, second = pair_indices(n_classes)
    votes = np.zeros((n_classes, len(decisions)), np.int16)
    wins = (decisions > 0).T
    for pair, (i, j) in enumerate(zip(first, second)):
        votes[i] += wins[pair]
        votes[j] += ~wins[pair]
    return votes.argmax(axis=0)
