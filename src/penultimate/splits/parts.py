"""A split into two parts, and the settings of how parts are held out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penultimate._common.validation import check_number

# How a head's hyper-parameters are chosen: on a held-out part, on folds with a network each, or on
# samples that the network was trained on.
SELECTIONS = ("heldout", "crossfit", "resubstitution")


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
    """Settings of which parts of the data are held out, and how they are drawn.

    Parameters
    ----------
    test_size : float, default=0.2
        Fraction of test samples, unless the data came with a split.
    selection_size : float, default=0.2
        Fraction of the development samples in the selection part.
    by_group : bool, optional
        Whether splits keep groups whole; by default, if the data has groups. Random splits of
        grouped data measure the accuracy on new samples of known groups; splits by group measure
        it on new groups.
    seed : int, default=0
        Seed with which the test set is drawn.

    Examples
    --------
    >>> from penultimate.splits import Holdout
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
