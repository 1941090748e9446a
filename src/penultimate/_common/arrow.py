"""What is used of pyarrow, an optional dependency without types: its tables and their columns."""

from collections.abc import Mapping, Sequence, Sized
from typing import Any, Protocol, Self

from numpy.typing import NDArray


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
