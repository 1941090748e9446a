"""Detection of samples that a classifier has seen, through pipelines and other wrappers."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from penultimate._common.protocols import Head
from penultimate.provenance.fingerprints import fingerprint
from penultimate.provenance.records import Provenance, provenance_of


def seen_by(classifier: Head, X: ArrayLike) -> NDArray[np.bool_]:
    """Return which samples a classifier, or a network in it, saw in training or selection.

    Inside a pipeline, the classifier sees the samples transformed by the previous steps: both the
    transformed and the original samples are looked up.

    Parameters
    ----------
    classifier : object
        Classifier; a pipeline has to be fitted.
    X : array-like of shape (n_samples, ...)
        Samples to look up.
    """
    seen = provenance_of(classifier)
    found = np.zeros(np.shape(X)[0], bool)
    for prints in forms_of(classifier, X):
        found |= seen.holds(prints)
    return found


def forms_of(classifier: Head, X: ArrayLike) -> list[NDArray[np.uint64]]:
    """Return the fingerprints of samples in every form that part of a classifier may have seen."""
    if isinstance(classifier, FrozenEstimator):
        return forms_of(classifier.estimator, X)
    for name in ("best_estimator_", "estimator_"):
        if (inner := getattr(classifier, name, None)) is not None:
            return forms_of(inner, X)
    if isinstance(classifier, Pipeline):
        own = _prints(X)
        if len(classifier.steps) > 1:
            return own + forms_of(classifier[-1], classifier[:-1].transform(X))
        return own + forms_of(classifier[-1], X)
    if hasattr(classifier, "fingerprint"):
        return [classifier.fingerprint(X)]
    return _prints(X)


def _prints(X: ArrayLike) -> list[NDArray[np.uint64]]:
    values = np.asarray(X)
    # Text, sparse matrices and the like cannot have been input of a network.
    return [fingerprint(values)] if values.dtype.kind in "biuf" and values.ndim else []


def note_tested(classifier: Head, prints: NDArray[np.uint64]) -> None:
    """Record test samples in a classifier that keeps a record."""
    while isinstance(classifier, FrozenEstimator):
        classifier = classifier.estimator
    if hasattr(classifier, "provenance_"):
        classifier.provenance_ = classifier.provenance_ | Provenance.of(prints, "tested")
