"""What an operator of an ONNX graph does: a matrix, an activation, a normalization, a pooling.

A graph has operators where Keras has layers. A dense layer is a product with a constant matrix,
perhaps followed by a sum; activations and normalizations may be written out, as a softmax as an
exponential that is divided by its sum. These are recognized by their form: all the tensors that the
last operator joins are computed from one and the same tensor, without a matrix in between. If it
divides an exponential, it is a softmax; subtracting a logarithm makes a log-softmax; anything else,
such as ``x * sigmoid(x)``, or ``x`` divided by its norm, is an activation or a normalization, and
with it the end of features.
"""

from collections.abc import Iterable

import numpy as np

from penultimate.networks.frameworks.onnx_nodes import attribute
from penultimate.networks.frameworks.onnx_tensors import OnnxGraph

PROBABILITIES = {"Softmax", "Sigmoid", "HardSigmoid"}
# Labels are made of scores, too.
OF_CLASSES = PROBABILITIES | {"LogSoftmax", "ArgMax", "TopK", "Hardmax"}
_WITH_MATRIX = {
    *("Gemm", "MatMul", "Conv", "ConvTranspose", "Einsum", "MatMulInteger", "ConvInteger"),
    *("QLinearMatMul", "QLinearConv", "QGemm", "FusedGemm", "FusedMatMul", "FusedConv"),
    *("MatMulNBits", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"),
}
# Layers with weights that make features.
OF_FEATURES = {"LSTM", "GRU", "RNN", "Attention", "MultiHeadAttention", "GroupQueryAttention"}
_ACTIVATIONS = {
    *("Relu", "LeakyRelu", "PRelu", "ThresholdedRelu", "Elu", "Selu", "Celu", "Gelu", "FastGelu"),
    *("BiasGelu", "QuickGelu", "HardSwish", "Swish", "Mish"),
}
# Both scores and features end in these: hinge losses and hashes use tanh, counts an exponential.
OF_EITHER = {"Tanh", "Softsign", "Softplus", "Exp"}
DROPOUTS = {"Dropout", "Identity"}
TO_INTEGERS = {"QuantizeLinear", "DynamicQuantizeLinear"}
SAME = {
    *DROPOUTS,
    *TO_INTEGERS,
    *("DequantizeLinear", "Cast", "CastLike", "Squeeze", "Unsqueeze", "Flatten", "Reshape"),
    *("Transpose", "Expand"),
}
# With a constant, these turn scores into scores.
_ARITHMETIC = {"Add", "Sub", "Mul", "Div", "Neg"}
_NEUTRAL = SAME | _ARITHMETIC
# Taking one position, such as the first token of a sequence, is a pooling, too.
_POOLING = {"Gather", "Slice", "ReduceMean", "ReduceMax", "ReduceSum", "Split"}


def sources(graph: OnnxGraph, tensor: str) -> set[str]:
    """Return what a tensor is computed from, by operators without weights.

    Returns
    -------
    set of str
        ``"probabilities"``, ``"logarithms"``, ``"scores"`` (sums and multiples of what an operator
        with weights gives) and ``"unknown"``.
    """
    found: set[str] = set()
    waiting, met = [(tensor, True)], set()
    while waiting:
        each = waiting.pop()
        if each in met:
            continue
        met.add(each)
        name, is_linear = each
        operation, data = graph.op(name), graph.data(name)
        written = written_out(graph, name)
        if operation in PROBABILITIES or written == "Softmax":
            found.add("probabilities")
        elif operation in ("Log", "LogSoftmax") or written == "LogSoftmax":
            found.add("logarithms")
        elif not data or has_matrix(graph, name) or operation in OF_FEATURES:
            found.add("scores" if is_linear and data else "unknown")
        else:
            keeps = is_linear and (operation in _NEUTRAL or is_pooling(operation))
            waiting += [(other, keeps) for other in data]
    return found


def is_pooling(operation: str) -> bool:
    """Return whether an operator joins or selects positions."""
    return operation in _POOLING or "Pool" in operation


def has_matrix(graph: OnnxGraph, tensor: str) -> bool:
    """Return whether a tensor is the product of one tensor and a constant matrix."""
    if graph.op(tensor) not in _WITH_MATRIX or len(graph.data(tensor)) != 1:
        return False
    given = graph.data(tensor)[0]
    if not {*graph.makers[tensor].input} - {given, ""}:
        return False  # a tensor times itself
    # A square matrix on probabilities, as of label noise, makes nothing of features.
    if graph.op(tensor) in ("MatMul", "Gemm") and graph.shape(given) == graph.shape(tensor):
        while graph.op(given) in SAME and len(graph.data(given)) == 1:
            given = graph.data(given)[0]
        return graph.op(given) != "Softmax" and written_out(graph, given) != "Softmax"
    return True


def broadens(graph: OnnxGraph, tensor: str) -> bool:
    """Return whether a tensor is joined with constants of the classes, such as prototypes."""
    data = graph.data(tensor)
    if graph.op(tensor) not in _ARITHMETIC or len(data) != 1:
        return False
    before, after = graph.shape(data[0]), graph.shape(tensor)
    if before is None or after is None:
        return False
    # Along an axis of any size, one value is counted.
    is_larger = np.prod([size or 1 for size in after]) > np.prod([size or 1 for size in before])
    return bool(is_larger) and "probabilities" not in sources(graph, tensor)


def is_neutral(graph: OnnxGraph, tensor: str) -> bool:
    """Return whether an operator turns scores into scores, if its other operands are constants."""
    operation = graph.op(tensor)
    if operation == "Div":  # by a constant, not a constant by scores
        return graph.makers[tensor].input[0] in graph.varying
    return operation in _NEUTRAL


def is_rectifier(graph: OnnxGraph, tensor: str) -> bool:
    """Return whether a tensor is an activation that only features have."""
    operation = graph.op(tensor)
    if operation in _ACTIVATIONS:
        return True
    if operation not in ("Clip", "Max") or len(graph.data(tensor)) != 1:
        return False
    # ReLU and ReLU6 as they may be written; a clip of scores has other bounds.
    node = graph.makers[tensor]
    if operation == "Max":
        bounds = [graph.constant(name) for name in node.input if name not in graph.varying]
        return any(low is not None and np.all(low == 0) for low in bounds)
    # Operands from opset 11 on, attributes before.
    names = [*node.input[1:], "", ""][:2]
    low, high = (
        graph.constant(name) if name else attribute(node, bound)
        for name, bound in zip(names, ("min", "max"))
    )
    # Probabilities are clipped to at most 1.
    return low is not None and bool(np.all(low == 0)) and (high is None or bool(np.all(high > 1)))


def written_out(graph: OnnxGraph, tensor: str) -> str:
    """Name the function that joins what is computed from one tensor, without a matrix in between.

    Returns
    -------
    str
        ``"Softmax"``, ``"LogSoftmax"``, ``"other"``, or empty if it is no such function.
    """
    operation, data = graph.op(tensor), graph.data(tensor)
    if operation not in ("Div", "Mul", "Sub", "Where", "Max") or len(data) < 2:
        return ""
    if not _come_from_one(graph, data):
        return ""
    first, last = (_ops_before(graph, data[place]) for place in (0, -1))
    if operation == "Div" and "Exp" in first[:1]:
        return "Softmax"
    if operation == "Div" and PROBABILITIES.intersection(first[:1]):
        return "Softmax"  # sigmoids that are divided by their sum
    if operation == "Mul" and {"Exp", "Reciprocal"} == {*first[:1], *last[:1]}:
        return "Softmax"  # times the reciprocal of the sum
    if operation == "Sub" and {"Log", "ReduceLogSumExp"}.intersection(last[:1]):
        return "LogSoftmax"
    # x - max(x) only moves scores.
    return "" if operation == "Sub" and "ReduceMax" in last[:1] else "other"


def _ops_before(graph: OnnxGraph, tensor: str) -> list[str]:
    """Return the operators that lead to a tensor, the last one first, without those of form."""
    found = []
    while len(graph.data(tensor)) == 1:
        if graph.op(tensor) not in SAME:
            found.append(graph.op(tensor))
        tensor = graph.data(tensor)[0]
    return found


def _come_from_one(graph: OnnxGraph, tensors: Iterable[str]) -> bool:
    """Return whether tensors are computed from a single one without any matrix."""
    waiting = set(tensors)
    # The one that is made last is followed first, until the paths meet.
    while len(waiting) > 1:
        latest = max(waiting, key=lambda each: graph.order[each])
        if not graph.data(latest) or graph.op(latest) in _WITH_MATRIX | OF_FEATURES:
            return False
        waiting.remove(latest)
        waiting.update(graph.data(latest))
    return True
