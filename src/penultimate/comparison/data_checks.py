"""Checks that ask the data alone, for a comparison and for the evaluation of a saved model.

A check that cannot be run never counts as passed. It is *not applicable* if there is nothing to
check, such as groups in data without groups. It is *unknown* if the answer depends on something
that was not recorded, such as the training samples of a network from elsewhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penultimate.datasets import Dataset
from penultimate.evaluation import Interval, checks
from penultimate.evaluation.checks import Check
from penultimate.evaluation.checks.labels import FEWEST_TO_JUDGE
from penultimate.results.samples import sample_names


@dataclass(frozen=True)
class NotMade:
    """Why a check was not run: it does not apply, or its outcome cannot be known."""

    why: str
    state: str = "not applicable"


Finding = Check | Iterable[Check] | NotMade | None


def states_of(
    findings: Iterable[tuple[str, Finding]],
) -> tuple[list[dict[str, str]], list[Check]]:
    """Return the state of every check by its id, and what was found.

    Parameters
    ----------
    findings : iterable of (str, Finding)
        The id of each check, and its outcome.

    Returns
    -------
    states : list of dict
        The ``id`` and ``state`` of every check, and ``why`` if it was not run.
    found : list of Check
    """
    # Every check gets a state, in particular one that could not run: silence would read as passed.
    states: list[dict[str, str]] = []
    found: list[Check] = []
    for name, outcome in findings:
        if isinstance(outcome, NotMade):
            states.append({"id": name, "state": outcome.state, "why": outcome.why})
            continue
        if outcome is None:
            outcome = []
        elif isinstance(outcome, Check):
            outcome = [outcome]
        of_this = list(outcome)
        states.append({"id": name, "state": "found" if of_this else "passed"})
        found += of_this
    return states, found


def copies_across_classes(data: Dataset) -> Finding:
    """Look for one sample under several labels."""
    names = None if data.files is None else sample_names(data)
    return checks.check_duplicates(data.fingerprint(), data.labels, names=names, noun=data.noun)


def order_of_labels(
    data: Dataset, samples: NDArray[np.int64], best: Interval | None, tested: NDArray[np.int64]
) -> Finding:
    """Look for labels that are in another order than the samples.

    Parameters
    ----------
    data : Dataset
    samples : ndarray of int
        Positions of those that are looked at.
    best : Interval or None
        The best accuracy that is known.
    tested : ndarray of int
        The labels that it was measured on.
    """
    counts = np.sort(np.bincount(data.labels[samples], minlength=2))
    if _labels_are_folders(data):
        return NotMade("each image's label is the name of its folder")
    if len(samples) < FEWEST_TO_JUDGE:
        return NotMade(f"{len(samples)} samples are too few to tell")
    # The check cross-validates a classifier, for which two classes need two samples each.
    if counts[-2:].min() < 2:
        return NotMade("too few samples of each class")
    # Cheap evidence first: the check itself fits a classifier.
    if best is not None and best.low > np.bincount(tested).max() / len(tested):
        return None  # it beats the majority class, so images and labels do match
    return checks.check_labels_order(data.images[samples], data.labels[samples])


def _labels_are_folders(data: Dataset) -> bool:
    """Return whether every image lies in the folder of its class: no order can be mixed up."""
    if data.files is None:
        return False
    # With subsets, a class such as "numerals/0" is a path of its own.
    return all(
        f"/{data.classes[code]}/" in f"/{file}".replace("\\", "/")
        for file, code in zip(data.files.tolist(), data.labels.tolist(), strict=True)
    )


def balance_of_classes(data: Dataset) -> Finding:
    """Look for classes that are much rarer than others."""
    return checks.check_balance(data.labels, data.classes)


def images_left_out(data: Dataset) -> Finding:
    """Look for files that could not be read."""
    # The reader's notes are the only trace of files that never became samples.
    left_out = sum(note.startswith("Left out: ") for note in data.notes)
    if left_out:
        files = (
            "1 file could not be read, and was"
            if left_out == 1
            else (f"{left_out:,} files could not be read, and were")
        )
        return Check("images-left-out", f"{files} skipped.")
    return NotMade("the data was not read from image files") if data.files is None else None
