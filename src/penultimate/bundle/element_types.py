"""The type of each value in a graph, followed from its inputs through its operators.

ONNX Runtime infers the same, but does not say so before it has parsed the file.
"""

from typing import Any

from penultimate.bundle.stored_tensors import BOOL, FLOAT, INT64, UINT8, constant_of

_OF_POSITIONS = {"ArgMax", "ArgMin", "Shape", "Size"}
_OF_TRUTH = {
    "And", "Equal", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual", "Not",
    "Or", "Xor",
}  # fmt: skip
# The input that the result has the type of, where it is not the first.
_LIKE = {"CastLike": 1, "DequantizeLinear": 1, "OneHot": 2, "Where": 1}
_SECOND = {"Dropout": BOOL, "DynamicQuantizeLinear": FLOAT, "MaxPool": INT64, "TopK": INT64}


def types_of_outputs(node: dict[str, Any], types: dict[str, int]) -> list[int]:
    """Return the type of each output of a node, as ONNX numbers types.

    Parameters
    ----------
    node : dict
        As `read_message` returns it, with an operator of `OPERATORS`.
    types : dict of str to int
        Of the values before it, by name.

    Returns
    -------
    list of int
    """
    kind, inputs = node["op_type"], node["input"]
    attributes = {each.get("name", ""): each for each in node["attribute"]}
    first = types.get(inputs[0], FLOAT) if inputs else FLOAT
    if kind in _OF_POSITIONS:
        first = INT64
    elif kind in _OF_TRUTH:
        first = BOOL
    elif kind in _LIKE and len(inputs) > _LIKE[kind]:
        first = types.get(inputs[_LIKE[kind]], FLOAT)
    elif kind == "Cast":
        first = attributes.get("to", {}).get("i", FLOAT)
    elif kind == "EyeLike":
        first = attributes.get("dtype", {}).get("i", first)
    elif kind == "Constant" and attributes:
        first = constant_of(next(iter(attributes.values())))["data_type"]
    elif kind == "ConstantOfShape":
        value = attributes.get("value", {}).get("t")
        first = FLOAT if value is None else value["data_type"]
    elif kind == "QuantizeLinear":
        first = types.get(inputs[2], UINT8) if len(inputs) > 2 else UINT8
    elif kind == "DynamicQuantizeLinear":
        first = UINT8
    others = len(node["output"]) - 1
    return [first, *[_SECOND.get(kind, first)] * others]
