"""Names of classes and subsets: printable, in natural order, and distinct."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from penultimate._common.validation import check_per_sample

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")
_MISSING = {
    "nan",
    "na",
    "n/a",
    "<na>",
    "nat",
    "null",
    "none",
}  # as pandas and R write an empty field


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


def lookalikes(classes: Iterable[str]) -> list[str]:
    """Return notes on names that may not be what they seem: one class spelled in two ways, or none.

    Spreadsheets write 1 as 1.0 when a column has an empty field, and an empty field as NaN.

    Parameters
    ----------
    classes : iterable of str

    Returns
    -------
    list of str

    Examples
    --------
    >>> from penultimate.datasets.class_names import lookalikes
    >>> lookalikes(["1", "1.0", "dog"])
    ["'1' and '1.0' are the same number, and were kept as separate classes."]
    """
    classes = list(classes)
    spelled: dict[str | float, list[str]] = {}
    for name in classes:
        spelled.setdefault(_meaning(name), []).append(name)
    notes = []
    for meaning, names in spelled.items():
        if len(names) > 1:
            how = "are the same number"
            if isinstance(meaning, str):
                how = "differ only in case, blanks or the form of accents"
            listed = " and ".join(map(repr, names))
            notes.append(f"{listed} {how}, and were kept as separate classes.")
    notes += [
        f"{name!r} is the name of a class here. If it stands for a missing label, leave its "
        "samples out."
        for name in classes
        if name.strip().casefold() in _MISSING
    ]
    return notes


def _meaning(name: str) -> str | float:
    """Return the number that a name spells, or else the name as it is pronounced."""
    plain = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
    return float(plain) if _NUMBER.fullmatch(plain) else plain


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
