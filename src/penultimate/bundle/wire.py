"""Protocol Buffers as ONNX uses them, read strictly, without their library.

A message is a sequence of fields, each a number, a wire type and a value. Parsers skip what they do
not know, and of a field that is there twice they take the last or merge both, so that one file can
mean different things to different readers. Here every field has to be in a table, with its wire
type, and at most once unless it is a list. Only what ONNX needs for plain graphs is in the tables:
functions, subgraphs, external data and training have no place to be.
"""

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from penultimate.bundle.errors import BundleError

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


class Field(NamedTuple):
    """A field: its name, what it holds (a number, text, bytes or a message), whether a list."""

    name: str
    kind: str
    many: bool = False


_ENTRY = {1: Field("key", "text"), 2: Field("value", "text")}
# By number, as in onnx.proto. What a bundle must not have is named in REFUSED.
MESSAGES: dict[str, dict[int, Field]] = {
    "model": {
        1: Field("ir_version", "int"),
        2: Field("producer_name", "text"),
        3: Field("producer_version", "text"),
        4: Field("domain", "text"),
        5: Field("model_version", "int"),
        6: Field("doc_string", "text"),
        7: Field("graph", "graph"),
        8: Field("opset_import", "opset", many=True),
        14: Field("metadata_props", "entry", many=True),
    },
    "opset": {1: Field("domain", "text"), 2: Field("version", "int")},
    "entry": _ENTRY,
    "graph": {
        1: Field("node", "node", many=True),
        2: Field("name", "text"),
        5: Field("initializer", "tensor", many=True),
        10: Field("doc_string", "text"),
        11: Field("input", "value", many=True),
        12: Field("output", "value", many=True),
        13: Field("value_info", "value", many=True),
        16: Field("metadata_props", "entry", many=True),
    },
    "node": {
        1: Field("input", "text", many=True),
        2: Field("output", "text", many=True),
        3: Field("name", "text"),
        4: Field("op_type", "text"),
        5: Field("attribute", "attribute", many=True),
        6: Field("doc_string", "text"),
        7: Field("domain", "text"),
        9: Field("metadata_props", "entry", many=True),
    },
    "attribute": {
        1: Field("name", "text"),
        2: Field("f", "float"),
        3: Field("i", "int"),
        4: Field("s", "bytes"),
        5: Field("t", "tensor"),
        7: Field("floats", "float", many=True),
        8: Field("ints", "int", many=True),
        9: Field("strings", "bytes", many=True),
        13: Field("doc_string", "text"),
        20: Field("type", "int"),
    },
    "tensor": {
        1: Field("dims", "int", many=True),
        2: Field("data_type", "int"),
        4: Field("float_data", "float", many=True),
        5: Field("int32_data", "int", many=True),
        7: Field("int64_data", "int", many=True),
        8: Field("name", "text"),
        9: Field("raw_data", "bytes"),
        10: Field("double_data", "double", many=True),
        11: Field("uint64_data", "int", many=True),
        12: Field("doc_string", "text"),
        14: Field("data_location", "int"),
    },
    "value": {
        1: Field("name", "text"),
        2: Field("type", "type"),
        3: Field("doc_string", "text"),
        4: Field("metadata_props", "entry", many=True),
    },
    "type": {1: Field("tensor_type", "tensor_type"), 6: Field("denotation", "text")},
    "tensor_type": {1: Field("elem_type", "int"), 2: Field("shape", "shape")},
    "shape": {1: Field("dim", "dim", many=True)},
    "dim": {1: Field("value", "int"), 2: Field("param", "text"), 3: Field("denotation", "text")},
}
REFUSED: dict[tuple[str, int], str] = {
    ("model", 20): "training steps",
    ("model", 25): "functions",
    ("graph", 14): "quantization annotations",
    ("graph", 15): "sparse tensors",
    ("node", 8): "overloaded operators",
    ("attribute", 6): "a graph within the graph",
    ("attribute", 10): "a list of tensors as an attribute",
    ("attribute", 11): "graphs within the graph",
    ("attribute", 21): "references to attributes of functions",
    ("attribute", 22): "sparse tensors",
    ("attribute", 23): "sparse tensors",
    ("tensor", 3): "tensors in segments",
    ("tensor", 6): "tensors of text",
    ("tensor", 13): "weights in other files",
    ("type", 4): "sequences",
    ("type", 5): "maps",
    ("type", 8): "sparse tensors",
    ("type", 9): "optional values",
}
_WIRE = {"int": _VARINT, "float": _FIXED32, "double": _FIXED64}
_NUMPY = {"float": "<f4", "double": "<f8"}
# Of a file: networks of a few hundred layers have 10,000. More take over a second to read.
_MAX_FIELDS = 100_000


def read_message(content: memoryview, kind: str = "model", left: list[int] | None = None) -> Any:
    """Return the fields of a message by name; lists are empty, and others absent, if not there.

    Parameters
    ----------
    content : memoryview
    kind : str
        Of `MESSAGES`.
    left : list of int, optional
        Number of fields that may still be read in this file.

    Returns
    -------
    dict
        Numbers, strings, dicts of messages, and lists of these; lists of numbers are arrays.

    Raises
    ------
    BundleError
        If a field is unknown, refused, twice, of another wire type or cut short.
    """
    left = [_MAX_FIELDS] if left is None else left
    table = MESSAGES[kind]
    found: dict[str, Any] = {each.name: [] for each in table.values() if each.many}
    for number, wire, value in _fields(content):
        left[0] -= 1
        if left[0] < 0:
            raise BundleError(f"The graph of the bundle has more than {_MAX_FIELDS:,} fields.")
        if (kind, number) in REFUSED:
            raise BundleError(
                f"The graph of the bundle has {REFUSED[kind, number]}, which are not read."
            )
        if number not in table:
            raise BundleError(f"The graph of the bundle has an unknown field, {kind} {number}.")
        each = table[number]
        read = _read_value(each, wire, value, left)
        if each.many:
            found[each.name] += read if isinstance(read, list) else [read]
        elif each.name in found:
            raise BundleError(f"The graph of the bundle states {kind} {each.name!r} twice.")
        else:
            found[each.name] = read
    return found


def _read_value(field: Field, wire: int, value: Any, left: list[int]) -> Any:
    wanted = _WIRE.get(field.kind, _LENGTH)
    if wire != wanted and not (field.many and wire == _LENGTH):
        raise BundleError(f"The graph of the bundle has {field.name!r} in another form.")
    if wanted != _LENGTH and wire == _LENGTH:  # a packed list
        return _packed(field, value)
    if field.kind == "int":
        return value - 2**64 if value >= 2**63 else value
    if field.kind in ("float", "double"):
        return struct.unpack("<f" if field.kind == "float" else "<d", value)[0]
    if field.kind == "bytes":
        return value
    if field.kind == "text":
        try:
            return str(value, "utf-8")
        except UnicodeDecodeError:
            raise BundleError(
                f"The graph of the bundle has a {field.name!r} not in UTF-8."
            ) from None
    return read_message(value, field.kind, left)


def _packed(field: Field, value: memoryview) -> list[Any]:
    """Return a packed list as one array in a list: it may have millions of values."""
    if field.kind in _NUMPY:
        size = np.dtype(_NUMPY[field.kind]).itemsize
        if len(value) % size:
            raise BundleError(f"The graph of the bundle has {field.name!r} cut short.")
        return [np.frombuffer(value, _NUMPY[field.kind])]
    numbers = []
    position = 0
    while position < len(value):
        number, position = _varint(value, position)
        numbers.append(number - 2**64 if number >= 2**63 else number)
        if len(numbers) > _MAX_FIELDS:
            raise BundleError(
                f"The graph of the bundle has {field.name!r} with more than {_MAX_FIELDS:,} values."
            )
    return numbers


def _fields(content: memoryview) -> Iterator[tuple[int, int, Any]]:
    position, end = 0, len(content)
    while position < end:
        key, position = _varint(content, position)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, position = _varint(content, position)
            yield number, wire, value
            continue
        if wire == _LENGTH:
            size, position = _varint(content, position)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise BundleError("The graph of the bundle has a field of an unknown form.")
        if size > end - position:
            raise BundleError("The graph of the bundle is cut short.")
        yield number, wire, content[position : position + size]
        position += size


def _varint(content: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(content):
            raise BundleError("The graph of the bundle is cut short.")
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= 2**64:
                break
            return value, position
    raise BundleError("The graph of the bundle has a number of more than 64 bits.")
