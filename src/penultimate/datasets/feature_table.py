"""Reading of features stored as a CSV: a label column, and one column of numbers per feature."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.datasets.dataset import Dataset
from penultimate.datasets.features import as_float32
from penultimate.datasets.parts import given_split, part_of_name, settle_dev
from penultimate.datasets.row_numbers import index_note, index_of, refuse_row_numbers
from penultimate.datasets.tables import Table

# What a row may hold besides features: its label, and these.
ABOUT_ROWS = ("label", "file", "group", "subset", "split")


def is_feature_table(table: Table) -> bool:
    """Return whether a table has labels and numbers, and no paths of images."""
    others = set(table.columns) - set(ABOUT_ROWS)
    return "label" in table.columns and bool(others) and "path" not in table.columns


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
    places, index = feature_places(columns)
    if not table.count_rows():
        raise ValueError(f"{path!r} lists no sample.")

    def texts(name: str) -> list[str]:
        values: NDArray[Any] = load_columns(table, [columns.index(name)], str)
        return [str(value).strip() for value in values[:, 0]]

    about = {name: texts(name) for name in ABOUT_ROWS if name in columns}
    features = load_columns(table, places, np.float64)
    refuse_row_numbers(features, [columns[k] for k in places], f"{path!r}: ")
    dataset = label_features(table.path, as_float32(features, f"The features of {path!r}"), about)
    notes = dataset.notes if index is None else (*dataset.notes, index_note(index))
    return replace(dataset, notes=notes, feature_names=tuple(table.header[k] for k in places))


def feature_places(columns: list[str]) -> tuple[list[int], str | None]:
    """Return which columns are features, and the first one if it is an index of the rows."""
    index = index_of(columns)
    places = [k for k, name in enumerate(columns) if name not in ABOUT_ROWS]
    return places if index is None else [k for k in places if k > 0], index


def label_features(path: Path, features: NDArray[Any], about: Mapping[str, list[str]]) -> Dataset:
    """Make a data set of features and the columns that say what their rows are.

    Parameters
    ----------
    path : Path
        Where they were read from: for messages, and the folder that files are looked for in.
    features : ndarray of shape (n_samples, n_features)
    about : mapping of str to list of str
        Entries of ``label``, and optionally of ``file``, ``group``, ``subset`` and ``split``.

    Raises
    ------
    ValueError
        If the features are not finite numbers, an entry is empty, or a split has unknown parts.
    """
    for name in ("label", "group", "subset"):
        if "" in (entries := about.get(name, [])):
            raise ValueError(
                f"{str(path)!r}: the column {name!r} is empty in row {entries.index('')}."
            )
    labels, split = about["label"], about.get("split")
    is_test = is_selection = None
    notes: list[str] = []
    if split is not None:
        found = [part_of_name(part) for part in split]
        for part, name in zip(found, split):
            if part is None or part[1]:
                raise ValueError(
                    f"{str(path)!r}: split must be 'train', 'val' or 'test'; got {name!r}."
                )
        given = given_split(settle_dev([part[0] for part in found if part]), labels)
        is_test, is_selection, notes = given.is_test, given.is_selection, given.notes
    dataset = Dataset.from_features(
        features,
        labels,
        name=path.stem,
        groups=about.get("group"),
        is_test=is_test,
        is_selection=is_selection,
        subsets=about.get("subset"),
        notes=tuple(notes),
    )
    if "file" not in about:
        return dataset
    # Where the features are of files that are still there, the report shows these.
    near = [path.parent / file for file in about["file"]]
    files = [str(p) if p.is_file() else file for p, file in zip(near, about["file"])]
    return replace(dataset, files=np.array(files))


def load_columns(table: Table, places: list[int], dtype: type) -> NDArray[Any]:
    """Return columns of a CSV as an array; raise ``ValueError`` if they do not hold the type."""
    try:
        return table.load(places, dtype)
    except ValueError as error:
        raise ValueError(
            f"{str(table.path)!r} can't be read as a table of features: {error} Every column "
            f"except {', '.join(ABOUT_ROWS)} must hold numbers, written as 0.5; drop or encode the "
            "others. Lists of numbers are read from a .parquet. (A table of images has a column "
            "'path'.)"
        ) from error
