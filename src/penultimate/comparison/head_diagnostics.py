"""Diagnostics of fitted heads for the report: margins, hard cases and learning curves.

Learning curves refit the chosen setting, and score it on held-out samples only. Hard cases look at
the training samples instead: a support vector at its bound is a sample that the machine could not
place outside its margin although it was fitted on it, often a wrong label.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from penultimate._common.pipelines import ask_last_step
from penultimate._common.progress import Progress
from penultimate.evaluation.head_calibration import chosen_estimator, of_chosen
from penultimate.evaluation.novelty.strangers import Strangers, leave_each_class_out
from penultimate.results.method import HardCase, LearningCurve
from penultimate.splits.parts import Split
from penultimate.svm.svc import SVC

if TYPE_CHECKING:
    from penultimate.comparison.fit import HeadFit

# Roughly doubled: accuracy tends to grow with the logarithm of the number of samples.
_SHARES = (0.1, 0.2, 0.4, 0.7, 1.0)
_AT_BOUND = 1 - 1e-6  # coefficients reach C up to rounding


def margins_of(
    pipeline: Pipeline, features: NDArray[Any], predicted: NDArray[np.int64]
) -> NDArray[np.floating] | None:
    """Compute the smallest decision value of the predicted class; None if it is not an SVM."""
    if not isinstance(chosen_estimator(pipeline), SVC):
        return None
    scores = ask_last_step(of_chosen(pipeline), "class_margins", features)
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
    scores = ask_last_step(of_chosen(pipeline), "class_margins", features[rows])
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


def strangers_to(
    head: "HeadFit",
    false_alarm_rate: float,
    groups: NDArray[Any] | None,
    fingerprints: NDArray[np.uint64],
    seed: int,
    progress: Progress,
) -> Strangers:
    """Leave out each class in turn, on the features that a head was selected on.

    Parameters
    ----------
    head : HeadFit
    false_alarm_rate : float
    groups, fingerprints : ndarray of shape (n_development,)
    seed : int
    progress : Progress

    Returns
    -------
    Strangers
    """
    parts = head.split.train, head.split.held_out
    known, held_out = ((head.features[rows], head.codes[rows]) for rows in parts)
    return leave_each_class_out(
        known,
        held_out,
        false_alarm_rate,
        groups=None if groups is None else (groups[parts[0]], groups[parts[1]]),
        fingerprints=fingerprints[parts[1]],
        seed=seed,
        progress=progress,
    )


def _sizes(n_samples: int, n_classes: int) -> list[int]:
    # At least two samples per class on average.
    sizes: Sequence[int] = [max(2 * n_classes, round(share * n_samples)) for share in _SHARES]
    return sorted({min(size, n_samples) for size in sizes})
