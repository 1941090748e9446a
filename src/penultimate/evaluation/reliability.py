"""How far probabilities can be trusted: proper scores, and accuracy beside confidence."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from penultimate._common.validation import check_number
from penultimate.evaluation.intervals.accuracy import wilson_interval

_TOLERANCE = 1e-3  # of a row's sum: float32 softmaxes are far closer to 1


@dataclass(frozen=True)
class ReliabilityCurve:
    """How often the likeliest class is right, by its probability.

    Attributes
    ----------
    edges : ndarray of shape (n_bins + 1,)
        The bins of the highest probability. A value at an edge is in the bin to its right; 1 is in
        the last one.
    counts : ndarray of shape (n_bins,), int
        Samples in each.
    confidence : ndarray of shape (n_bins,)
        Their mean highest probability; NaN in an empty bin, as are the following.
    accuracy : ndarray of shape (n_bins,)
        The share of them that is right.
    low, high : ndarray of shape (n_bins,)
        The 95 % interval of the accuracy, Wilson's.
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
    """Compare the highest probability of samples with how often it is the right class's.

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_classes)
        As `predict_proba` gives them.
    codes : array-like of shape (n_samples,), int
        The column of each sample's class.
    n_bins : int, default=10
        Bins of equal width, from 0 to 1.

    Returns
    -------
    ReliabilityCurve

    Raises
    ------
    ValueError
        If the rows are no probabilities, or a code is no column.

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
    r"""Compute how far the highest probability is from the accuracy, on average over samples.

    :math:`\sum_b \frac{n_b}{n} \lvert \mathrm{acc}_b - \mathrm{conf}_b \rvert` over the bins of
    `reliability_curve`. It depends on the number of bins, and is above 0 by chance alone: the Brier
    score and the log loss are the ones to choose by.

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_classes)
        As in `reliability_curve`.
    codes : array-like of shape (n_samples,), int
        As in `reliability_curve`.
    n_bins : int, default=10
        As in `reliability_curve`.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ValueError
        As in `reliability_curve`.

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
    r"""Compute the mean squared distance of probabilities from what came true.

    :math:`\frac1n \sum_i \sum_k (p_{ik} - [y_i = k])^2`, from 0 to 2; of two classes, twice what is
    often given.

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_classes)
        As in `reliability_curve`.
    codes : array-like of shape (n_samples,), int
        As in `reliability_curve`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        As in `reliability_curve`.

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
    r"""Compute the mean of :math:`-\log p` of the right class.

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_classes)
        As in `reliability_curve`.
    codes : array-like of shape (n_samples,), int
        As in `reliability_curve`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        As in `reliability_curve`.

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
    """Return probabilities whose rows have a sum of 1 to the last digit, and the codes."""
    rows = check_array(probabilities, dtype=np.float64, input_name="probabilities")
    columns = column_or_1d(codes)
    check_consistent_length(rows, columns)
    if rows.shape[1] < 2:
        raise ValueError(
            f"probabilities must have a column for each class; got shape {rows.shape}. Of two "
            "classes, pass both columns of predict_proba."
        )
    sums = rows.sum(axis=1)
    wrong = (rows < 0).any(axis=1) | (np.abs(sums - 1) > _TOLERANCE)
    if wrong.any():
        raise ValueError(
            f"probabilities must be at least 0 and sum to 1 in each row; row {wrong.argmax()} is "
            f"{rows[wrong.argmax()][:5].tolist()}. Pass what predict_proba gives, not scores."
        )
    if columns.dtype.kind not in "iu" or columns.min() < 0 or columns.max() >= rows.shape[1]:
        bad = (
            columns if columns.dtype.kind not in "iu" else np.array([columns.min(), columns.max()])
        )
        raise ValueError(
            f"codes must be columns of probabilities, integers from 0 to {rows.shape[1] - 1}; got "
            f"{bad[:2].tolist()}. Pass numpy.searchsorted(classifier.classes_, y)."
        )
    return rows / sums[:, None], columns.astype(np.int64)
