"""Rules that decide whether a network outputs classes (and computed from what) or features.

"penultimate" is the input of the last operation with weights that produces the class-wide output,
before any dropout. That operation is found by reading the graph backwards from the output:

1. **A softmax or sigmoid produces classes.** If it is the first operation that is not neutral, then
   the next operation behind it with a weight matrix makes the classes, whatever lies between the
   two (a pooling, as in SqueezeNet; a batch normalization; a temperature). A product with a
   constant matrix, as of prototypes or of embedded texts, counts as such an operation.
2. **A rectifier or a normalization produces features.** Backbones and embedding networks end in
   ReLU and similar activations, or in batch, layer or L2 normalization; also in recurrent,
   attention or embedding layers. The penultimate layer is then the network's output.
3. **Bare scores are logits.** A dense layer, or a convolution that leaves a single position, makes
   classes if only neutral operations follow. A custom layer counts as dense if it has a matrix of
   shape (inputs, outputs).
4. **Maps are features.** An output with one value per position does not come from a classifier.
5. **Branches are read separately.** If one brings features (a residual sum, a gate), the result is
   features. If all make classes from the same tensor, so does their sum.

Everything else is ambiguous, and an error that lists the layers: heads on different tensors, a
convolution without activation that is then pooled, a tanh or a Lambda on scores, a product of
scores with a gate, a softmax per position, a custom layer that is unlike any other.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from penultimate._common.protocols import Layer
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.frameworks.graph import Graph, Value

PROBABILITIES = {"softmax", "sigmoid", "hardsigmoid", "sparsemax", "sparsesigmoid"}
_OF_CLASSES = PROBABILITIES | {"logsoftmax", "logsigmoid"}
# Both scores and features end in these: hinge losses and hashes use tanh, counts an exponential.
_OF_EITHER = {"tanh", "hardtanh", "tanhshrink", "softsign", "softplus", "exponential"}
_DROPOUTS = (
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
)
# Operations that do not change values (_SAME), and those that turn scores into scores (_NEUTRAL).
_SAME = {
    *(name.lower() for name in _DROPOUTS),
    *("linear", "identity", "cast", "flatten", "reshape", "squeeze", "expanddims"),
    *("permute", "transpose", "copy", "stopgradient"),
}
_NEUTRAL = _SAME | {"rescaling", "add", "subtract", "multiply", "divide", "truedivide"}
# What joins a tensor and a constant: over an axis, or value by value.
_PRODUCTS = {"matmul", "einsum", "dot", "tensordot", "inner"}
_ARITHMETIC = {"add", "subtract", "multiply", "divide", "truedivide"}
# Taking one position, such as the first token of a sequence, is a pooling, too.
_POOLING = {"mean", "max", "sum", "amax", "getitem", "take"}
_NORMALIZING = ("normalization", "normalize")
# Layers of Keras's that hold a user's code, or another framework's: their class says nothing.
_OPAQUE = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")


@dataclass(frozen=True)
class Reading:
    """Interpretation of a value.

    Attributes
    ----------
    kind : {"classes", "scores", "features", "unclear"}
        ``"scores"`` are classes, as far as can be seen: there is no evidence against it.
    given : tuple of Value
        For classes and scores, the one value that they are computed from; if unclear, all
        candidates.
    why : str
        The reason if it is unclear.
    """

    kind: str
    given: tuple[Value, ...] = ()
    why: str = ""


def read(output: Value, graph: Graph) -> Reading:
    """Interpret an output of a network.

    Parameters
    ----------
    output : Value
    graph : Graph
        Graph of the network.

    Returns
    -------
    Reading
    """
    reading, shape = _read(output, graph), graph.tensor(output).shape[1:]
    # Several positions: bare scores are a map (rule 4), but a softmax says that there are classes.
    if _n_axes(shape) > 1 and reading.kind in ("classes", "scores"):
        if reading.kind == "scores":
            return Reading("features")
        why = f"it gives classes for each of many positions, in an output of shape {shape}"
        return replace(reading, kind="unclear", why=why)
    return reading


def gives_probabilities(value: Value) -> bool | None:
    """Return whether a value is a probability; None if the graph does not show it."""
    while True:
        operation, name = value.operation, kind_of(value.operation)
        if name in PROBABILITIES:
            return True
        branches = _distinct(value.inputs)
        # The mean of probabilities is a probability, that of mixed values is unknown.
        if name == "average":
            answers = {gives_probabilities(each) for each in branches}
            return answers.pop() if len(answers) == 1 else None
        if _weights(operation):
            return False if _is_known(operation, name) and name != "logsigmoid" else None
        if len(branches) != 1 or not (name in _SAME or _is_pooling(name)):
            # A clip of probabilities is still some, an exponential divided by a sum may be one.
            return None if branches and sources(value) != {"scores"} else False
        value = branches[0]


def sources(value: Value) -> set[str]:
    """Return what a value is computed from, by operations without weights.

    Returns
    -------
    set of str
        ``"probabilities"``, ``"logarithms"`` (of these or of others), ``"scores"`` (sums and
        multiples of what a layer with weights gives) and ``"unknown"``.
    """
    found: set[str] = set()
    waiting, met = [(value, True)], set()
    while waiting:
        each, is_linear = waiting.pop()
        # A value may be reached both ways, by a linear path and by another.
        if (id(each), is_linear) in met:
            continue
        met.add((id(each), is_linear))
        operation, name = each.operation, kind_of(each.operation)
        if name in PROBABILITIES:
            found.add("probabilities")
        elif name.startswith("log"):
            found.add("logarithms")
        elif _weights(operation) or not each.inputs:
            seen = is_linear and _is_known(operation, name)
            found.add("scores" if seen and name not in _OF_EITHER else "unknown")
        else:
            is_linear = is_linear and (name in _NEUTRAL or _is_pooling(name))
            waiting += [(given, is_linear) for given in each.inputs]
    return found


def makers(value: Value) -> list[Value]:
    """Return the last values with a weight matrix before this one, one per branch.

    The matrix may be a constant, such as class prototypes or text embeddings. If a function may
    have one, or may merely rearrange scores, both readings count.
    """
    if _weights(value.operation) and not _is_elementwise(value):
        return [value]
    compares = _compares_with_constant(value)
    found = [value] if compares or _may_compare(value) else []
    if not compares or value.inputs[0].tensor.shape[1:] == value.tensor.shape[1:]:
        found += [maker for each in _distinct(value.inputs) for maker in makers(each)]
    return list(_distinct(found))


def without_dropout(value: Value) -> Value:
    """Return the value before dropout and noise, to which it is equal at inference."""
    while type(value.operation).__name__ in _DROPOUTS:
        value = value.inputs[0]
    return value


def end_of(value: Value) -> Value:
    """Return the operation behind neutral ones: an activation, or one with weights."""
    while (
        not _weights(value.operation)
        and kind_of(value.operation) in _NEUTRAL
        and len(_distinct(value.inputs)) == 1
    ):
        value = value.inputs[0]
    return value


def _read(value: Value, graph: Graph) -> Reading:
    # Doubts are collected, not raised, on the way back from the output: a rule that applies later
    # may settle the question. The first one is kept, as it is closest to the output.
    pooled = False
    doubt = ""
    while True:
        operation, name = value.operation, kind_of(value.operation)
        branches = _distinct(value.inputs)
        if not branches:
            return Reading("features")  # an input of the network: nothing has made classes of it
        if name in _OF_CLASSES:
            return _made_by(value)
        is_maker = bool(_weights(operation)) and not _is_elementwise(value)
        if is_maker or _compares_with_constant(value):
            return _read_maker(value, graph, pooled, doubt)
        if any(part in name for part in _NORMALIZING):
            return Reading("features")
        if _is_activation(name) and name not in _NEUTRAL:
            if name not in _OF_EITHER:
                return Reading("features")
            doubt = doubt or f"{operation.name!r} ({name}) may end scores or features"
        elif len(branches) > 1:
            reading = _read_branches(value, graph)
            return _doubted(reading, doubt) if reading.kind == "scores" else reading
        elif _weights(operation) or not (name in _NEUTRAL or _is_pooling(name)):
            doubt = doubt or f"{operation.name!r} ({type(operation).__name__}) may compute anything"
        pooled = pooled or _is_pooling(name)
        value = branches[0]


def _read_maker(value: Value, graph: Graph, pooled: bool, doubt: str) -> Reading:
    """Interpret a value made with a weight matrix, without a softmax after it."""
    operation, name = _unwrapped(value.operation), kind_of(value.operation)
    own = f"{value.operation.name!r} ({type(operation).__name__})"
    compares = not _weights(value.operation)
    is_dense = compares or _is_dense(operation)
    if _is_keras(operation) and not is_dense:
        return Reading("features")  # recurrent, attention, embedding
    if _is_activation(name) and name not in _NEUTRAL | _OF_EITHER:
        return Reading("features")
    if name in _OF_EITHER or not _is_known(operation, name, or_own=True):
        doubt = doubt or f"{own} ends in {name}, as scores or features may"
    # Rule 4; but a map that is pooled later may consist of scores.
    if _n_axes(graph.tensor(value).shape[1:]) > 1:
        if not pooled:
            return Reading("features")
        doubt = doubt or f"{own} has no activation, and is pooled: to scores or to features"
    if compares:
        doubt = doubt or f"{own} joins a tensor and a constant, to scores or to features"
    if not is_dense and not _is_like_dense(value):
        doubt = doubt or f"{own} is a custom layer, and may make scores or features"
    reading = _made_by(value)
    return _doubted(
        replace(reading, kind="scores") if reading.kind == "classes" else reading, doubt
    )


def _read_branches(value: Value, graph: Graph) -> Reading:
    name = kind_of(value.operation)
    readings = [_read(each, graph) for each in _distinct(value.inputs)]
    # Rule 5. A concatenation keeps its parts apart, so features in it need not make it features.
    kinds = {reading.kind for reading in readings}
    if kinds == {"features"} or ("features" in kinds and name != "concatenate"):
        return Reading("features")
    given = _distinct(each for reading in readings for each in reading.given)
    if len(given) == 1 and name in ("add", "average") and kinds <= {"classes", "scores"}:
        return Reading("scores" if "scores" in kinds else "classes", given)
    why = f"{value.operation.name!r} joins what may be scores or features"
    return Reading("unclear", given, why)


def _made_by(value: Value) -> Reading:
    """Interpret classes: they are computed from the input of the one operation that makes them."""
    given = _distinct(
        without_dropout(each) for maker in makers(value) for each in _distinct(maker.inputs)
    )
    if not given:
        return Reading("features")
    if len(given) == 1:
        return Reading("classes", given)
    return Reading("unclear", given, f"{value.operation.name!r} is made of several tensors")


def _doubted(reading: Reading, doubt: str) -> Reading:
    if not doubt or reading.kind == "unclear":
        return reading
    return replace(reading, kind="unclear", why=doubt)


def kind_of(operation: Layer) -> str:
    """Name an operation by its last step: its activation or, without one, its class."""
    operation = _unwrapped(operation)
    function = getattr(operation, "activation", None)
    if function is None:
        name = type(operation).__name__
        if name in ("Dense", "EinsumDense") or _is_dense(operation):
            name = "linear"
    else:
        name = getattr(function, "__name__", type(function).__name__)
    return name.replace("_", "").lower()


def _is_activation(name: str) -> bool:
    # From Keras itself, so that activations of later versions are known, too.
    known = {each.replace("_", "").lower() for each in dir(import_keras().activations)}
    return name in known | {"prelu"}


def _is_pooling(name: str) -> bool:
    return name in _POOLING or "pooling" in name


def _is_dense(operation: Layer) -> bool:
    layers = import_keras().layers
    # By their names, so that those of later versions of Keras are included.
    convolutions = [
        getattr(layers, name)
        for name in dir(layers)
        if "Conv" in name and "LSTM" not in name and isinstance(getattr(layers, name), type)
    ]
    return isinstance(operation, (layers.Dense, layers.EinsumDense, *convolutions))


def _is_like_dense(value: Value) -> bool:
    """Return whether a layer of unknown type has a matrix from its inputs to its outputs."""
    if len(value.inputs) != 1:
        return False
    # Equal sizes are excluded: a square matrix may as well transform features.
    before, after = value.inputs[0].tensor.shape[1:], value.tensor.shape[1:]
    if len(before) != 1 or len(after) != 1 or before == after:
        return False
    sizes = {(before[0], after[0]), (after[0], before[0])}
    return any(tuple(weight.shape) in sizes for weight in _weights(value.operation))


def _compares_with_constant(value: Value) -> bool:
    """Return whether features are compared with constants of the classes, such as prototypes.

    A matrix that probabilities are multiplied with, as of label noise, makes nothing of features.
    """
    name = kind_of(value.operation)
    if len(value.inputs) != 1 or _weights(value.operation):
        return False
    if name not in _PRODUCTS and not (name in _ARITHMETIC and _n_values(value) > _n_given(value)):
        return False
    return "probabilities" not in sources(value)


def _may_compare(value: Value) -> bool:
    """Say whether a function of the user's own, without weights, may do so."""
    if len(value.inputs) != 1 or _is_keras(value.operation) or _weights(value.operation):
        return False
    before, after = value.inputs[0].tensor.shape, value.tensor.shape
    is_other = before[-1] != after[-1] and _n_given(value) != _n_values(value)
    return is_other and "probabilities" not in sources(value)


def _n_values(value: Value) -> int:
    """Count the values of a sample; along an axis of any size, one."""
    return math.prod(size or 1 for size in value.tensor.shape[1:])


def _n_given(value: Value) -> int:
    return _n_values(value.inputs[0])


def _is_elementwise(value: Value) -> bool:
    """Return whether weights only scale or shift values: normalization, PReLU, temperature."""
    operation = value.operation
    if any(part in type(operation).__name__.lower() for part in (*_NORMALIZING, "prelu")):
        # The wrapper normalizes the weights of a layer, not its values.
        return not isinstance(operation, import_keras().layers.Wrapper)  # SpectralNormalization
    is_same_shape = len(value.inputs) == 1 and value.inputs[0].tensor.shape == value.tensor.shape
    return is_same_shape and all(len(weight.shape) <= 1 for weight in _weights(operation))


def _is_known(operation: Layer, name: str, *, or_own: bool = False) -> bool:
    """Return whether the last step of an operation is known, by its activation or its class."""
    if getattr(_unwrapped(operation), "activation", None) is not None:
        return name in _NEUTRAL or _is_activation(name)
    return or_own or _is_keras(operation)


def _is_keras(operation: Layer) -> bool:
    package = type(operation).__module__.split(".")[0]
    return package in ("keras", "penultimate") and type(operation).__name__ not in _OPAQUE


def _unwrapped(operation: Layer) -> Layer:
    while isinstance(operation, import_keras().layers.Wrapper):
        operation = operation.layer
    return operation


def _weights(operation: Layer) -> list[Any]:
    return list(getattr(operation, "weights", []))


def _n_axes(shape: tuple[int | None, ...]) -> int:
    """Count the axes of one sample along which there is more than one value."""
    # An axis of unknown size (None) counts, since it may hold several values.
    return sum(size != 1 for size in shape)


def _distinct(values: Iterable[Value]) -> tuple[Value, ...]:
    return tuple({id(value): value for value in values}.values())
