"""What an ONNX graph says about its inputs, and a digest of what it computes."""

from collections.abc import Sequence

import numpy as np
import xxhash

from penultimate.networks.frameworks.frozen import Input
from penultimate.networks.frameworks.onnx_messages import OnnxGraphMessage, OnnxModel
from penultimate.networks.frameworks.onnx_nodes import numpy_type, sample_shape, subgraphs
from penultimate.networks.frameworks.onnx_tensors import OnnxGraph

_SCALES_PIXELS = 1 / 100  # 1 / 255 and 1 / 127.5 do
_MOVES_PIXELS = 2  # means of pixels are larger, those of values in [0, 1] are not
# What may come before pixels are scaled: it changes where they are, not what they mean.
_KEEPS_PIXELS = {
    *("Cast", "CenterCropPad", "Concat", "Gather", "Identity", "Pad", "Reshape", "Resize", "Slice"),
    *("Split", "Squeeze", "Transpose", "Unsqueeze", "Upsample"),
}


def inputs_of(graph: OnnxGraph) -> tuple[Input, ...]:
    """Return the inputs of a network.

    Raises
    ------
    ValueError
        If there is none, or one that does not take an array of numbers per sample.
    """
    found = []
    for each in graph.inputs:
        tensor, shape = each.type.tensor_type, sample_shape(each)
        kind = numpy_type(tensor.elem_type)
        if kind is None:
            raise ValueError(
                f"The input {each.name!r} of the network {graph.name!r} is not an array of numbers "
                "of a type that NumPy has. Export the network with another input."
            )
        if tensor.HasField("shape") and not tensor.shape.dim:
            raise ValueError(
                f"The input {each.name!r} of the network {graph.name!r} is a single number, not "
                "one per sample. Export the network with a constant in its place."
            )
        found.append(Input(each.name, shape, kind))
    if not found:
        raise ValueError(f"The network {graph.name!r} has no input. Export it again.")
    return tuple(found)


def takes_pixels(graph: OnnxGraph, inputs: Sequence[Input]) -> bool:
    """Return whether a network takes images of bytes, or begins by scaling or centering pixels."""
    shape = inputs[0].shape or ()
    # Images only: three axes, one of which is that of one or three channels.
    if len(inputs) > 1 or len(shape) != 3 or {shape[0], shape[2]}.isdisjoint({1, 3}):
        return False
    if inputs[0].dtype == "uint8":
        return True
    # Forward from the input, on all branches: each must reach a scaling before anything else.
    known, scaled = {inputs[0].name}, False
    for tensor in graph.varying:
        if tensor in known or known.isdisjoint(graph.data(tensor)):
            continue
        if _scales_pixels(graph, tensor):
            scaled = True
        elif graph.op(tensor) in _KEEPS_PIXELS:
            known.add(tensor)
        else:
            return False
    return scaled


def digest_of(model: OnnxModel) -> str:
    """Return 32 hexadecimal digits of the nodes and weights of a model."""
    digest = xxhash.xxh3_128()
    opsets = sorted((each.domain, each.version) for each in model.opset_import)
    digest.update(repr(opsets).encode())
    _add_graph(digest, model.graph)
    return digest.hexdigest()


def _scales_pixels(graph: OnnxGraph, tensor: str) -> bool:
    """Return whether an operator brings pixels from 0 to 255 to another range."""
    operation, node = graph.op(tensor), graph.makers[tensor]
    constants = [graph.constant(name) for name in node.input if name not in graph.varying]
    if operation not in ("Mul", "Div", "Sub", "Add") or len(constants) != 1:
        return False
    if constants[0] is None or not constants[0].size:
        return False
    # All channels have to be scaled: of factors the largest decides, of divisors the smallest.
    size = float(np.abs(constants[0]).max())
    if operation == "Div":
        return float(np.abs(constants[0]).min()) >= 1 / _SCALES_PIXELS
    return size <= _SCALES_PIXELS if operation == "Mul" else size > _MOVES_PIXELS


def _add_graph(digest: xxhash.xxh3_128, graph: OnnxGraphMessage) -> None:
    """Add what a graph computes: no comments, and nothing of where it was exported."""
    from onnx import numpy_helper

    for value in (*graph.input, *graph.output):
        digest.update(value.name.encode() + b"\0")
        digest.update(value.type.SerializeToString(deterministic=True))
    for node in graph.node:
        names = (node.domain, node.op_type, node.name, list(node.input), list(node.output))
        digest.update(repr(names).encode())
        for each in sorted(node.attribute, key=lambda each: each.name):
            # Subgraphs follow below, without the comments in them.
            if not (each.HasField("g") or each.graphs):
                digest.update(each.SerializeToString(deterministic=True))
        for inner in subgraphs(node):
            _add_graph(digest, inner)
    # One at a time, for the sake of memory.
    for weight in sorted(graph.initializer, key=lambda each: each.name):
        digest.update(repr((weight.name, weight.data_type, list(weight.dims))).encode())
        digest.update(np.ascontiguousarray(numpy_helper.to_array(weight)).tobytes())
    for sparse in graph.sparse_initializer:
        digest.update(sparse.SerializeToString(deterministic=True))
