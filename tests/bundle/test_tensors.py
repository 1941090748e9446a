import json

import numpy as np
import pytest
from safetensors.numpy import load, save

from penultimate.bundle import BundleError
from penultimate.bundle.tensors import check_safetensors

ARRAYS = {"a": np.ones((2, 3), np.float32), "b": np.arange(4), "c": np.zeros(0, bool)}


def written(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    length = len(text) if length is None else length
    return length.to_bytes(8, "little") + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


def test_types_and_shapes():
    content = save(ARRAYS, metadata={"made": "by hand"})
    assert check_safetensors(content, "head.safetensors") == {
        "a": {"dtype": "F32", "shape": [2, 3]},
        "b": {"dtype": "I64", "shape": [4]},
        "c": {"dtype": "BOOL", "shape": [0]},
    }
    assert set(load(content)) == set(ARRAYS)


def test_other_arrays_without_metadata():
    assert check_safetensors(save({"x": np.float64([1])}), "x") == {
        "x": {"dtype": "F64", "shape": [1]}
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cut short"),
        (b"\0" * 7, "cut short"),
        (written({}, length=10**6), "states a header of 1,000,000 bytes"),
        (written({}, length=2**63), "states a header of"),
        (written(b"[]"), "no list of tensors"),
        (written(b"{"), "not valid"),
        (written(b'{"a": {}, "a": {}}'), "the key 'a' is there twice"),
        (written({"__metadata__": {"a": 1}}), "metadata that are not text"),
        (written({"a": 1}), "not described as a tensor"),
        (written({"a": entry(evil=1)}, bytes(8)), "not described as a tensor"),
        (written({"a": entry("STR")}, bytes(8)), "unknown type 'STR'"),
        (written({"a": entry(["F32"])}, bytes(8)), "unknown type"),
        (written({"a": entry(shape=[-2])}, bytes(8)), "no valid shape"),
        (written({"a": entry(shape=[2.0])}, bytes(8)), "no valid shape"),
        (written({"a": entry(shape=[True, 2])}, bytes(8)), "no valid shape"),
        (written({"a": entry(shape=[1] * 9)}, bytes(8)), "no valid shape"),
        (written({"a": entry(shape=[3])}, bytes(8)), "another size than its shape"),
        (written({"a": entry(shape=[2**62, 2**3])}, bytes(8)), "another size than its shape"),
        (written({"a": entry(shape=[2**32, 2**32], offsets=(0, 0))}), "another size than its"),
        (written({"a": entry(offsets=(8, 0))}, bytes(8)), "another size than its shape"),
        (written({"a": entry(offsets=(0, 8, 9))}, bytes(8)), "no valid place"),
        (written({"a": entry(offsets=(-8, 0))}, bytes(8)), "no valid place"),
        (written({"a": entry()}, bytes(7)), "cut short, or too long"),
        (written({"a": entry()}, bytes(9)), "cut short, or too long"),
        (written({"a": entry(), "b": entry()}, bytes(8)), "overlap, or have a gap"),
        (written({"a": entry(offsets=(4, 12))}, bytes(12)), "overlap, or have a gap"),
        (written(b" " * (2**20 + 1)), "at most 1,048,576 are read"),
    ],
)
def test_what_is_wrong_is_named(content, message):
    with pytest.raises(BundleError, match=message):
        check_safetensors(content, "head.safetensors")
