"""One-vs-one classification: the sample layout that all pairs share, and their votes."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SortedClasses:
    """Samples sorted by class, so that each class is a range of rows.

    Attributes
    ----------
    order : ndarray of shape (n_samples,)
        Original positions of the samples, class by class.
    starts : ndarray of shape (n_classes + 1,), int64
        Start of each class in `order`.
    """

    order: NDArray[np.intp]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, codes: NDArray[np.integer], n_classes: int) -> Self:
        """Sort samples by class index, stably."""
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


def vote_scores(decisions: NDArray[Any], n_classes: int) -> NDArray[Any]:
    """Turn pairwise decision values into one score per class.

    The score is the number of votes plus a tie-breaker smaller than 1/3 in magnitude, as in
    scikit-learn. It is computed one class at a time, because a thousand classes have half a
    million pairs.
    """
    votes, sums = np.zeros((2, n_classes, len(decisions)))
    start = 0
    # Pairs are ordered (0, 1), (0, 2), ..., (1, 2), ...: `part` holds those whose first class is c.
    for c in range(n_classes - 1):
        part = decisions[:, start : start + n_classes - 1 - c].T
        start += len(part)
        votes[c] += (part >= 0).sum(axis=0)
        votes[c + 1 :] += part < 0
        sums[c] += part.sum(axis=0)
        sums[c + 1 :] -= part
    # In (-1/3, 1/3): two classes with different votes differ by at least one, so ties alone are
    # broken.
    return (votes + sums / (3 * (np.abs(sums) + 1))).T


def worst_margin(decisions: NDArray[Any], n_classes: int) -> NDArray[Any]:
    """Turn pairwise decision values into one score per class: the smallest against any other."""
    least = np.full((n_classes, len(decisions)), np.inf)
    start = 0
    for c in range(n_classes - 1):
        part = decisions[:, start : start + n_classes - 1 - c].T
        start += len(part)
        # A value is positive for the first class of its pair; the second has the opposite margin.
        least[c] = np.minimum(least[c], part.min(axis=0))
        least[c + 1 :] = np.minimum(least[c + 1 :], -part)
    return least.T
