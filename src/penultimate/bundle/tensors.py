"""Checks a safetensors file before the safetensors package parses it."""

from math import prod
from typing import Any

from penultimate.bundle.errors import BundleError
from penultimate.bundle.strict_json import parse_json

# Bytes of a value, by the names of safetensors.
_SIZES = {
    "BOOL": 1, "U8": 1, "I8": 1, "U16": 2, "I16": 2, "F16": 2, "U32": 4, "I32": 4, "F32": 4,
    "U64": 8, "I64": 8, "F64": 8,
}  # fmt: skip
_MAX_AXES = 8


def check_safetensors(content: bytes | memoryview, name: str) -> dict[str, dict[str, Any]]:
    """Return the type and shape of each tensor.

    Parameters
    ----------
    content : bytes
    name : str
        Name of the part, for messages.

    Returns
    -------
    dict of str to dict
        ``dtype`` and ``shape`` by the tensor's name.

    Raises
    ------
    BundleError
        Unless the tensors fill the file: one after the other, without overlap or gap, each with as
        many bytes as its shape says.
    """
    if len(content) < 8:
        raise BundleError(f"{name} in the bundle is cut short.")
    length = int.from_bytes(content[:8], "little")
    if length > len(content) - 8:
        raise BundleError(f"{name} in the bundle states a header of {length:,} bytes.")
    header = parse_json(content[8 : 8 + length], name)
    if not isinstance(header, dict):
        raise BundleError(f"{name} in the bundle has no list of tensors.")
    notes = header.pop("__metadata__", {})
    if not isinstance(notes, dict) or not all(isinstance(each, str) for each in notes.values()):
        raise BundleError(f"{name} in the bundle has metadata that are not text.")
    found, extents = {}, []
    for key, entry in header.items():
        dtype, shape, start, stop = _read_entry(entry, f"{key[:60]!r} in {name}")
        extents.append((start, stop))
        found[key] = {"dtype": dtype, "shape": shape}
    position = 0
    for start, stop in sorted(extents):
        if start != position:
            raise BundleError(f"Tensors in {name} overlap, or have a gap between them.")
        position = stop
    if position != len(content) - 8 - length:
        raise BundleError(f"{name} in the bundle is cut short, or too long for its tensors.")
    return found


def check_both(described: object, tensors: object, purpose: str) -> None:
    """Raise ``BundleError`` if an optional part is there without its description, or that alone."""
    if (described is None) != (tensors is None):
        missing = "tensors" if tensors is None else "description in the manifest"
        raise BundleError(f"The bundle has no {missing} for {purpose}, and the other part of it.")


def _read_entry(entry: Any, what: str) -> tuple[str, list[int], int, int]:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise BundleError(f"{what} is not described as a tensor is.")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _SIZES:
        raise BundleError(f"{what} has the unknown type {str(dtype)[:20]!r}.")
    if not _are_sizes(shape) or len(shape) > _MAX_AXES:
        raise BundleError(f"{what} has no valid shape: {str(shape)[:60]}.")
    if not _are_sizes(offsets) or len(offsets) != 2:
        raise BundleError(f"{what} has no valid place: {str(offsets)[:60]}.")
    # Integers of Python's: this product cannot overflow.
    if offsets[1] - offsets[0] != prod(shape) * _SIZES[dtype]:
        raise BundleError(f"{what} has another size than its shape {shape} says.")
    return dtype, shape, offsets[0], offsets[1]


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(each) is int and each >= 0 for each in value)
