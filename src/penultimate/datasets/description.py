"""A data set in five lines of text, whatever is in it."""

from collections import Counter
from collections.abc import Sequence
from textwrap import shorten
from typing import TYPE_CHECKING

import numpy as np

from penultimate._common.wording import quantity

if TYPE_CHECKING:
    from penultimate.datasets.dataset import Dataset

_WIDTH = 100  # characters of a line, as far as names allow
_COLORS = {1: "gray", 3: "color"}


def describe(data: "Dataset") -> str:
    """Describe a data set: its name and size, classes, parts and groups, and notes.

    Parameters
    ----------
    data : Dataset

    Returns
    -------
    str
        At most five lines. Of many classes or notes, the first are named and the others counted.
    """
    lines = [f"<Dataset {data.name!r}: {_images(data)}", _classes(data), *_parts(data)]
    if data.notes:
        n_notes = len(data.notes)
        head = "1 note: " if n_notes == 1 else f"{n_notes} notes, the first: "
        lines.append(head + shorten(data.notes[0], _WIDTH - len(head), placeholder=" ..."))
    # A name with a line break in it is still part of one line.
    return "\n".join(" ".join(line.split()) for line in lines) + ">"


def _images(data: "Dataset") -> str:
    # The constructor checks no shape, and what is printed to find an error must not raise another.
    shape = data.images.shape[1:]
    if not data.has_images:
        return f"{quantity(len(data.labels), 'sample')} of {quantity(shape[0], 'feature')}"
    size = f"{' x '.join(map(str, shape[:2]))} pixels"
    if len(shape) > 2:
        size += f", {_COLORS.get(shape[2], f'{shape[2]} channels')}"
    return f"{quantity(len(data.labels), 'image')} of {size}"


def _classes(data: "Dataset") -> str:
    n_each = Counter(np.asarray(data.labels).tolist())
    head = f"{quantity(len(data.classes), 'class', 'classes')}: "
    return head + _listed(
        [f"{name} ({n_each[k]:,})" for k, name in enumerate(data.classes)], len(head)
    )


def _parts(data: "Dataset") -> list[str]:
    """Describe the split that the data came with, and groups and subsets, in up to two lines."""
    masks = {"test set": data.is_test, "selection part": data.is_selection}
    given = [
        f"{name} of {quantity(int(mask.sum()), data.noun)}"
        for name, mask in masks.items()
        if mask is not None
    ]
    if data.groups is not None:
        given.append(quantity(len(np.unique(data.groups)), "group"))
    lines = ["; ".join(given)] if given else []
    if data.subsets:
        head = f"{quantity(len(data.subsets), 'subset')}: "
        names = [f"{name} ({len(members)} classes)" for name, members in data.subsets.items()]
        lines.append(head + _listed(names, len(head)))
    return lines


def _listed(items: Sequence[str], used: int) -> str:
    """Join the items that fit into a line, at least one, and count the others."""
    whole = ", ".join(items)
    if used + len(whole) <= _WIDTH:
        return whole
    room = _WIDTH - used - len(", and 9,999 more")
    shown = max(1, int(np.sum(np.cumsum([len(item) + 2 for item in items]) <= room)))
    rest = len(items) - shown
    return ", ".join(items[:shown]) + (f", and {rest:,} more" if rest else "")
