"""A split in two, and what is held out of the data as the test set."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penultimate._common.validation import check_number


@dataclass(frozen=True)
class Split:
    """Positions of the samples of two parts.

    Attributes
    ----------
    train, held_out : ndarray of int
        Sorted positions; disjoint.
    """

    train: NDArray[np.int64]
    held_out: NDArray[np.int64]


@dataclass(frozen=True)
class Holdout:
    """What of the data is held out, and how it is drawn.

    Parameters
    ----------
    test_size : float, default=0.2
        The share of test samples, unless the data came with a split.
    selection_size : float, default=0.2
        The selection part's share of development.
    by_group : bool, optional
        Whether no group may be on both sides of a split; by default where the data has groups.
        Splits at random of data with groups tell how well new samples of known groups are
        classified; splits by group tell it of new groups.
    seed : int, default=0
        Of the draw of the test part.

    Examples
    --------
    >>> from penultimate.datasets import Holdout
    >>> Holdout(test_size=0.15, seed=1).selection_size
    0.2
    """

    test_size: float = 0.2
    selection_size: float = 0.2
    by_group: bool | None = None
    seed: int = 0

    def check(self) -> None:
        """Raise ``TypeError`` or ``ValueError`` for a parameter that is out of range."""
        for name in ("test_size", "selection_size"):
            value = getattr(self, name)
            check_number(value, name, "Holdout", low=0, high=1, open_low=True, open_high=True)
        check_number(self.seed, "seed", "Holdout", low=0, high=2**31 - 1, integer=True)
