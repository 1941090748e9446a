"""Names of classes and subsets: printable, in natural order, and distinct."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from penultimate._common.validation import check_per_sample


def natural_order(names: Iterable[Any]) -> list[Any]:
    """Sort the distinct `names` so that numbers inside them are compared as numbers.

    Parameters
    ----------
    names : iterable
        Class names, of any printable type.

    Returns
    -------
    list
        Sorted distinct names.

    Examples
    --------
    >>> from penultimate.datasets import natural_order
    >>> natural_order(["c10", "c9", "c10"])
    ['c9', 'c10']
    """

    def key(name: object) -> tuple[Any, ...]:
        parts = re.split(r"(\d+)", str(name))
        return tuple((int(p), "") if p.isdecimal() else (-1, p) for p in parts), str(name)

    return sorted(set(names), key=key)


def printable(name: object) -> str:
    """Return text that can be encoded as UTF-8; file names may hold invalid bytes."""
    text = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else str(name)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def with_names(subsets: Any) -> Any:
    """Write labels as class names; `check_subsets` refuses what is no list of labels."""
    if not isinstance(subsets, Mapping):
        return subsets
    return {
        name: [printable(label) for label in members]
        if isinstance(members, Iterable) and not isinstance(members, str)
        else members
        for name, members in subsets.items()
    }


def merge_labels(
    labels: list[str], subset_names: Sequence[str]
) -> tuple[list[str], dict[str, list[str]]]:
    """Prefix each class with its subset, so that classes of different subsets do not collide."""
    checked = check_per_sample(subset_names, len(labels), "subsets", "Dataset")
    names = [printable(name) for name in checked.tolist()]  # type: ignore[union-attr]
    if slashed := next((name for name in names if "/" in name), None):
        raise ValueError(
            "The name of a subset must not contain '/', which separates it from the class; "
            f"got {slashed!r}."
        )
    merged = [f"{name}/{label}" for name, label in zip(names, labels)]
    owner = dict(zip(merged, names))
    return merged, {
        name: [label for label in natural_order(owner) if owner[label] == name]
        for name in natural_order(names)
    }
