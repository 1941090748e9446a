"""Bootstrap intervals of accuracies and of their differences, over test samples and seeds."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

N_RESAMPLES = 4000


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval.

    Attributes
    ----------
    value, low, high : float
        Fractions, or differences of fractions.
    p : float or None
        Two-sided bootstrap p-value of the value being zero, for differences.
    """

    value: float
    low: float
    high: float
    p: float | None = None


def accuracy_interval(
    correct: NDArray[np.bool_], *, groups: NDArray[Any] | None = None, seed: int = 0
) -> Interval:
    """Compute a mean accuracy and its bootstrap interval.

    Test samples and seeds are resampled, each with replacement, and independently of each other:
    the interval covers both the choice of test samples and the luck of training. With one seed only
    the samples are resampled. Samples of a group are resampled together. Where nothing varies, as
    when all are right, the Wilson interval takes over.

    Parameters
    ----------
    correct : ndarray of shape (n_seeds, n_test), bool
        Whether each test sample was classified rightly, by the classifier of each seed.
    groups : ndarray of shape (n_test,), optional
        What test samples have in common, such as a writer.
    seed : int, default=0
        Of the resampling.

    Returns
    -------
    Interval

    References
    ----------
    B. Efron and R. Tibshirani, "An introduction to the bootstrap", Chapman & Hall, 1993.
    A. Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2), 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.evaluation import accuracy_interval
    >>> interval = accuracy_interval(np.arange(1000)[None, :] >= 20)
    >>> interval.value, interval.low < 0.98 < interval.high
    (0.98, True)
    """
    correct = np.atleast_2d(correct)
    means = _resampled_means(correct.astype(np.float64), groups, seed)
    low, high = np.quantile(means, [0.025, 0.975])
    value = float(correct.mean())
    if low == high:
        low, high = _wilson(value, _n_units(correct, groups))
    return Interval(value, float(low), float(high))


def compare_accuracies(
    correct: NDArray[np.bool_],
    baseline: NDArray[np.bool_],
    *,
    groups: NDArray[Any] | None = None,
    seed: int = 0,
) -> Interval:
    """Compute the difference of two accuracies on the same test samples and seeds, paired.

    Parameters
    ----------
    correct, baseline : ndarray of shape (n_seeds, n_test), bool
        As in `accuracy_interval`, of the classifier in question and of the one compared with.
    groups : ndarray of shape (n_test,), optional
        As in `accuracy_interval`.
    seed : int, default=0
        Of the resampling.

    Returns
    -------
    Interval
        Of the mean of `correct` less that of `baseline`; ``p`` is twice the share of resamples on
        the other side of zero, at least ``2 / 4001`` and at most 1.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.evaluation import compare_accuracies
    >>> same = np.ones((3, 100), bool)
    >>> difference = compare_accuracies(same, same)
    >>> difference.value, round(difference.high, 3), difference.p
    (0.0, 0.037, 1.0)
    """
    correct, baseline = np.atleast_2d(correct), np.atleast_2d(baseline)
    if correct.shape != baseline.shape:
        raise ValueError(
            "Paired accuracies need the same seeds and test samples; got shapes "
            f"{correct.shape} and {baseline.shape}."
        )
    difference = correct.astype(np.float64) - baseline
    means = _resampled_means(difference, groups, seed)
    low, high = np.quantile(means, [0.025, 0.975])
    if low == high == 0:
        # No sample told the two apart: a difference could still be as large as this.
        high = _wilson(0.0, _n_units(correct, groups))[1]
        low = -high
    tail = min((means <= 0).sum(), (means >= 0).sum())
    p = min(1.0, 2 * (tail + 1) / (N_RESAMPLES + 1))
    return Interval(float(difference.mean()), float(low), float(high), float(p))


def interval_across_splits(values: ArrayLike, test_ratio: float) -> Interval:
    r"""Compute the mean of what several splits of the same data gave, and its 95 % interval.

    The splits share samples, so their results are not independent. Nadeau and Bengio's corrected
    resampled t-test takes :math:`(1/k + n_2/n_1)\, s^2` as the variance of the mean of k splits.

    Parameters
    ----------
    values : array-like of shape (n_splits,)
        An accuracy, or a difference of two, for each split.
    test_ratio : float
        Test samples for each development sample, :math:`n_2/n_1`.

    Returns
    -------
    Interval
        ``p`` is the two-sided p-value of a mean of zero. With one split there is no interval: its
        ends and ``p`` are NaN.

    Raises
    ------
    ValueError
        If there is no value.

    References
    ----------
    C. Nadeau and Y. Bengio, "Inference for the generalization error", Machine Learning 52, 2003.

    Examples
    --------
    >>> from penultimate.evaluation import interval_across_splits
    >>> interval = interval_across_splits([0.01, 0.02, 0.015], 0.25)
    >>> round(interval.value, 3), round(interval.low, 3), round(interval.high, 3)
    (0.015, -0.001, 0.031)
    """
    values = np.asarray(values, dtype=float)
    n_splits = values.size
    if not n_splits:
        raise ValueError("There are no values; pass one for each split.")
    mean = float(values.mean())
    if n_splits == 1:
        return Interval(mean, np.nan, np.nan, np.nan)
    error = np.sqrt((1 / n_splits + test_ratio) * values.var(ddof=1))
    if error == 0:
        return Interval(mean, mean, mean, float(mean == 0))
    half = stats.t.ppf(0.975, n_splits - 1) * error
    p = 2 * stats.t.sf(abs(mean) / error, n_splits - 1)
    return Interval(mean, float(mean - half), float(mean + half), float(p))


def _resampled_means(
    values: NDArray[np.float64], groups: NDArray[Any] | None, seed: int
) -> NDArray[np.float64]:
    """Mean of `values`, (n_seeds, n_test), with both axes resampled: a mean a resample.

    Units (groups of test samples, or single ones) with the same sums for every seed and the same
    size are alike, so it is enough to draw how often each of these patterns comes up: the same
    distribution at any number of samples.
    """
    n_seeds, n_test = values.shape
    rng = np.random.default_rng(seed)
    sizes = np.ones(n_test)
    if groups is not None:
        _, member = np.unique(groups, return_inverse=True)
        sizes = np.bincount(member).astype(float)
        values = np.stack([np.bincount(member, weights=row) for row in values])
    patterns, counts = np.unique(np.vstack([values, sizes]), axis=1, return_counts=True)
    units = rng.multinomial(len(sizes), counts / len(sizes), N_RESAMPLES)
    seeds = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), N_RESAMPLES) / n_seeds
    totals = units @ patterns.T
    # Sums of shares are exact only to rounding; a tie with zero must count as one.
    return (((totals[:, :-1] / totals[:, -1:]) * seeds).sum(axis=1)).round(12)


def _n_units(correct: NDArray[np.bool_], groups: NDArray[Any] | None) -> int:
    return correct.shape[1] if groups is None else len(np.unique(groups))


def _wilson(share: float, n: int) -> tuple[float, float]:
    """The 95 % score interval of Wilson (1927) for a share of `n`."""
    z = 1.959963984540054
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, centre - half), min(1.0, centre + half)
