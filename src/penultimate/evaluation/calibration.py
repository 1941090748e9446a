"""Calibrated probabilities from scores, through scikit-learn."""

import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

CALIBRATIONS = ("sigmoid", "isotonic", "temperature")


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
    columns, classes = as_columns(scores), np.unique(y)
    every = np.arange(len(columns))
    calibrated = CalibratedClassifierCV(
        FrozenEstimator(_GivenScores().fit(columns, classes)),
        method=method,
        cv=[(every, every)],  # nothing is fitted on them that could be fitted too well
        ensemble=False,
    )
    with warnings.catch_warnings():
        # It warns that a frozen estimator takes no weights; they are for the calibration.
        warnings.filterwarnings("ignore", message="Since FrozenEstimator does not appear")
        return calibrated.fit(columns, y, sample_weight=sample_weight)


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
