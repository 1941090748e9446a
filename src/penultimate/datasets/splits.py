"""The parts of the data: development and test; and, inside development, fit and selection."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._validation import check_number

MIN_PER_CLASS = 5
_DRAWS, _TOLERANCE = 100, 0.15


@dataclass(frozen=True)
class Split:
    """Positions of the samples of two parts.

    Attributes
    ----------
    first, second : ndarray of int
        Sorted positions; disjoint.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]


@dataclass(frozen=True)
class Holdout:
    """What of the data is held out, and how it is drawn.

    Parameters
    ----------
    test_size : float, default=0.2
        The share of test samples, unless the data came with a split.
    selection_size : float, default=0.2
        The selection part's share of development.
    by_group : bool, optional
        Whether no group may be on both sides of a split; by default where the data has groups.
        Splits at random of data with groups tell how well new samples of known groups are
        classified; splits by group tell it of new groups.
    seed : int, default=0
        Of the draw of the test part.

    Examples
    --------
    >>> from penultimate.datasets import Holdout
    >>> Holdout(test_size=0.15, seed=1).selection_size
    0.2
    """

    test_size: float = 0.2
    selection_size: float = 0.2
    by_group: bool | None = None
    seed: int = 0

    def check(self) -> None:
        """Raise ``TypeError`` or ``ValueError`` for a parameter that is out of range."""
        for name in ("test_size", "selection_size"):
            value = getattr(self, name)
            check_number(value, name, "Holdout", low=0, high=1, open_low=True, open_high=True)
        check_number(self.seed, "seed", "Holdout", low=0, high=2**31 - 1, integer=True)


def split_test(
    y: NDArray[Any],
    *,
    groups: NDArray[Any] | None = None,
    is_test: NDArray[np.bool_] | None = None,
    test_size: float = 0.2,
    seed: int = 0,
    names: Sequence[str] | None = None,
) -> Split:
    """Split into development (first) and test (second), the same on every call.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels; the split keeps their shares.
    groups : ndarray of shape (n_samples,), optional
        No group is in both parts.
    is_test : ndarray of bool, optional
        A split that came with the data, and is taken as it is.
    test_size : float, default=0.2
        The share of the test part, where `is_test` does not tell.
    seed : int, default=0
        Each seed gives another split.
    names : sequence of str, optional
        What messages call the classes, where labels are their indices.

    Returns
    -------
    Split

    Raises
    ------
    ValueError
        If a class has fewer than 5 samples, or, with groups, fewer than 2 groups.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.datasets import split_test
    >>> split = split_test(np.repeat([0, 1], 10))
    >>> len(split.first), len(split.second)
    (16, 4)
    """
    check_class_sizes(y, names)
    if is_test is None:
        return split_samples(y, groups, test_size, seed=seed, names=names)
    if is_test.all() or not is_test.any():
        part = "test" if is_test.all() else "train"
        raise ValueError(f"The split that came with the data puts every sample into {part!r}.")
    unknown = np.setdiff1d(y[is_test], y[~is_test])
    if len(unknown):
        raise ValueError(
            f"{len(unknown)} classes of the test part have no sample to train on, "
            f"such as class {_name(unknown.tolist()[0], names)!r}."
        )
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
    selection_size: float = 0.2,
    seed: int = 0,
    names: Sequence[str] | None = None,
) -> Split:
    """Split development samples into fit part (first) and selection part (second).

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels of the development samples.
    groups : ndarray of shape (n_samples,), optional
        No group is in both parts.
    selection_size : float, default=0.2
        The share of the selection part.
    seed : int, default=0
        Each seed gives another split.
    names : sequence of str, optional
        As in `split_test`.

    Returns
    -------
    Split

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.datasets import split_development
    >>> len(split_development(np.repeat([0, 1], 10), selection_size=0.3).second)
    6
    """
    return split_samples(y, groups, selection_size, seed=seed, names=names)


def split_folds(
    y: NDArray[Any], *, groups: NDArray[Any] | None = None, n_folds: int = 5, seed: int = 0
) -> list[Split]:
    """Split samples that no network has seen into folds, fewer where a class has few samples.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels; the folds keep their shares.
    groups : ndarray of shape (n_samples,), optional
        No group is in two folds.
    n_folds : int, default=5
        At most this many, and no more than the smallest class has samples (or groups).
    seed : int, default=0
        Each seed gives other folds.

    Returns
    -------
    list of Split
        For each fold the other samples (first) and its own (second). Empty where a class has one
        sample, or group: nothing can then be held out.

    Raises
    ------
    ValueError
        If, split by group, a class is missing from what a fold would be fitted on.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.datasets import split_folds
    >>> len(split_folds(np.repeat([0, 1], 3))), len(split_folds(np.array([0, 1])))
    (3, 0)
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    units = np.arange(len(y)) if groups is None else groups
    n_folds = min(n_folds, *(len(np.unique(units[y == label])) for label in np.unique(y)))
    if n_folds < 2:
        return []
    make: Any = StratifiedKFold if groups is None else StratifiedGroupKFold
    folds = make(n_folds, shuffle=True, random_state=seed).split(y, y, groups)
    splits = [Split(first, second) for first, second in folds if len(second)]
    for split in splits:
        _check_classes_to_fit(y, split.first)
    return splits


def check_class_sizes(y: NDArray[Any], names: Sequence[str] | None = None) -> None:
    """Raise ``ValueError`` for a class with too few samples to be split."""
    classes, counts = np.unique(y, return_counts=True)
    if counts.min() < MIN_PER_CLASS:
        name = _name(classes.tolist()[counts.argmin()], names)
        raise ValueError(
            f"The class {str(name)!r} has {counts.min()} "
            f"{'image' if counts.min() == 1 else 'images'}; at least {MIN_PER_CLASS} are needed "
            "to fit, select and test. Add images, or drop the class."
        )


def _name(label: Any, names: Sequence[str] | None) -> Any:
    """What a message calls a class."""
    return label if names is None else names[label]


def split_samples(
    y: NDArray[Any],
    groups: NDArray[Any] | None,
    second_size: float,
    *,
    seed: int,
    names: Sequence[str] | None = None,
) -> Split:
    """Split at random, keeping class shares, and groups whole where there are any.

    Raises
    ------
    ValueError
        If the groups leave a class out of the first part.
    """
    from sklearn.model_selection import StratifiedShuffleSplit

    if groups is None:
        classes, counts = np.unique(y, return_counts=True)
        if counts.min() < 2:
            name = _name(classes.tolist()[counts.argmin()], names)
            raise ValueError(
                f"Class {name!r} has 1 sample here; a split needs at least 2 of each. "
                "Add samples, or drop the class."
            )
        n_classes = len(classes)
        n_second = min(max(round(second_size * len(y)), n_classes), len(y) - n_classes)
        splitter = StratifiedShuffleSplit(1, test_size=n_second, random_state=seed)
        first, second = next(splitter.split(np.arange(len(y)), y))
    else:
        n_groups = len(np.unique(groups))
        if n_groups < 2:
            raise ValueError(
                f"There is {n_groups} group to split; a test part, a selection part and a "
                "validation slice by group need at least four in all. Drop the groups, or add some."
            )
        in_second = _draw_groups(y, groups, second_size, seed)
        first, second = np.flatnonzero(~in_second), np.flatnonzero(in_second)
    _check_classes_to_fit(y, first, names)
    return Split(np.sort(first), np.sort(second))


def _draw_groups(
    y: NDArray[Any], groups: NDArray[Any], share: float, seed: int
) -> NDArray[np.bool_]:
    """Draw whole groups at random, with about this share of the samples and some of each class.

    The first draw that will do is taken, so that every group may be in it; where none will, the one
    with the most even classes. (The folds of scikit-learn's StratifiedGroupKFold hardly depend on
    its seed: the first always has the largest groups.)
    """
    names, member = np.unique(groups, return_inverse=True)
    classes, codes = np.unique(y, return_inverse=True)
    counts = np.zeros((len(names), len(classes)))
    np.add.at(counts, (member, codes), 1)
    rng = np.random.default_rng(seed)
    least, drawn = np.inf, names[:0]
    for _ in range(_DRAWS):
        order = rng.permutation(len(names))
        sizes = counts[order].sum(axis=1).cumsum()
        n_drawn = 1 + int(np.abs(sizes[:-1] - share * len(y)).argmin())
        shares = counts[order[:n_drawn]].sum(axis=0) / counts.sum(axis=0)
        # A class that is missing on the first side can't be fitted: anything is better.
        unevenness = np.abs(shares - share).mean() + np.sum(shares == 1)
        if unevenness < least:
            least, drawn = unevenness, order[:n_drawn]
        in_both = (shares > 0).all() and (shares < 1).all()
        if in_both and abs(sizes[n_drawn - 1] / len(y) - share) < _TOLERANCE * share:
            drawn = order[:n_drawn]
            break
    return np.isin(member, drawn)


def _check_classes_to_fit(
    y: NDArray[Any], first: NDArray[np.int64], names: Sequence[str] | None = None
) -> None:
    missing = np.setdiff1d(y, y[first])
    if len(missing):
        raise ValueError(
            f"Split by group, {len(missing)} classes have no sample to fit on, such as class "
            f"{_name(missing.tolist()[0], names)!r}: their samples are in too few groups. "
            "Drop the groups, or these classes."
        )
