"""What a service answers about teaching, as models of its document and as JSON."""

import math
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field

from penultimate.serve.answers import Answer, Label
from penultimate.teaching import HeadComparison, Lesson, Promotion, Status

Words = Annotated[list[str], Field(description="All of it in sentences.")]


class Figure(BaseModel):
    """An accuracy, or a difference of two, with its 95 % interval."""

    value: float
    low: float
    high: float


class Compared(BaseModel):
    """The taught head against the one that serves, on the same held-out samples."""

    taught: Figure
    serving: Figure
    difference: Annotated[Figure, Field(description="Paired.")]
    routed: Annotated[
        Figure | None,
        Field(description="For specialists: taught, where the router chooses among them."),
    ]
    n_samples: int
    n_left_out: Annotated[int, Field(description="Held-out samples that were taught since.")]
    n_looks: Annotated[int, Field(description="How often held-out samples were looked at.")]
    new_classes: Annotated[list[Label], Field(description="Of which none is held out.")]
    words: Words


class LessonHeld(BaseModel):
    """A lesson that counts."""

    number: int
    at: str
    labels: list[Label]
    has_pictures: bool


class TeachingStatus(BaseModel):
    """How far a model was taught."""

    model: str
    number: Annotated[int, Field(description="Which version serves, from 1.")]
    version: Annotated[str, Field(description="SHA-256 of its file.")]
    has_parent: Annotated[bool, Field(description="Whether there is a version before.")]
    lessons: Annotated[list[LessonHeld], Field(description="Since this version.")]
    classes: Annotated[list[Label], Field(description="That the taught head knows.")]
    new_classes: list[Label]
    n_held_out: int
    n_looks: int
    comparison: Annotated[
        Compared | None, Field(description="The last one, if it is of these lessons.")
    ]


class LessonLearned(BaseModel):
    """What a lesson, or an undone one, changed."""

    number: int
    labels: list[Label]
    before: Annotated[list[Label], Field(description="What was said of these samples before.")]
    after: Annotated[list[Label], Field(description="What is said of them now.")]
    new_classes: list[Label]
    certified: Annotated[
        bool, Field(description="Whether the solution was found to be optimal, in float64.")
    ]
    gap: float | None
    digest: Annotated[str, Field(description="Hash of the taught head.")]
    seconds: float
    notes: list[str]
    words: Words


class Taught(BaseModel):
    """A lesson that is on the disk, or was taken back."""

    lesson: LessonLearned
    status: TeachingStatus


class Comparison(BaseModel):
    """A comparison, which counts as a look."""

    comparison: Compared
    status: TeachingStatus


class NewVersion(BaseModel):
    """A version that was promoted, or the one before that was taken back."""

    number: int
    version: Annotated[str, Field(description="SHA-256 of the file.")]
    parent: str
    kept: Annotated[str, Field(description="Name of the other version's file, beside this one.")]
    serves: Annotated[bool, Field(description="Whether the service answers with it now.")]
    words: Words


class Promoted(BaseModel):
    """A version of which the service answers with."""

    promotion: NewVersion
    status: TeachingStatus


class TaughtAnswer(Answer):
    """What serves says, and what the taught head says of the same samples."""

    taught: Annotated[list[Label], Field(description="Labels, in the order of predictions.")]


def lesson_of(lesson: Lesson, notes: Sequence[str]) -> dict[str, Any]:
    """Return what a lesson changed, as `LessonLearned` describes it."""
    return {
        "number": lesson.number,
        "labels": lesson.labels,
        "before": lesson.before,
        "after": lesson.after,
        "new_classes": lesson.new_classes,
        "certified": lesson.certified,
        "gap": lesson.gap if math.isfinite(lesson.gap) else None,
        "digest": lesson.digest,
        "seconds": lesson.seconds,
        "notes": list(notes),
        "words": str(lesson).split("\n"),
    }


def comparison_of(found: HeadComparison) -> dict[str, Any]:
    """Return a comparison, as `Compared` describes it."""
    names = ("taught", "serving", "difference", "routed")
    figures = {name: getattr(found, name) for name in names}
    return {
        **{
            name: each and {"value": each.value, "low": each.low, "high": each.high}
            for name, each in figures.items()
        },
        "n_samples": found.n_samples,
        "n_left_out": found.n_left_out,
        "n_looks": found.n_looks,
        "new_classes": found.new_classes,
        "words": str(found).split("\n"),
    }


def promotion_of(done: Promotion, serving: str, is_new: bool) -> dict[str, Any]:
    """Return a version, as `NewVersion` describes it.

    Parameters
    ----------
    done : Promotion
    serving : str
        Hash of what serves now.
    is_new : bool
        Whether it was promoted, or is the one before a promotion that was taken back.
    """
    serves, before = done.sha256 == serving, ""
    if is_new:
        before = f" The one before is kept as {done.kept.name}."
    words = [f"Version {done.number} serves now.{before}"]
    if not serves:
        words = [f"The file is version {done.number}.{before} The service could not load it: its "
                 "log says why. It answers as before."]  # fmt: skip
    return {
        "number": done.number,
        "version": done.sha256,
        "parent": done.parent,
        "kept": done.kept.name,
        "serves": serves,
        "words": [*words, *done.notes],
    }


def status_of(status: Status, name: str, comparison: dict[str, Any] | None) -> dict[str, Any]:
    """Return how far a model was taught, as `TeachingStatus` describes it."""
    return {
        "model": name,
        "number": status.number,
        "version": status.sha256,
        "has_parent": status.has_parent,
        "lessons": [
            {
                "number": each.event,
                "at": each.at,
                "labels": each.labels,
                "has_pictures": None not in each.thumbnails,
            }
            for each in status.lessons
        ],
        "classes": status.classes,
        "new_classes": status.new_classes,
        "n_held_out": status.n_held_out,
        "n_looks": status.n_looks,
        "comparison": comparison,
    }
