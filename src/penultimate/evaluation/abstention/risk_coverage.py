"""Risk and coverage in selective classification: the curve, its area, and confidence scores.

A classifier that may abstain trades coverage (the fraction of samples it accepts) against risk (the
error rate among these). The curve shows the trade for every threshold on the confidence.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_consistent_length, column_or_1d

from penultimate._common.pipelines import ask_last_step
from penultimate._common.protocols import Head
from penultimate._common.validation import check_choice

CRITERIA = ("auto", "margin", "probability")
_METHODS = {"margin": "decision_function", "probability": "predict_proba"}


def risk_coverage_curve(
    correct: ArrayLike, confidence: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Compute the error rate of the most confident samples, for every coverage.

    Samples with the same confidence are accepted together, so the curve has one point per distinct
    value of the confidence.

    Parameters
    ----------
    correct : array-like of shape (n_samples,), bool
        Whether each sample was classified correctly.
    confidence : array-like of shape (n_samples,)
        Confidence of each prediction, as from `confidence_scores`; higher is more confident.

    Returns
    -------
    coverage : ndarray of shape (n_thresholds,)
        Fraction of samples that are accepted, ascending to 1.
    risk : ndarray of shape (n_thresholds,)
        Error rate of the accepted samples.
    thresholds : ndarray of shape (n_thresholds,)
        Smallest accepted confidence, descending.

    Raises
    ------
    ValueError
        If the lengths differ, there are no samples, or a confidence is not finite.

    References
    ----------
    R. El-Yaniv and Y. Wiener, "On the foundations of noise-free selective classification", Journal
    of Machine Learning Research 11, 2010.

    Examples
    --------
    >>> from penultimate.evaluation import risk_coverage_curve
    >>> coverage, risk, thresholds = risk_coverage_curve([True, True, False], [0.9, 0.8, 0.1])
    >>> coverage.round(2).tolist(), risk.round(2).tolist(), thresholds.tolist()
    ([0.33, 0.67, 1.0], [0.0, 0.0, 0.33], [0.9, 0.8, 0.1])
    """
    correct, confidence = check_outcomes(correct, confidence)
    order = np.argsort(-confidence, kind="stable")
    ordered = confidence[order]
    last = np.flatnonzero(
        np.append(ordered[1:] != ordered[:-1], True)
    )  # only at the end of each tie
    errors = np.cumsum(~correct[order])[last]
    return (last + 1) / len(ordered), errors / (last + 1), ordered[last]


def area_under_risk_coverage(correct: ArrayLike, confidence: ArrayLike) -> float:
    r"""Compute the area under the risk-coverage curve (AURC), the mean risk over all coverages.

    With n samples in the order of their confidence, :math:`\frac1n \sum_k r_k`, where :math:`r_k`
    is the error rate of the first k samples and those tied with them. Lower is better. An
    uninformative confidence gives the overall error rate, and even a perfect ranking gives 0 only
    if there are no errors.

    Parameters
    ----------
    correct : array-like of shape (n_samples,), bool
        See `risk_coverage_curve`.
    confidence : array-like of shape (n_samples,)
        See `risk_coverage_curve`.

    Returns
    -------
    float
        Area as a fraction.

    Raises
    ------
    ValueError
        See `risk_coverage_curve`.

    References
    ----------
    Y. Geifman and R. El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017.
    Y. Geifman, G. Uziel and R. El-Yaniv, "Bias-reduced uncertainty estimation for deep neural
    classifiers", ICLR 2019.

    Examples
    --------
    >>> from penultimate.evaluation import area_under_risk_coverage
    >>> round(area_under_risk_coverage([True, True, False], [0.9, 0.8, 0.1]), 3)
    0.111
    """
    coverage, risk, _ = risk_coverage_curve(correct, confidence)
    return float(np.sum(np.diff(coverage, prepend=0) * risk))


def confidence_scores(
    estimator: Head, X: ArrayLike, *, criterion: str = "auto"
) -> NDArray[np.float64]:
    """Compute the confidence of a fitted classifier in its prediction for each sample.

    Parameters
    ----------
    estimator : classifier
        Fitted classifier.
    X : array-like of shape (n_samples, ...)
        Samples, in the form that the classifier accepts.
    criterion : {"auto", "margin", "probability"}, default="auto"
        Confidence measure. ``"margin"`` is the highest decision value minus the second highest or,
        for two classes, the absolute value of the single one; for the SVMs of this library it is
        the highest of `class_margins`. ``"probability"`` is the highest probability. ``"auto"`` is
        the margin if the classifier has a `decision_function`, else the probability.

    Returns
    -------
    ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If the classifier lacks the required method, or if that does not return one finite value per
        class.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate import SVC
    >>> from penultimate.evaluation import confidence_scores
    >>> svc = SVC(kernel="linear").fit([[0.0], [2.0]], ["a", "b"])
    >>> confidence_scores(svc, [[1.5], [2.0], [-1.0]]).round(3).tolist()
    [0.5, 1.0, 2.0]
    """
    check_choice(criterion, "criterion", "confidence_scores", CRITERIA)
    if criterion == "auto":
        criterion = "margin" if hasattr(estimator, "decision_function") else "probability"
    method = _METHODS[criterion]
    if not hasattr(estimator, method):
        other = "probability" if criterion == "margin" else "margin"
        raise ValueError(
            f"criterion={criterion!r} needs a classifier with {method}, and {estimator!r} has "
            f"none. Use criterion={other!r}, or wrap it in CalibratedClassifierCV."
        )
    if criterion == "margin" and (least := _class_margins(estimator, X)) is not None:
        return least.max(axis=1)
    values = np.asarray(getattr(estimator, method)(X), dtype=np.float64)
    n_classes = len(estimator.classes_)
    if values.ndim == 2 and values.shape[1] != n_classes:
        raise ValueError(
            f"{method} gives {values.shape[1]} values per sample for {n_classes} classes; one per "
            "class is needed. For an SVC, set decision_function_shape='ovr'."
        )
    if not np.isfinite(values).all():
        count = int((~np.isfinite(values.reshape(len(values), -1))).any(axis=1).sum())
        raise ValueError(
            f"{method} gives NaN or infinity, for {count} of {len(values)} samples, which no "
            "threshold can be applied to. Scale the features, or train with a lower learning rate."
        )
    if criterion == "probability":
        return values.max(axis=1)
    if values.ndim == 1:
        return np.abs(values)
    two = np.partition(values, -2, axis=1)[:, -2:]
    return two[:, 1] - two[:, 0]


def _class_margins(estimator: Head, X: ArrayLike) -> NDArray[np.float64] | None:
    """Return the class margins if a classifier, or the last step of a pipeline, has them."""
    if isinstance(estimator, FrozenEstimator):
        return _class_margins(estimator.estimator, X)
    if isinstance(estimator, Pipeline):
        if not hasattr(estimator[-1], "class_margins"):
            return None
        return ask_last_step(estimator, "class_margins", X)
    return estimator.class_margins(X) if hasattr(estimator, "class_margins") else None


def check_outcomes(
    correct: ArrayLike, confidence: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return both as vectors of the same length; raise ``ValueError`` for invalid values."""
    rights = column_or_1d(correct)
    sure = column_or_1d(confidence, dtype=np.float64)
    check_consistent_length(rights, sure)
    if not len(rights):
        raise ValueError("There are no samples; pass at least one.")
    if not np.isin(rights, (0, 1)).all():
        raise ValueError(
            f"correct must be True where a sample is classified correctly, else False; got "
            f"{rights[~np.isin(rights, (0, 1))][0]!r}. Pass y == classifier.predict(X)."
        )
    if not np.isfinite(sure).all():
        raise ValueError(
            f"confidence holds NaN or infinity, for {(~np.isfinite(sure)).sum()} of {len(sure)} "
            "samples; drop these samples."
        )
    return rights.astype(bool), sure
