"""Which samples a classifier is for, where there is one for each subset."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penultimate.datasets import Split


@dataclass(frozen=True)
class Part:
    """The samples that one classifier is for: all of them, or those of a subset.

    Attributes
    ----------
    subset : str or None
    classes : ndarray of int
        The indices of its classes.
    development, test : ndarray of int
        Positions in the development part and in the test part.
    """

    subset: str | None
    classes: NDArray[np.int64]
    development: NDArray[np.int64]
    test: NDArray[np.int64]

    def restrict(self, split: Split) -> Split:
        """Return a split of development as one of this part's samples."""
        halves = (np.intersect1d(self.development, half) for half in (split.first, split.second))
        return Split(*(np.searchsorted(self.development, half) for half in halves))


def part_of_subset(
    name: str,
    classes: NDArray[np.int64],
    development: NDArray[np.int64],
    test: NDArray[np.int64],
) -> Part:
    """Find the samples of a subset, by the class indices of both parts."""
    part = Part(
        name,
        classes,
        np.flatnonzero(np.isin(development, classes)),
        np.flatnonzero(np.isin(test, classes)),
    )
    if not len(part.test):
        raise ValueError(
            f"No sample of the subset {name!r} is in the test part. Hold out more (test_size), or "
            "split otherwise."
        )
    return part
