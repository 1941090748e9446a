"""What teaching says: of a lesson, of a comparison, and of a promotion."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penultimate.evaluation.intervals.accuracy import Interval
from penultimate.teaching.journal import TaughtLesson


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What a lesson, or an undone one, changed.

    Attributes
    ----------
    number : int
        By which the journal knows it.
    labels : list
        What was taught.
    before, after : list
        What the head said of these samples before, and says now.
    new_classes : list
    certified : bool
        Whether the solution of every pair of classes is within the tolerance, checked in float64.
    gap : float
        Largest violation of the optimality conditions.
    digest : str
        Hash of the head as it is now.
    seconds : float
        For the refit and the journal.
    notes : tuple of str
        What to know of it, such as samples that were known already.
    """

    number: int
    labels: list[Any]
    before: list[Any]
    after: list[Any]
    new_classes: list[Any]
    certified: bool
    gap: float
    digest: str
    seconds: float
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        right = sum(said == label for said, label in zip(self.after, self.labels))
        before = sum(said == label for said, label in zip(self.before, self.labels))
        n = len(self.labels)
        state = "certified" if self.certified else f"not within the tolerance (gap {self.gap:.2g})"
        lines = [
            f"Lesson {self.number}: {n} sample{'s' * (n > 1)}, {before} right before and {right} "
            f"now; refitted in {1000 * self.seconds:.0f} ms, {state}."
        ]
        if self.new_classes:
            lines.append(f"New: {', '.join(map(repr, self.new_classes))}.")
        if right < n:
            lines.append(
                f"Of {n - right} it still says otherwise: by the selected C, so few samples do not "
                "outweigh the others. Teach more like these."
            )
        return "\n".join([*lines, *self.notes])


@dataclass(frozen=True, kw_only=True)
class HeadComparison:
    """The taught head against the one that serves, on the same held-out samples.

    Attributes
    ----------
    taught, serving : Interval
        Accuracies.
    difference : Interval
        Paired difference of the two accuracies, with its 95 % interval.
    n_samples : int
    n_left_out : int
        Held-out samples that were taught, and so do not count any more.
    n_looks : int
        How often held-out samples were looked at so far, for all versions: each look at the same
        ones, with a choice after it, makes the next figures a little too optimistic.
    new_classes : list
        Classes of which there are no held-out samples.
    routed : Interval or None
        Of specialists: accuracy of the taught ones where the router chooses among them.
    """

    taught: Interval
    serving: Interval
    difference: Interval
    n_samples: int
    n_left_out: int
    n_looks: int
    new_classes: list[Any]
    routed: Interval | None = None

    def __str__(self) -> str:
        points = self.difference
        lines = [
            f"On {self.n_samples:,} held-out samples: {100 * self.taught.value:.1f} % taught, "
            f"{100 * self.serving.value:.1f} % serving. Difference {100 * points.value:+.1f} "
            f"points (95 % interval: {100 * points.low:+.1f} to {100 * points.high:+.1f}).",
            f"They were looked at {'once' if self.n_looks == 1 else f'{self.n_looks} times'}.",
        ]
        if self.routed is not None:
            lines.append(
                "That is with the subset known; where the router chooses it, "
                f"{100 * self.routed.value:.1f} % taught."
            )
        if self.new_classes:
            lines.append(
                f"None of them is of {', '.join(map(repr, self.new_classes))}: this is what the "
                "other classes lose."
            )
        if self.n_left_out:
            lines.append(f"{self.n_left_out} that were taught are left out.")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """A new version.

    Attributes
    ----------
    path : Path
        The bundle, which is the new version now.
    kept : Path
        The version before.
    number : int
    sha256, parent : str
        Hashes of both.
    notes : tuple of str
        What the new version does not have any more.
    """

    path: Path
    kept: Path
    number: int
    sha256: str
    parent: str
    notes: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(
            [f"{self.path} is version {self.number}; the one before is {self.kept}.", *self.notes]
        )


@dataclass(frozen=True, kw_only=True)
class Status:
    """How far a model was taught.

    Attributes
    ----------
    number : int
        Which version the bundle is, from 1.
    sha256 : str
        Its hash.
    has_parent : bool
        Whether there was a version before, to which it can be taken back.
    lessons : list of TaughtLesson
        What this version was taught, without what was undone.
    classes : list
        Labels that the taught head knows.
    new_classes : list
        Those of them that the bundle does not have yet.
    n_held_out : int
        Samples in the bundle to compare on.
    n_looks : int
        See `HeadComparison`.
    """

    number: int
    sha256: str
    has_parent: bool
    lessons: list[TaughtLesson]
    classes: list[Any]
    new_classes: list[Any]
    n_held_out: int
    n_looks: int
