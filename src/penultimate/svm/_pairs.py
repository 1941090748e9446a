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


def by_class(decisions: NDArray[Any], n_classes: int) -> NDArray[Any]:
    """Turn decision values of pairs into one a class: its votes, and less than one for their size.

    As scikit-learn's own for one against one, but a class at a time: a thousand classes have half
    a million pairs.
    """
    votes, sums = np.zeros((2, n_classes, len(decisions)))
    start = 0
    for c in range(n_classes - 1):
        part = decisions[:, start : start + n_classes - 1 - c].T
        start += len(part)
        votes[c] += (part >= 0).sum(axis=0)
        votes[c + 1 :] += part < 0
        sums[c] += part.sum(axis=0)
        sums[c + 1 :] -= part
    return (votes + sums / (3 * (np.abs(sums) + 1))).T


def least_by_class(decisions: NDArray[Any], n_classes: int) -> NDArray[Any]:
    """Turn decision values of pairs into one a class: the least that it has against another."""
    least = np.full((n_classes, len(decisions)), np.inf)
    start = 0
    for c in range(n_classes - 1):
        part = decisions[:, start : start + n_classes - 1 - c].T
        start += len(part)
        least[c] = np.minimum(least[c], part.min(axis=0))
        least[c + 1 :] = np.minimum(least[c + 1 :], -part)
    return least.T
