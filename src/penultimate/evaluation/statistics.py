"""Bootstrap intervals of accuracies and of their differences, over test samples and seeds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


def accuracy_interval(correct: NDArray[np.bool_], *, seed: int = 0) -> Interval:
    """Compute a mean accuracy and its bootstrap interval.

    Test samples and seeds are resampled, each with replacement, and independently of each other:
    the interval covers both the choice of test samples and the luck of training. With one seed only
    the samples are resampled.

    Parameters
    ----------
    correct : ndarray of shape (n_seeds, n_test), bool
        Whether each test sample was classified rightly, by the classifier of each seed.
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
    means = _resampled_means(correct.astype(np.float64), seed)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(correct.mean()), float(low), float(high))


def compare_accuracies(
    correct: NDArray[np.bool_], baseline: NDArray[np.bool_], *, seed: int = 0
) -> Interval:
    """Compute the difference of two accuracies on the same test samples and seeds, paired.

    Parameters
    ----------
    correct, baseline : ndarray of shape (n_seeds, n_test), bool
        As in `accuracy_interval`, of the classifier in question and of the one compared with.
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
    >>> compare_accuracies(same, same)
    Interval(value=0.0, low=0.0, high=0.0, p=1.0)
    """
    correct, baseline = np.atleast_2d(correct), np.atleast_2d(baseline)
    if correct.shape != baseline.shape:
        raise ValueError(
            "Paired accuracies need the same seeds and test samples; got shapes "
            f"{correct.shape} and {baseline.shape}."
        )
    difference = correct.astype(np.float64) - baseline
    means = _resampled_means(difference, seed)
    low, high = np.quantile(means, [0.025, 0.975])
    tail = min((means <= 0).sum(), (means >= 0).sum())
    p = min(1.0, 2 * (tail + 1) / (N_RESAMPLES + 1))
    return Interval(float(difference.mean()), float(low), float(high), float(p))


def _resampled_means(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Mean of `values`, (n_seeds, n_test), with both axes resampled: a mean a resample.

    Test samples with the same values for every seed are alike, so it is enough to draw how often
    each of the few patterns of values comes up: the same distribution at any number of samples.
    """
    n_seeds, n_test = values.shape
    rng = np.random.default_rng(seed)
    patterns, counts = np.unique(values, axis=1, return_counts=True)
    tests = rng.multinomial(n_test, counts / n_test, N_RESAMPLES) / n_test
    seeds = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), N_RESAMPLES) / n_seeds
    # Sums of shares are exact only to rounding; a tie with zero must count as one.
    return ((tests @ patterns.T) * seeds).sum(axis=1).round(12)
