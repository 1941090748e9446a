"""Calibrated probabilities from scores, through scikit-learn."""

import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedKFold

from penultimate._common.labels import check_labels
from penultimate._common.validation import check_choice, check_number

CALIBRATIONS = ("sigmoid", "isotonic", "temperature")


def calibrated(
    estimator: Any,
    y: Any,
    *,
    method: str = "sigmoid",
    n_folds: int = 5,
    random_state: int | None = 0,
) -> CalibratedClassifierCV:
    """Make scikit-learn's calibration of a classifier, with folds that suit the labels.

    The scores that the calibration is learnt from are those of samples held out of each fold, and
    the classifier is then fitted on all (``ensemble=False``): one classifier, as for an SVM it is
    the one wanted. The folds keep the shares of the classes, and there are no more of them than the
    smallest class has samples, where scikit-learn's own 5 would raise.

    Parameters
    ----------
    estimator : classifier
        With `decision_function` or `predict_proba`. A ``FrozenEstimator(fitted)`` is only
        calibrated, and must not have seen the samples.
    y : array-like of shape (n_samples,)
        The labels that it will be fitted with.
    method : {"sigmoid", "isotonic", "temperature"}, default="sigmoid"
        Isotonic regression wants some thousand samples.
    n_folds : int, default=5
        At most this many.
    random_state : int or None, default=0
        Of the folds.

    Returns
    -------
    CalibratedClassifierCV
        Not yet fitted.

    Raises
    ------
    ValueError
        If a class has a single sample, the method is unknown, or takes other labels (temperature).

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
            f"Class {name!r} has 1 sample; calibration needs at least 2 of each, one of them held "
            "out. Add samples, drop the class, or do without probabilities."
        )
    if (
        method == "temperature"
        and not isinstance(classes[0], str)
        and not np.array_equal(classes, np.arange(len(classes)))
    ):
        raise ValueError(
            "method='temperature' needs labels that are strings, or 0, 1, 2 and so on, which "
            f"scikit-learn takes for columns; got {classes.tolist()[:3]}... Encode them "
            "(LabelEncoder), or use method='sigmoid'."
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
    """Learn how probable classes are, given a classifier's scores of samples it was not fitted on.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
        As `decision_function` gives them.
    y : ndarray of shape (n_samples,)
        Labels; every class occurs.
    method : {"sigmoid", "isotonic", "temperature"}, default="sigmoid"
        As in `sklearn.calibration.CalibratedClassifierCV`.
    sample_weight : ndarray of shape (n_samples,), optional

    Returns
    -------
    CalibratedClassifierCV
        Whose `predict_proba` takes `as_columns` of scores.

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
    # Where it looks for a temperature, scikit-learn (1.9) takes integer labels for the positions of
    # columns, unchecked: they have to be.
    classes, codes = np.unique(y, return_inverse=True)
    calibrated = CalibratedClassifierCV(
        FrozenEstimator(_GivenScores().fit(columns, codes)),
        method=method,
        cv=[(every, every)],  # nothing is fitted on them that could be fitted too well
        ensemble=False,
    )
    with warnings.catch_warnings():
        # It warns that a frozen estimator takes no weights; they are for the calibration.
        warnings.filterwarnings("ignore", message="Since FrozenEstimator does not appear")
        calibrated.fit(columns, codes, sample_weight=sample_weight)
    calibrated.classes_ = classes
    return calibrated


def as_columns(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return scores with a row for each sample, in double precision."""
    return scores.reshape(len(scores), -1).astype(np.float64)


class _GivenScores(ClassifierMixin, BaseEstimator):
    """A classifier whose samples are the scores that it gives them."""

    def fit(self, X: Any, y: Any) -> Self:
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, X: Any) -> NDArray[Any]:
        return X[:, 0] if X.shape[1] == 1 else X

    def predict(self, X: Any) -> NDArray[Any]:
        return self.classes_[(X[:, 0] > 0).astype(int) if X.shape[1] == 1 else X.argmax(axis=1)]
