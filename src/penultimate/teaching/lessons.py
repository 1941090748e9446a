"""Samples and labels of lessons: what is taken, what is known already, and what is said of it."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.bundle.errors import BundleError
from penultimate.bundle.manifest import Manifest
from penultimate.bundle.strict_json import parse_json
from penultimate.teaching.duplicates import same_samples
from penultimate.teaching.errors import TeachingError
from penultimate.teaching.head import Head
from penultimate.teaching.journal import TaughtLesson
from penultimate.teaching.lesson import Lesson
from penultimate.teaching.version import digest

_LONGEST = 200  # characters of a label
_KINDS: dict[str, tuple[type, tuple[type, ...]]] = {
    "str": (str, (str,)),
    "int": (int, (int, np.integer)),
    "float": (float, (float, np.floating, int, np.integer)),
    "bool": (bool, (bool, np.bool_)),
}


def check_labels(y: Any, n_samples: int, manifest: Manifest) -> list[Any]:
    """Return labels of the type of the model's.

    Raises
    ------
    TypeError
        If they are of another type.
    ValueError
        If there are more or fewer than samples, or one cannot be stored.
    """
    if y is None:
        raise TypeError("Pass y, the labels of the samples.")
    given = [y] if isinstance(y, (str, bytes)) or np.ndim(y) == 0 else list(y)
    if len(given) != n_samples or not given:
        raise ValueError(f"There are {n_samples:,} samples and {len(given):,} labels of them.")
    make, kinds = _KINDS[manifest.class_type]
    labels = []
    for label in given:
        is_truth = isinstance(label, (bool, np.bool_))
        if not isinstance(label, kinds) or is_truth != (make is bool):
            raise TypeError(
                f"The labels of this model are of type {make.__name__}; got {label!r} of type "
                f"{type(label).__name__}."
            )
        labels.append(make(label))
        text = json.dumps(labels[-1])
        if make is str and not 0 < len(labels[-1].strip()) <= len(labels[-1]) <= _LONGEST:
            raise ValueError(f"A label has 1 to {_LONGEST} characters; got {labels[-1][:50]!r}.")
        if make is int and not -(2**63) <= labels[-1] < 2**63:
            raise ValueError(f"The label {text[:60]} has more than 64 bits.")
        try:
            parse_json(text.encode(), "the label")
        except BundleError as error:
            raise ValueError(f"The label {text[:60]} cannot be stored: {error}") from error
    return labels


def check_lessons(lessons: Sequence[TaughtLesson], manifest: Manifest, head: Head) -> None:
    """Raise unless what a journal holds can be taught to this head."""
    for each in lessons:
        shape = (len(each.labels), head.X.shape[1])
        if each.features.shape != shape or not np.isfinite(each.features).all():
            raise TeachingError(
                f"Lesson {each.event} in the journal has features of shape {each.features.shape}, "
                f"or some that are not finite; {shape} was expected. The journal is damaged."
            )
        check_labels(each.labels, len(each.labels), manifest)


def joined(
    lessons: Sequence[TaughtLesson],
    features: NDArray[np.float32] | None = None,
    labels: Sequence[Any] = (),
) -> tuple[NDArray[np.float32], list[Any]]:
    """Return features and labels of all lessons, and of one that follows."""
    rows = [each.features for each in lessons]
    if features is not None:
        rows.append(features)
    every = [label for each in lessons for label in each.labels] + list(labels)
    return np.concatenate(rows) if rows else np.empty((0, 0), np.float32), every


def look_up(
    rows: NDArray[np.float32],
    labels: list[Any],
    lessons: Sequence[TaughtLesson],
    head: Head,
    leaked: Callable[[str], None],
) -> tuple[list[int], tuple[str, ...]]:
    """Return which samples are new, and what to know of the others.

    `head` is the taught one, which has the samples of the fit, followed by those of lessons.
    `leaked` is called with words if samples are among the held-out ones.

    Raises
    ------
    TeachingError
        If none is new, or one was taught with another label.
    """
    normalized = head.normalized(rows)
    numbers = [each.event for each in lessons for _ in each.labels]
    n_fitted = len(head.X) - len(numbers)
    new: list[int] = []
    notes: list[str] = []
    for place, same in enumerate(same_samples(normalized, head.X)):
        label = labels[place]
        earlier = [k for k in new if np.array_equal(rows[k], rows[place])]
        taught = [int(k) - n_fitted for k in same if k >= n_fitted]
        said = [(head.classes[head.y[k + n_fitted]], f"in lesson {numbers[k]}") for k in taught]
        said += [(labels[k], "in this lesson") for k in earlier]
        if other := [(known, where) for known, where in said if known != label]:
            known, where = other[0]
            raise TeachingError(
                f"Sample {place} was taught as {known!r} {where}, and now as {label!r}. Undo that "
                "lesson first."
            )
        if said:
            notes.append(f"Sample {place} was taught {said[0][1]} already, and is left out.")
            continue
        if fitted := [head.classes[head.y[k]] for k in same if k < n_fitted]:
            notes.append(
                f"Sample {place} is among those of the fit, as {fitted[0]!r}; that one stays, too."
            )
        new.append(place)
    if not new:
        raise TeachingError("All of these samples were taught already, with these labels.")
    held_out = same_samples(normalized[new], head.held_out)
    if n_leaked := sum(len(each) > 0 for each in held_out):
        note = (
            f"{n_leaked} of these samples are among the held-out ones, and no longer count there: "
            "a head cannot be tested on what it was taught."
        )
        leaked(note)
        notes.append(note)
    return new, tuple(notes)


def said_by(head: Head, rows: NDArray[np.float32]) -> list[Any]:
    """Return labels that a head predicts of features."""
    return [head.classes[code] for code in head.predict(head.normalized(rows))]


def lesson_of(
    number: int,
    before: Head,
    after: Head,
    rows: NDArray[np.float32],
    labels: list[Any],
    start: float,
    notes: tuple[str, ...],
) -> Lesson:
    """Return what a lesson changed."""
    return Lesson(
        number=number,
        labels=labels,
        before=said_by(before, rows),
        after=said_by(after, rows),
        new_classes=[each for each in after.classes if each not in before],
        certified=bool((after.machine.status_ == "converged").all()),
        gap=float(after.machine.optimality_gap_.max()),
        digest=digest(after),
        seconds=time.perf_counter() - start,
        notes=notes,
    )
