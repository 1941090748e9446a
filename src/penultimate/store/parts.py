"""Part files: a few thousand rows of hashes and features each, written once, never changed.

The name of a part is the time at which it was written, so that names sort by age, and the checksum
of the whole file. It is written under another name and then renamed: a part that has its name is
complete, and a killed writer leaves none. Hashes are read alone, from their own column, with the
checksums of its pages; the checksum of the file is compared before features are used.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from penultimate._common.arrow import ArrowColumn, ArrowTable, ParquetReader
from penultimate._common.door import spelled
from penultimate._common.files import write_atomically
from penultimate._common.imports import import_optional
from penultimate.store.hashes import WIDTH, as_array, as_digests

SUFFIX = ".parquet"
_KEY = b"penultimate.key"


class DamagedError(ValueError):
    """A file of a store cannot be used.

    Parameters
    ----------
    problem : str
        The file, and what is wrong with it.
    way_out : str
        What to do; what can be done depends on who reads the store.
    """

    def __init__(self, problem: str, way_out: str) -> None:
        super().__init__(problem, way_out)
        self.problem = problem

    def __str__(self) -> str:
        return " ".join(self.args)


def write_part(folder: Path, key: str, digests: list[bytes], features: NDArray[Any]) -> Path:
    """Write rows into a part of their own, and return its path.

    Parameters
    ----------
    folder : Path
    key : str
    digests : list of bytes
    features : ndarray of shape (n_rows, n_features)
        Float32 or float16, as stored.

    Raises
    ------
    OSError
        If it cannot be written; then nothing is left of it.
    """
    pa = import_optional("pyarrow", "store")
    kind, buffers = pa.from_numpy_dtype(features.dtype), [None, pa.py_buffer(features)]
    values = pa.Array.from_buffers(kind, features.size, buffers)
    columns = {
        "hash": _hash_column(digests),
        "features": pa.FixedSizeListArray.from_arrays(values, features.shape[1]),
    }
    table = pa.table(columns).replace_schema_metadata({_KEY: key.encode()})
    content = _as_parquet(table)
    # Written in memory first, because the name holds the checksum.
    path = folder / f"{time.time_ns():020d}-{xxhash.xxh3_128_hexdigest(content)}{SUFFIX}"
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)
    return path


def _hash_column(digests: list[bytes]) -> ArrowColumn:
    pa = import_optional("pyarrow", "store")
    # `pyarrow.array` would import pandas, which takes longer than all of this.
    buffers = [None, pa.py_buffer(b"".join(digests))]
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(WIDTH), len(digests), buffers)


def _as_digests(column: ArrowColumn) -> list[bytes]:
    """Return a column of hashes as a list, without a scalar of Arrow per hash."""
    if column.type.byte_width != WIDTH or column.null_count:
        raise ValueError("its hashes are not of 16 bytes")
    whole = column.combine_chunks()
    content = memoryview(whole.buffers()[1])[whole.offset * WIDTH :][: len(whole) * WIDTH]
    return as_digests(np.frombuffer(content, np.uint8).reshape(-1, WIDTH))


def _as_parquet(table: ArrowTable) -> memoryview:
    pa, pq = import_optional("pyarrow", "store"), import_optional("pyarrow.parquet", "store")
    sink = pa.BufferOutputStream()
    # Features hardly get smaller by compression, and no hash or feature occurs twice.
    options = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    pq.write_table(table, sink, write_page_checksum=True, **options)
    return sink.getvalue()


def list_parts(folder: Path) -> list[Path]:
    """List the complete parts, the oldest first; hidden ones are being written."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.glob(f"*{SUFFIX}") if not p.name.startswith("."))


def read_hashes(path: Path, key: str, width: int | None) -> list[bytes]:
    """Read the hashes of a part, and none of its features.

    Raises
    ------
    DamagedError
        If it is damaged, or holds features of another key or number.
    """
    with path.open("rb") as file, _named(path):
        reader = ParquetReader(file)
        schema = reader.schema
        found = (schema.metadata or {}).get(_KEY, b"").decode()
        if found != key:
            raise ValueError(f"it is of another store, with the key {found!r}")
        n_features = schema.field("features").type.list_size
        if n_features != width:
            raise ValueError(f"it holds {n_features} features per sample instead of {width}")
        return _as_digests(reader.read(["hash"]).column("hash"))


def read_features(path: Path) -> NDArray[Any]:
    """Read the features of a part, after comparing its checksum.

    Raises
    ------
    DamagedError
        If it is damaged.
    """
    pa = import_optional("pyarrow", "store")
    content = check_part(path)
    with _named(path):
        reader = ParquetReader(pa.BufferReader(content), checksums=False)  # of the whole, compared
        column = reader.read(["features"]).column("features")
        lists = column.combine_chunks()
        values = np.from_dlpack(lists.flatten())  # `to_numpy` would import pandas
        return values.reshape(len(lists), -1)


def check_part(path: Path) -> bytes:
    """Return the content of a part, if its checksum is the one in its name.

    Raises
    ------
    DamagedError
        If it is not.
    """
    content = path.read_bytes()
    with _named(path):
        if xxhash.xxh3_128_hexdigest(content) != path.stem.rpartition("-")[2]:
            raise ValueError("its content does not match the checksum in its name")
    return content


def write_columns(path: Path, digests: list[bytes], columns: dict[str, list[str]]) -> None:
    """Write a table of named rows, in place of the one that is there."""
    pa = import_optional("pyarrow", "store")
    table = {"hash": _hash_column(digests)}
    table |= {name: pa.array(texts, pa.string()) for name, texts in columns.items()}
    content = _as_parquet(pa.table(table))
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)


def read_columns(path: Path) -> dict[str, Any]:
    """Read a table of named rows: an array of hashes, and lists of texts.

    Raises
    ------
    DamagedError
        If it is damaged.
    """
    again = "Delete it, and name the samples again; their features stay."
    with path.open("rb") as file, _named(path, again):
        table = ParquetReader(file).read()
        columns = table.drop_columns(["hash"])
        texts = {name: columns.column(name).to_pylist() for name in columns.column_names}
        return {**texts, "hash": as_array(_as_digests(table.column("hash")))}


@contextmanager
def _named(path: Path, way_out: str | None = None) -> Iterator[None]:
    """Name the file in errors on its content, and say what to do."""
    pa = import_optional("pyarrow", "store")
    try:
        yield
    # A damaged file has any of these, depending on where it is damaged.
    except (pa.ArrowException, OSError, ValueError, KeyError, AttributeError) as error:
        skip, reason = spelled("--skip-corrupt", "on_damage='skip'"), str(error).rstrip(".")
        way_out = way_out or (
            f"Delete it, and its features are computed again; or leave it out with {skip}."
        )
        raise DamagedError(
            f"{str(path)!r}, a file of a feature store, can't be used: {reason}.", way_out
        ) from error
