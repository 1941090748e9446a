"""What is used of pyarrow, an optional dependency without types: tables, columns, Parquet files."""

from collections.abc import Mapping, Sequence, Sized
from typing import Any, Protocol, Self

from numpy.typing import NDArray

from penultimate._common.imports import import_optional


class ArrowType(Protocol):
    """The type of a column's values."""

    byte_width: int


class ArrowColumn(Sized, Protocol):
    """A column: an array of pyarrow's, or a chunked one."""

    type: ArrowType
    null_count: int
    offset: int

    def combine_chunks(self) -> Self: ...
    def cast(self, target_type: str, *, safe: bool) -> Self: ...
    def flatten(self) -> Self: ...
    def is_null(self) -> Self: ...
    def buffers(self) -> Sequence[Any]: ...
    def to_numpy(self, *, zero_copy_only: bool) -> NDArray[Any]: ...
    def to_pylist(self) -> list[object]: ...


class ArrowSchema(Protocol):
    """The names and types of a table's columns, and what was noted of them."""

    names: list[str]
    pandas_metadata: Mapping[str, Any] | None


class ArrowTable(Protocol):
    """A table."""

    column_names: list[str]
    columns: list[ArrowColumn]
    num_rows: int
    schema: ArrowSchema


class ParquetReader:
    """A Parquet file, of which the calling thread alone reads.

    A thread of Arrow's that still holds a Python file or buffer when the interpreter ends waits for
    a lock that it will never get, and aborts the process. One column is read as fast without.

    Parameters
    ----------
    source : binary file, or pyarrow.NativeFile
    checksums : bool, default=True
        Whether those of its pages are compared.
    """

    def __init__(self, source: Any, *, checksums: bool = True) -> None:
        parquet = import_optional("pyarrow.parquet", "store")
        # Reading ahead would be done by a thread, too.
        self._file = parquet.ParquetFile(
            source, page_checksum_verification=checksums, pre_buffer=False
        )

    @property
    def schema(self) -> Any:
        """Names and types of its columns, as pyarrow has them."""
        return self._file.schema_arrow

    def read(self, columns: list[str] | None = None) -> Any:
        """Read some columns, or all, as a table of pyarrow's."""
        return self._file.read(columns, use_threads=False)
