"""Samples without labels, to predict: features in a table, or an array of features or images."""

import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.datasets.feature_parquet import (
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


def read_unlabeled(path: Path) -> NDArray[Any]:
    """Read the samples of a file; labels and other columns about them are passed over.

    Parameters
    ----------
    path : Path
        An ``.npy``; an ``.npz`` with an array ``X``, or with a single one; a ``.csv`` or
        ``.parquet`` with a column per feature.

    Returns
    -------
    ndarray of shape (n_samples, ...)

    Raises
    ------
    ValueError
        If the file is damaged, or does not hold such an array.
    """
    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz"):
        return _array(path)
    if suffix == ".parquet":
        table = read_parquet(path)
        names = [unicodedata.normalize("NFC", n).strip().casefold() for n in table.column_names]
        about = {*ABOUT_ROWS, *indices_of_pandas(table), index_of(names)}
        columns = zip(names, map(plain, table.columns))
        return features_of(path, {name: each for name, each in columns if name not in about})
    rows = read_table(path)
    if not rows.count_rows():
        raise ValueError(f"{str(path)!r} lists no sample.")
    places, _ = feature_places(rows.columns)
    features = load_columns(rows, places, np.float64)
    return as_float32(features, f"The features of {str(path)!r}")


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
