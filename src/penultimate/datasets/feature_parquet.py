"""Reading of features stored as Parquet: columns of numbers, or one column of lists of numbers."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.arrow import ArrowColumn, ArrowTable, ParquetReader
from penultimate._common.columns import normalized
from penultimate._common.imports import import_optional
from penultimate.datasets.dataset import Dataset
from penultimate.datasets.feature_table import ABOUT_ROWS, label_features
from penultimate.datasets.row_numbers import index_note, index_of, refuse_row_numbers

_LISTED = 5  # columns in a message


def read_feature_parquet(path: Path) -> Dataset:
    """Read one sample per row.

    The column ``label`` is required; ``file``, ``group``, ``subset`` and ``split`` are as in a CSV
    of features. All other columns are features: numbers, or else one column of lists of numbers of
    the same length, such as ``embedding``. An index that pandas has stored is left out.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    ValueError
        If the file is damaged, has no labels or no sample, or a feature is not a number.
    """
    table = read_parquet(path)
    names = [normalized(name) for name in table.column_names]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"{str(path)!r} has the column {twice[0]!r} more than once.")
    if "label" not in names:
        images = " For images, a manifest with the columns path and label is a CSV."
        raise ValueError(
            f"{str(path)!r} has no column 'label'; its columns are {_listed(table.column_names)}. "
            f"Rename the one that holds the labels.{images if 'path' in names else ''}"
        )
    if not table.num_rows:
        raise ValueError(f"{str(path)!r} lists no sample.")
    columns = dict(zip(names, map(plain, table.columns)))
    indices = indices_of_pandas(table) - set(ABOUT_ROWS)
    notes = [f"The index {name!r}, which pandas had stored, was left out." for name in indices]
    about = {name: _texts(path, name, columns[name]) for name in ABOUT_ROWS if name in columns}
    if (index := index_of(names)) is not None:
        indices.add(index)
        notes.append(index_note(index))
    rest = {n: c for n, c in columns.items() if n not in ABOUT_ROWS and n not in indices}
    features = features_of(path, rest)
    written = dict(zip(names, table.column_names))
    feature_names = column_names(features, [written[name].strip() for name in rest])
    if feature_names is not None:
        refuse_row_numbers(features, feature_names, f"{str(path)!r}: ")
    dataset = label_features(path, features, about)
    return replace(dataset, notes=(*dataset.notes, *notes), feature_names=feature_names)


def column_names(features: NDArray[Any], columns: Iterable[str]) -> tuple[str, ...] | None:
    """Return the names of features; None if they are in one column of lists."""
    names = tuple(columns)
    return names if len(names) == features.shape[1] else None


def read_parquet(path: Path) -> ArrowTable:
    """Read a file as a table of pyarrow's; raise ``ValueError`` if it is damaged."""
    pa = import_optional("pyarrow", "store")
    with path.open("rb") as file:
        try:
            return ParquetReader(file).read()
        # Depending on where a file is damaged, it is one or the other.
        except (pa.ArrowException, OSError, ValueError) as error:
            raise ValueError(f"{str(path)!r} can't be read as Parquet: {error}") from error


def indices_of_pandas(table: ArrowTable) -> set[str]:
    """Return the names of columns that are an index which pandas has stored."""
    found = (table.schema.pandas_metadata or {}).get("index_columns", [])
    return {name for name in found if isinstance(name, str)}  # a dict describes a range


def plain(column: ArrowColumn) -> ArrowColumn:
    """Return a column in one piece, as plain values where it has a dictionary or an own type."""
    pa = import_optional("pyarrow", "store")
    column = column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # of no or several pieces, depending on the version
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([])
    if isinstance(column, pa.ExtensionArray):  # such as a tensor of fixed shape
        column = column.storage
    return column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column


def _texts(path: Path, name: str, column: ArrowColumn) -> list[str]:
    types = import_optional("pyarrow.types", "store")
    if types.is_nested(column.type):
        raise ValueError(
            f"{str(path)!r}: the column {name!r} holds {column.type}; it must have one value per "
            "sample."
        )
    entries = column.to_pylist()
    # NaN is not equal to itself. Whether an empty entry is an error depends on the column.
    texts = ["" if entry is None or entry != entry else _text(entry) for entry in entries]
    return [text.strip() for text in texts]


def _text(entry: object) -> str:
    return entry.decode("utf-8", "backslashreplace") if isinstance(entry, bytes) else str(entry)


def features_of(path: Path, columns: dict[str, Any]) -> NDArray[Any]:
    """Return columns of numbers, or one column of lists, as a matrix.

    Raises
    ------
    ValueError
        If they are neither, with the column's name.
    """
    lists = [name for name, column in columns.items() if _is_list(column.type)]
    if not columns:
        raise ValueError(f"{str(path)!r} has no column of features, which are numbers.")
    if lists and len(columns) > 1:
        others = [name for name in columns if name not in lists[:1]]
        raise ValueError(
            f"{str(path)!r} has the column {lists[0]!r} of lists, which are the features, and also "
            f"{_listed(others)}. Drop the columns that are not features."
        )
    if lists:
        return _matrix(path, lists[0], columns[lists[0]])
    for name, column in columns.items():
        if not _is_number(column.type):
            raise ValueError(
                f"{str(path)!r} can't be read as a table of features: the column {name!r} holds "
                f"{column.type}. Every column except {', '.join(ABOUT_ROWS)} must hold numbers, or "
                "one of them lists of numbers; drop or encode the others."
            )
    return np.column_stack([_numbers(column) for column in columns.values()])


def _matrix(path: Path, name: str, column: ArrowColumn) -> NDArray[Any]:
    """Return a column of lists of one length as a matrix."""
    pc = import_optional("pyarrow.compute", "store")
    lengths = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    lengths = np.where(column.is_null().to_numpy(zero_copy_only=False), 0, lengths)
    odd = np.flatnonzero((lengths != lengths[0]) | (lengths < 1))
    if len(odd):
        row, length = int(odd[0]), int(lengths[odd[0]])
        kind = "is empty" if length < 1 else f"has {length} numbers, the first one {lengths[0]}"
        raise ValueError(
            f"{str(path)!r}: the list of the column {name!r} in row {row} {kind}. Every sample "
            "needs the same number of features."
        )
    values = column.flatten()
    if not _is_number(values.type):
        raise ValueError(
            f"{str(path)!r}: the column {name!r} holds {column.type}; features must be numbers, in "
            "one list per sample."
        )
    return _numbers(values).reshape(len(column), -1)


def _numbers(column: ArrowColumn) -> NDArray[Any]:
    """Return numbers as they are, and as float64 what NumPy does not have; null becomes NaN."""
    types = import_optional("pyarrow.types", "store")
    if types.is_decimal(column.type) or types.is_null(column.type):
        column = column.cast("float64", safe=False)
    numbers = column.to_numpy(zero_copy_only=False)
    return numbers.astype(np.float64) if column.null_count else numbers


def _is_number(kind: object) -> bool:
    types = import_optional("pyarrow.types", "store")
    tests = types.is_integer, types.is_floating, types.is_decimal, types.is_boolean, types.is_null
    return any(is_one(kind) for is_one in tests)


def _is_list(kind: object) -> bool:
    types = import_optional("pyarrow.types", "store")
    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names[:_LISTED])) + " ..." * (len(names) > _LISTED)
