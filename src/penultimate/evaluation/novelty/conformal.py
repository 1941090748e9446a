"""Conformal calibration: a threshold on unlikeness with a false-alarm rate that holds.

A new sample from the distribution of n held-out ones is as likely to be in any place of their
order: the probability that at most k - 1 of them are at least as unlike is at most k / (n + 1),
whatever the score and the distribution. So the threshold for a rate is one of the held-out values,
and no rate below 1 / (n + 1) can be promised. Among the samples that are most like the same class,
the argument holds as well (Mondrian calibration), if the score and the classes that are calibrated
together do not depend on the held-out samples.
"""

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

# Held-out samples of a class, in multiples of the fewest that suffice at all, from which on it is
# calibrated by itself. With a single alarm among them, the rate in the class would be anything.
_ENOUGH = 3
_ROUNDING = 1e-5  # relative, of sums in another order, or in float32 as in a bundle


def samples_for_rate(false_alarm_rate: float) -> int:
    """Return how many held-out samples a false-alarm rate needs at least.

    Parameters
    ----------
    false_alarm_rate : float

    Returns
    -------
    int

    Examples
    --------
    >>> from penultimate.evaluation.novelty.conformal import samples_for_rate
    >>> samples_for_rate(0.05), samples_for_rate(0.01)
    (19, 99)
    """
    return ceil(round(1 / false_alarm_rate - 1, 9))  # 1 / 0.05 - 1 is 19.000000000000004 or so


def check_enough(
    false_alarm_rate: float, n_heldout: int, n_samples: int | None = None, n_seen: int = 0
) -> None:
    """Raise ``ValueError`` if so few held-out samples cannot promise a rate."""
    needed = samples_for_rate(false_alarm_rate)
    if n_heldout < needed:
        of = "" if n_samples is None else f" of n_samples = {n_samples:,}"
        seen = f", not counting {n_seen:,} that were seen in training" if n_seen else ""
        raise ValueError(
            f"A false-alarm rate of {false_alarm_rate:g} needs at least {needed:,} held-out "
            f"samples; {n_heldout:,}{of} are held out{seen}. Pass more samples or a larger "
            "holdout, or allow a higher rate."
        )


def pool_classes(
    n_fitted: NDArray[np.integer], n_heldout: int, false_alarm_rate: float
) -> NDArray[np.int64]:
    """Decide which classes are calibrated by themselves, and which together.

    Parameters
    ----------
    n_fitted : ndarray of shape (n_classes,)
        Number of samples of each class that the score is fitted on. Counts of the held-out samples
        would be closer, but may not decide what they are then used for.
    n_heldout : int
        Number of all held-out samples.
    false_alarm_rate : float

    Returns
    -------
    ndarray of shape (n_classes,), int64
        The group of each class.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.evaluation.novelty.conformal import pool_classes
    >>> pool_classes(np.array([900, 100, 150, 850]), 600, 0.05).tolist()
    [1, 0, 0, 2]
    """
    expected = n_fitted * (n_heldout / n_fitted.sum())
    enough = _ENOUGH * samples_for_rate(false_alarm_rate)
    order = np.argsort(expected, kind="stable")
    # The smallest classes are calibrated together, as many as it takes until they suffice.
    n_pooled = int((expected < enough).sum())
    while 0 < n_pooled < len(order) and expected[order[:n_pooled]].sum() < enough:
        n_pooled += 1
    together = order[:n_pooled]
    groups = np.zeros(len(expected), np.int64)
    alone = np.setdiff1d(np.arange(len(expected)), together)
    groups[alone] = np.arange(len(alone)) + (n_pooled > 0)
    return groups


@dataclass(frozen=True)
class Calibration:
    """The unlikeness of held-out samples, in order, group by group.

    Attributes
    ----------
    groups : ndarray of shape (n_classes,), int64
        The group in which each class is calibrated.
    values : tuple of ndarray
        Ascending unlikeness of the held-out samples of each group.
    """

    groups: NDArray[np.int64]
    values: tuple[NDArray[np.float64], ...]

    @classmethod
    def of(
        cls,
        unlikeness: NDArray[np.float64],
        most_like: NDArray[np.integer],
        groups: NDArray[np.int64],
    ) -> "Calibration":
        """Calibrate with held-out samples, given the class that each is most like."""
        members = groups[most_like]
        # A held-out sample is at least as unlike as itself, in whatever batch it comes again.
        values = unlikeness + _ROUNDING * np.abs(unlikeness).max(initial=0)
        return cls(
            groups, tuple(np.sort(values[members == group]) for group in range(groups.max() + 1))
        )

    def thresholds(self, false_alarm_rate: float) -> NDArray[np.float64]:
        """Return the unlikeness of each class above which a sample is an alarm.

        It is infinite where too few samples are held out: no alarm is given then.
        """
        found = np.full(len(self.values), np.inf)
        for group, values in enumerate(self.values):
            # As many as may be at least as unlike, plus the sample itself.
            allowed = floor(round(false_alarm_rate * (len(values) + 1), 9))
            if allowed:
                found[group] = values[-allowed]
        return found[self.groups]

    def p_values(
        self, unlikeness: NDArray[np.float64], most_like: NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """Return (1 + number of held-out samples at least as unlike) / (1 + number of them)."""
        members = self.groups[most_like]
        p_values = np.empty(len(unlikeness))
        for group, values in enumerate(self.values):
            rows = members == group
            n_below = np.searchsorted(values, unlikeness[rows])
            p_values[rows] = (1 + len(values) - n_below) / (1 + len(values))
        return p_values
