"""The taught head against the one that serves: on samples that neither was fitted on.

These are the test samples of the fit. Each look at them with a choice after it makes them a little
less of a test, so looks are counted and said. A held-out sample that was taught since does not
count for either head.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.evaluation.intervals.accuracy import accuracy_interval, compare_accuracies
from penultimate.teaching.duplicates import same_samples
from penultimate.teaching.errors import TeachingError
from penultimate.teaching.head import Head
from penultimate.teaching.journal import TaughtLesson
from penultimate.teaching.lesson import HeadComparison
from penultimate.teaching.lessons import joined


def compare_heads(
    serving: Head, taught: Head, lessons: list[TaughtLesson], n_looks: int
) -> HeadComparison:
    """Return how the two do on the same held-out samples.

    Returns
    -------
    HeadComparison

    Raises
    ------
    TeachingError
        If there are none.
    """
    rows = _untaught(serving, lessons)
    if not len(rows):
        raise TeachingError(
            "There are no held-out samples to compare on. Fit with a test set, or save with "
            "held_out=(X, y)."
        )
    X, y = serving.held_out[rows], serving.held_out_labels[rows]
    right = taught.predict(X) == y
    right_before = serving.predict(X) == y
    known = np.unique(y)
    return HeadComparison(
        taught=accuracy_interval(right),
        serving=accuracy_interval(right_before),
        difference=compare_accuracies(right, right_before),
        n_samples=len(rows),
        n_left_out=len(serving.held_out) - len(rows),
        n_looks=n_looks,
        new_classes=[label for code, label in enumerate(taught.classes) if code not in known],
    )


def expected_of(serving: Head, taught: Head, lessons: list[TaughtLesson]) -> dict[str, Any] | None:
    """Return what a manifest says of the accuracy to expect; None without held-out samples."""
    rows = _untaught(serving, lessons)
    if not len(rows):
        return None
    right = taught.predict(serving.held_out[rows]) == serving.held_out_labels[rows]
    found = accuracy_interval(right)
    what = "held-out samples, which were looked at while it was taught"
    if len(taught.classes) > len(serving.classes):
        what += "; none of the classes that are new"
    return {
        "accuracy": found.value,
        "low": found.low,
        "high": found.high,
        "what": what,
        "n": len(rows),
    }


def testable(head: Head, lessons: list[TaughtLesson]) -> Head:
    """Return a head without those of its held-out samples that were taught."""
    rows = _untaught(head, lessons)
    return replace(head, held_out=head.held_out[rows], held_out_labels=head.held_out_labels[rows])


def _untaught(head: Head, lessons: list[TaughtLesson]) -> NDArray[np.int64]:
    """Return the positions of held-out samples that were not taught."""
    features, _ = joined(lessons)
    keeps = np.ones(len(head.held_out), bool)
    if len(features):
        for places in same_samples(head.normalized(features), head.held_out):
            keeps[places] = False
    return np.flatnonzero(keeps)
