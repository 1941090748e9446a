"""Convolutions, poolings and resizing of maps.

Keras pads as TensorFlow does: ``"same"`` adds what is missing for a whole number of steps, the
smaller half before. Where the size of the maps is known, or each step is one pixel, that is a
number; else ONNX's SAME_UPPER computes the same from the size.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from penultimate._common.protocols import Variable
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.frameworks.frozen import ExportError
from penultimate.networks.frameworks.to_onnx.activations import apply
from penultimate.networks.frameworks.to_onnx.calls import (
    Call,
    Converter,
    in_format,
    spatial,
    spatial_axes,
    weights,
)
from penultimate.networks.frameworks.to_onnx.writer import (
    FullShape,
    Ref,
    Writer,
    ints,
)

if TYPE_CHECKING:
    import keras


class Convolution(Protocol):
    """A layer of Keras's that convolves maps."""

    data_format: str
    padding: str
    strides: int | Sequence[int]
    dilation_rate: int | Sequence[int]
    use_bias: bool
    bias: Variable


def _each(value: int | Sequence[int], count: int) -> tuple[int, ...]:
    """Return a setting for every axis, of which Keras also takes one number for all."""
    return (int(value),) * count if isinstance(value, (int, np.integer)) else tuple(map(int, value))


def _padding(
    padding: str,
    sizes: FullShape,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> dict[str, Any]:
    """Return the attributes that pad as Keras does."""
    if padding == "valid":
        return {}
    before, after = [], []
    for size, k, stride, dilation in zip(sizes, kernel, strides, dilations):
        # Pixels that one step sees, with the gaps of a dilation.
        reach = (k - 1) * dilation + 1
        if padding == "causal":
            total = lower = reach - 1
        elif stride == 1:
            # As many positions as pixels, whatever the size of the map.
            total, lower = reach - 1, (reach - 1) // 2
        elif size is None:
            if max(dilations) > 1:
                raise ExportError("it is dilated, and pads maps whose size is left open")
            return {"auto_pad": "SAME_UPPER"}
        else:
            # What the last of ceil(size / stride) steps reaches beyond the map.
            total = max((-(-size // stride) - 1) * stride + reach - size, 0)
            lower = total // 2
        before.append(lower)
        after.append(total - lower)
    return {"pads": [*before, *after]}


def _convolve(
    w: Writer,
    x: Ref,
    kernel: NDArray[np.float32],
    bias: NDArray[np.float32] | None,
    shape: FullShape,
    layer: Convolution,
    *,
    groups: int = 1,
    steps: bool = True,
) -> Ref:
    """Write a convolution; `kernel` is (outputs, inputs / groups, *sizes)."""
    count = kernel.ndim - 2
    x = in_format(w, x, layer.data_format)
    strides = _each(layer.strides, count) if steps else (1,) * count
    dilations = _each(layer.dilation_rate, count) if steps else (1,) * count
    pads = {}
    if steps:
        sizes = spatial(x.shape, layer.data_format)
        pads = _padding(layer.padding, sizes, kernel.shape[2:], strides, dilations)
    name = w.node(
        "Conv",
        x,
        kernel,
        *([] if bias is None else [bias]),
        kernel_shape=list(kernel.shape[2:]),
        strides=list(strides),
        dilations=list(dilations),
        group=groups,
        **pads,
    )
    return Ref(name, shape, x.moved)


def _bias(layer: Convolution) -> NDArray[np.float32] | None:
    return weights(layer.bias) if layer.use_bias else None


def _depthwise_kernel(variable: Variable) -> NDArray[np.float32]:
    """Return (*sizes, inputs, multiplier) as the kernel of a convolution in groups."""
    kernel = weights(variable)
    # Each input is a group of its own, with `multiplier` outputs.
    kernel = np.moveaxis(kernel, (-2, -1), (0, 1))
    return kernel.reshape(-1, 1, *kernel.shape[2:])


def _conv(w: Writer, call: Call) -> Ref:
    layer = call.operation
    # Keras has (*sizes, inputs, outputs), ONNX has (outputs, inputs, *sizes).
    kernel = np.moveaxis(weights(layer.kernel), (-1, -2), (0, 1))
    out = _convolve(w, call.x, kernel, _bias(layer), call.shape, layer, groups=layer.groups)
    return apply(w, out, layer.activation)


def _depthwise(w: Writer, call: Call) -> Ref:
    layer = call.operation
    n_inputs = weights(layer.kernel).shape[-2]
    kernel = _depthwise_kernel(layer.kernel)
    out = _convolve(w, call.x, kernel, _bias(layer), call.shape, layer, groups=n_inputs)
    return apply(w, out, layer.activation)


def _separable(w: Writer, call: Call) -> Ref:
    layer = call.operation
    n_inputs = weights(layer.depthwise_kernel).shape[-2]
    depthwise = _depthwise_kernel(layer.depthwise_kernel)
    # Its own shape is needed by nobody: all that follows is the second step.
    out = _convolve(w, call.x, depthwise, None, call.shape, layer, groups=n_inputs)
    pointwise = np.moveaxis(weights(layer.pointwise_kernel), (-1, -2), (0, 1))
    # The strides and the padding belong to the first step.
    out = _convolve(w, out, pointwise, _bias(layer), call.shape, layer, steps=False)
    return apply(w, out, layer.activation)


def _conv_transpose(w: Writer, call: Call) -> Ref:
    layer = call.operation
    kernel = np.moveaxis(weights(layer.kernel), (-1, -2), (0, 1))  # (inputs, outputs, *sizes)
    count = kernel.ndim - 2
    strides, dilations = _each(layer.strides, count), _each(layer.dilation_rate, count)
    own = layer.output_padding
    extra: Sequence[int | None] = (None,) * count if own is None else _each(own, count)
    before, after, added = [], [], []
    for k, stride, dilation, more in zip(kernel.shape[2:], strides, dilations, extra):
        reach = (k - 1) * dilation + 1
        # What Keras gives beyond the last step and the kernel's reach; less than 0 is cut off.
        if more is None:
            beyond = max(stride - reach, 0) if layer.padding == "valid" else stride - reach
        else:
            beyond = more if layer.padding == "valid" else reach % 2 + more - reach
        cut = max(-beyond, 0)
        before.append(cut // 2)
        after.append(cut - cut // 2)
        added.append(max(beyond, 0))
    x = in_format(w, call.x, layer.data_format)
    bias = _bias(layer)
    name = w.node(
        "ConvTranspose",
        x,
        kernel,
        *([] if bias is None else [bias]),
        kernel_shape=list(kernel.shape[2:]),
        strides=list(strides),
        dilations=list(dilations),
        pads=[*before, *after],
        output_padding=added,
    )
    return apply(w, Ref(name, call.shape, x.moved), layer.activation)


def _repeats_edges() -> bool:
    """Return whether Keras averages over repeated edges, where more is added on one side."""
    return import_keras().backend.backend() == "torch"


def _pool(op: str) -> Converter:
    def convert(w: Writer, call: Call) -> Ref:
        layer = call.operation
        x = in_format(w, call.x, layer.data_format)
        count = x.rank - 2
        size = _each(layer.pool_size, count)
        # Without strides, Keras moves by a whole window, and ONNX by one pixel.
        strides = size if layer.strides is None else _each(layer.strides, count)
        sizes = spatial(x.shape, layer.data_format)
        # In an average the padding does not count, in Keras as in ONNX.
        padding = _padding(layer.padding, sizes, size, strides, (1,) * count)
        pads = padding.get("pads", [])
        if op == "AveragePool" and _repeats_edges() and pads[:count] != pads[count:]:
            edges = ints([0, 0, *pads[:count], 0, 0, *pads[count:]])
            x, padding = replace(x, name=w.node("Pad", x, edges, mode="edge")), {}
        name = w.node(op, x, kernel_shape=list(size), strides=list(strides), **padding)
        return Ref(name, call.shape, x.moved)

    return convert


def _pool_all(op: str) -> Converter:
    def convert(w: Writer, call: Call) -> Ref:
        layer = call.operation
        x = in_format(w, call.x, layer.data_format)
        name = w.node(op, x)
        if layer.keepdims:
            return Ref(name, call.shape, x.moved)
        # Height and width of 1 are left, which Keras drops.
        return Ref(w.node("Flatten", name, axis=1), call.shape)

    return convert


# The interpolations that ONNX computes with Keras's weights; for the others see `_by_matrices`.
_RESIZE: dict[str, dict[str, Any]] = {
    "nearest": {"mode": "nearest", "nearest_mode": "round_prefer_ceil"},
    "bilinear": {"mode": "linear"},
}


def _resized(w: Writer, x: Ref, shape: FullShape, layer: "keras.layers.Resizing") -> Ref:
    """Write a resizing of maps to the sizes in `shape`."""
    axes = spatial_axes(x.rank, layer.data_format)
    before, after = [x.shape[axis] for axis in axes], [shape[axis] for axis in axes]
    x = in_format(w, x, layer.data_format)
    if before == after:
        return x
    if None not in before:
        return _by_matrices(w, x, shape, before, after, layer.interpolation, layer.antialias)
    if layer.antialias or layer.interpolation not in _RESIZE:
        raise ExportError("it resizes maps of any size with other weights than ONNX's Resize")
    # Not by the attribute `axes`: ONNX Runtime 1.32 moves transpositions past it wrongly.
    samples = w.node("Slice", w.node("Shape", x), ints([0]), ints([2]))
    target = w.node("Concat", samples, ints([size or 0 for size in after]), axis=0)
    attributes = {**_RESIZE[layer.interpolation], "coordinate_transformation_mode": "half_pixel"}
    return Ref(w.node("Resize", x, "", "", target, **attributes), shape, x.moved)


def _by_matrices(
    w: Writer,
    x: Ref,
    shape: FullShape,
    before: Sequence[Any],
    after: Sequence[Any],
    interpolation: str,
    antialias: bool = False,
) -> Ref:
    """Write a resizing, which is linear, and one axis after the other, as two products.

    The weights are Keras's own, of any interpolation: what it makes of an identity matrix.
    """
    rows, columns = (
        weights(
            import_keras().ops.image.resize(
                np.eye(old, dtype=np.float32)[np.newaxis, ..., np.newaxis],
                (new, old),
                interpolation=interpolation,
                antialias=antialias,
                data_format="channels_last",
            )
        )[0, ..., 0]
        for old, new in zip(before, after)
    )
    return Ref(w.node("MatMul", rows, w.node("MatMul", x, columns.T)), shape, x.moved)


def _up_sample(w: Writer, call: Call) -> Ref:
    layer, x = call.operation, call.x
    count = x.rank - 2
    # Of sequences, neither can be chosen: channels are last, and values are repeated.
    data_format = getattr(layer, "data_format", None) or "channels_last"
    how = getattr(layer, "interpolation", "nearest")
    x = in_format(w, x, data_format)
    before, after = spatial(x.shape, data_format), spatial(call.shape, data_format)
    if how != "nearest" and None not in before:
        return _by_matrices(w, x, call.shape, before, after, how)
    if how not in _RESIZE:
        raise ExportError(f"its interpolation {how!r} does not convert for maps of any size")
    # By scales and not by sizes, so that maps may be of any size.
    scales = np.asarray([1, 1, *_each(layer.size, count)], np.float32)
    name = w.node(
        "Resize", x, "", scales, coordinate_transformation_mode="half_pixel", **_RESIZE[how]
    )
    return Ref(name, call.shape, x.moved)


def _resizing(w: Writer, call: Call) -> Ref:
    layer = call.operation
    height, width = spatial(call.x.shape, layer.data_format)
    keeps_ratio = height and width and height * layer.width == width * layer.height
    # Neither setting matters where the ratio stays the same.
    if (layer.crop_to_aspect_ratio or layer.pad_to_aspect_ratio) and not keeps_ratio:
        raise ExportError("it crops or pads to another aspect ratio")
    return _resized(w, call.x, call.shape, layer)


def _pad(w: Writer, call: Call) -> Ref:
    layer, x = call.operation, call.x
    data_format = getattr(layer, "data_format", None) or "channels_last"
    # One pair for a sequence, or a pair for each axis of a map.
    pairs = [layer.padding] if np.ndim(layer.padding) == 1 else layer.padding
    before, after = [0] * x.rank, [0] * x.rank
    for axis, (low, high) in zip(spatial_axes(x.rank, data_format), pairs):
        before[x.axis(axis)], after[x.axis(axis)] = low, high
    return Ref(w.node("Pad", x, ints([*before, *after])), call.shape, x.moved)


def _crop(w: Writer, call: Call) -> Ref:
    layer, x = call.operation, call.x
    data_format = getattr(layer, "data_format", None) or "channels_last"
    pairs = [layer.cropping] if np.ndim(layer.cropping) == 1 else layer.cropping
    return cropped(w, x, dict(zip(spatial_axes(x.rank, data_format), pairs)), call.shape)


def _center_crop(w: Writer, call: Call) -> Ref:
    layer, x = call.operation, call.x
    axes = spatial_axes(x.rank, layer.data_format)
    pairs = {}
    for axis, size in zip(axes, (layer.height, layer.width)):
        before = x.shape[axis]
        if before is None or before < size:
            raise ExportError("it crops images of any size, or enlarges them")
        start = (before - size) // 2
        pairs[axis] = (start, before - size - start)
    return cropped(w, x, pairs, call.shape)


def cropped(w: Writer, x: Ref, pairs: dict[int, tuple[int, int]], shape: FullShape) -> Ref:
    """Write a tensor without what lies before and after on some axes."""
    pairs = {axis: pair for axis, pair in pairs.items() if any(pair)}
    if not pairs:
        return x
    starts = [low for low, _ in pairs.values()]
    # -0 would be the beginning, and not the end.
    ends = [-high if high else np.iinfo(np.int64).max for _, high in pairs.values()]
    axes = [x.axis(axis) for axis in pairs]
    return Ref(w.node("Slice", x, ints(starts), ints(ends), ints(axes)), shape, x.moved)


LAYERS: dict[str, Converter] = {
    **{f"Conv{n}D": _conv for n in (1, 2, 3)},
    **{f"Conv{n}DTranspose": _conv_transpose for n in (1, 2, 3)},
    **{f"DepthwiseConv{n}D": _depthwise for n in (1, 2)},
    **{f"SeparableConv{n}D": _separable for n in (1, 2)},
    **{f"MaxPooling{n}D": _pool("MaxPool") for n in (1, 2, 3)},
    **{f"AveragePooling{n}D": _pool("AveragePool") for n in (1, 2, 3)},
    **{f"GlobalMaxPooling{n}D": _pool_all("GlobalMaxPool") for n in (1, 2, 3)},
    **{f"GlobalAveragePooling{n}D": _pool_all("GlobalAveragePool") for n in (1, 2, 3)},
    **{f"UpSampling{n}D": _up_sample for n in (1, 2)},
    **{f"ZeroPadding{n}D": _pad for n in (1, 2, 3)},
    **{f"Cropping{n}D": _crop for n in (1, 2, 3)},
    "Resizing": _resizing,
    "CenterCrop": _center_crop,
}

OPERATIONS: dict[str, Converter] = {
    "MaxPool": _pool("MaxPool"),
    "AveragePool": _pool("AveragePool"),
}
