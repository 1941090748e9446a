"""All heads of a bundle: one, or a specialist for each subset; and what lessons make of them.

A lesson is for the specialist whose subset has the label. The others, and the router, are left as
they are, node by node in the graph and to the bit.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from penultimate.teaching.errors import TeachingError
from penultimate.teaching.head import Head
from penultimate.teaching.journal import TaughtLesson


@dataclass(frozen=True)
class Heads:
    """The heads of a bundle, as they are in it or as they were taught.

    Attributes
    ----------
    each : tuple of Head
    classes : list
        All labels: those of the bundle, then new ones.
    """

    each: tuple[Head, ...]
    classes: list[Any]

    @property
    def subsets(self) -> list[str]:
        """Names of the subsets; empty for a single head."""
        return [head.subset for head in self.each if head.subset is not None]

    def __contains__(self, label: Any) -> bool:
        return label in self.classes

    def of_label(self, label: Any, subset: str | None) -> int:
        """Return the position of the head that a label is taught to.

        Raises
        ------
        TeachingError
            If there is no such subset, or it is not clear which.
        """
        if not self.subsets:
            if subset is not None:
                raise TeachingError(f"The model has no subsets; got {subset!r}. Leave it out.")
            return 0
        if subset is not None and subset not in self.subsets:
            raise TeachingError(
                f"The model has no subset {subset!r}; it has {self.subsets}. A new subset cannot "
                "be taught: nothing would route to it. Fit it: Specialists.add_subset, and save."
            )
        found = next((k for k, head in enumerate(self.each) if label in head), None)
        if found is None:
            if subset is not None:
                return self.subsets.index(subset)
            raise TeachingError(
                f"The class {label!r} is new: say of which subset it is; there are {self.subsets}."
            )
        if subset not in (None, self.each[found].subset):
            raise TeachingError(
                f"The class {label!r} is of the subset {self.each[found].subset!r}, not {subset!r}."
            )
        return found

    def taught(self, lessons: Sequence[TaughtLesson]) -> Self:
        """Return the heads of the bundle, refitted with lessons."""
        rows: list[list[NDArray[np.float32]]] = [[] for _ in self.each]
        labels: list[list[Any]] = [[] for _ in self.each]
        classes = self.classes[: sum(len(head.places) for head in self.each)]
        bundle = replace(self, classes=classes)
        new: dict[Any, None] = {}
        for lesson in lessons:
            for row, label, subset in zip(
                lesson.features, lesson.labels, lesson.subsets, strict=True
            ):
                place = bundle.of_label(label, subset)
                rows[place].append(row)
                labels[place].append(label)
                if label not in bundle:
                    new[label] = None
        each = tuple(
            head.taught(np.array(own), names) for head, own, names in zip(self.each, rows, labels)
        )
        return replace(self, each=each, classes=[*classes, *new])

    def predict(self, features: NDArray[np.float32], places: Sequence[int]) -> list[Any]:
        """Predict labels of samples, each by the head at a position."""
        found: list[Any] = [None] * len(features)
        for place, head in enumerate(self.each):
            own = [k for k, other in enumerate(places) if other == place]
            for k, label in zip(own, head.predict(features[own])):
                found[k] = label
        return found

    def without(self, lessons: Sequence[TaughtLesson]) -> Self:
        """Return them without those kept samples of the bundle that lessons have taught."""
        features = np.concatenate([each.features for each in lessons])
        return replace(self, each=tuple(head.without(features) for head in self.each))

    @property
    def is_certified(self) -> bool:
        """Whether the solution of every pair of classes is within the tolerance."""
        return all((head.machine.status_ == "converged").all() for head in self.each)

    @property
    def gap(self) -> float:
        """The largest violation of the optimality conditions."""
        return max(float(head.machine.optimality_gap_.max()) for head in self.each)

    def digest(self) -> str:
        """Return a hash of all that they predict by."""
        found = hashlib.sha256(repr(self.classes).encode())
        for head in self.each:
            found.update(repr(head.classes).encode())
            for name in ("support_vectors_", "n_support_", "dual_coef_", "intercept_"):
                found.update(np.ascontiguousarray(getattr(head.machine, name)).data)
        return found.hexdigest()
