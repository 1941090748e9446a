"""The rules of ``classifying.py`` for ONNX graphs: classes, and what they are computed from."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from penultimate.networks.frameworks.onnx_names import LayerNames
from penultimate.networks.frameworks.onnx_operators import (
    DROPOUTS,
    OF_CLASSES,
    OF_EITHER,
    OF_FEATURES,
    PROBABILITIES,
    SAME,
    TO_INTEGERS,
    broadens,
    has_matrix,
    is_neutral,
    is_pooling,
    is_rectifier,
    sources,
    written_out,
)
from penultimate.networks.frameworks.onnx_tensors import OnnxGraph

_AVERAGING = {"Add", "Sum", "Mean"}


@dataclass(frozen=True)
class Reading:
    """Interpretation of a tensor, as in ``classifying.py``.

    Attributes
    ----------
    kind : {"classes", "scores", "features", "unclear"}
    given : tuple of str
        The tensor that classes or scores are computed from; if unclear, all candidates.
    why : str
        The reason if it is unclear.
    """

    kind: str
    given: tuple[str, ...] = ()
    why: str = ""


def find_penultimate(
    graph: OnnxGraph, names: LayerNames, n_classes: int | None = None
) -> tuple[str, str]:
    """Return the input of the last classifying layer, and its place in words.

    Raises
    ------
    ValueError
        If it is not clear which it is; the message names the choices.
    """
    found: dict[str, str] = {}
    # Positions or masks beside features say nothing; labels count where there is nothing else.
    outputs = [each for each in graph.outputs if graph.is_float(each)] or graph.outputs
    for output in outputs:
        reading, shape = _read_output(graph, names, output), graph.shape(output)
        # As many outputs as labels settle an unclear case; a single one may tell two classes apart.
        numbers_classes = shape == (n_classes,) or (shape, n_classes) == ((1,), 2)
        if reading.kind == "unclear" and not (numbers_classes and len(reading.given) == 1):
            raise ValueError(_unclear(graph, names, output, reading))
        if reading.kind == "features":
            found.setdefault(without_dropout(graph, output), "the network's output")
        else:
            # Outputs of one layer, such as scores and their softmax, have one and the same input.
            made = [repr(_node(graph, names, each)) for each in makers(graph, output)]
            found.setdefault(reading.given[0], f"the input of {' and '.join(made)}")
    if len(found) > 1:
        raise ValueError(
            f"The network {graph.name!r} has {len(outputs)} outputs, with different penultimate "
            f"layers. Name one: layer={_either(names, found)}."
        )
    if not found:
        raise ValueError(
            f"No output of the network {graph.name!r} depends on its input. Export it again."
        )
    return next(iter(found.items()))


def gives_probabilities(graph: OnnxGraph, tensor: str) -> bool | None:
    """Return whether a tensor is a probability; None if the graph does not show it."""
    while True:
        operation, data = graph.op(tensor), graph.data(tensor)
        if operation in PROBABILITIES or written_out(graph, tensor) == "Softmax":
            return True
        if has_matrix(graph, tensor) or operation in OF_FEATURES:
            return False
        if operation == "LogSoftmax" or written_out(graph, tensor) == "LogSoftmax":
            # Those of several classes are scores; of a single one, they may be anything.
            return False if graph.shape(tensor) != (1,) else None
        # The mean of probabilities is a probability, that of mixed values is unknown.
        if operation == "Mean":
            answers = {gives_probabilities(graph, each) for each in data}
            return answers.pop() if len(answers) == 1 else None
        if len(data) != 1 or not (operation in SAME or is_pooling(operation)):
            return None if data and sources(graph, tensor) != {"scores"} else False
        tensor = data[0]


def makers(graph: OnnxGraph, tensor: str) -> list[str]:
    """Return the last tensors before this one that a matrix makes, one per branch."""
    found: dict[str, None] = {}
    waiting, met = [tensor], set()
    while waiting:
        each = waiting.pop()
        if each in met:
            continue
        met.add(each)
        if has_matrix(graph, each) or broadens(graph, each):
            found[each] = None
        elif graph.op(each) not in OF_FEATURES:
            waiting += reversed(graph.data(each))  # the last is taken first: keeps their order
    return list(found)


def without_dropout(graph: OnnxGraph, tensor: str) -> str:
    """Return the tensor before dropout, to which it is equal, and before it became integers."""
    while graph.op(tensor) in DROPOUTS | TO_INTEGERS and len(graph.data(tensor)) == 1:
        tensor = graph.data(tensor)[0]
    return tensor


def _read_output(graph: OnnxGraph, names: LayerNames, output: str) -> Reading:
    reading = _read(graph, names, output)
    shape = graph.shape(output)
    # Several positions: bare scores are a map (rule 4), but a softmax says that there are classes.
    if _n_axes(shape) > 1 and reading.kind in ("classes", "scores"):
        if reading.kind == "scores":
            return Reading("features")
        why = f"it gives classes for each of many positions, in an output of shape {shape}"
        return replace(reading, kind="unclear", why=why)
    return reading


def _read(graph: OnnxGraph, names: LayerNames, tensor: str) -> Reading:
    # As in `classifying._read`: doubts are collected, as what comes before may settle them.
    pooled, doubt = False, ""
    while True:
        operation, data = graph.op(tensor), graph.data(tensor)
        own = f"{_node(graph, names, tensor)!r} ({operation})"
        # An input of the network ends the search, too: nothing has made classes of it.
        if not data or operation in OF_FEATURES:
            return Reading("features")
        # Exporters write a softmax, or a normalization, as several operators.
        written = written_out(graph, tensor)
        if operation in OF_CLASSES or written in ("Softmax", "LogSoftmax"):
            return _made_by(graph, tensor, own)
        # Prototypes of the classes are a matrix as well, even if they are only subtracted.
        compares = broadens(graph, tensor)
        if compares or has_matrix(graph, tensor):
            if graph.shape(tensor) is None:
                doubt = doubt or f"the shape of what {own} makes is not known"
            if _n_axes(graph.shape(tensor)) > 1:
                if not pooled:
                    return Reading("features")  # rule 4, but a map that is pooled may be scores
                doubt = doubt or f"{own} has no activation, and is pooled: to scores or to features"
            if compares:
                doubt = doubt or f"{own} joins a tensor and a constant, to scores or to features"
            reading = _made_by(graph, tensor, own)
            kind = "unclear" if doubt else "scores"
            return replace(reading, kind=kind, why=doubt) if reading.kind == "classes" else reading
        if "Norm" in operation or operation == "LRN" or written or is_rectifier(graph, tensor):
            return Reading("features")
        if operation in OF_EITHER:
            doubt = doubt or f"{own} may end scores or features"
        elif len(data) > 1:
            reading = _read_branches(graph, names, tensor, own)
            is_doubted = doubt and reading.kind == "scores"
            return replace(reading, kind="unclear", why=doubt) if is_doubted else reading
        elif not (is_neutral(graph, tensor) or is_pooling(operation)):
            doubt = doubt or f"{own} may compute anything"
        pooled = pooled or is_pooling(operation)
        tensor = data[0]


def _read_branches(graph: OnnxGraph, names: LayerNames, tensor: str, own: str) -> Reading:
    operation = graph.op(tensor)
    readings = [_read(graph, names, each) for each in graph.data(tensor)]
    # Rule 5. A concatenation keeps its parts apart, so features in it need not make it features.
    kinds = {reading.kind for reading in readings}
    if kinds == {"features"} or ("features" in kinds and operation != "Concat"):
        return Reading("features")
    given = tuple(dict.fromkeys(each for reading in readings for each in reading.given))
    if len(given) == 1 and operation in _AVERAGING and kinds <= {"classes", "scores"}:
        return Reading("scores" if "scores" in kinds else "classes", given)
    return Reading("unclear", given, f"{own} joins what may be scores or features")


def _made_by(graph: OnnxGraph, tensor: str, own: str) -> Reading:
    """Interpret classes: they are computed from the input of the one operator that makes them."""
    data = [each for maker in makers(graph, tensor) for each in graph.data(maker)]
    given = tuple(dict.fromkeys(without_dropout(graph, each) for each in data))
    if not given:
        return Reading("features")
    if len(given) == 1:
        return Reading("classes", given)
    return Reading("unclear", given, f"{own} is made of several tensors")


def _n_axes(shape: tuple[int | None, ...] | None) -> int:
    """Count the axes of a sample along which there is more than one value."""
    # An unknown shape counts as a single position: `_read` has noted the doubt.
    return sum(size != 1 for size in shape or ())


def _node(graph: OnnxGraph, names: LayerNames, tensor: str) -> str:
    """Name the node that makes a tensor."""
    return (graph.makers[tensor].name if tensor in graph.makers else "") or names.label(tensor)


def _unclear(graph: OnnxGraph, names: LayerNames, output: str, reading: Reading) -> str:
    before = f"layer={_either(names, reading.given)} (the input of the scores), or "
    return (
        f"It is not clear which layer of the network {graph.name!r} is the penultimate one: "
        f"{reading.why}. Name it: {before if reading.given else ''}"
        f"layer={names.label(output)!r} (the network's output)."
    )


def _either(names: LayerNames, tensors: Iterable[str]) -> str:
    return " or ".join(repr(names.label(each)) for each in tensors)
