"""Calibrated probabilities from scores, with scikit-learn.

A calibration must be fitted on scores of samples that the classifier was not fitted on: on its own
training samples, an SVM's scores are too confident. `calibrated` therefore uses held-out folds, and
`calibrate_scores` takes scores that were computed on held-out samples.
"""

import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedKFold

from penultimate._common.labels import check_labels
from penultimate._common.protocols import Head
from penultimate._common.validation import check_choice, check_number

CALIBRATIONS = ("sigmoid", "isotonic", "temperature")


def calibrated(
    estimator: Head,
    y: ArrayLike,
    *,
    method: str = "sigmoid",
    n_folds: int = 5,
    random_state: int | None = 0,
) -> CalibratedClassifierCV:
    """Wrap a classifier in scikit-learn's calibration, with folds that suit the labels.

    The calibration is fitted on the scores of held-out folds, and the classifier is then refitted
    on all samples (``ensemble=False``): the result is a single classifier rather than an ensemble
    with one SVM per fold. The folds are stratified, and there are at most as many of them as the
    smallest class has samples, a case in which scikit-learn's own 5 folds would raise.

    Parameters
    ----------
    estimator : classifier
        Classifier with `decision_function` or `predict_proba`. A ``FrozenEstimator(fitted)`` is
        only calibrated; it must not have been fitted on the samples.
    y : array-like of shape (n_samples,)
        Labels that the result will be fitted with.
    method : {"sigmoid", "isotonic", "temperature"}, default="sigmoid"
        Calibration method; isotonic regression needs on the order of a thousand samples or more.
    n_folds : int, default=5
        Maximum number of folds.
    random_state : int or None, default=0
        Controls the assignment of samples to folds.

    Returns
    -------
    CalibratedClassifierCV
        Unfitted.

    Raises
    ------
    ValueError
        If a class has a single sample, the method is unknown, or the method does not support the
        labels (temperature).

    References
    ----------
    J. C. Platt, "Probabilistic outputs for support vector machines and comparisons to regularized
    likelihood methods", Advances in Large Margin Classifiers, 1999.
    B. Zadrozny and C. Elkan, "Transforming classifier scores into accurate multiclass probability
    estimates", KDD 2002.
    C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks",
    ICML 2017.

    Examples
    --------
    >>> from penultimate import SVC
    >>> from penultimate.evaluation import calibrated
    >>> X, y = [[0.0], [0.2], [0.4], [1.0], [1.2], [1.4]], [0, 0, 0, 1, 1, 1]
    >>> model = calibrated(SVC(kernel="linear"), y).fit(X, y)
    >>> model.cv.n_splits, model.predict_proba([[0.0], [1.4]]).argmax(axis=1).tolist()
    (3, [0, 1])
    """
    check_choice(method, "method", "calibrated", CALIBRATIONS)
    check_number(n_folds, "n_folds", "calibrated", low=2, integer=True)
    labels = np.asarray(y)
    classes, counts = np.unique(check_labels(labels, len(labels)), return_counts=True)
    if counts.min() < 2:
        name = classes.tolist()[counts.argmin()]
        raise ValueError(
            f"Class {name!r} has 1 sample; calibration needs at least 2 per class, one of them "
            "held out. Add samples, drop the class, or turn probabilities off."
        )
    if (
        method == "temperature"
        and not isinstance(classes[0], str)
        and not np.array_equal(classes, np.arange(len(classes)))
    ):
        raise ValueError(
            "method='temperature' needs labels that are strings, or 0, 1, 2 and so on, because "
            f"scikit-learn uses integers as column indices; got {classes.tolist()[:3]}... Encode "
            "them (LabelEncoder), or use method='sigmoid'."
        )
    folds = StratifiedKFold(
        min(n_folds, int(counts.min())), shuffle=True, random_state=random_state
    )
    return CalibratedClassifierCV(estimator, method=method, cv=folds, ensemble=False)


def calibrate_scores(
    scores: NDArray[np.floating],
    y: NDArray[Any],
    *,
    method: str = "sigmoid",
    sample_weight: NDArray[np.floating] | None = None,
) -> CalibratedClassifierCV:
    """Fit a calibration to a classifier's scores for samples that it was not fitted on.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Scores, as returned by `decision_function`.
    y : ndarray of shape (n_samples,)
        Labels; every class must occur.
    method : {"sigmoid", "isotonic", "temperature"}, default="sigmoid"
        Calibration method, as in `sklearn.calibration.CalibratedClassifierCV`.
    sample_weight : ndarray of shape (n_samples,), optional

    Returns
    -------
    CalibratedClassifierCV
        Its `predict_proba` takes the `as_columns` of scores.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.evaluation.calibration import as_columns, calibrate_scores
    >>> scores, y = np.array([-2, -1, 0.5, -0.5, 1, 2]), np.array([0, 0, 0, 1, 1, 1])
    >>> calibrated = calibrate_scores(scores, y)
    >>> calibrated.predict_proba(as_columns(np.array([-2, 2])))[:, 1].round(1).tolist()
    [0.2, 0.8]
    """
    columns, every = as_columns(scores), np.arange(len(scores))
    # Temperature scaling in scikit-learn 1.9 uses integer labels as column indices without a check,
    # so the labels are encoded as 0, 1, 2, ... here.
    classes, codes = np.unique(y, return_inverse=True)
    calibrated = CalibratedClassifierCV(
        FrozenEstimator(_GivenScores().fit(columns, codes)),
        method=method,
        cv=[(every, every)],  # the estimator is frozen: no fit, so no overfitting
        ensemble=False,
    )
    with warnings.catch_warnings():
        # scikit-learn warns that a frozen estimator ignores weights; here only the calibration
        # uses them.
        warnings.filterwarnings("ignore", message="Since FrozenEstimator does not appear")
        calibrated.fit(columns, codes, sample_weight=sample_weight)
    calibrated.classes_ = classes
    return calibrated


def as_columns(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return scores as a matrix with one row per sample, in double precision."""
    return scores.reshape(len(scores), -1).astype(np.float64)


class _GivenScores(ClassifierMixin, BaseEstimator):
    """A classifier whose input is already the scores, which it returns unchanged."""

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, X: NDArray[Any]) -> NDArray[Any]:
        return X[:, 0] if X.shape[1] == 1 else X

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        return self.classes_[(X[:, 0] > 0).astype(int) if X.shape[1] == 1 else X.argmax(axis=1)]
