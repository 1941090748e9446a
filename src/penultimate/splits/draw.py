"""Drawing the parts of the data: development and test set; fit and selection part of development.

All splits are stratified by class, deterministic for a seed, and keep groups and exact copies on
one side. The checks refuse data in which some class could not be fitted, selected and tested on.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.door import spelled
from penultimate._common.validation import check_per_sample
from penultimate.splits.parts import Split
from penultimate.splits.units import describe, draw_groups, draw_samples, join_copies, stratify

# The fewest distinct samples of a class with which it can be fitted, selected and tested on.
MIN_PER_CLASS = 5


def split_test(
    y: NDArray[Any],
    *,
    groups: NDArray[Any] | None = None,
    fingerprints: NDArray[np.uint64] | None = None,
    is_test: NDArray[np.bool_] | None = None,
    test_size: float = 0.2,
    seed: int = 0,
    names: Sequence[str] | None = None,
) -> Split:
    """Split into development and test set, the same on every call.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels; the split is stratified by them.
    groups : ndarray of shape (n_samples,), optional
        Groups; no group is in both parts.
    fingerprints : ndarray of shape (n_samples,), uint64, optional
        Fingerprints, as returned by `penultimate.provenance.fingerprint`. Samples with the same
        fingerprint are exact copies and stay on one side.
    is_test : ndarray of bool, optional
        Split that came with the data; it is kept, even with copies on both sides.
    test_size : float, default=0.2
        Fraction of test samples, if `is_test` is not given.
    seed : int, default=0
        Seed of the draw; each seed gives a different split.
    names : sequence of str, optional
        Class names for messages, if the labels are indices.

    Returns
    -------
    Split

    Raises
    ------
    ValueError
        If a class has fewer than 5 distinct samples or, with groups, fewer than 2 groups.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.splits import split_test
    >>> split = split_test(np.repeat([0, 1], 10))
    >>> len(split.train), len(split.held_out)
    (16, 4)
    """
    groups = check_per_sample(groups, len(y), "groups", "split_test")
    is_test = check_per_sample(is_test, len(y), "is_test", "split_test")
    if is_test is None:
        check_class_sizes(y, names, fingerprints)
        return split_samples(
            y, groups, test_size, fingerprints=fingerprints, seed=seed, names=names
        )
    if is_test.all() or not is_test.any():
        part = "test" if is_test.all() else "train"
        raise ValueError(f"The split that came with the data puts every sample into {part!r}.")
    unknown = np.setdiff1d(y[is_test], y[~is_test])
    if len(unknown):
        raise ValueError(
            f"{len(unknown)} of the test set's classes have no training samples, "
            f"such as class {describe(unknown.tolist()[0], names)!r}. Add some to the training "
            "part, or leave these classes out of the test set."
        )
    # Copies need not be counted: a given split is kept, whatever it does with them.
    check_class_sizes(y, names)
    if groups is not None:
        shared = np.intersect1d(groups[is_test], groups[~is_test])
        if len(shared):
            raise ValueError(
                f"{len(shared)} groups are in both parts of the split that came with the data, "
                f"such as {shared[0].item()!r}. Drop the split, or the groups."
            )
    return Split(np.flatnonzero(~is_test), np.flatnonzero(is_test))


def split_development(
    y: NDArray[Any],
    *,
    groups: NDArray[Any] | None = None,
    fingerprints: NDArray[np.uint64] | None = None,
    selection_size: float = 0.2,
    seed: int = 0,
    names: Sequence[str] | None = None,
) -> Split:
    """Split development samples into a fit part and a selection part.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels of the development samples.
    groups : ndarray of shape (n_samples,), optional
        Groups; no group is in both parts.
    fingerprints : ndarray of shape (n_samples,), uint64, optional
        Fingerprints, as in `split_test`.
    selection_size : float, default=0.2
        Fraction of samples in the selection part.
    seed : int, default=0
        Seed of the draw; each seed gives a different split.
    names : sequence of str, optional
        Class names, as in `split_test`.

    Returns
    -------
    Split

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.splits import split_development
    >>> len(split_development(np.repeat([0, 1], 10), selection_size=0.3).held_out)
    6
    """
    groups = check_per_sample(groups, len(y), "groups", "split_development")
    return split_samples(
        y, groups, selection_size, fingerprints=fingerprints, seed=seed, names=names
    )


def split_folds(
    y: NDArray[Any],
    *,
    groups: NDArray[Any] | None = None,
    fingerprints: NDArray[np.uint64] | None = None,
    n_folds: int = 5,
    seed: int = 0,
) -> list[Split]:
    """Split samples that no network was trained on into folds, fewer if a class has few samples.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels; the folds are stratified by them.
    groups : ndarray of shape (n_samples,), optional
        Groups; no group is in two folds.
    fingerprints : ndarray of shape (n_samples,), uint64, optional
        Fingerprints, as in `split_test`.
    n_folds : int, default=5
        Maximum number of folds; reduced to the number of distinct samples (or groups) of the
        smallest class.
    seed : int, default=0
        Seed of the draw; each seed gives different folds.

    Returns
    -------
    list of Split
        For each fold, the samples of the other folds (`train`) and its own (`held_out`). Empty if a
        class has a single sample or group, because then nothing can be held out.

    Raises
    ------
    ValueError
        If, when splitting by group, a fold would be fitted without samples of some class.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.splits import split_folds
    >>> len(split_folds(np.repeat([0, 1], 3))), len(split_folds(np.array([0, 1])))
    (3, 0)
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    groups = check_per_sample(groups, len(y), "groups", "split_folds")
    joined = join_copies(groups, fingerprints)
    units = np.arange(len(y)) if joined is None else joined
    n_folds = min(n_folds, *(len(np.unique(units[y == label])) for label in np.unique(y)))
    if n_folds < 2:
        return []
    if groups is not None:
        folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed).split(y, y, joined)
        held_out = [second for _, second in folds]
    else:
        # Units of copies are assigned to folds as if each were a single sample.
        labels, members = (y, units) if joined is None else stratify(y, units, n_folds)
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(labels, labels)
        held_out = [np.flatnonzero(np.isin(members, second)) for _, second in folds]
    everything = np.arange(len(y))
    # StratifiedGroupKFold can leave a fold empty.
    splits = [Split(np.setdiff1d(everything, second), second) for second in held_out if len(second)]
    for split in splits:
        _check_classes_to_fit(y, split.train, None, groups)
    return splits


def check_class_sizes(
    y: NDArray[Any],
    names: Sequence[str] | None = None,
    fingerprints: NDArray[np.uint64] | None = None,
) -> None:
    """Raise ``ValueError`` for a class with too few distinct samples to be split."""
    classes, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    differ = counts
    if fingerprints is not None:
        # Distinct samples per class, because copies stay on one side of every split.
        prints = np.unique(fingerprints, return_inverse=True)[1]
        differ = np.bincount(np.unique(np.column_stack([codes, prints]), axis=0)[:, 0])
    least = differ.argmin()
    if differ[least] >= MIN_PER_CLASS:
        return
    name, n_samples = str(describe(classes.tolist()[least], names)), counts[least]
    has = f"The class {name!r} has {n_samples} {'sample' if n_samples == 1 else 'samples'}"
    needed = f"at least {MIN_PER_CLASS}"
    if n_samples > differ[least]:
        has += f", but only {differ[least]} that differ: the others are exact copies"
        needed += " different ones"
    raise ValueError(
        f"{has}; {needed} are needed to fit, select and test. Add samples, or drop the class."
    )


def split_samples(
    y: NDArray[Any],
    groups: NDArray[Any] | None,
    second_size: float,
    *,
    seed: int,
    names: Sequence[str] | None = None,
    fingerprints: NDArray[np.uint64] | None = None,
) -> Split:
    """Split at random, stratified by class, keeping groups and exact copies whole.

    Raises
    ------
    ValueError
        If a class can't be on both sides, or the groups leave no sample of a class to fit on.
    """
    units: Any = join_copies(groups, fingerprints)
    if groups is None:
        _check_two_of_each(y, units, names)
        in_second = draw_samples(y, units, second_size, seed)
    else:
        n_groups, n_units = len(np.unique(groups)), len(np.unique(units))
        if n_units < 2:
            joined = (
                ""
                if n_units == n_groups
                else f"; the data has {n_groups}, but they share exact copies of samples, which "
                f"joins them ({spelled('--drop-duplicates', 'Dataset.without_duplicates()')} keeps "
                "one copy of each)"
            )
            raise ValueError(
                f"There is {n_units} group to split{joined}; a test set, a selection part and a "
                "validation slice by group need at least four groups in total. Drop the groups, or "
                "add some."
            )
        in_second = draw_groups(y, units, second_size, seed)
    first, second = np.flatnonzero(~in_second), np.flatnonzero(in_second)
    _check_classes_to_fit(y, first, names, groups)
    return Split(first, second)


def _check_two_of_each(
    y: NDArray[Any], units: NDArray[Any] | None, names: Sequence[str] | None
) -> None:
    classes, counts = np.unique(y, return_counts=True)
    for label, count in zip(classes.tolist(), counts.tolist()):
        if count > 1 and (units is None or len(np.unique(units[y == label])) > 1):
            continue
        name = describe(label, names)
        has = "1 sample here" if count == 1 else f"{count} samples here, all exact copies"
        raise ValueError(
            f"Class {name!r} has {has}; a split needs at least 2 per class"
            f"{' that differ' if count > 1 else ''}. Add samples, or drop the class."
        )


def _check_classes_to_fit(
    y: NDArray[Any],
    first: NDArray[np.int64],
    names: Sequence[str] | None,
    groups: NDArray[Any] | None,
) -> None:
    missing = np.setdiff1d(y, y[first])
    if not len(missing):
        return
    name = describe(missing.tolist()[0], names)
    if groups is None:
        raise ValueError(
            f"With exact copies on one side of the split, {len(missing)} classes have no sample to "
            f"fit on, such as class {name!r}: too few of its samples differ from each other and "
            "from those of other classes. Add samples, or drop these classes."
        )
    raise ValueError(
        f"Split by group, {len(missing)} classes have no sample to fit on, such as class "
        f"{name!r}: their samples are in too few groups. Drop the groups, or these classes."
    )
