"""Checks an ONNX graph before ONNX Runtime parses it: what it may compute, and how much.

The graph is read by `wire`, which knows neither functions nor graphs within graphs nor weights in
other files. Its operators have to be in a list: those of one opset of the standard that compute
tensors from tensors. Left out are loops and branches, random numbers, text, and what ONNX Runtime
once read out of bounds. Tensors have as many bytes as their shapes say, in products of Python's
integers. Where the size of a result is stated in the file, it is limited, too.
"""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from penultimate.bundle.errors import BundleError
from penultimate.bundle.wire import read_message

OPSET, MAX_IR = 18, 10
_DOMAINS = ("", "ai.onnx")
OPERATORS = {
    "Abs", "Acos", "Acosh", "Add", "And", "ArgMax", "ArgMin", "Asin", "Asinh", "Atan", "Atanh",
    "AveragePool", "BatchNormalization", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr",
    "BitwiseXor", "Cast", "CastLike", "Ceil", "Celu", "CenterCropPad", "Clip", "Compress",
    "Concat", "Constant", "ConstantOfShape", "Conv", "ConvTranspose", "Cos", "Cosh", "CumSum",
    "DepthToSpace", "DequantizeLinear", "Div", "Dropout", "DynamicQuantizeLinear", "Einsum",
    "Elu", "Equal", "Erf", "Exp", "Expand", "EyeLike", "Flatten", "Floor", "Gather",
    "GatherElements", "GatherND", "Gemm", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool",
    "Greater", "GreaterOrEqual", "GroupNormalization", "HardSigmoid", "HardSwish", "Hardmax",
    "Identity", "InstanceNormalization", "IsInf", "IsNaN", "LRN", "LayerNormalization",
    "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax", "LpNormalization", "LpPool",
    "MatMul", "Max", "MaxPool", "Mean", "MeanVarianceNormalization", "Min", "Mish", "Mod",
    "Mul", "Neg", "Not", "OneHot", "Or", "PRelu", "Pad", "Pow", "QuantizeLinear", "Range",
    "Reciprocal", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax",
    "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu", "Reshape",
    "Resize", "Round", "ScatterElements", "ScatterND", "Selu", "Shape", "Shrink", "Sigmoid",
    "Sign", "Sin", "Sinh", "Size", "Slice", "Softmax", "Softplus", "Softsign", "SpaceToDepth",
    "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tan", "Tanh", "ThresholdedRelu", "Tile", "TopK",
    "Transpose", "Trilu", "Unsqueeze", "Where", "Xor",
}  # fmt: skip
# Bytes of a value and its name, by the number of the type in ONNX.
_TYPES = {
    1: ("float32", 4), 2: ("uint8", 1), 3: ("int8", 1), 4: ("uint16", 2), 5: ("int16", 2),
    6: ("int32", 4), 7: ("int64", 8), 9: ("bool", 1), 10: ("float16", 2), 11: ("float64", 8),
    12: ("uint32", 4), 13: ("uint64", 8),
}  # fmt: skip
_FLOAT, _INT64 = 1, 7
_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")
_MAX_AXES = 8
_MAX_NODES = 50_000
MAX_VALUES = 2**26  # of a result whose size the file states: 256 MiB in float32
# Operators that take the shape of their result, or factors of it, as an input.
_SIZED = {"ConstantOfShape": 0, "Expand": 1, "Tile": 1, "OneHot": 1, "CenterCropPad": 1, "Pad": 1}


@dataclass(frozen=True)
class Graph:
    """What is known of a checked graph.

    Attributes
    ----------
    inputs, outputs : tuple of str
    tensors : dict of str to dict
        ``dtype`` and ``shape`` of the initializers by name.
    metadata : dict of str to str
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tensors: dict[str, dict[str, Any]]
    metadata: dict[str, str]


def check_graph(content: bytes | memoryview) -> Graph:
    """Check an ONNX model, and return what it has.

    Parameters
    ----------
    content : bytes

    Returns
    -------
    Graph

    Raises
    ------
    BundleError
        If it is no ONNX model, has anything that a bundle must not have, or states a tensor of
        another size than it holds.
    """
    model = read_message(memoryview(content))
    if "graph" not in model:
        raise BundleError("The bundle has no graph in model.onnx.")
    if not 3 <= model.get("ir_version", 0) <= MAX_IR:
        raise BundleError(
            f"The graph of the bundle is of ONNX's IR version {model.get('ir_version')}; up to "
            f"{MAX_IR} is read."
        )
    opsets = [(each.get("domain", ""), each.get("version", 0)) for each in model["opset_import"]]
    if len(opsets) != 1 or opsets[0][0] not in _DOMAINS or opsets[0][1] != OPSET:
        named = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in opsets)
        raise BundleError(
            f"The graph of the bundle is of {named or 'no opset'}; opset {OPSET} of ai.onnx alone "
            "is read."
        )
    graph = model["graph"]
    constants, tensors = {}, {}
    for tensor in graph["initializer"]:
        name = tensor.get("name", "")
        tensors[name] = _check_tensor(tensor)
        constants[name] = tensor
    if len(tensors) != len(graph["initializer"]):
        raise BundleError("The graph of the bundle has two tensors of one name.")
    inputs = tuple(each.get("name", "") for each in graph["input"])
    for name in inputs:  # who runs it may pass others
        constants.pop(name, None)
    if len(graph["node"]) > _MAX_NODES:
        raise BundleError(f"The graph of the bundle has more than {_MAX_NODES:,} nodes.")
    for node in graph["node"]:
        _check_node(node, constants)
    metadata = {each.get("key", ""): each.get("value", "") for each in model["metadata_props"]}
    outputs = tuple(each.get("name", "") for each in graph["output"])
    return Graph(inputs, outputs, tensors, metadata)


def _check_node(node: dict[str, Any], constants: dict[str, Any]) -> None:
    kind, domain = node.get("op_type", ""), node.get("domain", "")
    if domain not in _DOMAINS:
        raise BundleError(
            f"The graph of the bundle has the operator {kind[:40]!r} of {domain[:40]!r}; only "
            "standard operators are run."
        )
    if kind not in OPERATORS:
        raise BundleError(
            f"The graph of the bundle has the operator {kind[:40]!r}, which is not run: it is not "
            "among those that only compute tensors from tensors."
        )
    for attribute in node["attribute"]:
        if "t" in attribute:
            _check_tensor(attribute["t"])
        if kind == "Constant":
            constants |= dict.fromkeys(node["output"], _constant(attribute))
    _check_sizes(kind, node, constants)


def _constant(attribute: dict[str, Any]) -> dict[str, Any]:
    """Return the value of a constant, in whichever way it is stated, as a tensor."""
    if "t" in attribute:
        return attribute["t"]
    numbers = [*attribute["ints"], *([attribute["i"]] if "i" in attribute else [])]
    others = [*attribute["floats"], *([attribute["f"]] if "f" in attribute else [])]
    code = _FLOAT if others else _INT64
    empty: dict[str, Any] = {key: [] for key in _FIELDS}
    return {**empty, "data_type": code, "int64_data": numbers, "float_data": others}


def _check_sizes(kind: str, node: dict[str, Any], constants: dict[str, Any]) -> None:
    """Limit the size of a result as far as the file states it."""
    names = node["input"]
    stated: list[Any] = []
    if kind == "Resize":
        stated = [constants.get(name) for name in names[2:4]]
    elif kind == "Range":
        stated = [constants.get(name) for name in names[:3]]
    elif kind in _SIZED:
        stated = [constants.get(name) for name in names[_SIZED[kind] :][:1]]
    for tensor in stated:
        if tensor is None:
            continue
        values = _small_values(tensor)
        if values is None:
            raise BundleError(
                f"The graph of the bundle states a size in a strange way, for {kind}."
            )
        known = [max(1.0, abs(each)) for each in values]
        size = sum(known) ** 2 if kind == "Pad" else prod(known)
        if not size <= MAX_VALUES:  # also of NaN
            raise BundleError(
                f"The graph of the bundle makes a tensor of {size:,.0f} values with {kind}; at "
                f"most {MAX_VALUES:,} are."
            )
    if kind in ("Div", "Mod") and len(names) > 1 and names[1] in constants:
        _check_divisor(constants[names[1]], kind)


def _check_divisor(tensor: dict[str, Any], kind: str) -> None:
    """Refuse division of integers by 0, which ends the process; -1 does for the smallest one."""
    if _TYPES[tensor["data_type"]][0].startswith(("int", "uint")):
        values = _integers(tensor)
        if values is None or np.isin(values, (0, -1)).any():
            raise BundleError(f"The graph of the bundle divides integers by 0 or -1, in {kind}.")


def _check_tensor(tensor: dict[str, Any]) -> dict[str, Any]:
    name = tensor.get("name", "")[:60]
    if tensor.get("data_location", 0) != 0:
        raise BundleError(f"The tensor {name!r} in the graph of the bundle is in another file.")
    code = tensor.get("data_type", 0)
    if code not in _TYPES:
        raise BundleError(f"The tensor {name!r} in the graph of the bundle has no known type.")
    dtype, size = _TYPES[code]
    shape = [int(each) for each in tensor["dims"]]
    if len(shape) > _MAX_AXES or any(each < 0 for each in shape):
        raise BundleError(f"The tensor {name!r} in the graph of the bundle has no valid shape.")
    held = _count(tensor, dtype, size)
    # Integers of Python's: this product cannot overflow.
    if held != prod(shape):
        raise BundleError(
            f"The tensor {name!r} in the graph of the bundle has the shape {shape}, and "
            f"{held:g} values."
        )
    return {"dtype": dtype, "shape": shape}


def _count(tensor: dict[str, Any], dtype: str, size: int) -> float:
    """Return how many values a tensor holds, in the one field that it may hold them in."""
    if "raw_data" in tensor:
        others = [key for key in _FIELDS if len(tensor[key])]
        return float("nan") if others else len(tensor["raw_data"]) / size
    own = _field_of(dtype)
    if any(len(tensor[key]) for key in _FIELDS if key != own):
        return float("nan")
    return sum(map(np.size, tensor[own]))


def _field_of(dtype: str) -> str:
    own = {"float32": "float_data", "float64": "double_data", "int64": "int64_data"}
    return own.get(dtype, "uint64_data" if dtype in ("uint32", "uint64") else "int32_data")


def _integers(tensor: dict[str, Any]) -> Any:
    """Return the values of a tensor of integers, or of numbers that were checked."""
    dtype = _TYPES[tensor["data_type"]][0]
    if "raw_data" in tensor:
        return np.frombuffer(tensor["raw_data"], np.dtype(dtype).newbyteorder("<"))
    held = tensor[_field_of(dtype)]
    return np.concatenate([np.atleast_1d(each) for each in held]) if held else np.empty(0)


def _small_values(tensor: dict[str, Any]) -> list[float] | None:
    values = _integers(tensor)
    return None if values.size > _MAX_AXES * 2 else [float(each) for each in values]
