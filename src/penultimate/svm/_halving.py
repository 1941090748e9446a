"""Successive halving: how many samples and candidates each of its iterations has.

The first iteration scores all candidates on few samples; each following one has `factor` times as
many samples and keeps the best ``1 / factor`` of the candidates. It is scikit-learn's schedule:
with the same folds and random state, the same samples and candidates remain.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import resample

from penultimate._common.protocols import RandomState


@dataclass(frozen=True)
class Schedule:
    """The iterations of a search by successive halving.

    Attributes
    ----------
    factor : float
    min_resources, max_resources : float
        Number of samples in the first iteration, and at most.
    n_required_iterations : int
        Number of iterations after which fewer than `factor` candidates are left.
    n_possible_iterations : int
        Number of iterations until there are no more samples.
    """

    factor: float
    min_resources: float  # not whole if `factor` is not
    max_resources: int
    n_required_iterations: int
    n_possible_iterations: int

    @classmethod
    def of(
        cls,
        factor: float,
        min_resources: int | str,
        *,
        n_candidates: int,
        n_samples: int,
        n_splits: int,
        n_classes: int,
    ) -> Self:
        """Plan the iterations.

        Raises
        ------
        ValueError
            If there are fewer samples than `min_resources`.
        """
        # As often as the candidates can be divided by `factor` until fewer than that are left.
        n_required = 1 + floor(log(n_candidates, factor))
        # Two samples of each class in each fold are the least that can be fitted and scored.
        smallest: float = 2 * n_splits * n_classes
        if not isinstance(min_resources, str):
            smallest = min_resources
        if smallest > n_samples:
            raise ValueError(
                f"min_resources_={smallest} is greater than max_resources_={n_samples}, the number "
                "of samples: lower min_resources, use fewer folds, or search without halving."
            )
        if min_resources == "exhaust":  # start with as many as lead to all in the last iteration
            smallest = max(smallest, n_samples // factor ** (n_required - 1))
        n_possible = 1 + floor(log(n_samples // smallest, factor))
        return cls(factor, smallest, n_samples, n_required, n_possible)

    @property
    def n_iterations(self) -> int:
        """The number of iterations."""
        return min(self.n_possible_iterations, self.n_required_iterations)

    def n_resources(self, iteration: int) -> int:
        """Return the number of samples in an iteration."""
        return min(int(self.factor**iteration * self.min_resources), self.max_resources)

    def n_kept(self, n_candidates: int) -> int:
        """Return how many of the candidates the next iteration has."""
        return ceil(n_candidates / self.factor)


def check_constant_folds(splitter: object) -> None:
    """Raise unless a splitter returns the same folds on each call, for a fair comparison.

    Raises
    ------
    ValueError
    """
    # Without the attribute it may shuffle, as `ShuffleSplit` does; one that does not has no
    # random state either.
    shuffles = getattr(splitter, "shuffle", True)
    if shuffles and not isinstance(getattr(splitter, "random_state", 0), Integral):
        raise ValueError(
            "The cv parameter must yield consistent folds across calls to split(). Set its "
            "random_state to an int, or set shuffle=False."
        )


def subsample(
    folds: Sequence[Any], n_resources: int, n_samples: int, random_state: RandomState
) -> list[tuple[Any, Any]]:
    """Draw the same share of the training and the validation samples of each fold."""
    share = n_resources / n_samples

    # With an integer as random state a fold is shuffled alike in each iteration: a larger sample
    # contains the smaller one.
    def draw(part: Sequence[int] | NDArray[np.intp]) -> NDArray[Any]:
        return resample(
            part, replace=False, random_state=random_state, n_samples=int(share * len(part))
        )

    return [(draw(train), draw(test)) for train, test in folds]


def top_candidates(
    candidates: Sequence[dict[str, Any]], scores: NDArray[np.float64], n_kept: int
) -> list[dict[str, Any]]:
    """Return the best candidates, in ascending order; those without a score are the worst."""
    # `argsort` puts NaN last, where the best ones belong: they are moved to the front.
    order = np.roll(np.argsort(scores), np.count_nonzero(np.isnan(scores)))
    return [candidates[index] for index in order[-n_kept:]]
