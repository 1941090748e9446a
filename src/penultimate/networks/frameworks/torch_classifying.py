"""The rules of ``classifying.py``, for what a torch module computes (``torch_graph.py``).

They are the same five: a softmax or sigmoid makes classes, a rectifier or a normalization features,
bare scores of a linear map are logits, maps are features, and branches are read separately. Three
things are different in torch:

- An activation is an operation of its own, not a setting of the layer before it.
- Functions with weights may be called anywhere, so a bias, a temperature or a position that is a
  parameter is as neutral as one that is a number.
- A layer of the user's own is open. What it does to its input before the product with its weights
  (an L2 normalization, as in cosine heads) belongs to it: the value is the layer's input.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from penultimate.networks.frameworks.frozen import scores_by_values
from penultimate.networks.frameworks.torch_graph import Graph, Value
from penultimate.networks.frameworks.torch_recording import DROPOUTS, SAME

_PROBABILITIES = {"softmax", "sigmoid", "hardsigmoid", "softmin", "gumbelsoftmax"}
_OF_CLASSES = _PROBABILITIES | {"logsoftmax", "logsigmoid"}
# Both scores and features end in these: hinge losses and hashes use tanh, counts an exponential.
_OF_EITHER = {"tanh", "hardtanh", "tanhshrink", "softsign", "softplus", "exp"}
_ACTIVATIONS = _OF_EITHER | {
    *("relu", "relu6", "elu", "selu", "celu", "leakyrelu", "prelu", "rrelu", "gelu", "silu"),
    *("mish", "hardswish", "hardshrink", "softshrink", "threshold", "glu"),
}
# Networks and layers that give features: recurrent, attention, embedding.
_FEATURES = ("lstm", "gru", "rnn", "embedding", "multiheadattention", "scaleddotproduct")
_ARITHMETIC = {"add", "sub", "mul", "div", "truedivide", "radd", "rmul", "subtract", "multiply"}
_NEUTRAL = SAME | _ARITHMETIC
_DENSE = ("linear", "conv", "addmm", "bilinear")
_PRODUCTS = {"matmul", "mm", "bmm", "mv", "einsum", "dot", "inner", "tensordot", "rmatmul"}
_COMPARISONS = {"cdist", "cosinesimilarity", "pairwisedistance"}
# Taking one position, such as the first token of a sequence, is a pooling, too.
_POOLING = {"mean", "max", "sum", "amax", "getitem", "select", "indexselect", "narrow", "take"}


@dataclass(frozen=True)
class Reading:
    """Interpretation of a value: as in ``classifying.py``.

    Attributes
    ----------
    kind : {"classes", "scores", "features", "unclear"}
    given : tuple of Value
        What classes and scores are computed from; if unclear, all candidates.
    why : str
        The reason if it is unclear.
    """

    kind: str
    given: tuple[Value, ...] = ()
    why: str = ""


def read(output: Value) -> Reading:
    """Interpret an output of a network."""
    reading, shape = _read(output), output.shape[1:]
    # Several positions: bare scores are a map (rule 4), but a softmax says that there are classes.
    if _n_axes(shape) > 1 and reading.kind in ("classes", "scores"):
        if reading.kind == "scores":
            return Reading("features")
        why = f"it gives classes for each of many positions, in an output of shape {shape}"
        return replace(reading, kind="unclear", why=why)
    return reading


def penultimate(graph: Graph, n_classes: int | None) -> tuple[str, str]:
    """Return the name of the penultimate layer, and its position in words.

    Raises
    ------
    ValueError
        If it is not clear, or no module gives or takes the value.
    """
    found: dict[int, tuple[Value, str]] = {}
    for output in graph.outputs.values():
        reading, shape = read(output), output.shape[1:]
        # The labels decide an unclear case, provided that only one value could be meant.
        numbers_classes = shape == (n_classes,) or (shape in ((1,), ()) and n_classes == 2)
        if reading.kind == "unclear" and not (numbers_classes and len(reading.given) == 1):
            raise ValueError(_unclear(graph, output, reading))
        if reading.kind == "features":
            value, place = without_dropout(output), "the network's output"
        else:
            value = reading.given[0]
            # What is computed outside of all modules is named by its function.
            names = [each.call.name or f"{each.kind}()" for each in makers(output)]
            place = f"the input of {' and '.join(map(repr, dict.fromkeys(names)))}"
        found.setdefault(id(value), (value, place))
    if not found:
        raise ValueError(
            f"The network {graph.network!r} has no output that is a tensor computed from its "
            "inputs: pass a module that returns tensors."
        )
    if len(found) > 1:
        names = [_name(graph, value) for value, _ in found.values()]
        raise ValueError(
            f"The network {graph.network!r} has {len(graph.outputs)} outputs, with different "
            f"penultimate layers. Name one: layer={_either(names)}."
        )
    value, place = next(iter(found.values()))
    if not graph.names_of(value):
        raise ValueError(
            f"The network {graph.network!r} makes its classes in "
            f"{place.removeprefix('the input of ')} from a value ({value.kind}) that is neither "
            "the output nor the input of a module, and cannot be cut there. Name a layer before "
            f"it, layer={_name(graph, value)!r}, or make the last step a module, such as "
            "torch.nn.Linear."
        )
    return graph.names_of(value)[0], place


def gives_probabilities(value: Value) -> bool | None:
    """Return whether a value is a probability; None if the graph does not show it."""
    while True:
        kind = value.kind
        if kind in _PROBABILITIES:
            return True
        # Not a probability, but its logarithm; and a scripted module may end in anything.
        if kind == "logsigmoid" or value.is_opaque:
            return None
        if is_maker(value) or kind.startswith(_FEATURES) or "norm" in kind:
            return False
        if len(value.inputs) != 1 or not (kind in SAME or _is_pooling(kind)):
            # A clip of probabilities is still some, an exponential divided by a sum may be one.
            return None if value.inputs and sources(value) != {"scores"} else False
        value = value.inputs[0]


def sources(value: Value) -> set[str]:
    """Return what a value is computed from, by operations without weights.

    Returns
    -------
    set of str
        ``"probabilities"``, ``"logarithms"``, ``"scores"`` (sums and multiples of what a linear map
        gives) and ``"unknown"``.
    """
    found: set[str] = set()
    waiting, met = [(value, True)], set()
    while waiting:
        each, is_linear = waiting.pop()
        # A value may be reached both ways, by a linear path and by another.
        if (id(each), is_linear) in met:
            continue
        met.add((id(each), is_linear))
        kind = each.kind
        if kind in _PROBABILITIES:
            found.add("probabilities")
        elif kind.startswith("log"):
            found.add("logarithms")
        elif not each.inputs or (each.weights and kind not in _ARITHMETIC):
            found.add("scores" if is_linear and each.inputs and not each.is_opaque else "unknown")
        else:
            is_linear = is_linear and (kind in _NEUTRAL or _is_pooling(kind))
            waiting += [(given, is_linear) for given in each.inputs]
    return found


def makers(value: Value) -> list[Value]:
    """Return the last products with weights before a value and at it, one per branch.

    The weights may be a constant, such as class prototypes. If such a product may merely rearrange
    scores, because it keeps their shape, those before it count, too.
    """
    found = [value] if is_maker(value) else []
    # A constant of the same shape may be a mask on scores, so what is before it counts, too.
    if not found or (not value.weights and value.inputs[0].shape == value.shape):
        found += [maker for each in value.inputs for maker in makers(each)]
    return list(_distinct(found))


def is_maker(value: Value) -> bool:
    """Return whether an operation joins a value and weights to new values."""
    if value.is_opaque:
        return _has_matrix(value) and "norm" not in value.kind
    if not value.inputs or not (value.weights or value.constants):
        return value.kind.startswith("linear")  # quantized weights are no tensors
    if value.kind.startswith(_DENSE) and value.weights:
        return True
    if len(value.inputs) > 1:
        return False
    # Broadcast against a constant to more values: a difference from each prototype, for instance.
    grows = value.kind in _ARITHMETIC and _n_values(value) > _n_values(value.inputs[0])
    if not (grows or value.kind.startswith(_DENSE) or value.kind in _PRODUCTS | _COMPARISONS):
        return False
    # A matrix that probabilities are multiplied with, as of label noise, makes nothing of features.
    return bool(value.weights) or "probabilities" not in sources(value)


def without_dropout(value: Value) -> Value:
    """Return the value before dropout that is on at inference, too."""
    while value.kind in DROPOUTS and value.inputs:
        value = value.inputs[0]
    return value


def _read(value: Value) -> Reading:
    # Doubts are collected, not raised, on the way back from the output: a rule that applies later
    # may settle the question. The first one is kept, as it is closest to the output.
    pooled, doubt = False, ""
    while True:
        kind = value.kind
        if not value.inputs:
            return Reading("features")  # an input of the network: nothing has made classes of it
        if kind in _OF_CLASSES:
            return _made_by(value)
        if is_maker(value):
            return _read_maker(value, pooled, doubt)
        if "norm" in kind or kind.startswith(_FEATURES):
            return Reading("features")
        if kind in _ACTIVATIONS:
            if kind not in _OF_EITHER:
                return Reading("features")
            doubt = doubt or f"{_shown(value)} may end scores or features"
        elif len(value.inputs) > 1:
            reading = _read_branches(value)
            return _doubted(reading, doubt) if reading.kind == "scores" else reading
        elif not (kind in _NEUTRAL or _is_pooling(kind)):
            doubt = doubt or f"{_shown(value)} may compute anything"
        pooled = pooled or _is_pooling(kind)
        value = value.inputs[0]


def _read_maker(value: Value, pooled: bool, doubt: str) -> Reading:
    """Interpret a product with weights, without a softmax after it."""
    # Rule 4; but a map that is pooled later may consist of scores.
    if _n_axes(value.shape[1:]) > 1:
        if not pooled:
            return Reading("features")
        doubt = doubt or f"{_shown(value)} has no activation, and is pooled: to scores or features"
    if not value.weights and value.constants:
        doubt = doubt or f"{_shown(value)} joins a tensor and a constant, to scores or to features"
    elif not value.kind.startswith(_DENSE) and not _is_like_dense(value):
        doubt = doubt or f"{_shown(value)} is no common layer, and may make scores or features"
    reading = _made_by(value)
    return _doubted(
        replace(reading, kind="scores") if reading.kind == "classes" else reading, doubt
    )


def _read_branches(value: Value) -> Reading:
    readings = [_read(each) for each in value.inputs]
    # Rule 5. A concatenation keeps its parts apart, so features in it need not make it features.
    kinds = {reading.kind for reading in readings}
    if kinds == {"features"} or ("features" in kinds and value.kind not in ("cat", "concat")):
        return Reading("features")
    given = _independent(each for reading in readings for each in reading.given)
    if len(given) == 1 and value.kind in ("add", "stack") and kinds <= {"classes", "scores"}:
        return Reading("scores" if "scores" in kinds else "classes", given)
    return Reading("unclear", given, f"{_shown(value)} joins what may be scores or features")


def _made_by(value: Value) -> Reading:
    """Interpret classes: they are computed from the input of the one operation that makes them."""
    given = _independent(
        without_dropout(_entering(each, maker)) for maker in makers(value) for each in maker.inputs
    )
    if not given:
        return Reading("features")
    if len(given) == 1:
        return Reading("classes", given)
    return Reading("unclear", given, f"{_shown(value)} is made of several tensors")


def _entering(value: Value, maker: Value) -> Value:
    """Return the input of the layer that a product is in, if it is little changed on the way."""
    inputs = maker.call.inputs.values()
    changed = value
    while changed.call is maker.call and changed.inputs and not changed.weights:
        if any(changed is each for each in inputs):
            break
        if not (changed.kind in _NEUTRAL or "norm" in changed.kind):
            return value
        # In a quotient by the norm, the first is what is divided.
        changed = changed.inputs[0]
    # The network itself is no layer.
    is_input = any(changed is each for each in inputs)
    return changed if is_input and maker.call.name else value


def _independent(values: Iterable[Value]) -> tuple[Value, ...]:
    """Leave out values that are linear maps of others: they add nothing, as in LoRA."""
    found = {id(value): value for value in values}
    for value in list(found.values()):
        before = value
        while len(before.inputs) == 1 and (is_maker(before) or before.kind in _NEUTRAL):
            before = before.inputs[0]
            if id(before) in found:
                found.pop(id(value), None)
    return tuple(found.values())


def _doubted(reading: Reading, doubt: str) -> Reading:
    if not doubt or reading.kind == "unclear":
        return reading
    return replace(reading, kind="unclear", why=doubt)


def _unclear(graph: Graph, output: Value, reading: Reading) -> str:
    names = [_name(graph, value) for value in reading.given]
    before = f"layer={_either(names)} (the input of the scores), or " if names else ""
    return (
        f"It is not clear which layer of the network {graph.network!r} is the penultimate one: "
        f"{reading.why}. Name it: {before}layer={_name(graph, output)!r} (the network's output)."
    )


def _name(graph: Graph, value: Value) -> str:
    """Return the name of a value or, without one, of the nearest value before it."""
    while not (names := graph.names_of(value)):
        value = value.inputs[0]
    return names[0]


def _either(names: list[str]) -> str:
    return " or ".join(map(repr, dict.fromkeys(names)))


def _shown(value: Value) -> str:
    return f"{value.call.name!r} ({value.kind})" if value.call.name else repr(value.kind)


def _is_pooling(kind: str) -> bool:
    return kind in _POOLING or "pool" in kind


def _is_like_dense(value: Value) -> bool:
    """Return whether an operation has a matrix from its inputs to its outputs."""
    if len(value.inputs) != 1:
        return False
    # Equal sizes are excluded: a square matrix may as well transform features.
    before, after = value.inputs[0].shape[1:], value.shape[1:]
    if len(before) != 1 or len(after) != 1 or before == after:
        return False
    return any(sorted(each) == sorted(before + after) for each in value.weights)


def _has_matrix(value: Value) -> bool:
    return any(len(shape) > 1 for shape in value.weights)


def _n_values(value: Value) -> int:
    return math.prod(value.shape[1:])


def _n_axes(shape: tuple[int, ...]) -> int:
    """Count the axes of one sample along which there is more than one value."""
    return sum(size != 1 for size in shape)


def _distinct(values: Iterable[Value]) -> tuple[Value, ...]:
    return tuple({id(value): value for value in values}.values())


def are_scores(outputs: NDArray[np.floating], made_of: set[str], name: str) -> bool:
    """Decide by their values whether outputs are scores, as the Keras adapter does."""
    found = scores_by_values(outputs, made_of)
    if found is not None:
        return found
    raise ValueError(
        f"It is not clear whether the outputs of the network {name!r} are probabilities: they go "
        f"from {outputs.min():.3g} to {outputs.max():.3g}. End it in a softmax or sigmoid of "
        "torch's for probabilities, or in a layer without activation for logits."
    )
