"""Converting the ONNX graph of any network to the one form that is kept.

What comes from Keras, torch or a file becomes a graph of opset 18 with standard operators, without
functions, branches, random numbers and weights elsewhere. Whatever tells of the machine or the time
is dropped, tensors are numbered, and equal weights are stored once, so that the same network gives
the same bytes. Pooling, the mirror average and the concatenation of several layers are added.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from penultimate.networks.frameworks.frozen import ExportError
from penultimate.networks.frameworks.onnx_messages import OnnxModel, OnnxNode, OnnxTensor, OnnxValue
from penultimate.networks.frameworks.to_onnx.arithmetic import mirrored
from penultimate.networks.frameworks.to_onnx.writer import (
    INPUT,
    IR_VERSION,
    OPSET,
    FullShape,
    Ref,
    Writer,
    ints,
)

if TYPE_CHECKING:
    import onnx

_STANDARD = ("", "ai.onnx")
_REFUSED = ("If", "Loop", "Scan", "SequenceMap")
_RANDOM = "Random"  # begins the names of random operators
_LARGEST = 2**31 - 1  # bytes of a protobuf message
_GEM_POWER, _SMALLEST = 3.0, 1e-6  # as in ``networks/pooling.py``
WAY_OUT = "Export the network to ONNX yourself, and pass the file."


@dataclass(frozen=True)
class Value:
    """What is made of one output of the network.

    Attributes
    ----------
    rank : int
        Number of its axes, with that of the samples.
    channel_axis : int
    """

    rank: int
    channel_axis: int


def standardized(model: OnnxModel, name: str) -> OnnxModel:
    """Return a model in opset 18 with nothing but standard operators.

    Raises
    ------
    ExportError
        If it has others, or cannot be converted to this opset.
    """
    from onnx import version_converter
    from onnx.inliner import inline_local_functions

    # Exporters write modules as functions, which not all runtimes take.
    if model.functions:
        model = inline_local_functions(model)
    foreign = sorted(
        f"{node.domain}.{node.op_type}" for node in model.graph.node if node.domain not in _STANDARD
    )
    refused = foreign or sorted(
        node.op_type
        for node in model.graph.node
        if node.op_type in _REFUSED or node.op_type.startswith(_RANDOM)
    )
    if refused:
        raise ExportError(
            f"The network {name!r} uses {', '.join(dict.fromkeys(refused))}, which is no standard "
            "operator of ONNX, a branch, a loop or a random number. Export the network again "
            "without it."
        )
    opset = next((each.version for each in model.opset_import if each.domain in _STANDARD), 1)
    if opset == OPSET:
        return model
    try:
        return version_converter.convert_version(model, OPSET)
    except Exception as error:  # of several kinds, by the operator
        reason = " ".join(str(error).split())
        raise ExportError(
            f"The network {name!r} is in opset {opset}, and cannot be converted to {OPSET}: "
            f"{reason}. Export it with opset {OPSET}."
        ) from error


def assembled(
    model: OnnxModel,
    name: str,
    shape: FullShape,
    values: Sequence[Value],
    *,
    output: str,
    width: int | None,
    pooling: str | None = None,
    mirrored_axis: int | None = None,
) -> OnnxModel:
    """Return the graph from prepared samples to features.

    Parameters
    ----------
    model : onnx.ModelProto
        With one input; its outputs are the values.
    name : str
        Name of the network, for messages.
    shape : tuple of int or None
        Shape of one sample.
    values : sequence of Value
        In the order of the outputs.
    output : str
        Name of what it gives.
    width : int or None
        Number of features.
    pooling : str or None
    mirrored_axis : int or None
        Axis of the width, if features are averaged with those of the mirror images.
    """
    model = _numbered(standardized(model, name))
    graph = model.graph
    writer = Writer()
    given = Ref(INPUT, shape)
    if mirrored_axis is not None:
        # One pass of a batch twice as long, whose halves are averaged below.
        both = writer.node("Concat", given, mirrored(writer, given, [mirrored_axis]), axis=0)
        given = Ref(both, shape)
    source = _as_type(writer, given.name, graph.input[0].type.tensor_type.elem_type)
    # What was written so far comes before the network's nodes, what follows comes after them.
    before, writer.nodes = writer.nodes, []
    rows = [
        _pooled(writer, _as_floats(writer, each), value, pooling)
        for each, value in zip(graph.output, values, strict=True)
    ]
    features = rows[0] if len(rows) == 1 else writer.node("Concat", *rows, axis=1)
    if mirrored_axis is not None:
        if width is None:
            raise ExportError(
                f"The number of features of the network {name!r} depends on the size of the "
                "images: pass images to fit."
            )
        halves = writer.node("Reshape", features, ints([2, -1, width]))
        features = writer.node("ReduceMean", halves, ints([0]), keepdims=0)
    if features == graph.input[0].name:  # a network that does nothing
        features = writer.node("Identity", features)
    nodes = [*before, *graph.node, *writer.nodes]
    _rename(nodes, {graph.input[0].name: source, features: output})
    for weight in graph.initializer:
        writer.constants[weight.name] = _array(weight)
    writer.nodes = nodes
    made = writer.model({INPUT: shape}, {output: (None, width)})
    _store_once(made)
    if made.ByteSize() > _LARGEST:
        raise ExportError(
            f"The network {name!r} has {made.ByteSize():,} bytes, and an ONNX file holds 2 GB at "
            "most. Cut it at an earlier layer."
        )
    return made


def _array(weight: OnnxTensor) -> NDArray[Any]:
    from onnx import numpy_helper

    return numpy_helper.to_array(weight)


def _numbered(model: OnnxModel) -> OnnxModel:
    """Return a model whose tensors have numbers as names, with all constants as weights."""
    from onnx import ModelProto, helper

    # An empty name stands for an input that is left out, and has to stay empty.
    names: dict[str, str] = {"": ""}
    made = ModelProto(ir_version=IR_VERSION, opset_import=model.opset_import)
    graph = made.graph
    for each in model.graph.input:
        # Before IR version 4, weights were listed among the inputs.
        if each.name not in {weight.name for weight in model.graph.initializer}:
            graph.input.add().CopyFrom(each)
            graph.input[-1].name = names[each.name] = f"input_{len(graph.input)}"

    def keep(tensor: OnnxTensor, name: str) -> None:
        weight = graph.initializer.add()
        weight.CopyFrom(tensor)
        weight.ClearField("doc_string")
        weight.name = names[name] = f"weight_{len(graph.initializer)}"

    for weight in model.graph.initializer:
        keep(weight, weight.name)
    for node in model.graph.node:
        # As a weight, so that equal ones are found and stored once.
        if node.op_type == "Constant" and node.attribute[0].HasField("t"):
            keep(node.attribute[0].t, node.output[0])
            continue
        # Left out: whoever reads it reads what it reads.
        if node.op_type == "Identity":
            names[node.output[0]] = names[node.input[0]]
            continue
        copied = graph.node.add()
        copied.CopyFrom(node)
        # They tell where and when the network was exported.
        for field in ("name", "doc_string", "metadata_props"):
            copied.ClearField(field)
        copied.ClearField("input")
        copied.ClearField("output")
        copied.input.extend(names[each] for each in node.input)
        for made_by in node.output:
            if made_by:
                names[made_by] = f"tensor_{len(names)}"
            copied.output.append(names[made_by])
    for each in model.graph.output:
        graph.output.append(
            helper.make_tensor_value_info(
                # 1 stands for float32, where the exporter stated no type.
                names[each.name],
                each.type.tensor_type.elem_type or 1,
                None,
            )
        )
    return made


def _rename(nodes: Sequence[OnnxNode], names: dict[str, str]) -> None:
    for node in nodes:
        for tensors in (node.input, node.output):
            for place, name in enumerate(tensors):
                tensors[place] = names.get(name, name)


def _as_type(writer: Writer, name: str, kind: int) -> str:
    from onnx import TensorProto

    return name if kind == TensorProto.FLOAT else writer.node("Cast", name, to=kind)


def _as_floats(writer: Writer, value: OnnxValue) -> str:
    from onnx import TensorProto

    kind = value.type.tensor_type.elem_type
    is_float = kind in (TensorProto.UNDEFINED, TensorProto.FLOAT)
    return value.name if is_float else writer.node("Cast", value.name, to=TensorProto.FLOAT)


def _pooled(writer: Writer, name: str, value: Value, pooling: str | None) -> str:
    """Write the pooling of ``networks/pooling.py``."""
    if value.rank == 2:
        return name
    # Rank 1: one number per sample becomes a row of one.
    if value.rank == 1 or pooling is None:
        return writer.node("Flatten", name, axis=1)
    kept = value.channel_axis % value.rank
    axes = ints([axis for axis in range(1, value.rank) if axis != kept])
    # The generalized mean: between the average (a power of 1) and the maximum (of infinity).
    if pooling == "gem":
        powers = writer.node("Pow", writer.node("Max", name, _SMALLEST), _GEM_POWER)
        mean = writer.node("ReduceMean", powers, axes, keepdims=0)
        return writer.node("Pow", mean, 1 / _GEM_POWER)
    op = {"avg": "ReduceMean", "max": "ReduceMax"}[pooling]
    return writer.node(op, name, axes, keepdims=0)


def _store_once(model: "onnx.ModelProto") -> None:
    """Keep one of several equal weights, and none that nothing reads."""
    graph = model.graph
    used = {name for node in graph.node for name in node.input}
    first: dict[tuple[Any, ...], str] = {}
    names: dict[str, str] = {}
    kept = []
    for weight in graph.initializer:
        key = (weight.data_type, tuple(weight.dims), weight.raw_data)
        names[weight.name] = first.setdefault(key, weight.name)
        if names[weight.name] == weight.name and weight.name in used:
            kept.append(weight)
    _rename(graph.node, names)
    # Copied first: the list that is emptied owns its messages.
    copies = [type(weight).FromString(weight.SerializeToString()) for weight in kept]
    del graph.initializer[:]
    graph.initializer.extend(copies)
