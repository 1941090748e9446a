"""A solution carried over to other samples.

Two things are reused. Any coefficients within their bounds are a feasible start once their sum is
zero, which the core sees to (``Decomposition::start_from``): samples are simply looked up by their
bytes, and one that is not recognized, for example because it was scaled otherwise, starts from
zero. A start decides how long a solution takes, and never what is certified. And a pair whose
classes have the same samples, weights and kernel as before is the problem that was solved: its
solution and its certificate stay. A new sample of one of ten classes leaves 36 of 45 pairs as they
were.
"""

import hashlib
from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from penultimate.svm._certified import Solutions, Start
from penultimate.svm._kernel import Kernel
from penultimate.svm._pairs import SortedClasses, pair_indices


@dataclass(frozen=True)
class Prints:
    """Fingerprints of what the problems of all pairs are made of.

    Attributes
    ----------
    kernel : Kernel
    setting : tuple
        What else all pairs depend on: the tolerance, and the values of a precomputed kernel.
    of_class : dict of label to bytes
        The samples of each class and their bounds.
    """

    kernel: Kernel
    setting: tuple[Hashable, ...]
    of_class: dict[Any, bytes]

    @classmethod
    def of(
        cls,
        X: NDArray[Any],
        C_per_sample: NDArray[np.float64],
        layout: SortedClasses,
        classes: NDArray[Any],
        kernel: Kernel,
        tol: float,
    ) -> Self:
        """Compute them; `X` and `C_per_sample` are in the order in which samples came."""
        setting: tuple[Hashable, ...] = (tol, X.dtype.str, X.shape[1])
        if kernel.name == "precomputed":
            # A row says nothing without the others, so what counts is the whole matrix.
            setting += (_print(X),)
        rows = np.split(layout.order, layout.starts[1:-1])
        prints = [_print(X[each], C_per_sample[each]) for each in rows]
        return cls(kernel, setting, dict(zip(classes.tolist(), prints, strict=True)))


def carry_over(
    fitted: Any,
    X: NDArray[Any],
    layout: SortedClasses,
    classes: NDArray[Any],
    now: Prints,
) -> Start | None:
    """Return what the solution of a classifier starts from.

    Parameters
    ----------
    fitted : SVC
        With its last solution.
    X : ndarray of shape (n_samples, n_features)
    layout : SortedClasses
    classes : ndarray of shape (n_classes,)
    now : Prints

    Returns
    -------
    Start or None
        None if the samples are vectors here, and were rows of a Gram matrix there.
    """
    before: Prints | None = fitted._prints
    # After a fit on a Gram matrix there are no vectors: what is known of a sample is its position.
    is_matrix = now.kernel.name == "precomputed"
    if is_matrix != (fitted.support_vectors_.shape[1] == 0):
        return None
    support = fitted.support_[:, None] if is_matrix else fitted.support_vectors_
    samples = np.arange(len(X))[:, None] if is_matrix else X
    starts = np.concatenate([[0], np.cumsum(fitted.n_support_)])
    code_before = {label: code for code, label in enumerate(fitted.classes_.tolist())}
    old = [code_before.get(label) for label in classes.tolist()]
    solutions = Solutions.empty(len(classes), len(X))
    for c, old_c in enumerate(old):
        if old_c is None:
            continue
        new_places, old_places = _same_samples(
            samples, layout, c, support, slice(starts[old_c], starts[old_c + 1])
        )
        for o, old_o in enumerate(old):
            if o != c and old_o is not None:
                # A sample has no row for its own class; see `Solutions`.
                row, old_row = o - (o > c), old_o - (old_o > old_c)
                solutions.coefficients[row, new_places] = fitted._coefficients[old_row, old_places]
    unchanged = np.zeros(len(solutions.intercepts), np.int64)
    if before is not None and (before.kernel, before.setting) == (now.kernel, now.setting):
        same = [now.of_class[label] == before.of_class.get(label) for label in classes.tolist()]
        # Pairs are numbered in the order of the classes, which a new class shifts.
        old_pairs = np.full((len(fitted.classes_),) * 2, -1)
        old_pairs[pair_indices(len(fitted.classes_))] = np.arange(len(fitted._intercepts))
        for k, (i, j) in enumerate(zip(*pair_indices(len(classes)))):
            if not (same[i] and same[j]):
                continue
            place = old_pairs[old[i], old[j]]
            # One that was cut off by `max_iter` has no certificate to keep, and goes on.
            if fitted.status_[place] == "converged":
                unchanged[k] = 1
                solutions.intercepts[k] = fitted._intercepts[place]
                solutions.gaps[k] = fitted.optimality_gap_[place]
    return Start(solutions, unchanged)


def _same_samples(
    X: NDArray[Any], layout: SortedClasses, code: int, support: NDArray[Any], part: slice
) -> tuple[list[int], list[int]]:
    """Return the places of the samples of a class, after sorting, that are support vectors."""
    places = defaultdict(list)
    # From the last, so that of equal samples the first is taken first.
    for place in reversed(range(layout.starts[code], layout.starts[code + 1])):
        places[X[layout.order[place]].tobytes()].append(place)
    support = support.astype(X.dtype, copy=False)
    found = [
        (same.pop(), place)
        for place in range(part.start, part.stop)
        if (same := places.get(support[place].tobytes()))
    ]
    return [new for new, _ in found], [place for _, place in found]


def _print(*arrays: NDArray[Any]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.digest()
