"""Confidence thresholds for selective classification, with a guarantee on the risk.

Trying many thresholds on the same held-out samples and keeping the best would be a selection that
voids a simple confidence bound. Fixed-sequence testing avoids that without a Bonferroni correction:
thresholds are tested in a fixed order, each at the full level, and the first failure ends the test.
"""

from math import ceil, log, log1p

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

from penultimate._common.validation import check_number
from penultimate.evaluation.abstention.risk_coverage import check_outcomes

_STEPS = 100  # steps from the strictest testable threshold to the laxest
# Two sequences, because one error among the most confident samples ends the first one early; they
# share the significance level equally.
_STARTS = (0, _STEPS // 2)
# By how much a threshold lies above the sample that it is set on, in the largest confidence: more
# than float32 rounds, so that a saved model and this one agree on that sample.
_CLEARANCE = 1e-5


def risk_upper_bound(
    n_errors: ArrayLike, n_accepted: ArrayLike, *, level: float = 0.95
) -> NDArray[np.float64]:
    r"""Compute the one-sided Clopper-Pearson upper bound on an error rate.

    This is the error rate at which so few errors, or fewer, have a probability of 1 - level: the
    quantile `level` of the beta distribution :math:`B(e + 1, n - e)`, for e errors in n samples.

    Parameters
    ----------
    n_errors : array-like of int
        Number of errors among the accepted samples.
    n_accepted : array-like of int
        Number of accepted samples, which must be independent and not used for fitting.
    level : float, default=0.95
        Probability with which the bound holds.

    Returns
    -------
    ndarray of float
        Upper bound; 1 if every accepted sample is an error, or if none is accepted.

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
    r"""Compute how many held-out samples a guarantee needs if none of them is an error.

    This is the smallest n for which `certified_threshold` can succeed:
    :math:`\log(\alpha / 2) / \log(1 - r)`, rounded up, for a risk r and :math:`\alpha` = 1 - level.

    Parameters
    ----------
    risk : float
        Error rate, as in `certified_threshold`.
    level : float, default=0.95
        Probability of the guarantee, as in `certified_threshold`.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If `risk` or `level` is not between 0 and 1.

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
    r"""Find a low confidence threshold above which the error rate is certified.

    With probability `level` over the draw of the held-out samples, the error rate of new samples
    whose confidence is above the threshold is at most `risk`, or the threshold is infinite.

    Thresholds are tested from the strictest to the laxest, in 100 even steps from the fewest
    samples that can pass a test to all samples. The threshold of a step that accepts m samples is
    the confidence of the next sample (see `clear_of`), and passes if `risk_upper_bound` of the
    errors among the m samples is at most `risk`. Testing stops at the first failure (fixed-sequence
    testing), so testing many thresholds needs no further correction. A single error among the most
    confident samples would end the sequence immediately, so there is a second sequence, from the
    middle to the laxest threshold. Each sequence is tested at half of 1 - level, and the laxest
    threshold that passed is returned.

    Why the guarantee holds: given the value of a threshold, the samples above it are independent
    draws from the distribution above it, so each test is exact. A sequence fails only if it passes
    the first threshold whose true risk is above `risk`. Which threshold is the first depends on how
    many samples lie in the intervals between the confidences where the true risk crosses `risk`. In
    each interval before that threshold the error rate is `risk`, and in the last one it is higher;
    so, conditional on these numbers as well, there are at least as many errors as the test assumes.
    This requires a true risk without jumps, as when no two samples have the same confidence, or one
    that only rises as the threshold falls.

    Parameters
    ----------
    correct : array-like of shape (n_samples,), bool
        Whether each held-out sample was classified correctly. The samples must be independent draws
        from the distribution of new samples, and the classifier must not have been fitted on them.
    confidence : array-like of shape (n_samples,)
        Confidence of each prediction, as from `confidence_scores`.
    risk : float
        Largest acceptable error rate.
    level : float, default=0.95
        Probability of the guarantee.

    Returns
    -------
    float
        Threshold; samples with a confidence strictly above it are accepted. ``-inf`` accepts all
        samples; ``inf`` accepts none, because no threshold passed.

    Raises
    ------
    ValueError
        If there are fewer samples than `error_free_samples`, or the lengths differ.

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
    >>> round(certified_threshold(confidence > 0.2, confidence, risk=0.05), 4)
    0.176
    """
    correct, confidence = check_outcomes(correct, confidence)
    n_samples, needed = len(correct), error_free_samples(risk, level=level)
    if n_samples < needed:
        raise ValueError(
            f"A risk of {risk:g} at a confidence of {level:g} needs at least {needed:,} held-out "
            f"samples, all classified correctly; there are {n_samples:,}. Hold out more, or allow "
            "a higher risk."
        )
    order = np.argsort(-confidence, kind="stable")
    ordered = confidence[order]
    numbers = np.linspace(needed, n_samples, _STEPS + 1).astype(int)
    thresholds = np.append(ordered, -np.inf)[numbers]
    accepted = np.searchsorted(-ordered, -thresholds)  # fewer if confidences are tied
    errors = np.append(0, np.cumsum(~correct[order]))[accepted]
    bounds = risk_upper_bound(errors, accepted, level=1 - (1 - level) / len(_STARTS))
    lowest = np.inf
    for start in _STARTS:
        for step in range(start, _STEPS + 1):
            if accepted[step] < needed:
                continue  # too few samples to pass, even without errors: not a test
            if bounds[step] > risk:
                break
            lowest = min(lowest, thresholds[step])
    return clear_of(float(lowest), confidence)


def coverage_threshold(confidence: NDArray[np.float64], coverage: float) -> float:
    """Find the largest threshold that accepts at least a fraction of the samples, ties included.

    Parameters
    ----------
    confidence : ndarray of shape (n_samples,)
        Confidence of each prediction.
    coverage : float
        Fraction of samples to accept, above 0 and at most 1.

    Returns
    -------
    float
        Threshold; ``-inf`` if all samples are needed.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.evaluation.abstention.thresholds import coverage_threshold
    >>> round(coverage_threshold(np.array([0.1, 0.4, 0.4, 0.9]), 0.5), 4)
    0.1
    """
    ordered = np.sort(confidence)[::-1]
    n_accepted = int(
        np.ceil(round(coverage * len(ordered), 9))
    )  # 0.55 * 3000 is 1650.0000000000002
    least = ordered[n_accepted - 1]
    return clear_of(float(np.max(ordered, where=ordered < least, initial=-np.inf)), confidence)


def clear_of(threshold: float, confidence: NDArray[np.float64]) -> float:
    """Move a threshold off the sample that it is set on, without passing another one.

    A threshold is the confidence of a sample, which is not accepted. In float32, as in a saved
    model, that sample could fall on either side of its own confidence.

    Parameters
    ----------
    threshold : float
    confidence : ndarray of shape (n_samples,)
        Of the held-out samples.

    Returns
    -------
    float
        A threshold that accepts the same held-out samples; half-way to the next of them at most.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.evaluation.abstention.thresholds import clear_of
    >>> clear_of(0.25, np.array([0.25, 0.75, 1.0]))
    0.25001
    """
    above = confidence[confidence > threshold]
    if not np.isfinite(threshold) or not len(above):
        return threshold
    # The guarantee is proved for the threshold as it was: given its value, the samples above are
    # independent draws. Half-way to the next sample would depend on that sample, and cut off as
    # much as one sample in n stands for. This cuts off next to nothing: a 100,000th of the range,
    # where no held-out sample lies.
    largest = float(np.abs(confidence).max())
    return threshold + min(_CLEARANCE * largest, (float(above.min()) - threshold) / 2)
