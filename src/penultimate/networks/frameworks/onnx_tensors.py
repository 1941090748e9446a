"""The tensors of an ONNX graph: their names, shapes and types, and the part that computes them.

A tensor *varies* if it depends on the values of the inputs, not only on weights and sizes; only
such tensors can be features. Nodes come in an order in which each reads what earlier ones make, as
the format demands, so that one pass forward or backward over them settles any such question.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.networks.frameworks.frozen import Shape
from penultimate.networks.frameworks.onnx_messages import OnnxModel, OnnxValue
from penultimate.networks.frameworks.onnx_nodes import (
    attribute,
    dims_of,
    float_types,
    for_any_batch,
    numpy_type,
    reads,
    value_of,
)
from penultimate.networks.frameworks.onnx_sessions import Session, noise

# Their outputs depend on the size of what they read, not on its values.
_OF_SIZES = {"Shape", "Size", "EyeLike", "RandomNormalLike", "RandomUniformLike"}
# Quantization finds a scale per batch: it belongs to the values, and is no path of its own.
_SCALES_OF = "DynamicQuantizeLinear"
_SMALL = 1024  # elements of a constant that may state a shape
# What keeps the axis of the channels at 1, and what works on the last one.
_CHANNELS_FIRST = re.compile("Conv|Pool|BatchNorm|InstanceNorm|GroupNorm|LRN|DepthToSpace")
_CHANNELS_LAST = re.compile("MatMul|Gemm|LayerNorm|RMSNorm|Attention|Einsum")


@dataclass(frozen=True)
class Kind:
    """Type and shape of a tensor, as far as they are known.

    Attributes
    ----------
    type : int
        Of `onnx.TensorProto`; 0 if unknown.
    shape : tuple of int or None, or None
        With the axis of the samples; None if not even the number of axes is known.
    """

    type: int = 0
    shape: Shape | None = None


class OnnxGraph:
    """An ONNX graph, seen as its tensors.

    Parameters
    ----------
    model : onnx.ModelProto
        Without local functions.
    name : str
        Name of the network in messages.
    """

    def __init__(self, model: OnnxModel, name: str) -> None:
        self.model, self.name = model, name
        graph = model.graph
        self.nodes = list(graph.node)
        self.weights = {each.name: each for each in graph.initializer}
        self._sparse = {each.values.name: each for each in graph.sparse_initializer}
        constants = {*self.weights, *self._sparse}
        # Before IR version 4, weights were listed among the inputs.
        self.inputs = [each for each in graph.input if each.name not in constants]
        self.makers = {name: node for node in self.nodes for name in node.output if name}
        self.varying = self._find_varying()
        self.order = {name: place for place, name in enumerate(self.varying)}
        self.outputs = [each.name for each in graph.output if each.name in self.varying]
        self._known: dict[tuple[Shape, ...] | None, dict[str, Kind]] = {}

    def _find_varying(self) -> dict[str, None]:
        found = dict.fromkeys(each.name for each in self.inputs)
        for node in self.nodes:
            if node.op_type not in _OF_SIZES and any(name in found for name in reads(node)):
                outputs = node.output[:1] if node.op_type == _SCALES_OF else node.output
                found.update(dict.fromkeys(name for name in outputs if name))
        return found

    def data(self, tensor: str) -> list[str]:
        """Return the varying tensors that a tensor is computed from, each once."""
        if tensor not in self.makers:
            return []
        return [name for name in reads(self.makers[tensor]) if name in self.varying]

    def op(self, tensor: str) -> str:
        """Return the type of the node that makes a tensor; empty for an input."""
        return self.makers[tensor].op_type if tensor in self.makers else ""

    def constant(self, name: str) -> NDArray[Any] | None:
        """Return a constant; None where it is computed by more than a change of its form."""
        from onnx import numpy_helper

        while name not in self.weights:
            node = self.makers.get(name)
            if node is None or name in self.varying:
                return None
            if node.op_type == "Constant":
                return value_of(node.attribute[0])
            if node.op_type not in ("Identity", "Cast", "Squeeze", "Unsqueeze", "Reshape"):
                return None
            name = node.input[0]
        return numpy_helper.to_array(self.weights[name])

    def kinds(self, shapes: Sequence[Shape] | None = None) -> dict[str, Kind]:
        """Return types and shapes, inferred from those of the inputs; `shapes` are of one sample.

        Where the runtime's own operators leave a shape unknown, the network is run on noise.
        """
        key = None if shapes is None else tuple(shapes)
        if key not in self._known:
            known = self._infer(key)
            unknown = [
                each
                for each in self.varying
                if known.get(each, Kind()).shape is None and each in self.makers
            ]
            if unknown:
                known.update(self._measure(unknown, key))
            self._known[key] = known
        return self._known[key]

    def assume(self, shapes: Sequence[Shape]) -> None:
        """Take the shapes of a sample where the inputs state none."""
        self._known[None] = self.kinds(shapes)

    def shape(self, tensor: str) -> Shape | None:
        """Return the shape of a tensor for one sample; None if it is unknown."""
        shape = self.kinds().get(tensor, Kind()).shape
        return None if shape is None else shape[1:]

    def is_float(self, tensor: str) -> bool:
        """Return whether a tensor has a float type; so does one of unknown type."""
        return self.kinds().get(tensor, Kind()).type in (0, *float_types())

    def rows(self) -> int | None:
        """Return the size of batches that the network declares; None if it is open."""
        declared = {dims_of(each.type.tensor_type)[:1] for each in self.inputs}
        sizes = sorted({size for dims in declared for size in dims if size})
        if len(sizes) > 1:
            raise ValueError(
                f"The inputs of the network {self.name!r} have batches of different sizes, "
                f"{sizes}. Export it with an open size (dynamic axes)."
            )
        return sizes[0] if sizes else None

    def _infer(self, shapes: tuple[Shape, ...] | None) -> dict[str, Kind]:
        from onnx import ModelProto, TypeProto, helper, shape_inference

        # Inference copies the model, which large weights need not go through.
        light = ModelProto(ir_version=max(self.model.ir_version, 4))
        light.opset_import.extend(self.model.opset_import)
        light.graph.name = self.name
        light.graph.node.extend(self.nodes)
        for weight in self.weights.values():
            if np.prod(weight.dims, dtype=float) <= _SMALL:
                light.graph.initializer.append(weight)
            else:
                info = helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims)
                light.graph.input.append(info)
        for place, given in enumerate(self.inputs):
            light.graph.input.append(for_any_batch(given, shapes[place] if shapes else None))
        unknown = [helper.make_value_info(name, TypeProto()) for name in self.outputs]
        light.graph.output.extend(unknown)
        try:
            inferred = shape_inference.infer_shapes(light, data_prop=True).graph
        except shape_inference.InferenceError:  # some node is beyond it, and all shapes unknown
            inferred = light.graph
        found = {}
        for value in (*inferred.input, *inferred.value_info, *inferred.output):
            if value.type.HasField("tensor_type"):
                tensor = value.type.tensor_type
                shape = dims_of(tensor) if tensor.HasField("shape") else None
                found[value.name] = Kind(tensor.elem_type, shape)
        return found

    def _measure(self, tensors: list[str], shapes: tuple[Shape, ...] | None) -> dict[str, Kind]:
        from onnx import helper

        given = shapes or [dims_of(each.type.tensor_type)[1:] for each in self.inputs]
        types = [numpy_type(each.type.tensor_type.elem_type) for each in self.inputs]
        if not all(types):
            return {}
        # Two samples, since an axis of one may be any axis.
        part, rows = self.until(tensors, cast=False), self.rows() or 2
        names = [each.name for each in part.graph.input]
        found: dict[str, Kind] = {}
        # What differs between two sizes depends on those that are left open.
        # Both can be halved four times, as networks with strides do.
        for size in (32, 48) if any(None in each for each in given) else (32,):
            samples = noise(given, [kind or "" for kind in types], rows, size)
            used = [each for info, each in zip(self.inputs, samples) if info.name in names]
            try:
                values = Session(part, self.name, None, apart=False).values(used)
            except ValueError:  # of another size than the network can do with
                return {}
            for tensor, value in zip(tensors, values):
                if isinstance(value, np.ndarray):  # and no sequence
                    per_sample = value.ndim > 0 and len(value) == rows
                    shape = (None, *value.shape[1:]) if per_sample else value.shape
                    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
                    found[tensor] = Kind(kind, _common(shape, found.get(tensor)))
        return found

    def channel_axis(self, tensor: str) -> int:
        """Return the axis of the channels; -1 where they are last, or it is not known."""
        # Back to an operation that says where its channels are.
        path = []
        while (axis := self._own_axis(tensor)) is None:
            path.append(tensor)
            tensor = self.data(tensor)[0]
        # Forward again, through what moves the axis.
        for made in reversed(path):
            before, after = self._dims_of(tensor), self._dims_of(made)
            if self.op(made) == "Transpose":
                order = attribute(self.makers[made], "perm") or range(len(before))[::-1]
                axis = list(order).index(axis) if axis in order else len(after) - 1
            elif len(before) != len(after) and before[axis:][:1] != after[axis:][:1]:
                # A reshape. Channels that were last stay so, and those of maps (as in a shuffle of
                # channels) come before height and width.
                axis = 1 if axis != len(before) - 1 and len(after) > 3 else len(after) - 1
            tensor = made
        return -1 if axis == len(self._dims_of(tensor)) - 1 else axis

    def _own_axis(self, tensor: str) -> int | None:
        """Return the axis of the channels if the operation itself says which it is."""
        operation, shape = self.op(tensor), self._dims_of(tensor)
        if _CHANNELS_FIRST.search(operation):
            return 1
        data = self.data(tensor)
        is_image = not data and len(shape) == 4 and shape[1] in (1, 3)
        is_embedding = operation == "Gather" and self.makers[tensor].input[0] not in data
        if is_embedding or not data or _CHANNELS_LAST.search(operation):
            return 1 if is_image else len(shape) - 1
        return None

    def _dims_of(self, tensor: str) -> Shape:
        return self.kinds().get(tensor, Kind()).shape or ()

    def until(self, tensors: Sequence[str], *, cast: bool = True) -> OnnxModel:
        """Return the model up to some tensors, for batches of any size.

        Parameters
        ----------
        tensors : list of str
        cast : bool, default=True
            Whether floats of other types, and quantized values, are cast to float32.

        Returns
        -------
        onnx.ModelProto
        """
        from onnx import ModelProto, TensorProto, TypeProto, helper

        # Backward: a node is needed if a needed one reads what it makes.
        needed, nodes = set(tensors), []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                needed.update(reads(node))
                nodes.append(node)
        # From IR version 4 on, weights need not be listed among the inputs.
        part = ModelProto(ir_version=max(self.model.ir_version, 4))
        part.opset_import.extend(self.model.opset_import)
        graph = part.graph
        graph.name = self.name
        graph.node.extend(reversed(nodes))
        graph.initializer.extend(each for name, each in self.weights.items() if name in needed)
        graph.sparse_initializer.extend(
            each for name, each in self._sparse.items() if name in needed
        )
        graph.input.extend(for_any_batch(each) for each in self.inputs if each.name in needed)
        others = (*float_types()[1:], TensorProto.UINT8, TensorProto.INT8)
        for place, tensor in enumerate(tensors):
            name = tensor
            if cast and self.kinds().get(tensor, Kind()).type in others:
                name = f"penultimate_float32_{place}"
                graph.node.append(helper.make_node("Cast", [tensor], [name], to=TensorProto.FLOAT))
            graph.output.append(helper.make_value_info(name, TypeProto()))
        return part

    def depends_on(self, tensor: str) -> list[OnnxValue]:
        """Return the inputs that a tensor depends on."""
        needed = {tensor}
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                needed.update(reads(node))
        return [each for each in self.inputs if each.name in needed]


def _common(shape: Shape, other: Kind | None) -> Shape | None:
    """Return a shape that was measured twice, with None where the sizes differ."""
    if other is None:
        return shape
    if other.shape is None or len(other.shape) != len(shape):
        return None
    return tuple(one if one == two else None for one, two in zip(shape, other.shape))
