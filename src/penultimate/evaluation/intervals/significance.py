"""Significance of accuracy differences, and the number of samples needed to detect them."""

from math import ceil
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.optimize import brentq

from penultimate.evaluation.intervals.accuracy import FEWEST_EFFECTIVE, paired_difference
from penultimate.evaluation.intervals.variance import critical_value, variance_of_mean


def mcnemar(correct: NDArray[np.bool_], baseline: NDArray[np.bool_]) -> float:
    """Test whether two classifiers are equally accurate on one test set: McNemar's exact test.

    If the classifiers are equally accurate, each of them is the correct one for half of the samples
    on which they differ in correctness: the two-sided p-value is that of the binomial distribution.

    Parameters
    ----------
    correct, baseline : ndarray of shape (n_test,), bool
        Whether each test sample was classified correctly, for one seed.

    Returns
    -------
    float
        The p-value; 1 if the two differ on no sample.

    Raises
    ------
    ValueError
        If the shapes differ, or there are several seeds; use `compare_accuracies` for those.

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
    # Samples that both get right, or both wrong, carry no information about the difference.
    better, worse = int((difference > 0).sum()), int((difference < 0).sum())
    if better + worse == 0:
        return 1.0
    return float(stats.binomtest(better, better + worse).pvalue)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    r"""Adjust the p-values of several comparisons with Holm's step-down correction.

    With :math:`p_{(1)} \le \ldots \le p_{(m)}`, the adjusted value of the i-th is
    :math:`\max_{j \le i} \min(1, (m - j + 1)\, p_{(j)})`. The
    probability that any comparison without a true difference falls below 0.05 is at most 5 %.

    Parameters
    ----------
    p_values : array-like of shape (n_comparisons,)
        p-values, for example of each method against the baseline.

    Returns
    -------
    ndarray of shape (n_comparisons,)
        Adjusted p-values, in the given order.

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
            f"p-values must lie between 0 and 1; got {outside[0]}. Leave out missing values."
        )
    order = np.argsort(p)
    # The smallest p is multiplied by m, the next by m - 1, ...; the maximum keeps their order.
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
    r"""Compute how many test samples are needed to detect a difference of the observed size.

    This is the smallest n with :math:`(t + z)^2\, V(n) \le d^2`, where d is the observed
    difference, V(n) its variance with n test samples and the same number of seeds, t the critical
    value of `compare_accuracies` and z the normal quantile of `power`. The variance from test
    samples decreases as 1/n, that from seeds does not. With one seed,
    :math:`n = (t + z)^2 (q - d^2) / d^2`, where q is the fraction of samples on which the two
    differ (Connor, 1987).

    Parameters
    ----------
    correct, baseline : ndarray of shape (n_seeds, n_test), bool
        Correct predictions, as in `compare_accuracies`.
    power : float, default=0.8
        Probability of detecting the difference at the 5 % level; at least 0.5 and below 1.
    groups : ndarray of shape (n_test,), optional
        Groups, as in `compare_accuracies`; new samples are assumed to come in groups of the same
        sizes.

    Returns
    -------
    int or None
        Number of test samples. None for a difference of 0, and if the variation between seeds is
        so large that no number of test samples is enough: more seeds are needed.

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
    # Without any spread, the error is that of one sample, as in `compare_accuracies`.
    of_units = variance.units or 1 / variance.n_units**2
    # The residual shrinks with the number of test samples; the rest of the seeds' part does not.
    of_seeds = max(variance.seeds - variance.residual, 0.0)

    def excess(ratio: float) -> float:
        """Detectable minus observed difference, with ``n_test / ratio`` test samples."""
        total = of_units * ratio + of_seeds
        seed_share = (of_seeds + variance.residual * ratio) / total
        df = max(variance.n_effective / ratio, FEWEST_EFFECTIVE)
        critical = critical_value(min(seed_share, 1.0), df, variance.n_seeds)
        return (critical + stats.norm.ppf(power)) * np.sqrt(total) - value

    # The bracket runs from practically infinitely many test samples to so few that one standard
    # error alone equals the difference.
    fewest, most = 1e-9, value**2 / of_units
    if excess(fewest) >= 0:
        return None
    return ceil(n_test / brentq(excess, fewest, most))
