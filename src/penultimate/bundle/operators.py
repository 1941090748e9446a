"""Checks an ONNX graph before ONNX Runtime parses it: what it may compute, and how much.

The graph is read by `wire`, which knows neither functions nor graphs within graphs nor weights in
other files. Its operators have to be in a list: those of one opset of the standard that compute
tensors from tensors. Left out are loops and branches, random numbers, text, and what ONNX Runtime
once read out of bounds. Nodes come after what they need, so that what is known of values can be
followed from the first node to the last.
"""

from dataclasses import dataclass
from typing import Any

from penultimate.bundle.element_types import types_of_outputs
from penultimate.bundle.errors import BundleError
from penultimate.bundle.result_sizes import MAX_VALUES, check_attributes, check_division, check_size
from penultimate.bundle.stored_tensors import TYPES, check_tensor, constant_of
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
    "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Hardmax",
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
_MAX_NODES = 5_000  # ONNX Runtime takes half a second for as many


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


def check_graph(content: bytes | memoryview, max_values: int = MAX_VALUES) -> Graph:
    """Check an ONNX model, and return what it has.

    Parameters
    ----------
    content : bytes
    max_values : int, optional
        Values of a result whose size the graph states, at most.

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
    _check_versions(model)
    graph = model["graph"]
    tensors = {each.get("name", ""): check_tensor(each) for each in graph["initializer"]}
    if len(tensors) != len(graph["initializer"]):
        raise BundleError("The graph of the bundle has two tensors of one name.")
    constants = {each.get("name", ""): each for each in graph["initializer"]}
    types = {name: each["data_type"] for name, each in constants.items()}
    inputs = tuple(each.get("name", "") for each in graph["input"])
    for name, each in zip(inputs, graph["input"], strict=True):
        constants.pop(name, None)  # who runs the graph may pass others
        types[name] = each.get("type", {}).get("tensor_type", {}).get("elem_type", 0)
        if types[name] not in TYPES:
            raise BundleError(f"The graph of the bundle takes {name[:60]!r} of no known type.")
    if len(graph["node"]) > _MAX_NODES:
        raise BundleError(f"The graph of the bundle has more than {_MAX_NODES:,} nodes.")
    for node in graph["node"]:
        _check_node(node, constants, types, max_values)
    outputs = tuple(each.get("name", "") for each in graph["output"])
    metadata = {each.get("key", ""): each.get("value", "") for each in model["metadata_props"]}
    return Graph(inputs, outputs, tensors, metadata)


def _check_versions(model: dict[str, Any]) -> None:
    if "graph" not in model:
        raise BundleError("The bundle has no graph in model.onnx.")
    version = model.get("ir_version", 0)
    if not 3 <= version <= MAX_IR:
        raise BundleError(
            f"The graph of the bundle is of ONNX's IR version {version}; 3 to {MAX_IR} are read."
        )
    opsets = [(each.get("domain", ""), each.get("version", 0)) for each in model["opset_import"]]
    if len(opsets) != 1 or opsets[0][0] not in _DOMAINS or opsets[0][1] != OPSET:
        named = ", ".join(f"{domain[:40] or 'ai.onnx'} {number}" for domain, number in opsets[:5])
        raise BundleError(
            f"The graph of the bundle is of {named or 'no opset'}; opset {OPSET} of ai.onnx alone "
            "is read."
        )


def _check_node(
    node: dict[str, Any], constants: dict[str, Any], types: dict[str, int], max_values: int
) -> None:
    """Check a node, and note what is known of its outputs."""
    kind, domain = node.setdefault("op_type", ""), node.get("domain", "")
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
    if unknown := [name for name in node["input"] if name and name not in types]:
        raise BundleError(f"The graph of the bundle uses {unknown[0][:60]!r} before it is made.")
    if twice := [name for name in node["output"] if name in types]:
        raise BundleError(f"The graph of the bundle makes {twice[0][:60]!r} twice.")
    for attribute in node["attribute"]:
        if "t" in attribute:
            check_tensor(attribute["t"])
        if kind == "Constant":
            constants |= dict.fromkeys(node["output"], constant_of(attribute))
    check_attributes(kind, node["attribute"])
    check_size(kind, node["input"], constants, max_values)
    check_division(kind, node["input"], constants, types)
    made = types_of_outputs(node, types)
    if not set(made) <= set(TYPES):
        raise BundleError(f"The graph of the bundle makes text, or no known type, with {kind}.")
    types |= {name: each for name, each in zip(node["output"], made) if name}
