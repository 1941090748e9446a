"""Columns that number the rows: an index that was saved with the features, or identifiers.

They are no features: where a file lists its classes one after the other, the number of a row says
what its class is, in the test set, too, and any head learns it. A first column without a name is
what pandas and R write for an index, and is left out; of others nobody but the user can say what
they are.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# As pandas calls a column without a name, when it reads one and writes it again.
_UNNAMED = re.compile(r"(unnamed: \d+)?")
_IDENTIFIER = re.compile(r"(.*[ _.-])?(id|idx|index|rownames)|level_0")
# Fewer rows are in order by coincidence.
_FEWEST = 10


def index_of(columns: Sequence[str]) -> str | None:
    """Return the first column if it has no name, as an index that was saved along has none."""
    return columns[0] if len(columns) and _UNNAMED.fullmatch(columns[0].lower()) else None


def index_note(name: str) -> str:
    """Return the note on an index that was left out."""
    return f"The first column, {repr(name) if name else 'without a name'}, was left out: an index."


def refuse_row_numbers(
    features: NDArray[Any], names: Sequence[object] | None = None, place: str = ""
) -> None:
    """Raise ``ValueError`` for a feature that numbers the rows.

    Parameters
    ----------
    features : ndarray of shape (n_samples, n_features)
    names : sequence, optional
        Those of the columns; by default their positions.
    place : str
        The beginning of the message, such as a file's name.
    """
    n_samples = len(features)
    if n_samples < 2:
        return
    by_name = [names is not None and _is_identifier(str(name)) for name in names or ()]
    for k in range(features.shape[1]):
        # The ends are looked at first, which is enough for nearly all columns.
        first, last = float(features[0, k]), float(features[-1, k])
        is_range = last - first == n_samples - 1 >= _FEWEST - 1
        if not is_range and not (by_name and by_name[k]):
            continue
        column = features[:, k].astype(np.float64)
        in_order = is_range and bool((np.diff(column) == 1).all())
        if in_order or (by_name and by_name[k] and _are_distinct_integers(column)):
            name = f"{k} (counted from 0)" if names is None else repr(str(names[k]))
            raise ValueError(
                f"{place}The column {name} numbers the samples, from {column.min():g} to "
                f"{column.max():g}, and is no feature: where samples are in the order of their "
                "classes, it gives these away. Leave it out. (If it is a feature after all, "
                "divide it by a constant.)"
            )


def _is_identifier(name: str) -> bool:
    name = name.strip().lower()
    return bool(_IDENTIFIER.fullmatch(name)) or (bool(name) and bool(_UNNAMED.fullmatch(name)))


def _are_distinct_integers(column: NDArray[Any]) -> bool:
    return bool((column == np.rint(column)).all()) and len(np.unique(column)) == len(column)
