"""Confidence intervals of ratios of counts, such as precision and F1.

Their denominator is itself random: how often a class is predicted depends on the test samples and
on the seed. The idea is to turn the ratio into a mean. To first order, the error of r = a / b is
the mean of (a_i - r b_i) / mean(b) over samples and seeds, whose variance `variance_of_mean` knows,
seeds and groups included. This many independent answers would have that variance; Wilson's interval
for them stays within 0 and 1, and has a width even where nothing went wrong.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penultimate.evaluation.intervals.accuracy import (
    AGREEING_ERRORS,
    Interval,
    Z,
    wilson_interval,
)
from penultimate.evaluation.intervals.variance import critical_value, variance_of_mean


def ratio_interval(
    numerator: ArrayLike, denominator: ArrayLike, *, groups: NDArray[Any] | None = None
) -> Interval | None:
    """Compute the ratio of two sums over samples and seeds, with its 95 % interval.

    Parameters
    ----------
    numerator, denominator : array-like of shape (n_seeds, n_test)
        What each answer adds to either sum; the numerator at most as much as the denominator. For
        the precision of a class: whether the answer is this class and right, and whether it is
        this class.
    groups : ndarray of shape (n_test,), optional
        Group of each test sample, such as its writer; the groups are then the units drawn.

    Returns
    -------
    Interval or None
        None if the denominator is zero throughout: a class that is never predicted has no
        precision.

    Raises
    ------
    ValueError
        If a numerator is negative or above its denominator.

    Examples
    --------
    >>> from penultimate.evaluation.intervals.ratios import ratio_interval
    >>> interval = ratio_interval([[1, 0, 1, 0]], [[1, 1, 1, 0]])
    >>> round(interval.value, 2), round(interval.low, 2), round(interval.high, 2)
    (0.67, 0.21, 0.94)
    """
    a, b = (np.atleast_2d(np.asarray(each, float)) for each in (numerator, denominator))
    if a.shape != b.shape or (a < 0).any() or (a > b).any():
        raise ValueError(
            "Each numerator must lie between 0 and its denominator, in arrays of the same shape; "
            f"got shapes {a.shape} and {b.shape}."
        )
    if not b.any():
        return None
    value = float(a.sum() / b.sum())
    # Only samples that count for some seed say anything about the ratio.
    counted = b.any(axis=0)
    a, b = a[:, counted], b[:, counted]
    variance = variance_of_mean(
        (a - value * b) / b.mean(), None if groups is None else np.asarray(groups)[counted]
    )
    n_samples = a.shape[1]
    if variance.total == 0:
        # All answers are right, or all wrong; copies of an answer by other seeds add nothing.
        return wilson_interval(value * variance.n_units, variance.n_units)
    # As in `accuracy_interval`: a handful of errors can look by chance as if seeds disagreed.
    prior = AGREEING_ERRORS / n_samples
    of_one = value * (1 - value) * n_samples / max(n_samples - 1, 1) + prior
    n_effective = min(max(of_one / (variance.total + prior / n_samples), 1.0), a.size)
    df = np.inf if variance.n_units == n_samples else max(variance.n_units - 1, 1)
    n_effective *= (Z / critical_value(variance.seed_share, df, variance.n_seeds)) ** 2
    return replace(wilson_interval(value * n_effective, n_effective), value=value)
