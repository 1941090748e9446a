"""Confidence interval of an area under the ROC curve.

The area is the chance that a random positive has the higher score than a random negative. Its
variance follows from the area alone if scores are as Hanley and McNeil assume; as in Wilson's
interval for a share, the ends are the areas from which the observed one is z standard errors away.
So an area of 1 has an interval, too. Groups reduce the numbers of samples: a mean over grouped
samples varies as one over fewer independent ones.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import rankdata

from penultimate.evaluation.intervals.accuracy import Interval, Z
from penultimate.evaluation.intervals.variance import critical_value, variance_of_mean

_TINY = 1e-12


def area_interval(
    positives: NDArray[np.floating],
    negatives: NDArray[np.floating],
    *,
    groups: tuple[NDArray[Any], NDArray[Any]] | None = None,
) -> Interval:
    """Compute the area under the ROC curve with its 95 % interval.

    Parameters
    ----------
    positives, negatives : ndarray
        The scores of the samples of either kind; higher is more positive. Equal ones count half.
    groups : tuple of two ndarray, optional
        The group of each positive and of each negative, such as its writer.

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        Without samples of both kinds.

    References
    ----------
    R. Newcombe, "Confidence intervals for an effect size measure based on the Mann-Whitney
    statistic, part 2", Statistics in Medicine 25(4), 2006: method 5.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.evaluation.intervals.areas import area_interval
    >>> interval = area_interval(np.arange(10, 30), np.arange(20))
    >>> interval.value, round(interval.low, 2), round(interval.high, 2)
    (0.875, 0.71, 0.95)
    """
    if not len(positives) or not len(negatives):
        raise ValueError(
            f"An area needs samples of both kinds; got {len(positives)} positives and "
            f"{len(negatives)} negatives."
        )
    ranks = rankdata(np.concatenate([positives, negatives]))
    of_positives, of_negatives = ranks[: len(positives)], ranks[len(positives) :]
    # Of each sample, how many of the other kind are below it.
    below: NDArray[np.float64] = of_positives - rankdata(positives)
    beneath: NDArray[np.float64] = of_negatives - rankdata(negatives)
    area = float(below.mean() / len(negatives))
    first, second = groups or (None, None)
    m = _effective(below / len(negatives), first)
    n = _effective(1 - beneath / len(positives), second)

    def distance(value: float) -> float:
        return abs(area - value) - Z * _deviation(value, m, n)

    # An area of 0 or 1 is itself a root, and not the one that is looked for.
    low = brentq(distance, 0.0, min(area, 1 - _TINY)) if area > 0 else 0.0
    high = brentq(distance, max(area, _TINY), 1.0) if area < 1 else 1.0
    return Interval(area, float(low), float(high))


def _deviation(area: float, m: float, n: float) -> float:
    """Return the standard error of an area, which is zero at 0 and 1."""
    mean = (m + n) / 2 - 1
    spread = 1 + mean * (1 - area) / (2 - area) + mean * area / (1 + area)
    return float(np.sqrt(area * (1 - area) * spread / (m * n)))


def _effective(placements: NDArray[np.float64], groups: NDArray[Any] | None) -> float:
    """Return how many independent samples determine a mean as well as these do."""
    n = float(len(placements))
    if groups is None:
        return n
    n_groups = len(np.unique(groups))
    values = placements[np.newaxis]
    alone, grouped = variance_of_mean(values, None).total, variance_of_mean(values, groups).total
    # Where all placements agree, nothing says how groups vary: each counts once.
    share = n_groups / n if grouped == 0 else min(1.0, alone / grouped)
    return max(1.0, n * share * (Z / critical_value(0.0, max(n_groups - 1, 1), 1)) ** 2)
