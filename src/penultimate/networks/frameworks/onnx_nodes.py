"""Small questions about nodes and declarations of ONNX graphs."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.networks.frameworks.frozen import Shape
from penultimate.networks.frameworks.onnx_messages import (
    OnnxAttribute,
    OnnxGraphMessage,
    OnnxNode,
    OnnxTensorType,
    OnnxValue,
)

_SAMPLES = "penultimate_samples"  # name of the axis of the samples


def subgraphs(node: OnnxNode) -> Iterator[OnnxGraphMessage]:
    """Yield the graphs inside a node, such as the branches of an If."""
    for attribute in node.attribute:
        # Protobuf returns an empty graph where there is none.
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def reads(node: OnnxNode) -> list[str]:
    """Return the tensors that a node reads, each once; also those that its subgraphs capture."""
    # An optional input that is left out has an empty name.
    names = dict.fromkeys(name for name in node.input if name)
    for graph in subgraphs(node):
        names.update(dict.fromkeys(_captured(graph)))
    return list(names)


def attribute(node: OnnxNode, name: str) -> Any:
    """Return an attribute of a node; None if it has its default."""
    from onnx import helper

    found = [each for each in node.attribute if each.name == name]
    return helper.get_attribute_value(found[0]) if found else None


def numpy_type(elem_type: int) -> str | None:
    """Return NumPy's name of a type; None for one that NumPy does not have, or text."""
    from onnx import TensorProto, helper

    if elem_type in (TensorProto.UNDEFINED, TensorProto.STRING):
        return None
    kind = np.dtype(helper.tensor_dtype_to_np_dtype(elem_type))
    # bfloat16 and floats of 8 bits come from another package, and have no own `isbuiltin`.
    return kind.name if kind.kind in "fiub" and kind.isbuiltin == 1 else None


def sample_shape(value: OnnxValue) -> Shape | None:
    """Return the shape of one sample of an input; None if it is not stated."""
    tensor = value.type.tensor_type
    return dims_of(tensor)[1:] if tensor.HasField("shape") else None


def dims_of(tensor: OnnxTensorType) -> Shape:
    """Return the declared sizes of a tensor's axes; None for an open one."""
    # An open axis has a name instead of a size, whose value is then 0.
    return tuple(each.dim_value if each.dim_value > 0 else None for each in tensor.shape.dim)


def for_any_batch(value: OnnxValue, shape: Shape | None = None) -> OnnxValue:
    """Return a declaration of an input with any number of samples, of this shape if it is given."""
    from onnx import ValueInfoProto

    found = ValueInfoProto()  # a copy: the model keeps its own declaration
    found.CopyFrom(value)
    tensor = found.type.tensor_type
    if shape is not None and not tensor.HasField("shape"):
        for _ in range(len(shape) + 1):
            tensor.shape.dim.add()
    dims = tensor.shape.dim
    if dims:
        dims[0].dim_param = _SAMPLES
        for dim, size in zip(dims[1:], shape or ()):
            if size is not None:
                dim.dim_value = size
    return found


def float_types() -> tuple[int, ...]:
    """Return the types of floats, float32 first."""
    from onnx import TensorProto

    return (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)


def value_of(value: OnnxAttribute) -> NDArray[Any] | None:
    """Return the value of a Constant node, by its one attribute."""
    from onnx import helper, numpy_helper

    if value.HasField("t"):
        return numpy_helper.to_array(value.t)
    if value.name in ("value_float", "value_int", "value_floats", "value_ints"):
        return np.asarray(helper.get_attribute_value(value))
    return None


def _captured(graph: OnnxGraphMessage) -> Iterator[str]:
    # A subgraph sees the names of the graph around it, except those that it makes itself.
    own = {each.name for each in graph.input} | {each.name for each in graph.initializer}
    for node in graph.node:
        yield from (name for name in reads(node) if name not in own)
        own.update(node.output)
