"""Whether a difference in accuracy is more than chance, and how many samples would show it."""

from math import ceil
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.optimize import brentq

from penultimate.evaluation.intervals.accuracy import FEWEST_EFFECTIVE, paired_difference
from penultimate.evaluation.intervals.variance import critical_value, variance_of_mean


def mcnemar(correct: NDArray[np.bool_], baseline: NDArray[np.bool_]) -> float:
    """Test whether two classifiers are equally good, on one test set: McNemar's exact test.

    Of the samples that one of the two got right and the other wrong, each classifier has half, if
    they are equally good: the two-sided p-value is that of the binomial distribution.

    Parameters
    ----------
    correct, baseline : ndarray of shape (n_test,), bool
        Whether each test sample was classified rightly: one seed's.

    Returns
    -------
    float
        The p-value; 1 where no sample tells the two apart.

    Raises
    ------
    ValueError
        If the shapes differ, or there are several seeds: `compare_accuracies` is for these.

    References
    ----------
    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages", Psychometrika 12(2), 1947.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.evaluation import mcnemar
    >>> mcnemar(np.arange(100) >= 0, np.arange(100) >= 6)  # 6 samples to none
    0.03125
    """
    difference = paired_difference(correct, baseline)
    if len(difference) > 1:
        raise ValueError(
            f"McNemar's test is for one seed; got {len(difference)}. Pass the vectors of one, or "
            "use compare_accuracies."
        )
    better, worse = int((difference > 0).sum()), int((difference < 0).sum())
    if better + worse == 0:
        return 1.0
    return float(stats.binomtest(better, better + worse).pvalue)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    r"""Adjust the p-values of several comparisons: Holm's step-down correction.

    With :math:`p_{(1)} \le \ldots \le p_{(m)}`, the adjusted value of the i-th is
    :math:`\max_{j \le i} \min(1, (m - j + 1)\, p_{(j)})`. Of all comparisons in which there is no
    difference, one comes out below 0.05 in at most 5 % of cases.

    Parameters
    ----------
    p_values : array-like of shape (n_comparisons,)
        One of each method against the baseline, say.

    Returns
    -------
    ndarray of shape (n_comparisons,)
        In the order given.

    Raises
    ------
    ValueError
        If a value is not between 0 and 1.

    References
    ----------
    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6(2), 1979.

    Examples
    --------
    >>> from penultimate.evaluation import holm
    >>> holm([0.04, 0.01, 0.03]).round(3).tolist()
    [0.06, 0.03, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    outside = p[~((p >= 0) & (p <= 1))]
    if outside.size:
        raise ValueError(
            f"p-values lie between 0 and 1; got {outside[0]}. Leave out what has none."
        )
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(np.arange(p.size, 0, -1) * p[order])
    return np.minimum(adjusted, 1)


def samples_needed(
    correct: NDArray[np.bool_],
    baseline: NDArray[np.bool_],
    *,
    power: float = 0.8,
    groups: NDArray[Any] | None = None,
) -> int | None:
    r"""Compute how many test samples would show a difference of the size found.

    The smallest n with :math:`(t + z)^2\, V(n) \le d^2`: d is the difference found, V(n) the
    variance that it would have with n test samples and as many seeds as here, t the critical value
    of `compare_accuracies` and z the normal quantile of `power`. From test samples comes a variance
    that goes with 1/n; that from seeds stays. With one seed it is
    :math:`n = (t + z)^2 (q - d^2) / d^2`, where q is the share of samples that tell the two apart
    (Connor, 1987).

    Parameters
    ----------
    correct, baseline : ndarray of shape (n_seeds, n_test), bool
        As in `compare_accuracies`.
    power : float, default=0.8
        How often the difference is to be found at the 5 % level, from 0.5 to below 1.
    groups : ndarray of shape (n_test,), optional
        As in `compare_accuracies`; the new samples come in groups of the same sizes.

    Returns
    -------
    int or None
        None for a difference of 0, and where seeds differ so much that no number of test samples
        would show it: it takes more seeds.

    Raises
    ------
    ValueError
        If the shapes differ, or `power` is out of its range.

    References
    ----------
    R. Connor, "Sample size for testing differences in proportions for the paired-sample design",
    Biometrics 43(1), 1987.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.evaluation import samples_needed
    >>> right = np.arange(200)
    >>> samples_needed(right >= 10, (right >= 14) | (right < 2))  # 95 % right against 94 %
    2415
    """
    if not 0.5 <= power < 1:
        raise ValueError(f"The power must be at least 0.5 and below 1; got {power}.")
    difference = paired_difference(correct, baseline)
    n_test = difference.shape[1]
    variance = variance_of_mean(difference, groups)
    value = abs(float(difference.mean()))
    if value == 0:
        return None
    of_units = variance.units or 1 / variance.n_units**2
    of_seeds = max(variance.seeds - variance.residual, 0.0)

    def excess(ratio: float) -> float:
        """Difference needed less that found, with ``n_test / ratio`` test samples."""
        total = of_units * ratio + of_seeds
        seed_share = (of_seeds + variance.residual * ratio) / total
        df = max(variance.n_effective / ratio, FEWEST_EFFECTIVE)
        critical = critical_value(min(seed_share, 1.0), df, variance.n_seeds)
        return (critical + stats.norm.ppf(power)) * np.sqrt(total) - value

    # As good as no end of test samples; at the other end one standard error is all of it.
    fewest, most = 1e-9, value**2 / of_units
    if excess(fewest) >= 0:
        return None
    return ceil(n_test / brentq(excess, fewest, most))
