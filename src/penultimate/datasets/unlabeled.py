"""Samples without labels, to predict: features in a table, or an array of features or images."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.columns import check_columns, normalized
from penultimate.datasets.feature_parquet import (
    column_names,
    features_of,
    indices_of_pandas,
    plain,
    read_parquet,
)
from penultimate.datasets.feature_table import ABOUT_ROWS, feature_places, load_columns
from penultimate.datasets.features import as_float32
from penultimate.datasets.row_numbers import index_of
from penultimate.datasets.tables import read_table

_NAMES = ("X", "features", "images", "X_test", "x_test")  # of the array in an .npz


def read_unlabeled(path: Path, names: Sequence[str] | None = None) -> NDArray[Any]:
    """Read the samples of a file; labels and other columns about them are passed over.

    Parameters
    ----------
    path : Path
        An ``.npy``; an ``.npz`` with an array ``X``, or with a single one; a ``.csv`` or
        ``.parquet`` with a column per feature.
    names : sequence of str, optional
        Those that the columns must have, in their order.

    Returns
    -------
    ndarray of shape (n_samples, ...)

    Raises
    ------
    ValueError
        If the file is damaged, or does not hold such an array or columns.
    """
    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz"):
        return _array(path)
    if suffix == ".parquet":
        table = read_parquet(path)
        found = [normalized(name) for name in table.column_names]
        about = {*ABOUT_ROWS, *indices_of_pandas(table), index_of(found)}
        columns = dict(zip(found, map(plain, table.columns)))
        chosen = {name: each for name, each in columns.items() if name not in about}
        features = features_of(path, chosen)
        written = dict(zip(found, table.column_names))
        _check_columns(path, column_names(features, [written[name] for name in chosen]), names)
        return features
    rows = read_table(path)
    if not rows.count_rows():
        raise ValueError(f"{str(path)!r} lists no sample.")
    places, _ = feature_places(rows.columns)
    _check_columns(path, [rows.header[k] for k in places], names)
    features = load_columns(rows, places, np.float64)
    return as_float32(features, f"The features of {str(path)!r}")


def _check_columns(path: Path, found: Sequence[str] | None, names: Sequence[str] | None) -> None:
    if found is not None and names is not None:
        try:
            check_columns(found, names)
        except ValueError as error:
            raise ValueError(f"{str(path)!r}: {error}") from None


def _array(path: Path) -> NDArray[Any]:
    try:
        with path.open("rb") as file:
            found = np.load(file, allow_pickle=False)
            if isinstance(found, np.ndarray):
                return found
            name = next((each for each in _NAMES if each in found.files), None)
            if name is None and len(found.files) == 1:
                name = found.files[0]
            if name is not None:
                return found[name]
            names = found.files
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{str(path)!r} can't be read as plain arrays: {error}") from error
    raise ValueError(f"{str(path)!r} must hold an array X; it holds {sorted(names)}.")
