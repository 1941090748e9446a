"""Reading of features stored as a CSV: a label column, and one column of numbers per feature."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.datasets.dataset import Dataset
from penultimate.datasets.parts import given_split, part_of_name, settle_dev
from penultimate.datasets.tables import Table

_LABEL = "label"
# What else a row may hold; every other column is a feature.
_ABOUT_ROWS = ("file", "group", "subset", "split")


def is_feature_table(table: Table) -> bool:
    """Return whether a table has labels and numbers, and no paths of images."""
    others = set(table.columns) - {_LABEL, *_ABOUT_ROWS}
    return _LABEL in table.columns and bool(others) and "path" not in table.columns


def read_feature_table(table: Table) -> Dataset:
    """Read one sample per row.

    The columns ``group``, ``subset`` and ``split`` are as in a manifest of images; ``file`` names
    the samples. All other columns are features, and must hold numbers.

    Raises
    ------
    ValueError
        If a feature is no number, or the table lists no sample or an unknown part of a split.
    """
    path, columns = str(table.path), table.columns
    places = [k for k, name in enumerate(columns) if name not in (_LABEL, *_ABOUT_ROWS)]
    if not table.rows():
        raise ValueError(f"{path!r} lists no sample.")

    def texts(name: str) -> list[str] | None:
        if name not in columns:
            return None
        values: NDArray[Any] = _load(table, [columns.index(name)], str)
        return [str(value).strip() for value in values[:, 0]]

    labels, split, files = texts(_LABEL), texts("split"), texts("file")
    assert labels is not None
    for name in (_LABEL, "group", "subset"):
        if "" in (entries := texts(name) or []):
            raise ValueError(f"{path!r}: the column {name!r} is empty in row {entries.index('')}.")
    is_test = is_selection = None
    notes: list[str] = []
    if split is not None:
        found = [part_of_name(part) for part in split]
        for part, name in zip(found, split):
            if part is None or part[1]:
                raise ValueError(f"{path!r}: split must be 'train', 'val' or 'test'; got {name!r}.")
        given = given_split(settle_dev([part[0] for part in found if part]), labels)
        is_test, is_selection, notes = given.is_test, given.is_selection, given.notes
    dataset = Dataset.from_features(
        _load(table, places, np.float64).astype(np.float32),
        labels,
        name=table.path.stem,
        groups=texts("group"),
        is_test=is_test,
        is_selection=is_selection,
        subsets=texts("subset"),
        notes=tuple(notes),
    )
    if files is None:
        return dataset
    # Where the features are of files that are still there, the report shows these.
    found_files = [
        str(near) if (near := table.path.parent / file).is_file() else file for file in files
    ]
    return replace(dataset, files=np.array(found_files))


def _load(table: Table, places: list[int], dtype: type) -> NDArray[Any]:
    try:
        return table.load(places, dtype)
    except ValueError as error:
        raise ValueError(
            f"{str(table.path)!r} can't be read as a table of features: {error} Every column "
            f"except {', '.join((_LABEL, *_ABOUT_ROWS))} must hold numbers; drop or encode the "
            "others. (A table of images has a column 'path'.)"
        ) from error
