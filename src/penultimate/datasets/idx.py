"""The IDX format of the original MNIST files."""

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DTYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_idx(path: str | Path) -> NDArray[Any]:
    """Read one IDX file, gzipped or not, as LeCun's MNIST page describes the format.

    Raises
    ------
    ValueError
        If the file is not an IDX file, or its size does not match its header.
    """
    path = Path(path)
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{str(path)!r} is not a complete gzip file: {error}") from error
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _DTYPES:
        raise ValueError(f"{str(path)!r} is not an IDX file: it begins with {data[:4].hex()!r}.")
    dtype, n_dims = np.dtype(_DTYPES[data[2]]), data[3]
    start = 4 + 4 * n_dims
    shape = np.frombuffer(data[4:start].ljust(4 * n_dims, b"\0"), ">u4").astype(int)
    if len(data) != start + int(shape.prod()) * dtype.itemsize:
        raise ValueError(
            f"{str(path)!r} is truncated or damaged: its header promises "
            f"{' x '.join(map(str, shape))} values, its size is {len(data)} bytes."
        )
    return np.frombuffer(data, dtype, offset=start).reshape(shape)
