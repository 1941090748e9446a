import gzip
import struct

import numpy as np
import pytest

from penultimate.datasets.idx import read_idx


def idx_bytes(array):
    code = {np.dtype("u1"): 8, np.dtype(">i4"): 12}[array.dtype]
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return header + array.tobytes()


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dtype", ["u1", ">i4"])
def test_round_trip(tmp_path, suffix, dtype):
    array = np.arange(24, dtype=dtype).reshape(2, 3, 4)
    path = tmp_path / f"images-idx3-ubyte{suffix}"
    path.write_bytes(gzip.compress(idx_bytes(array)) if suffix else idx_bytes(array))
    np.testing.assert_array_equal(read_idx(path), array)


def test_truncated(tmp_path):
    path = tmp_path / "a-idx1-ubyte"
    path.write_bytes(idx_bytes(np.arange(9, dtype="u1"))[:-1])
    with pytest.raises(ValueError, match="promises 9 values, its size is 16 bytes"):
        read_idx(path)


def test_truncated_gzip(tmp_path):
    path = tmp_path / "a-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.arange(9, dtype="u1")))[:-6])
    with pytest.raises(ValueError, match="not a complete gzip file"):
        read_idx(path)


@pytest.mark.parametrize("content", [b"", b"\0\0\x08", b"\x89PNG....", b"\0\0\x07\x01\0\0\0\0"])
def test_no_idx(tmp_path, content):
    path = tmp_path / "a-idx1-ubyte"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not an IDX file"):
        read_idx(path)
