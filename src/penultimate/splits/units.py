"""Drawing one part of the samples, stratified, with groups and exact copies kept whole.

Copies of one image are one thing that was photographed once: a network that has seen one of them
knows the others. So what is drawn is a *unit*: a sample with all its copies; and where there are
groups, all groups that share an image are one. Without copies every sample is its own unit, and
what is drawn is what scikit-learn draws from the samples.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DRAWS, _TOLERANCE = 100, 0.15
_DRAWS_OF_COPIES = 20  # a unit of several samples makes shares uneven; so does chance, seldom twice


def join_copies(
    groups: NDArray[Any] | None, fingerprints: NDArray[np.uint64] | None
) -> NDArray[Any] | None:
    """Number what no split may divide.

    Parameters
    ----------
    groups : ndarray of shape (n_samples,) or None
    fingerprints : ndarray of shape (n_samples,), uint64, or None
        Samples with the same one are copies of each other.

    Returns
    -------
    ndarray of shape (n_samples,) or None
        The groups as they came where no two share a copy; else a number for all that belong
        together. None where neither groups nor copies keep samples together.
    """
    if fingerprints is None:
        return groups
    distinct, prints = np.unique(fingerprints, return_inverse=True)
    if len(distinct) == len(prints):
        return groups
    if groups is None:
        return prints
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # A graph of groups and images: an image joins all the groups that it is in.
    names, members = np.unique(groups, return_inverse=True)
    n_nodes = len(names) + len(distinct)
    edges = coo_array(
        (np.ones(len(members), np.int8), (members, len(names) + prints)), (n_nodes, n_nodes)
    )
    n_units, unit = connected_components(edges, directed=False)
    return groups if n_units == len(names) else unit[members]


def stratify(y: NDArray[Any], units: NDArray[Any], least: int) -> tuple[NDArray[Any], Any]:
    """Give each unit of samples one label to stratify by: that of its rarest class.

    Copies may lie in several classes. A label with fewer units than `least` can't be stratified
    by, and its units join those of the commonest.

    Returns
    -------
    labels : ndarray of shape (n_units,)
    members : ndarray of shape (n_samples,)
        Each sample's unit.
    """
    _, first, members = np.unique(units, return_index=True, return_inverse=True)
    # Numbered as they come, so that units of one sample each stand in the samples' own order.
    rank = np.empty(len(first), np.int64)
    rank[first.argsort()] = np.arange(len(first))
    members = rank[members]
    classes, codes = np.unique(y, return_inverse=True)
    pairs = np.unique(np.column_stack([members, codes]), axis=0)
    n_units_of = np.bincount(pairs[:, 1], minlength=len(classes))
    rarest_first = pairs[np.lexsort((pairs[:, 1], n_units_of[pairs[:, 1]], pairs[:, 0]))]
    _, at = np.unique(rarest_first[:, 0], return_index=True)
    labels = rarest_first[at, 1]
    sizes = np.bincount(labels, minlength=len(classes))
    labels[sizes[labels] < least] = sizes.argmax()
    return labels, members


def draw_samples(
    y: NDArray[Any], units: NDArray[Any] | None, share: float, seed: int
) -> NDArray[np.bool_]:
    """Draw samples (or units) at random, about this share of each class.

    Returns
    -------
    ndarray of shape (n_samples,), bool
        Which are drawn.
    """
    from sklearn.model_selection import StratifiedShuffleSplit

    labels, members = (y, np.arange(len(y))) if units is None else stratify(y, units, 2)
    n, n_labels = len(labels), len(np.unique(labels))
    n_drawn = min(max(round(share * n), n_labels), n - n_labels)
    n_draws = 1 if units is None else _DRAWS_OF_COPIES
    splitter = StratifiedShuffleSplit(n_draws, test_size=n_drawn, random_state=seed)
    draws = [
        np.isin(np.arange(n), second)[members] for _, second in splitter.split(np.arange(n), labels)
    ]
    return min(draws, key=lambda drawn: _unevenness(y, drawn, share))


def _unevenness(y: NDArray[Any], drawn: NDArray[np.bool_], share: float) -> float:
    """Say how far the classes' shares are from what was asked for, on average."""
    classes, codes = np.unique(y, return_inverse=True)
    shares = np.bincount(codes, drawn, len(classes)) / np.bincount(codes)
    # A class that is missing on the first side can't be fitted: anything is better.
    return float(np.abs(shares - share).mean() + np.sum(shares == 1))


def draw_groups(
    y: NDArray[Any], groups: NDArray[Any], share: float, seed: int
) -> NDArray[np.bool_]:
    """Draw whole groups at random, with about this share of the samples and some of each class.

    The first draw that will do is taken, so that every group may be in it; where none will, the one
    with the most even classes. (The folds of scikit-learn's StratifiedGroupKFold hardly depend on
    its seed: the first always has the largest groups.)

    Returns
    -------
    ndarray of shape (n_samples,), bool
        Which are drawn.
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
        unevenness = np.abs(shares - share).mean() + np.sum(shares == 1)
        if unevenness < least:
            least, drawn = unevenness, order[:n_drawn]
        in_both = (shares > 0).all() and (shares < 1).all()
        if in_both and abs(sizes[n_drawn - 1] / len(y) - share) < _TOLERANCE * share:
            drawn = order[:n_drawn]
            break
    return np.isin(member, drawn)


def count_copies(fingerprints: NDArray[np.uint64]) -> int:
    """Count the samples that are exact copies of others, not counting the first of each.

    Parameters
    ----------
    fingerprints : ndarray of shape (n_samples,), uint64
        As `Dataset.fingerprint` returns them.

    Returns
    -------
    int

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.datasets import count_copies
    >>> count_copies(np.array([7, 3, 7, 7], np.uint64))
    2
    """
    return len(fingerprints) - len(np.unique(fingerprints))


def describe(label: Any, names: Sequence[str] | None) -> Any:
    """Return what a message calls a class."""
    return label if names is None else names[label]
