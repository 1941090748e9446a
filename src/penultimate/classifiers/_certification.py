"""Setting a threshold on confidence from held-out samples, and which of these may be used.

The guarantee is an exact binomial test on samples that the classifier has not seen: a network
classifies the samples that it was trained on better than new ones. Whether enough samples are held
out for a guarantee depends on their number alone, so it is checked before anything is fitted.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penultimate._common.frames import level_outside
from penultimate._common.per_sample import take
from penultimate._common.protocols import Head
from penultimate.evaluation.abstention.thresholds import (
    certified_threshold,
    coverage_threshold,
    error_free_samples,
    risk_upper_bound,
)
from penultimate.provenance.leakage import LeakageError, LeakageWarning
from penultimate.provenance.unseen import seen_by


@dataclass(frozen=True)
class Goal:
    """What a threshold is set for: a maximum risk at a level, or a coverage.

    Attributes
    ----------
    risk : float or None
        Maximum error rate among the answers; None if `coverage` is given.
    coverage : float or None
        Minimum share of held-out samples that get an answer.
    level : float
        Probability with which the guarantee or the bound holds.
    """

    risk: float | None
    coverage: float | None
    level: float

    def check_enough(self, n_heldout: int, n_samples: int, n_seen: int = 0) -> None:
        """Raise ``ValueError`` if no outcome on so few samples could give the guarantee."""
        if self.risk is None:
            return
        needed = error_free_samples(self.risk, level=self.level)
        n_heldout -= n_seen
        if n_heldout < needed:
            seen = f", not counting {n_seen:,} that were seen in training" if n_seen else ""
            raise ValueError(
                f"risk={self.risk:g} at level={self.level:g} needs at least {needed:,} held-out "
                f"samples without an error; {n_heldout:,} of {n_samples:,} samples are held out"
                f"{seen}. Pass more samples or a larger holdout, allow a higher risk, or set a "
                "coverage."
            )


@dataclass(frozen=True)
class Threshold:
    """A threshold on confidence, and what it does to the held-out samples.

    Attributes
    ----------
    value : float
        Samples whose confidence exceeds it get an answer.
    n_heldout, n_accepted, n_errors : int
        Numbers of held-out samples, of those above it, and of errors among these.
    risk_bound : float
        Upper bound on the error rate among answers; 1 if there are none.
    """

    value: float
    n_heldout: int
    n_accepted: int
    n_errors: int
    risk_bound: float


def set_threshold(
    goal: Goal, correct: NDArray[np.bool_], confidence: NDArray[np.float64]
) -> Threshold:
    """Set the threshold on held-out samples.

    Parameters
    ----------
    goal : Goal
    correct : ndarray of shape (n_samples,), bool
        Whether each held-out sample was classified correctly.
    confidence : ndarray of shape (n_samples,)
        Confidence of each prediction.

    Returns
    -------
    Threshold

    Warns
    -----
    UserWarning
        If no threshold gives the guarantee.
    """
    level = goal.level
    if goal.risk is None:
        assert goal.coverage is not None
        value = coverage_threshold(confidence, goal.coverage)
    else:
        value = certified_threshold(correct, confidence, goal.risk, level=level)
        if value == np.inf:
            _warn_nothing_certified(goal.risk, level, correct, confidence)
        level = 1 - (1 - level) / 2  # it splits the error over two sequences of thresholds
    accepted = confidence > value
    n_accepted, n_errors = int(accepted.sum()), int((~correct)[accepted].sum())
    bound = float(risk_upper_bound(n_errors, n_accepted, level=level))
    return Threshold(value, len(correct), n_accepted, n_errors, bound)


def _warn_nothing_certified(
    risk: float, level: float, correct: NDArray[np.bool_], confidence: NDArray[np.float64]
) -> None:
    needed = error_free_samples(risk, level=level)
    surest = np.argsort(-confidence, kind="stable")[:needed]
    warnings.warn(
        f"No threshold guarantees risk={risk:g} at level={level:g}, so the classifier abstains "
        f"from every sample: the {needed:,} most confident of {len(correct):,} held-out samples "
        f"include {(~correct)[surest].sum()} errors, but the strictest threshold allows none. Hold "
        "out more samples, or allow a higher risk.",
        UserWarning,
        stacklevel=level_outside(),
    )


def check_known_labels(y: NDArray[Any], classes: NDArray[Any]) -> None:
    """Raise ``ValueError`` for a held-out label that is not a class of the classifier."""
    # As objects: otherwise NumPy would convert 0 and "0" to one type and find them equal.
    unknown = np.setdiff1d(y.astype(object), classes.astype(object))
    if len(unknown):
        raise ValueError(
            f"y holds labels that are not classes of the classifier, such as {unknown[0]!r}; "
            f"its classes are {classes.tolist()[:10]}. Drop these samples, or pass the labels in "
            "the form that it was fitted with."
        )


def leave_seen_out(
    estimator: Head, X: ArrayLike, y: NDArray[Any], goal: Goal
) -> tuple[Any, NDArray[Any], NDArray[np.intp]]:
    """Return the held-out samples that a fitted classifier has not seen, and which these are.

    Parameters
    ----------
    estimator : classifier
        Fitted classifier.
    X : array-like of shape (n_samples, ...)
        The held-out samples.
    y : ndarray of shape (n_samples,)
        Their labels.
    goal : Goal
        What the threshold is set for.

    Returns
    -------
    X, y : array-like and ndarray
    rows : ndarray of int
        Their positions.

    Raises
    ------
    LeakageError
        If it has seen all of them.
    ValueError
        If the others are too few for the guarantee.

    Warns
    -----
    LeakageWarning
        If it has seen some of them.
    """
    seen = seen_by(estimator, X)
    if not seen.any():
        return X, y, np.arange(len(y))
    count = f"{seen.sum():,} of {len(seen):,} held-out samples were seen in training"
    if seen.all():
        raise LeakageError(
            f"{count}, by the classifier or a network in it, and cannot show how often it errs "
            "on new ones. Pass samples that it has not seen."
        )
    goal.check_enough(len(seen), len(seen), int(seen.sum()))
    warnings.warn(
        f"{count}; the threshold is set on the other {(~seen).sum():,}.",
        LeakageWarning,
        stacklevel=level_outside(),
    )
    rows = np.flatnonzero(~seen)
    return take(X, rows), y[rows], rows
