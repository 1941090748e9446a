"""Merging layers, arithmetic of ``keras.ops``, and changes of shape."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.networks.frameworks.frozen import ExportError
from penultimate.networks.frameworks.to_onnx.calls import Call, Converter
from penultimate.networks.frameworks.to_onnx.writer import (
    FullShape,
    Operand,
    Ref,
    Writer,
    ints,
)

_ALL = np.iinfo(np.int64).max  # the end of an axis, for a Slice


def _same_rank(w: Writer, tensors: Sequence[Ref]) -> list[Ref]:
    """Insert axes after that of the samples where a tensor has fewer, as merging layers do."""
    rank = max(each.rank for each in tensors)
    found = []
    for each in tensors:
        if each.rank < rank:
            more = rank - each.rank
            name = w.node("Unsqueeze", w.plain(each), ints(range(1, 1 + more)))
            each = Ref(name, (each.shape[0], *[1] * more, *each.shape[1:]))
        found.append(each)
    return w.together(found)


def _merge(op: str) -> Converter:
    def convert(w: Writer, call: Call) -> Ref:
        first, *others = _same_rank(w, call.tensors)
        for each in others:
            first = replace(first, name=w.node(op, first, each))
        out = replace(first, shape=call.shape)
        if type(call.operation).__name__ == "Average":
            return w.same("Mul", out, 1 / len(call.tensors))
        return out

    return convert


def _concatenate(w: Writer, call: Call) -> Ref:
    tensors = w.together(call.tensors)
    name = w.node("Concat", *tensors, axis=tensors[0].axis(call.operation.axis))
    return Ref(name, call.shape, tensors[0].moved)


def _binary(op: str) -> Converter:
    """Return a converter of an operation of two tensors, of which one may be a constant."""

    def convert(w: Writer, call: Call) -> Ref:
        one, two = call.args[:2]
        x = call.x
        if isinstance(one, Ref) and isinstance(two, Ref):
            one, two = w.together([one, two])
            return Ref(w.node(op, one, two), call.shape, one.moved)

        def operand(value: object) -> Operand:
            return value if isinstance(value, Ref) else w.laid_out(_constant(value), x)

        # A constant with more axes than `x` adds axes, which only the layout of Keras has room for.
        constant = np.shape(_constant(two if one is x else one))
        if x.moved and len(constant) > x.rank:
            x = w.plain(x)
            one, two = (x if isinstance(each, Ref) else each for each in (one, two))
        return Ref(w.node(op, operand(one), operand(two)), call.shape, x.moved)

    return convert


def _constant(value: object) -> NDArray[Any]:
    """Return a number, array or tensor among the arguments as an array."""
    try:
        from penultimate.networks.frameworks.backend import import_keras

        array = np.asarray(import_keras().ops.convert_to_numpy(value))
    except Exception as error:
        raise ExportError(f"it takes a {type(value).__name__}") from error
    if array.dtype.kind not in "biuf":
        raise ExportError(f"it takes a {type(value).__name__}")
    return array


def _unary(op: str) -> Converter:
    return lambda w, call: w.same(op, call.x)


def _square(w: Writer, call: Call) -> Ref:
    return w.same("Mul", call.x, call.x)


def _rsqrt(w: Writer, call: Call) -> Ref:
    # ONNX has no reciprocal square root.
    return w.same("Reciprocal", replace(call.x, name=w.node("Sqrt", call.x)))


def _keep(w: Writer, call: Call) -> Ref:
    return call.x


def _clip(w: Writer, call: Call) -> Ref:
    low, high = call.operation.x_min, call.operation.x_max
    return w.same("Clip", call.x, float(low), float(high))


def _cast(w: Writer, call: Call) -> Ref:
    kind = str(call.operation.dtype)
    # The graph computes in float32; a cast to integers would cut off what follows a point.
    if kind not in ("float32", "float64"):
        raise ExportError(f"it casts to {kind}")
    return call.x


def _reduce(op: str) -> Converter:
    def convert(w: Writer, call: Call) -> Ref:
        operation, x = call.operation, call.x
        axes = operation.axis
        axes = list(range(x.rank)) if axes is None else [int(a) % x.rank for a in np.ravel(axes)]
        # Here as below: a row of the output must depend on one sample alone.
        if 0 in axes:
            raise ExportError("it reduces the axis of the samples")
        keep = bool(operation.keepdims)
        # Maps that lose height and width have one layout left.
        if x.moved and not keep and axes != list(range(1, x.rank - 1)):
            x = w.plain(x)
        name = w.node(op, x, ints([x.axis(axis) for axis in axes]), keepdims=int(keep))
        # One number per channel is a row, which has the same place in both layouts.
        return Ref(name, call.shape, x.moved and keep)

    return convert


def _matmul(w: Writer, call: Call) -> Ref:
    one, two = (
        w.plain(each) if isinstance(each, Ref) else np.asarray(_constant(each), np.float32)
        for each in call.args[:2]
    )
    # It broadcasts as in NumPy, which is also what Keras does.
    return Ref(w.node("MatMul", one, two), call.shape)


def _einsum(w: Writer, call: Call) -> Ref:
    # The equation names the axes in Keras's order.
    operands = [w.plain(each) for each in call.tensors]
    return Ref(w.node("Einsum", *operands, equation=call.operation.subscripts), call.shape)


def _flatten(w: Writer, call: Call) -> Ref:
    x = w.plain(call.x)
    name = x.name
    if getattr(call.operation, "data_format", None) == "channels_first" and x.rank > 2:
        # Keras flattens the channels last in any case.
        name = w.node("Transpose", name, perm=[0, *range(2, x.rank), 1])
    return Ref(w.node("Flatten", name, axis=1), call.shape)


def reshaped(w: Writer, x: Ref, shape: FullShape) -> Ref:
    """Write a change of shape that keeps the samples apart."""
    sizes = shape[1:]
    if sum(size is None for size in sizes) > 1:
        raise ExportError("it leaves open several sizes of its output")
    # ONNX keeps an axis where the size is 0, and computes the one that is -1.
    target = ints([0, *(-1 if size is None else size for size in sizes)])
    return Ref(w.node("Reshape", w.plain(x), target), shape)


def _reshape(w: Writer, call: Call) -> Ref:
    # The number of samples is open, and a row must stay the row of one sample.
    if call.shape[0] is not None:
        raise ExportError("it gives one size to the axis of the samples")
    before, after = call.x.shape[1:], call.shape[1:]
    known = None not in before and None not in after
    if known and np.prod(before) != np.prod(after):  # type: ignore[arg-type]
        raise ExportError("it changes the number of rows, which must be that of the samples")
    *ones, n_channels = after
    if call.x.rank == 2 and len(ones) > 1 and n_channels is not None and set(ones) == {1}:
        # Maps of one pixel, as of a gate on channels, before a convolution.
        name = w.node("Reshape", call.x, ints([0, n_channels, *[1] * len(ones)]))
        return Ref(name, call.shape, moved=True)
    return reshaped(w, call.x, call.shape)


def _permute(w: Writer, call: Call) -> Ref:
    # Keras leaves out the axis of the samples, and counts the others from 1.
    order = [0, *call.operation.dims]
    return Ref(w.node("Transpose", w.plain(call.x), perm=order), call.shape)


def _transpose(w: Writer, call: Call) -> Ref:
    x = w.plain(call.x)
    axes = call.operation.axes
    order = list(range(x.rank))[::-1] if axes is None else [axis % x.rank for axis in axes]
    if order[0] != 0:
        raise ExportError("it moves the axis of the samples")
    return Ref(w.node("Transpose", x, perm=order), call.shape)


def _repeat_vector(w: Writer, call: Call) -> Ref:
    row = w.node("Unsqueeze", call.x, ints([1]))
    return Ref(w.node("Tile", row, ints([1, call.operation.n, 1])), call.shape)


def _reaxis(op: str) -> Converter:
    """Return a converter of what adds or drops axes of size one."""

    def convert(w: Writer, call: Call) -> Ref:
        x, axis = w.plain(call.x), call.operation.axis
        rank = len(call.shape) if op == "Unsqueeze" else x.rank
        if axis is None:
            axis = [k for k, size in enumerate(x.shape) if size == 1]
        axes = sorted(int(each) % rank for each in np.ravel(axis))
        if 0 in axes:
            raise ExportError("it changes the axis of the samples")
        return Ref(w.node(op, x, ints(axes)), call.shape)

    return convert


def _get_item(w: Writer, call: Call) -> Ref:
    x, key = w.plain(call.x), call.args[1]
    keys = list(key) if isinstance(key, tuple) else [key]
    # An ellipsis stands for all axes that are not named.
    if Ellipsis in keys:
        place = keys.index(Ellipsis)
        missing = x.rank - (len(keys) - 1 - keys.count(None))
        keys[place : place + 1] = [slice(None)] * missing
    starts, ends, axes, steps, dropped = [], [], [], [], []
    for axis, each in enumerate(keys):
        if isinstance(each, (int, np.integer)):
            # A position is a slice of length 1, whose axis is dropped afterwards. That of the last
            # element, -1, has an open end: 0 would be the beginning.
            each, single = slice(int(each), int(each) + 1 or None), True
        else:
            single = False
        if not isinstance(each, slice) or (axis == 0 and each != slice(None)):
            raise ExportError("it takes other parts of a tensor than slices of each sample")
        if each == slice(None):
            continue
        step = 1 if each.step is None else int(each.step)
        # What is left open; backward it is the other way round.
        first, last = (0, _ALL) if step > 0 else (_ALL, -_ALL)
        starts.append(first if each.start is None else int(each.start))
        ends.append(last if each.stop is None else int(each.stop))
        axes.append(axis)
        steps.append(step)
        dropped += [axis] if single else []
    name = x.name
    if axes:
        name = w.node("Slice", x, ints(starts), ints(ends), ints(axes), ints(steps))
    if dropped:
        name = w.node("Squeeze", name, ints(dropped))
    return Ref(name, call.shape)


def _flip(w: Writer, call: Call) -> Ref:
    axes = call.operation.axis
    return mirrored(w, call.x, [int(axis) for axis in np.ravel(axes if axes is not None else [0])])


def mirrored(w: Writer, x: Ref, axes: Sequence[int]) -> Ref:
    """Write a tensor in the opposite order along some axes."""
    if 0 in [axis % x.rank for axis in axes]:
        raise ExportError("it reverses the samples")
    # From the last element to beyond the first, one step back at a time.
    count = len(axes)
    places = ints([x.axis(axis) for axis in axes])
    backward = ints([-1] * count)
    return w.same("Slice", x, backward, ints([-_ALL] * count), places, backward)


def _pad(w: Writer, call: Call) -> Ref:
    operation, x = call.operation, call.x
    if operation.mode not in ("constant", "reflect"):
        raise ExportError(f"its mode {operation.mode!r} does not convert")
    given = call.args[1:] or (None,)
    value = 0.0 if given[0] is None else float(given[0])
    before, after = [0] * x.rank, [0] * x.rank
    for axis, (low, high) in enumerate(operation.pad_width):
        before[x.axis(axis)], after[x.axis(axis)] = int(low), int(high)
    constant = [value] if operation.mode == "constant" else []
    name = w.node("Pad", x, ints([*before, *after]), *constant, mode=operation.mode)
    return Ref(name, call.shape, x.moved)


# What does nothing at inference.
_IDENTITIES = (
    *("Identity", "Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise"),
    *("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "ActivityRegularization"),
    "StochasticDepth",  # of ConvNeXt
)
_REDUCTIONS: dict[str, Callable[..., Ref]] = {
    "Mean": _reduce("ReduceMean"),
    "Sum": _reduce("ReduceSum"),
    "Prod": _reduce("ReduceProd"),
    **{name: _reduce("ReduceMax") for name in ("Max", "Amax")},
    **{name: _reduce("ReduceMin") for name in ("Min", "Amin")},
    "Logsumexp": _reduce("ReduceLogSumExp"),
}

LAYERS: dict[str, Converter] = {
    **dict.fromkeys(_IDENTITIES, _keep),
    "Add": _merge("Add"),
    "Average": _merge("Add"),
    "Subtract": _merge("Sub"),
    "Multiply": _merge("Mul"),
    "Maximum": _merge("Max"),
    "Minimum": _merge("Min"),
    "Concatenate": _concatenate,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "RepeatVector": _repeat_vector,
}

_UNARY = ("Abs", "Ceil", "Cos", "Cosh", "Erf", "Exp", "Floor", "Log", "Reciprocal", "Sign", "Sin")
OPERATIONS: dict[str, Converter] = {
    **_REDUCTIONS,
    **{name: _unary(name) for name in (*_UNARY, "Sinh", "Sqrt", "Tan", "Round")},
    **dict.fromkeys(("Copy", "Identity", "StopGradient"), _keep),
    "Absolute": _unary("Abs"),
    "Negative": _unary("Neg"),
    "Square": _square,
    "Rsqrt": _rsqrt,
    "Clip": _clip,
    "Cast": _cast,
    "Add": _binary("Add"),
    "Subtract": _binary("Sub"),
    "Multiply": _binary("Mul"),
    "Divide": _binary("Div"),
    "TrueDivide": _binary("Div"),
    "Maximum": _binary("Max"),
    "Minimum": _binary("Min"),
    "Power": _binary("Pow"),
    "Matmul": _matmul,
    "Einsum": _einsum,
    "Concatenate": _concatenate,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "ExpandDims": _reaxis("Unsqueeze"),
    "Squeeze": _reaxis("Squeeze"),
    "GetItem": _get_item,
    "Flip": _flip,
    "Pad": _pad,
}
