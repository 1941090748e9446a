"""Data sets with less in them: without empty classes, without copies. Each says so in a note."""

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from penultimate._common.labels import check_labels
from penultimate._common.subsets import check_subsets
from penultimate._common.wording import quantity

if TYPE_CHECKING:
    from penultimate.datasets.dataset import Dataset

Data = TypeVar("Data", bound="Dataset")


def without_empty_classes(data: Data) -> Data:
    """Remove classes without samples; see `Dataset.without_empty_classes`."""
    present = np.flatnonzero(np.bincount(data.labels, minlength=len(data.classes)))
    empty = [name for k, name in enumerate(data.classes) if k not in set(present.tolist())]
    check_labels(np.array(data.classes)[data.labels], len(data.labels))
    if not empty:
        return data
    labels = np.searchsorted(present, data.labels)
    classes = tuple(data.classes[k] for k in present)
    subsets: dict[str, list[str]] = {
        name: [data.classes[k] for k in members if data.classes[k] in classes]
        for name, members in data.subsets.items()
    }
    kept = {name: members for name, members in subsets.items() if members}
    shown = ", ".join(map(repr, empty[:3])) + (" and others" if empty[3:] else "")
    note = f"{quantity(len(empty), 'class', 'classes')} without {data.noun}s left out: {shown}."
    return replace(
        data,
        labels=labels,
        classes=classes,
        subsets=check_subsets(kept, classes) if kept else {},
        notes=(*data.notes, note),
    )


def without_duplicates(data: Data) -> Data:
    """Remove exact copies; see `Dataset.without_duplicates`."""
    _, first, same = np.unique(data.fingerprint(), return_index=True, return_inverse=True)
    differ = np.flatnonzero(data.labels != data.labels[first][same])
    if len(differ):
        copies = (
            f"{data.noun} is an exact copy"
            if len(differ) == 1
            else f"{data.noun}s are exact copies"
        )
        raise ValueError(
            f"{len(differ):,} {copies} of one with another label, such as "
            f"{_named(data, differ[0])} of {_named(data, first[same[differ[0]]])}. Correct the "
            f"labels or remove these {data.noun}s first; dropping duplicates does not choose "
            "a label."
        )
    n_out = len(data.labels) - len(first)
    if not n_out:
        return data
    words = (
        f"{data.noun} was left out: it is" if n_out == 1 else f"{data.noun}s were left out: each is"
    )
    note = f"{n_out:,} {words} an exact copy of another one."
    return replace(data.take(np.sort(first)), notes=(*data.notes, note))


def _named(data: "Dataset", sample: np.int64) -> str:
    name = f"{data.noun} {sample}" if data.files is None else repr(str(data.files[sample]))
    return f"{name} ({data.classes[data.labels[sample]]})"
