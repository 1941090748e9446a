"""Subsets: named groups of classes, such as numerals, vowels and consonants."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def check_subsets(subsets: object, classes: Iterable[Any]) -> dict[str, tuple[int, ...]]:
    """Return the class indices of each subset.

    Parameters
    ----------
    subsets : dict of str to list
        Labels of the classes of each subset, by its name. Every class is in exactly one subset, and
        a subset has at least two classes, because a classifier needs two.
    classes : array-like of shape (n_classes,)
        All distinct labels.

    Returns
    -------
    dict of str to tuple of int
        Ascending positions in `classes`, in the given order of the subsets.

    Raises
    ------
    TypeError
        If `subsets` is not a dict of names to lists.
    ValueError
        If there is no subset; if one is empty, has a single class, or names a label that is not in
        `classes`; or if a class is in two subsets or in none.

    Examples
    --------
    >>> from penultimate.datasets import check_subsets
    >>> check_subsets({"small": [0, 1], "large": [8, 9]}, [0, 1, 8, 9])
    {'small': (0, 1), 'large': (2, 3)}
    """
    if not isinstance(subsets, Mapping):
        raise TypeError(
            "subsets must be a dict of names to lists of classes, such as "
            f"{{'low': [0, 1], 'high': [2, 3]}}; got {subsets!r}."
        )
    if not subsets:
        raise ValueError("subsets is empty; pass at least one subset and its classes.")
    labels = np.asarray(classes).tolist()
    owner: dict[int, str] = {}
    checked = {}
    for name, members in subsets.items():
        indices = _indices(name, members, labels)
        for index in indices:
            if index in owner:
                raise ValueError(
                    f"The class {labels[index]!r} is in two subsets, {owner[index]!r} and "
                    f"{name!r}; leave it in one of them."
                )
            owner[index] = name
        checked[name] = tuple(sorted(indices))
    left_over = [labels[index] for index in range(len(labels)) if index not in owner]
    if left_over:
        raise ValueError(
            f"{len(left_over)} {'class is' if len(left_over) == 1 else 'classes are'} in no "
            f"subset, such as {left_over[0]!r}; add it to one of {list(checked)}, or drop its "
            "samples."
        )
    return checked


def _indices(name: object, members: object, labels: list[Any]) -> list[int]:
    """Return the indices of the classes of one subset."""
    if not isinstance(name, str) or not name:
        raise TypeError(f"The name of a subset must be a non-empty string; got {name!r}.")
    if isinstance(members, (str, bytes)) or not isinstance(members, Iterable):
        raise TypeError(f"The subset {name!r} must be a list of classes; got {members!r}.")
    wanted = np.asarray(members).tolist() if isinstance(members, np.ndarray) else list(members)
    if not wanted:
        raise ValueError(f"The subset {name!r} is empty; give it at least two classes, or drop it.")
    unknown = [label for label in wanted if label not in labels]
    if unknown:
        listed = ", ".join(repr(label) for label in labels[:10]) + ", ..." * (len(labels) > 10)
        raise ValueError(
            f"The subset {name!r} names {len(unknown)} of {len(wanted)} classes that no sample "
            f"has, such as {unknown[0]!r}; the classes are {listed}."
        )
    indices = [labels.index(label) for label in wanted]
    twice = [label for label in wanted if wanted.count(label) > 1]
    if twice:
        raise ValueError(f"The subset {name!r} names the class {twice[0]!r} more than once.")
    if len(indices) == 1:
        raise ValueError(
            f"The subset {name!r} has only one class, {wanted[0]!r}, but a classifier needs two. "
            "Add a second class, or move this one to another subset."
        )
    return indices
