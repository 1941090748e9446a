"""Calibrating a fitted head on samples that neither it nor its network has seen.

An SVM has no probabilities. Its class margins are scaled by a single temperature, fitted on
held-out samples: the chosen setting is refitted on the rest, and scores them. With a single
parameter, hardly anything can be overfitted, and the order of the classes stays as it is.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import Pipeline

from penultimate._common.pipelines import ask_last_step
from penultimate._common.protocols import Head
from penultimate.evaluation.calibration import as_columns, calibrate_scores
from penultimate.selection.heads import weight_params
from penultimate.selection.heldout import fit_preprocessing
from penultimate.splits.parts import Split
from penultimate.svm.svc import SVC

# A split, and the features of all samples from a network that has not seen the held-out ones.
Parts = Iterable[tuple[Split, NDArray[Any]]]


def chosen_estimator(pipeline: Pipeline) -> Head:
    """Return the classifier chosen by the search of a pipeline, or its plain classifier."""
    return getattr(pipeline["head"], "best_estimator_", pipeline["head"])


def fit_on(
    pipeline: Pipeline,
    features: NDArray[Any],
    y: NDArray[Any],
    rows: NDArray[np.int64],
    sample_weight: NDArray[Any] | None = None,
) -> Pipeline:
    """Refit the chosen setting on the given samples only."""
    preprocessing = fit_preprocessing(pipeline["preprocessing"], features, rows, sample_weight)
    head = clone(chosen_estimator(pipeline))
    weights = weight_params(head, None if sample_weight is None else sample_weight[rows])
    head.fit(preprocessing.transform(features[rows]), y[rows], **weights)
    return Pipeline([("preprocessing", preprocessing), ("head", head)])


def of_chosen(pipeline: Pipeline) -> Pipeline:
    """Return the fitted pipeline of the preprocessing and the chosen classifier."""
    steps = [("preprocessing", pipeline["preprocessing"]), ("head", chosen_estimator(pipeline))]
    return Pipeline(steps)


def calibrate_head(
    pipeline: Pipeline,
    parts: Parts,
    y: NDArray[Any],
    sample_weight: NDArray[Any] | None = None,
) -> CalibratedClassifierCV | None:
    """Calibrate an SVM head on scores of held-out samples, with a single temperature.

    Parameters
    ----------
    pipeline : Pipeline
        The pipeline returned by `fit_head`.
    parts : iterable of (Split, ndarray of shape (n_samples, n_features))
        Splits into fitted and held-out samples, each with the features of all samples from a
        network that has not seen the held-out ones.
    y : ndarray of shape (n_samples,)
    sample_weight : ndarray of shape (n_samples,), optional
        Weights of the refits and of the calibration.

    Returns
    -------
    CalibratedClassifierCV or None
        None if the head is not an SVM, or if not every class is among the held-out samples.
    """
    # Other heads have probabilities of their own, or no margins to make them from.
    if not isinstance(chosen_estimator(pipeline), SVC):
        return None
    # One temperature is fitted to the scores of all parts together: a part alone may lack classes.
    scores, labels, weights = [], [], []
    for split, features in parts:
        # Without every class among the fitted samples, the columns of the scores would not match.
        if not len(split.held_out) or len(np.unique(y[split.train])) < len(pipeline.classes_):
            return None
        fitted = fit_on(pipeline, features, y, split.train, sample_weight)
        scores.append(scores_of(fitted, features[split.held_out]))
        labels.append(y[split.held_out])
        if sample_weight is not None:
            weights.append(sample_weight[split.held_out])
    if not labels or len(np.unique(np.concatenate(labels))) < len(pipeline.classes_):
        return None
    return calibrate_scores(
        np.concatenate(scores),
        np.concatenate(labels),
        method="temperature",
        sample_weight=np.concatenate(weights) if weights else None,
    )


def scores_of(pipeline: Pipeline, features: NDArray[Any]) -> NDArray[Any]:
    """Compute scores that grow with confidence; the votes of `decision_function` hardly do."""
    if len(pipeline.classes_) == 2:
        return pipeline.decision_function(features)
    return ask_last_step(of_chosen(pipeline), "class_margins", features)


def calibrated_probabilities(
    pipeline: Pipeline, calibrator: CalibratedClassifierCV, features: NDArray[Any]
) -> NDArray[np.floating]:
    """Compute the probabilities of a calibrated head, one column per class of the pipeline."""
    return calibrator.predict_proba(as_columns(scores_of(pipeline, features)))


def probabilities_of(
    pipeline: Pipeline, calibrator: CalibratedClassifierCV | None, features: NDArray[Any]
) -> NDArray[np.floating] | None:
    """Compute probabilities, one column per class of the pipeline; None if it has none."""
    if calibrator is not None:
        return calibrated_probabilities(pipeline, calibrator, features)
    if hasattr(chosen_estimator(pipeline), "predict_proba"):
        return pipeline.predict_proba(features)
    return None
