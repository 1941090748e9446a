"""A Keras model as an ONNX graph, written layer by layer.

A table of its own, not the exporters of the backends: these differ by backend in what they can
export and in what they write (JAX goes through TensorFlow). Each table of the converters is by the
name of the class that has the layer's `call`, so that a subclass which computes something else is
not taken for it. What converts is proved by numbers afterwards (``networks/exporting.py``).

A layer of the user's own converts if it has a method ``to_onnx(writer, *inputs)``: it writes nodes
with ``writer.node``, and returns the name of the last one's output.
"""

from typing import TYPE_CHECKING

from penultimate._common.protocols import Network
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.frameworks.frozen import ExportError
from penultimate.networks.frameworks.graph import Graph, Value, arguments_of
from penultimate.networks.frameworks.to_onnx import activations, arithmetic, maps, normalizing
from penultimate.networks.frameworks.to_onnx.assembling import WAY_OUT
from penultimate.networks.frameworks.to_onnx.calls import Call, Converter
from penultimate.networks.frameworks.to_onnx.writer import INPUT, Ref, Writer

if TYPE_CHECKING:
    import keras
    import onnx

_MODULES = (activations, maps, normalizing, arithmetic)
_LAYERS = {name: each for module in _MODULES for name, each in module.LAYERS.items()}
_OPERATIONS = {name: each for module in _MODULES for name, each in module.OPERATIONS.items()}


def to_onnx(model: Network) -> "onnx.ModelProto":
    """Return a model with one input as an ``onnx.ModelProto``.

    Parameters
    ----------
    model : keras.Model

    Raises
    ------
    ExportError
        If it has no graph, several inputs, or a layer that does not convert.
    """
    try:
        graph = Graph(model)
    except ValueError as error:
        raise ExportError(f"{error} {WAY_OUT}") from error
    if len(graph.inputs) != 1:
        names = ", ".join(repr(each.operation.name) for each in graph.inputs)
        raise ExportError(
            f"The network {model.name!r} has {len(graph.inputs)} inputs ({names}); one with a "
            "single input can be exported."
        )
    writer = Writer()
    source = graph.inputs[0]
    known = {id(source): Ref(INPUT, tuple(source.tensor.shape))}
    for value in _in_order(graph.outputs, set(known)):
        known[id(value)] = _written(writer, value, known, model.name)
    outputs = [writer.plain(known[id(value)]) for value in graph.outputs]
    # Outputs need names of their own: one may be the input, or given twice.
    named = {writer.node("Identity", each): each.shape for each in outputs}
    return writer.model({INPUT: tuple(source.tensor.shape)}, named)


def _in_order(outputs: list[Value], known: set[int]) -> list[Value]:
    """Return the values that lead to the outputs, each after those it needs."""
    found: list[Value] = []
    waiting = [(value, False) for value in reversed(outputs)]
    while waiting:  # not recursive: networks can be deeper than Python's recursion limit
        value, ready = waiting.pop()
        if id(value) in known:
            continue
        if ready:
            known.add(id(value))
            found.append(value)
        else:
            waiting.append((value, True))
            waiting += [(each, False) for each in reversed(value.inputs)]
    return found


def _written(writer: Writer, value: Value, known: dict[int, Ref], network: str) -> Ref:
    """Write one call, and return its output."""
    operation, kind = value.operation, type(value.operation).__name__
    try:
        convert = _converter_of(operation)
        args, kwargs = arguments_of(value)
        # Lists of tensors stay lists, as merging layers take them.
        flat = import_keras().tree.map_structure(
            lambda each: known[id(each)] if isinstance(each, Value) else each,
            (*args, *kwargs.values()),
        )
        return convert(writer, Call(operation, flat, tuple(value.tensor.shape)))
    # A converter knows what it cannot write, and here it is known where that is.
    except ExportError as error:
        raise ExportError(
            f"The layer {value.path!r} ({kind}) of the network {network!r} cannot be written as "
            f"ONNX: {error}. {WAY_OUT}"
        ) from error


def _converter_of(operation: "keras.Operation") -> Converter:
    keras = import_keras()
    if callable(getattr(operation, "to_onnx", None)):
        return _by_itself
    # Half precision is rounded differently by every runtime: it would not pass the proof.
    policy = getattr(operation, "dtype_policy", None)
    computed = getattr(policy, "compute_dtype", "float32")
    if computed not in ("float32", "float64") or getattr(policy, "quantization_mode", None):
        name = getattr(policy, "name", computed)
        raise ExportError(f"it computes in {name}; load the network in float32")
    # Its weights are normalized in training; at inference it is the layer that it wraps.
    if isinstance(operation, keras.layers.SpectralNormalization):
        return lambda writer, call: _converter_of(operation.layer)(
            writer, Call(operation.layer, call.args, call.shape)
        )
    is_layer = isinstance(operation, keras.layers.Layer)
    table = _LAYERS if is_layer else _OPERATIONS
    for each in type(operation).__mro__:
        # A user's class counts as the one of Keras's whose call it inherits.
        is_keras = each.__module__.split(".")[0] == "keras"
        if not is_keras or getattr(each, "call", None) is not type(operation).call:
            continue
        if each.__name__ in table:
            return table[each.__name__]
        # Augmentation does nothing at inference; RandomCrop, which crops the center, does.
        if is_layer and each.__name__.startswith("Rand") and each.__name__ != "RandomCrop":
            return _LAYERS["Identity"]
    raise ExportError("there is no conversion of this class")


def _by_itself(writer: Writer, call: Call) -> Ref:
    # A user's layer knows one layout, that of Keras.
    plain = [writer.plain(each) for each in call.tensors]
    return Ref(call.operation.to_onnx(writer, *plain), call.shape)
