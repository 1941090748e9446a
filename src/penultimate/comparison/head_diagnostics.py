"""Diagnostics of fitted heads for the report: calibration, hard cases and learning curves.

Calibration and learning curves refit the chosen setting and score it on held-out samples only.
Hard cases look at the training samples instead: a support vector at its bound is a sample that the
machine could not place outside its margin although it was fitted on it, often a wrong label.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import Pipeline

from penultimate._common.pipelines import ask_last_step
from penultimate._common.protocols import Head
from penultimate.evaluation.calibration import as_columns, calibrate_scores
from penultimate.results.method import HardCase, LearningCurve
from penultimate.splits.parts import Split
from penultimate.svm.svc import SVC

# Roughly doubled: accuracy tends to grow with the logarithm of the number of samples.
_SHARES = (0.1, 0.2, 0.4, 0.7, 1.0)
_AT_BOUND = 1 - 1e-6  # coefficients reach C up to rounding
Parts = Iterable[tuple[Split, NDArray[Any]]]


def chosen_estimator(pipeline: Pipeline) -> Head:
    """Return the classifier chosen by the search of a pipeline, or its plain classifier."""
    return getattr(pipeline["head"], "best_estimator_", pipeline["head"])


def fit_on(
    pipeline: Pipeline, features: NDArray[Any], y: NDArray[Any], rows: NDArray[np.int64]
) -> Pipeline:
    """Refit the chosen setting on the given samples only."""
    return clone(_without_search(pipeline)).fit(features[rows], y[rows])


def _without_search(pipeline: Pipeline) -> Pipeline:
    """Return the fitted pipeline of the preprocessing and the chosen classifier."""
    steps = [("preprocessing", pipeline["preprocessing"]), ("head", chosen_estimator(pipeline))]
    return Pipeline(steps)


def calibrate(pipeline: Pipeline, parts: Parts, y: NDArray[Any]) -> CalibratedClassifierCV | None:
    """Calibrate an SVM head on scores of held-out samples, with a single temperature.

    Parameters
    ----------
    pipeline : Pipeline
        The pipeline returned by `fit_head`.
    parts : iterable of (Split, ndarray of shape (n_samples, n_features))
        Splits into fitted and held-out samples, each with the features of all samples from a
        network that has not seen the held-out ones.
    y : ndarray of shape (n_samples,)

    Returns
    -------
    CalibratedClassifierCV or None
        None if the head is not an SVM, or if not every class is among the held-out samples.
    """
    # Other heads have probabilities of their own, or no margins to make them from.
    if not isinstance(chosen_estimator(pipeline), SVC):
        return None
    # One temperature is fitted to the scores of all parts together: a part alone may lack classes.
    scores, labels = [], []
    for split, features in parts:
        # Without every class among the fitted samples, the columns of the scores would not match.
        if not len(split.held_out) or len(np.unique(y[split.train])) < len(pipeline.classes_):
            return None
        fitted = fit_on(pipeline, features, y, split.train)
        scores.append(_scores(fitted, features[split.held_out]))
        labels.append(y[split.held_out])
    if not labels or len(np.unique(np.concatenate(labels))) < len(pipeline.classes_):
        return None
    return calibrate_scores(np.concatenate(scores), np.concatenate(labels), method="temperature")


def _scores(pipeline: Pipeline, features: NDArray[Any]) -> NDArray[Any]:
    """Compute scores that grow with confidence; the votes of `decision_function` hardly do."""
    if len(pipeline.classes_) == 2:
        return pipeline.decision_function(features)
    return ask_last_step(_without_search(pipeline), "class_margins", features)


def probabilities_of(
    pipeline: Pipeline, calibrator: CalibratedClassifierCV | None, features: NDArray[Any]
) -> NDArray[np.floating] | None:
    """Compute probabilities, one column per class of the pipeline; None if it has none."""
    if calibrator is not None:
        return calibrator.predict_proba(as_columns(_scores(pipeline, features)))
    if hasattr(chosen_estimator(pipeline), "predict_proba"):
        return pipeline.predict_proba(features)
    return None


def margins_of(
    pipeline: Pipeline, features: NDArray[Any], predicted: NDArray[np.int64]
) -> NDArray[np.floating] | None:
    """Compute the smallest decision value of the predicted class; None if it is not an SVM."""
    if not isinstance(chosen_estimator(pipeline), SVC):
        return None
    scores = ask_last_step(_without_search(pipeline), "class_margins", features)
    return scores[np.arange(len(features)), np.searchsorted(pipeline.classes_, predicted)]


def hard_cases(
    pipeline: Pipeline, features: NDArray[Any], y: NDArray[np.int64], samples: NDArray[np.int64]
) -> list[HardCase]:
    """Find the support vectors inside their margin or on its wrong side.

    These are the ones whose coefficient is at its bound, C.

    Parameters
    ----------
    pipeline : Pipeline
        The pipeline, fitted on these samples.
    features : ndarray of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,), int
        Class indices.
    samples : ndarray of shape (n_samples,), int
        Identifiers of the samples.

    Returns
    -------
    list of HardCase
        The hard cases, worst first.
    """
    machine = chosen_estimator(pipeline)
    if not isinstance(machine, SVC):
        return []
    # At the bound in any of its pairs: in the others its coefficient may be zero.
    bound = np.abs(machine.dual_coef_).max(axis=0) >= _AT_BOUND * machine.C
    rows = machine.support_[bound]
    if not len(rows):
        return []
    scores = ask_last_step(_without_search(pipeline), "class_margins", features[rows])
    predicted = pipeline.classes_[scores.argmax(axis=1)]
    margins = scores[np.arange(len(rows)), np.searchsorted(pipeline.classes_, y[rows])]
    worst = np.argsort(margins, kind="stable")
    return [
        HardCase(int(samples[rows[k]]), int(y[rows[k]]), int(predicted[k]), float(margins[k]))
        for k in worst
    ]


def learning_curve(
    name: str,
    pipeline: Pipeline,
    features: NDArray[Any],
    y: NDArray[Any],
    split: Split,
    *,
    seed: int,
) -> LearningCurve:
    """Score the chosen setting on the selection part, fitted on growing shares of the fit part.

    The preprocessing is fitted once, on the whole fit part.

    Parameters
    ----------
    name : str
        Name of the method.
    pipeline : Pipeline
        The pipeline returned by `fit_head`.
    features : ndarray of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,)
    split : Split
        The fit part and the selection part.
    seed : int
        Controls the order in which samples are added; it keeps classes in proportion.

    Returns
    -------
    LearningCurve
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(split.train)
    place = np.empty(len(order))
    for label in np.unique(y[order]):
        of_class = np.flatnonzero(y[order] == label)
        # Evenly spaced in [0, 1) with a random offset, so that every prefix is stratified.
        place[of_class] = (np.arange(len(of_class)) + rng.random()) / len(of_class)
        place[of_class[0]] = -1  # so that every class is present from the start
    order = order[np.argsort(place, kind="stable")]
    # The same order for every size, so that larger sets contain the smaller ones.
    sizes = _sizes(len(order), len(np.unique(y[order])))
    values = clone(pipeline["preprocessing"]).fit(features[split.train]).transform(features)
    accuracies = []
    for size in sizes:
        head = clone(chosen_estimator(pipeline)).fit(values[order[:size]], y[order[:size]])
        accuracies.append(float(head.score(values[split.held_out], y[split.held_out])))
    return LearningCurve(name, sizes, accuracies, len(split.held_out))


def _sizes(n_samples: int, n_classes: int) -> list[int]:
    # At least two samples per class on average.
    sizes: Sequence[int] = [max(2 * n_classes, round(share * n_samples)) for share in _SHARES]
    return sorted({min(size, n_samples) for size in sizes})
