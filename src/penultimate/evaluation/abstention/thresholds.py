"""Thresholds of confidence for classifiers that may abstain, with a guarantee of their risk."""

from math import ceil, log, log1p

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

from penultimate._common.validation import check_number
from penultimate.evaluation.abstention.risk_coverage import check_outcomes

_STEPS = 100  # from the strictest threshold that can be tested to the laxest
_STARTS = (0, _STEPS // 2)


def risk_upper_bound(
    n_errors: ArrayLike, n_accepted: ArrayLike, *, level: float = 0.95
) -> NDArray[np.float64]:
    r"""Compute Clopper and Pearson's one-sided upper bound on an error rate.

    That is the rate at which so few errors, or fewer, still have a probability of 1 - level: the
    quantile `level` of the beta distribution :math:`B(e + 1, n - e)`, for e errors in n samples.

    Parameters
    ----------
    n_errors : array-like of int
        Errors among the accepted samples.
    n_accepted : array-like of int
        Accepted samples; independent, and not used to fit the classifier.
    level : float, default=0.95
        The probability with which the bound holds.

    Returns
    -------
    ndarray of float
        1 where every accepted sample is an error, or none is accepted.

    Raises
    ------
    ValueError
        If there are more errors than samples, or `level` is not between 0 and 1.

    References
    ----------
    C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the
    case of the binomial", Biometrika 26(4), 1934.

    Examples
    --------
    >>> from penultimate.evaluation import risk_upper_bound
    >>> risk_upper_bound([0, 1], [300, 300]).round(4).tolist()
    [0.0099, 0.0157]
    """
    check_number(level, "level", "risk_upper_bound", low=0, high=1, open_low=True, open_high=True)
    errors, accepted = np.broadcast_arrays(np.asarray(n_errors), np.asarray(n_accepted))
    if (errors < 0).any() or (errors > accepted).any():
        raise ValueError(
            "n_errors must lie between 0 and n_accepted; got "
            f"{errors.tolist()} errors of {accepted.tolist()} samples."
        )
    right = accepted - errors
    return np.where(right > 0, beta.ppf(level, errors + 1, np.maximum(right, 1)), 1.0)


def error_free_samples(risk: float, *, level: float = 0.95) -> int:
    r"""Count the held-out samples that a guarantee needs, if none of them is an error.

    The smallest n for which `certified_threshold` can succeed:
    :math:`\log(\alpha / 2) / \log(1 - r)`, rounded up, for a risk r and :math:`\alpha` = 1 - level.

    Parameters
    ----------
    risk : float
        As in `certified_threshold`.
    level : float, default=0.95
        As in `certified_threshold`.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If one of them is not between 0 and 1.

    Examples
    --------
    >>> from penultimate.evaluation import error_free_samples
    >>> error_free_samples(0.001), error_free_samples(0.01), error_free_samples(0.05)
    (3688, 368, 72)
    """
    for value, name in ((risk, "risk"), (level, "level")):
        check_number(
            value, name, "error_free_samples", low=0, high=1, open_low=True, open_high=True
        )
    return ceil(log((1 - level) / len(_STARTS)) / log1p(-risk))


def certified_threshold(
    correct: ArrayLike, confidence: ArrayLike, risk: float, *, level: float = 0.95
) -> float:
    r"""Find a low threshold of confidence above which errors are provably rare.

    With probability `level` over the draw of the held-out samples, the error rate of new samples
    whose confidence is above the threshold is at most `risk`; or the threshold is infinite.

    Thresholds are tested from the strictest to the laxest, in 100 even steps from the fewest
    samples that can pass a test to all of them. The threshold of a step that accepts m samples is
    the confidence of the next one, and passes if `risk_upper_bound` of the errors among the m is
    no more than `risk`. The test is repeated until the first failure (fixed-sequence testing), so
    that many thresholds cost no more than one. A single error among the surest samples would end
    that at once, so there is a second sequence, from the middle to the laxest; each of the two has
    half of 1 - level, and the laxest threshold that passed is returned.

    Why that holds: given the value of a threshold, the samples above it are independent draws from
    what lies above it, so each test is an exact one. A sequence goes wrong only if it passes the
    first threshold whose true risk is above `risk`. Which one is the first is decided by how many
    samples lie in the intervals between the confidences where the true risk crosses `risk`. In each
    interval before that threshold the error rate is `risk`, and in the last one it is higher; so
    given these numbers, too, there are at least as many errors as the test supposes. This needs a
    true risk without jumps, as where no two samples have the same confidence, or one that only
    rises as the threshold falls.

    Parameters
    ----------
    correct : array-like of shape (n_samples,), bool
        Whether each held-out sample was classified rightly. They are independent draws of what the
        classifier will meet, and it has not seen them.
    confidence : array-like of shape (n_samples,)
        As from `confidence_scores`.
    risk : float
        The error rate to stay below.
    level : float, default=0.95
        The probability of the guarantee.

    Returns
    -------
    float
        Samples of a confidence above it, not at it, are accepted. ``-inf`` accepts all; ``inf``
        accepts none, where no threshold passed.

    Raises
    ------
    ValueError
        If there are fewer samples than `error_free_samples`, or they do not fit each other.

    References
    ----------
    A. N. Angelopoulos, S. Bates, E. J. Candes, M. I. Jordan and L. Lei, "Learn then test:
    calibrating predictive algorithms to achieve risk control", Annals of Applied Statistics 19(2),
    2025; arXiv:2110.01052.
    Y. Geifman and R. El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.evaluation import certified_threshold
    >>> confidence = np.arange(1000) / 1000
    >>> certified_threshold(confidence > 0.2, confidence, risk=0.05)
    0.176
    """
    correct, confidence = check_outcomes(correct, confidence)
    n_samples, needed = len(correct), error_free_samples(risk, level=level)
    if n_samples < needed:
        raise ValueError(
            f"A risk of {risk:g} at a confidence of {level:g} needs at least {needed:,} held-out "
            f"samples, all of them right; there are {n_samples:,}. Hold out more, or allow a "
            "higher risk."
        )
    order = np.argsort(-confidence, kind="stable")
    ordered = confidence[order]
    numbers = np.linspace(needed, n_samples, _STEPS + 1).astype(int)
    thresholds = np.append(ordered, -np.inf)[numbers]
    accepted = np.searchsorted(-ordered, -thresholds)  # fewer, where confidences are tied
    errors = np.append(0, np.cumsum(~correct[order]))[accepted]
    bounds = risk_upper_bound(errors, accepted, level=1 - (1 - level) / len(_STARTS))
    lowest = np.inf
    for start in _STARTS:
        for step in range(start, _STEPS + 1):
            if accepted[step] < needed:
                continue  # no test: it could not pass
            if bounds[step] > risk:
                break
            lowest = min(lowest, thresholds[step])
    return float(lowest)


def coverage_threshold(confidence: NDArray[np.float64], coverage: float) -> float:
    """Find the largest threshold above which at least a share of the samples lies, ties included.

    Parameters
    ----------
    confidence : ndarray of shape (n_samples,)
    coverage : float
        The share, above 0 and at most 1.

    Returns
    -------
    float
        ``-inf`` where all samples are needed.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.evaluation.abstention.thresholds import coverage_threshold
    >>> coverage_threshold(np.array([0.1, 0.4, 0.4, 0.9]), 0.5)
    0.1
    """
    ordered = np.sort(confidence)[::-1]
    n_accepted = int(np.ceil(round(coverage * len(ordered), 9)))  # .55 of 3,000 is 1,650
    least = ordered[n_accepted - 1]
    return float(np.max(ordered, where=ordered < least, initial=-np.inf))
