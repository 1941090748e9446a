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
from penultimate.teaching.heads import Heads
from penultimate.teaching.journal import TaughtLesson
from penultimate.teaching.lesson import Lesson

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


def check_lessons(lessons: Sequence[TaughtLesson], manifest: Manifest, heads: Heads) -> None:
    """Raise unless what a journal holds can be taught to these heads."""
    width = heads.each[0].in_bundle.X.shape[1]
    for each in lessons:
        shape = (len(each.labels), width)
        if each.features.shape != shape or not np.isfinite(each.features).all():
            raise TeachingError(
                f"Lesson {each.event} in the journal has features of shape {each.features.shape}, "
                f"or some that are not finite; {shape} was expected. The journal is damaged."
            )
        check_labels(each.labels, len(each.labels), manifest)


def look_up(
    rows: NDArray[np.float32],
    labels: list[Any],
    places: list[int],
    lessons: Sequence[TaughtLesson],
    heads: Heads,
    leaked: Callable[[str], None],
) -> tuple[list[int], tuple[str, ...]]:
    """Return which samples are new, and what to know of the others.

    `places` are the positions of the heads that the labels are taught to. `leaked` is called with
    words if samples are among the held-out ones.

    Raises
    ------
    TeachingError
        If none is new, or one was taught with another label.
    """
    numbers = [each.event for each in lessons for _ in each.labels]
    known = [label for each in lessons for label in each.labels]
    width = rows.shape[1]
    taught = np.concatenate([np.empty((0, width), np.float32), *(e.features for e in lessons)])
    of_fit = _of_fit(rows, places, heads)
    new: list[int] = []
    notes: list[str] = []
    for place, same in enumerate(same_samples(rows, taught)):
        label = labels[place]
        earlier = [k for k in new if np.array_equal(rows[k], rows[place])]
        said = [(known[k], f"in lesson {numbers[k]}") for k in same]
        said += [(labels[k], "in this lesson") for k in earlier]
        if other := [(was, where) for was, where in said if was != label]:
            was, where = other[0]
            raise TeachingError(
                f"Sample {place} was taught as {was!r} {where}, and now as {label!r}. Undo that "
                "lesson first."
            )
        if said:
            notes.append(f"Sample {place} was taught {said[0][1]} already, and is left out.")
            continue
        if place in of_fit:
            notes.append(
                f"Sample {place} is among those of the fit, as {of_fit[place]!r}; that one stays, "
                "too."
            )
        new.append(place)
    if not new:
        raise TeachingError("All of these samples were taught already, with these labels.")
    for kind, words in (
        ("held_out", "held-out ones, and no longer count there: a head cannot be tested on"),
        ("calibration", "calibration samples, and no longer count there: no threshold is set on"),
    ):
        found = [same_samples(h.normalized(rows[new]), getattr(h, kind).X) for h in heads.each]
        if n_leaked := sum(any(len(same) for same in each) for each in zip(*found)):
            note = f"{n_leaked} of these samples are among the {words} what it was taught."
            leaked(note)
            notes.append(note)
    return new, tuple(notes)


def _of_fit(rows: NDArray[np.float32], places: list[int], heads: Heads) -> dict[int, Any]:
    """Return which samples were fitted on by the heads they are for, and with which labels."""
    found = {}
    for place, head in enumerate(heads.each):
        own = [k for k, other in enumerate(places) if other == place]
        if own:
            fitted = head.in_bundle
            for k, same in zip(own, same_samples(head.normalized(rows[own]), fitted.X)):
                if len(same):
                    found[k] = head.classes[fitted.codes[same[0]]]
    return found


def lesson_of(
    number: int,
    before: Heads,
    after: Heads,
    taught: TaughtLesson,
    start: float,
    notes: tuple[str, ...],
) -> Lesson:
    """Return what a lesson, or an undone one, changed."""
    # Asked of the specialist that it was for; before a class was new, of its subset.
    with_all = after if len(after.classes) >= len(before.classes) else before
    places = [with_all.of_label(*each) for each in zip(taught.labels, taught.subsets)]
    return Lesson(
        number=number,
        labels=taught.labels,
        before=before.predict(taught.features, places),
        after=after.predict(taught.features, places),
        new_classes=[each for each in after.classes if each not in before],
        certified=after.is_certified,
        gap=after.gap,
        digest=after.digest(),
        seconds=time.perf_counter() - start,
        notes=notes,
    )
