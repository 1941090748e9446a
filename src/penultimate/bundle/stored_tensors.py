"""Tensors that are stored in an ONNX graph: as many bytes as their shapes say, and no more."""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.bundle.errors import BundleError

# Name of a type and bytes of a value, by the number of the type in ONNX.
TYPES = {
    1: ("float32", 4), 2: ("uint8", 1), 3: ("int8", 1), 4: ("uint16", 2), 5: ("int16", 2),
    6: ("int32", 4), 7: ("int64", 8), 9: ("bool", 1), 10: ("float16", 2), 11: ("float64", 8),
    12: ("uint32", 4), 13: ("uint64", 8),
}  # fmt: skip
FLOAT, INT64, BOOL, UINT8 = 1, 7, 9, 2
INTEGERS = {2, 3, 4, 5, 6, 7, 12, 13}
_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")
_OWN = {
    "float32": "float_data", "float64": "double_data", "int64": "int64_data",
    "uint32": "uint64_data", "uint64": "uint64_data",
}  # fmt: skip
_MAX_AXES = 8
_FEW = 16  # values that a shape, or a list of factors, may have


def check_tensor(tensor: dict[str, Any]) -> dict[str, Any]:
    """Return type and shape of a tensor.

    Parameters
    ----------
    tensor : dict
        As `read_message` returns it.

    Returns
    -------
    dict
        ``dtype`` and ``shape``.

    Raises
    ------
    BundleError
        If it has another number of values than its shape says, or holds them elsewhere.
    """
    name = tensor.get("name", "")[:60]
    if tensor.get("data_location", 0) != 0:
        raise BundleError(f"The tensor {name!r} in the graph of the bundle is in another file.")
    code = tensor.get("data_type", 0)
    if code not in TYPES:
        raise BundleError(f"The tensor {name!r} in the graph of the bundle has no known type.")
    dtype, size = TYPES[code]
    shape = [int(each) for each in tensor["dims"]]
    if len(shape) > _MAX_AXES or any(each < 0 for each in shape):
        raise BundleError(f"The tensor {name!r} in the graph of the bundle has no valid shape.")
    held = [key for key in _FIELDS if tensor[key]]
    if "raw_data" in tensor:
        n_values, rest = divmod(len(tensor["raw_data"]), size)
        is_one = not held and not rest
    else:
        n_values = sum(map(np.size, tensor[_field_of(dtype)]))
        is_one = set(held) <= {_field_of(dtype)}
    # Integers of Python's: this product cannot overflow.
    if not is_one or n_values != prod(shape):
        raise BundleError(
            f"The tensor {name!r} in the graph of the bundle has other values than its shape "
            f"{shape} says."
        )
    return {"dtype": dtype, "shape": shape}


def constant_of(attribute: dict[str, Any]) -> dict[str, Any]:
    """Return the value of a ``Constant``, in whichever way it is stated, as a tensor."""
    if "t" in attribute:
        return attribute["t"]
    numbers = [*attribute["ints"], *([attribute["i"]] if "i" in attribute else [])]
    others = [*attribute["floats"], *([attribute["f"]] if "f" in attribute else [])]
    code = FLOAT if others else INT64
    empty: dict[str, Any] = {key: [] for key in _FIELDS}
    return {**empty, "data_type": code, "int64_data": numbers, "float_data": others}


def values_of(tensor: dict[str, Any]) -> NDArray[Any]:
    """Return the values of a tensor that was checked, as a vector."""
    dtype = TYPES[tensor["data_type"]][0]
    if "raw_data" in tensor:
        return np.frombuffer(tensor["raw_data"], np.dtype(dtype).newbyteorder("<"))
    held = tensor[_field_of(dtype)]
    return np.concatenate([np.atleast_1d(each) for each in held]) if held else np.empty(0)


def few_values_of(tensor: dict[str, Any]) -> list[float] | None:
    """Return the values of a shape or of factors; None if there are too many for either."""
    values = values_of(tensor)
    return None if values.size > _FEW else [float(each) for each in values]


def _field_of(dtype: str) -> str:
    return _OWN.get(dtype, "int32_data")
