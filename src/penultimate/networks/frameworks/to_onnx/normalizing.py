"""Normalizations, dense layers and what only scales or shifts."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.frameworks.frozen import ExportError
from penultimate.networks.frameworks.to_onnx.activations import apply
from penultimate.networks.frameworks.to_onnx.calls import Call, Converter, weights
from penultimate.networks.frameworks.to_onnx.writer import Ref, Writer, ints


def _dense(w: Writer, call: Call) -> Ref:
    layer, x = call.operation, w.plain(call.x)
    kernel = weights(layer.kernel)
    # Gemm takes matrices; samples with more axes go through MatMul.
    if x.rank == 2:
        bias = [weights(layer.bias)] if layer.use_bias else []
        name = w.node("Gemm", x, kernel, *bias)
    else:
        name = w.node("MatMul", x, kernel)
        if layer.use_bias:
            name = w.node("Add", name, weights(layer.bias))
    return apply(w, Ref(name, call.shape), layer.activation)


def _einsum_dense(w: Writer, call: Call) -> Ref:
    layer, x = call.operation, w.plain(call.x)
    equation = layer.equation.replace(" ", "")
    name = w.node("Einsum", x, weights(layer.kernel), equation=equation)
    if layer.bias is not None:
        name = w.node("Add", name, weights(layer.bias))
    return apply(w, Ref(name, call.shape), layer.activation)


def _batch_normalization(w: Writer, call: Call) -> Ref:
    layer, x = call.operation, call.x
    axis = layer.axis % x.rank
    mean, variance = weights(layer.moving_mean), weights(layer.moving_variance)
    gain = weights(layer.gamma) if layer.scale else np.ones_like(mean)
    shift = weights(layer.beta) if layer.center else np.zeros_like(mean)
    if axis == x.rank - 1 and x.rank > 2:
        x = w.moved(x)
    elif axis == 1:
        x = w.plain(x)
    else:
        # ONNX normalizes axis 1. On any other axis it is a gain and a shift, computed here.
        factor = gain / np.sqrt(variance.astype(float) + layer.epsilon)
        return _scaled(w, w.plain(x), axis, factor, shift - mean * factor)
    return w.same(
        "BatchNormalization", x, gain, shift, mean, variance, epsilon=float(layer.epsilon)
    )


def _scaled(w: Writer, x: Ref, axis: int, gain: ArrayLike | None, shift: ArrayLike | None) -> Ref:
    """Write a gain and a shift for every place on an axis."""
    shape = [1] * x.rank
    shape[axis] = -1

    def constant(values: ArrayLike) -> NDArray[np.float32]:
        return w.laid_out(np.asarray(values).reshape(shape), x)

    out = x if gain is None else w.same("Mul", x, constant(gain))
    return out if shift is None else w.same("Add", out, constant(shift))


def _layer_normalization(w: Writer, call: Call) -> Ref:
    layer, x = call.operation, w.plain(call.x)
    axes = sorted(int(axis) % x.rank for axis in np.atleast_1d(layer.axis))
    if getattr(layer, "rms_scaling", False):
        raise ExportError("its rms_scaling does not convert")
    # ONNX normalizes over all axes from one on.
    if axes != list(range(axes[0], x.rank)):
        raise ExportError(f"it normalizes over the axes {axes}, which are not the last ones")
    sizes = [size or 1 for size in x.shape[axes[0] :]]
    gain = weights(layer.gamma) if layer.scale else np.ones(sizes, np.float32)
    shift = [weights(layer.beta)] if layer.center else []
    return w.same("LayerNormalization", x, gain, *shift, axis=axes[0], epsilon=float(layer.epsilon))


def _group_normalization(w: Writer, call: Call) -> Ref:
    layer, x = call.operation, call.x
    axis = layer.axis % x.rank
    if axis == x.rank - 1 and x.rank > 2:
        x = w.moved(x)
    elif axis == 1:
        x = w.plain(x)
    else:
        raise ExportError(f"it normalizes groups on axis {axis}")
    n_channels = x.shape[axis]
    assert n_channels is not None  # Keras does not build it otherwise
    groups = n_channels if layer.groups == -1 else layer.groups
    # Each group is one channel of an instance normalization.
    grouped = w.node("Reshape", x, ints([0, groups, -1]))
    ones, zeros = np.ones(groups, np.float32), np.zeros(groups, np.float32)
    normalized = w.node("InstanceNormalization", grouped, ones, zeros, epsilon=float(layer.epsilon))
    # The shape of the input itself, whose sizes may be open.
    out = w.same("Reshape", Ref(normalized, x.shape, x.moved), w.node("Shape", x))
    gain = weights(layer.gamma) if layer.scale else None
    return _scaled(w, out, axis, gain, weights(layer.beta) if layer.center else None)


def _rms_normalization(w: Writer, call: Call) -> Ref:
    layer, x = call.operation, w.plain(call.x)
    axes = [int(axis) % x.rank for axis in np.atleast_1d(layer.axis)]
    # x / sqrt(mean(x^2) + epsilon), written out: ONNX has RMSNormalization from opset 23 on.
    mean = w.node("ReduceMean", w.node("Mul", x, x), ints(axes))
    root = w.node("Sqrt", w.node("Add", mean, float(layer.epsilon)))
    out = w.same("Div", x, root)
    shape = [x.shape[k] if k in axes else 1 for k in range(x.rank)]
    return w.same("Mul", out, weights(layer.scale).reshape([size or 1 for size in shape]))


def _unit_length(w: Writer, call: Call) -> Ref:
    """Write a division by the Euclidean length, also for ``keras.ops.normalize``."""
    operation, x = call.operation, call.x
    if getattr(operation, "order", 2) != 2:
        raise ExportError(f"it normalizes to the order {operation.order}, not to 2")
    axes = [x.axis(int(axis)) for axis in np.atleast_1d(operation.axis)]
    least = getattr(operation, "epsilon", None) or import_keras().config.epsilon()
    # As in Keras, which divides by no less than epsilon.
    length = w.node("ReduceL2", x, ints(axes), keepdims=1)
    return w.same("Div", x, w.node("Max", length, float(least)))


def _rescaling(w: Writer, call: Call) -> Ref:
    layer, x = call.operation, call.x
    scale, offset = np.asarray(layer.scale, float), np.asarray(layer.offset, float)
    first = import_keras().config.image_data_format() == "channels_first"
    if first and scale.ndim:
        raise ExportError("it has a scale per channel, and the channels come first")
    out = w.same("Mul", x, w.laid_out(scale, x))
    return w.same("Add", out, w.laid_out(offset, x)) if offset.any() else out


def _normalization(w: Writer, call: Call) -> Ref:
    layer, x = call.operation, call.x
    if layer.mean is None:
        raise ExportError("it has not been adapted")
    mean = w.laid_out(weights(layer.mean), x)
    deviation = np.sqrt(weights(layer.variance).astype(float))
    # A constant feature has no deviation; Keras divides it by epsilon.
    deviation = w.laid_out(np.maximum(deviation, import_keras().config.epsilon()), x)
    if layer.invert:
        return w.same("Add", w.same("Mul", x, deviation), mean)
    return w.same("Div", w.same("Sub", x, mean), deviation)


def _layer_scale(w: Writer, call: Call) -> Ref:
    return w.same("Mul", call.x, w.laid_out(weights(call.operation.gamma), call.x))


LAYERS: dict[str, Converter] = {
    "Dense": _dense,
    "EinsumDense": _einsum_dense,
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "GroupNormalization": _group_normalization,
    "RMSNormalization": _rms_normalization,
    "UnitNormalization": _unit_length,
    "Rescaling": _rescaling,
    "Normalization": _normalization,
    "LayerScale": _layer_scale,  # of ConvNeXt
}

OPERATIONS: dict[str, Converter] = {"Normalize": _unit_length}
