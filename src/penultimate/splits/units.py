"""Drawing one part of the samples, stratified, with groups and exact copies kept whole.

Copies of an image must not end up on both sides of a split: a network that was trained on one of
them has seen the others. So the splits draw *units*: a sample with all its copies or, with groups,
all groups that are connected by a shared image. Without copies every sample is a unit of its own,
and the draw is exactly scikit-learn's.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Draws of whole groups to try, and the relative deviation from the requested share to accept.
_DRAWS, _TOLERANCE = 100, 0.15
# A unit of many copies can make the class shares uneven; the most even of some draws is taken.
_DRAWS_OF_COPIES = 20


def join_copies(
    groups: NDArray[Any] | None, fingerprints: NDArray[np.uint64] | None
) -> NDArray[Any] | None:
    """Number the units that no split may divide.

    Parameters
    ----------
    groups : ndarray of shape (n_samples,) or None
    fingerprints : ndarray of shape (n_samples,), uint64, or None
        Fingerprints; samples with the same one are copies of each other.

    Returns
    -------
    ndarray of shape (n_samples,) or None
        The given groups if no two of them share a copy; else one number per set of samples that
        belong together. None if neither groups nor copies keep samples together.
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

    # Connected components of a graph of groups and images: an image joins all groups it occurs in.
    names, members = np.unique(groups, return_inverse=True)
    n_nodes = len(names) + len(distinct)
    edges = coo_array(
        (np.ones(len(members), np.int8), (members, len(names) + prints)), (n_nodes, n_nodes)
    )
    n_units, unit = connected_components(edges, directed=False)
    return groups if n_units == len(names) else unit[members]


def stratify(y: NDArray[Any], units: NDArray[Any], least: int) -> tuple[NDArray[Any], Any]:
    """Give each unit one label for stratification: that of its rarest class.

    Copies of an image may have several labels. A label with fewer units than `least` can't be
    stratified; its units are assigned to the most frequent label.

    Returns
    -------
    labels : ndarray of shape (n_units,)
    members : ndarray of shape (n_samples,)
        Each sample's unit.
    """
    _, first, members = np.unique(units, return_index=True, return_inverse=True)
    # Units are numbered by first occurrence, so that without copies their order is the samples'.
    rank = np.empty(len(first), np.int64)
    rank[first.argsort()] = np.arange(len(first))
    members = rank[members]
    classes, codes = np.unique(y, return_inverse=True)
    pairs = np.unique(np.column_stack([members, codes]), axis=0)
    n_units_of = np.bincount(pairs[:, 1], minlength=len(classes))
    # Order the classes of each unit by their number of units: the first one is its label.
    rarest_first = pairs[np.lexsort((pairs[:, 1], n_units_of[pairs[:, 1]], pairs[:, 0]))]
    _, at = np.unique(rarest_first[:, 0], return_index=True)
    labels = rarest_first[at, 1]
    sizes = np.bincount(labels, minlength=len(classes))
    labels[sizes[labels] < least] = sizes.argmax()
    return labels, members


def draw_samples(
    y: NDArray[Any], units: NDArray[Any] | None, share: float, seed: int
) -> NDArray[np.bool_]:
    """Draw samples (or units) at random, about the same share of each class.

    Returns
    -------
    ndarray of shape (n_samples,), bool
        Which samples are drawn.
    """
    from sklearn.model_selection import StratifiedShuffleSplit

    labels, members = (y, np.arange(len(y))) if units is None else stratify(y, units, 2)
    n, n_labels = len(labels), len(np.unique(labels))
    # Stratification needs at least one unit per label on either side.
    n_drawn = min(max(round(share * n), n_labels), n - n_labels)
    n_draws = 1 if units is None else _DRAWS_OF_COPIES
    splitter = StratifiedShuffleSplit(n_draws, test_size=n_drawn, random_state=seed)
    draws = [
        np.isin(np.arange(n), second)[members] for _, second in splitter.split(np.arange(n), labels)
    ]
    return min(draws, key=lambda drawn: _unevenness(y, drawn, share))


def _unevenness(y: NDArray[Any], drawn: NDArray[np.bool_], share: float) -> float:
    """Return the mean deviation of the classes' shares from the requested share."""
    classes, codes = np.unique(y, return_inverse=True)
    shares = np.bincount(codes, drawn, len(classes)) / np.bincount(codes)
    # A class that is drawn entirely can't be fitted; the penalty makes any other draw better.
    return float(np.abs(shares - share).mean() + np.sum(shares == 1))


def draw_groups(
    y: NDArray[Any], groups: NDArray[Any], share: float, seed: int
) -> NDArray[np.bool_]:
    """Draw whole groups at random, with about this share of the samples and some of each class.

    The first acceptable draw is used, so that every group has a chance of being drawn; if none is
    acceptable, the one with the most even class shares. (The folds of scikit-learn's
    StratifiedGroupKFold hardly depend on its seed: the first always has the largest groups.)

    Returns
    -------
    ndarray of shape (n_samples,), bool
        Which samples are drawn.
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
        # Groups differ in size: draw as many as come closest to the requested share.
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
        Fingerprints, as returned by `Dataset.fingerprint`.

    Returns
    -------
    int

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.splits import count_copies
    >>> count_copies(np.array([7, 3, 7, 7], np.uint64))
    2
    """
    return len(fingerprints) - len(np.unique(fingerprints))


def describe(label: int, names: Sequence[str] | None) -> object:
    """Return the name of a class for messages."""
    return label if names is None else names[label]
