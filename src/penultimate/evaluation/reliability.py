"""Quality of predicted probabilities: proper scores, and accuracy compared with confidence.

The Brier score and the log loss are proper: in expectation, the true probabilities minimize them.
The calibration error is not, and depends on the bins; it is meant for reading, not for selection.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from penultimate._common.validation import check_number
from penultimate.evaluation.intervals.accuracy import wilson_interval

_TOLERANCE = 1e-3  # on each row's sum; float32 softmax outputs are much closer to 1


@dataclass(frozen=True)
class ReliabilityCurve:
    """Accuracy of the most probable class, by its predicted probability.

    Attributes
    ----------
    edges : ndarray of shape (n_bins + 1,)
        Edges of the bins of the highest probability. A value at an edge is in the bin to its right;
        1 is in the last bin.
    counts : ndarray of shape (n_bins,), int
        Number of samples per bin.
    confidence : ndarray of shape (n_bins,)
        Mean highest probability per bin. NaN in empty bins, as in the arrays below.
    accuracy : ndarray of shape (n_bins,)
        Accuracy per bin.
    low, high : ndarray of shape (n_bins,)
        Wilson's 95 % confidence interval of the accuracy.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def reliability_curve(
    probabilities: ArrayLike, codes: ArrayLike, *, n_bins: int = 10
) -> ReliabilityCurve:
    """Compare the highest predicted probability with the accuracy, in bins.

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_classes)
        Class probabilities, as returned by `predict_proba`.
    codes : array-like of shape (n_samples,), int
        Column index of each sample's true class.
    n_bins : int, default=10
        Number of bins of equal width between 0 and 1.

    Returns
    -------
    ReliabilityCurve

    Raises
    ------
    ValueError
        If a row does not hold probabilities, or a code is not a column index.

    References
    ----------
    A. Niculescu-Mizil and R. Caruana, "Predicting good probabilities with supervised learning",
    ICML 2005.
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of
    the American Statistical Association 22, 1927.

    Examples
    --------
    >>> from penultimate.evaluation import reliability_curve
    >>> curve = reliability_curve([[0.1, 0.9], [0.3, 0.7], [0.8, 0.2]], [1, 0, 0], n_bins=2)
    >>> curve.counts.tolist(), curve.accuracy.round(2).tolist(), curve.confidence.round(2).tolist()
    ([0, 3], [nan, 0.67], [nan, 0.8])
    """
    check_number(n_bins, "n_bins", "reliability_curve", low=1, integer=True)
    probabilities, codes = _check(probabilities, codes)
    highest, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == codes
    edges = np.linspace(0, 1, n_bins + 1)
    member = np.clip(np.searchsorted(edges, highest, side="right") - 1, 0, n_bins - 1)
    counts = np.bincount(member, minlength=n_bins)
    n_right = np.bincount(member, weights=right, minlength=n_bins).astype(int)
    shares = np.full((4, n_bins), np.nan)
    for k in np.flatnonzero(counts):
        found = wilson_interval(n_right[k], counts[k])
        shares[:, k] = highest[member == k].mean(), found.value, found.low, found.high
    return ReliabilityCurve(edges, counts, *shares)


def expected_calibration_error(
    probabilities: ArrayLike, codes: ArrayLike, *, n_bins: int = 10
) -> float:
    r"""Compute the expected calibration error (ECE): the mean gap between confidence and accuracy.

    :math:`\sum_b \frac{n_b}{n} \lvert \mathrm{acc}_b - \mathrm{conf}_b \rvert` over the bins of
    `reliability_curve`. It depends on the number of bins and is above 0 by chance alone; to choose
    between classifiers, use the Brier score or the log loss.

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_classes)
        See `reliability_curve`.
    codes : array-like of shape (n_samples,), int
        See `reliability_curve`.
    n_bins : int, default=10
        See `reliability_curve`.

    Returns
    -------
    float
        Value between 0 and 1.

    Raises
    ------
    ValueError
        See `reliability_curve`.

    References
    ----------
    M. P. Naeini, G. F. Cooper and M. Hauskrecht, "Obtaining well calibrated probabilities using
    Bayesian binning", AAAI 2015.
    C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks",
    ICML 2017.

    Examples
    --------
    >>> from penultimate.evaluation import expected_calibration_error
    >>> round(expected_calibration_error([[0.1, 0.9], [0.3, 0.7]], [1, 0]), 2)
    0.4
    """
    curve = reliability_curve(probabilities, codes, n_bins=n_bins)
    distance = np.abs(curve.accuracy - curve.confidence)
    return float(np.nansum(curve.counts * distance) / curve.counts.sum())


def brier_score(probabilities: ArrayLike, codes: ArrayLike) -> float:
    r"""Compute the Brier score: the mean squared distance of probabilities from the outcome.

    :math:`\frac1n \sum_i \sum_k (p_{ik} - [y_i = k])^2`, from 0 to 2; for two classes, this is
    twice the value of the common binary definition.

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_classes)
        See `reliability_curve`.
    codes : array-like of shape (n_samples,), int
        See `reliability_curve`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        See `reliability_curve`.

    References
    ----------
    G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather
    Review 78(1), 1950.

    Examples
    --------
    >>> from penultimate.evaluation import brier_score
    >>> round(brier_score([[0.1, 0.9], [0.3, 0.7]], [1, 0]), 3)
    0.5
    """
    probabilities, codes = _check(probabilities, codes)
    labels = np.arange(probabilities.shape[1])
    return float(metrics.brier_score_loss(codes, probabilities, labels=labels, scale_by_half=False))


def log_loss(probabilities: ArrayLike, codes: ArrayLike) -> float:
    r"""Compute the log loss: the mean of :math:`-\log p` of the true class.

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_classes)
        See `reliability_curve`.
    codes : array-like of shape (n_samples,), int
        See `reliability_curve`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        See `reliability_curve`.

    References
    ----------
    I. J. Good, "Rational decisions", Journal of the Royal Statistical Society B 14(1), 1952.

    Examples
    --------
    >>> from penultimate.evaluation import log_loss
    >>> round(log_loss([[0.1, 0.9], [0.3, 0.7]], [1, 0]), 3)
    0.655
    """
    probabilities, codes = _check(probabilities, codes)
    return float(metrics.log_loss(codes, probabilities, labels=np.arange(probabilities.shape[1])))


def _check(
    probabilities: ArrayLike, codes: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return checked probabilities, with rows rescaled to sum to 1, and the codes."""
    rows = check_array(probabilities, dtype=np.float64, input_name="probabilities")
    columns = column_or_1d(codes)
    check_consistent_length(rows, columns)
    if rows.shape[1] < 2:
        raise ValueError(
            f"probabilities must have one column per class; got shape {rows.shape}. For two "
            "classes, pass both columns of predict_proba."
        )
    sums = rows.sum(axis=1)
    wrong = (rows < 0).any(axis=1) | (np.abs(sums - 1) > _TOLERANCE)
    if wrong.any():
        raise ValueError(
            f"probabilities must be at least 0 and sum to 1 in each row; row {wrong.argmax()} is "
            f"{rows[wrong.argmax()][:5].tolist()}. Pass the output of predict_proba, not scores."
        )
    if columns.dtype.kind not in "iu" or columns.min() < 0 or columns.max() >= rows.shape[1]:
        bad = (
            columns if columns.dtype.kind not in "iu" else np.array([columns.min(), columns.max()])
        )
        raise ValueError(
            "codes must be column indices of probabilities, integers from 0 to "
            f"{rows.shape[1] - 1}; got {bad[:2].tolist()}. Pass "
            "numpy.searchsorted(classifier.classes_, y)."
        )
    return rows / sums[:, None], columns.astype(np.int64)
