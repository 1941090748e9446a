"""Which features of a classifier's samples say that they are of none of its classes."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.frozen import FrozenEstimator

from penultimate._common.protocols import Classifier
from penultimate.evaluation.novelty.detector import NoveltyDetector, fit_with


def features_of(classifier: object, X: ArrayLike) -> NDArray[Any]:
    """Return what a novelty detector judges samples by.

    Parameters
    ----------
    classifier : classifier
        Fitted. The features of its network if it has an `extract`, as `DeepSVC` and `Specialists`;
        otherwise its samples are features.
    X : array-like of shape (n_samples, ...)

    Returns
    -------
    ndarray of shape (n_samples, n_features)

    Raises
    ------
    TypeError
        If it has none, and the samples are no features.
    """
    if isinstance(classifier, FrozenEstimator):
        return features_of(classifier.estimator, X)
    if hasattr(classifier, "extract"):
        return classifier.extract(X)
    features = np.asarray(X)
    if features.ndim != 2 or features.dtype.kind not in "biuf":
        raise TypeError(
            f"'novelty' needs features, and {type(classifier).__name__} has none of samples of "
            f"shape {features.shape[1:]}. Use DeepSVC or Specialists, or pass features as X."
        )
    return features


def fit_detector(
    classifier: Classifier,
    false_alarm_rate: float,
    known: ArrayLike,
    y: NDArray[Any],
    groups: NDArray[Any] | None,
    held_out: ArrayLike,
    seed: int,
) -> NoveltyDetector:
    """Fit a detector to known samples, with labels and groups, and calibrate it with others."""
    features = [features_of(classifier, samples) for samples in (known, held_out)]
    detector = NoveltyDetector(false_alarm_rate, random_state=seed)
    return fit_with(detector, features[0], y, groups, features[1])
