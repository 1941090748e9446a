"""Images of any size, in bytes, as a network takes them: `Preprocessing.apply` as nodes.

Pixels are resized as float32 with antialiasing, whole, and then cropped, as in Python. The size of
the resized image is computed in the graph from that of the image, in the same float64, so that it
is rounded alike. What Pillow calls bilinear and bicubic, ONNX calls linear and cubic; it has no
Lanczos.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from onnx import TensorProto

from penultimate.bundle.graph._builder import GraphBuilder
from penultimate.networks.frameworks.frozen import ExportError
from penultimate.networks.preprocessing import LUMA, Preprocessing

IMAGES, PREPARED = "images", "prepared"
_MODES = {"bilinear": "linear", "bicubic": "cubic"}


def prepare_images(graph: GraphBuilder, preprocessing: Preprocessing) -> str:
    """Declare the input of images, and prepare them.

    Parameters
    ----------
    graph : GraphBuilder
    preprocessing : Preprocessing
        With a known order of axes.

    Returns
    -------
    str
        The value, float32 of the shape that the network takes; its name in the finished graph is
        `PREPARED`.

    Raises
    ------
    ExportError
        If the interpolation has no counterpart.
    """
    if preprocessing.size is not None and preprocessing.interpolation not in _MODES:
        raise ExportError(
            f"Preprocessing(interpolation={preprocessing.interpolation!r}) cannot be exported: "
            "ONNX has none like it. Use 'bicubic', which is closest, or 'bilinear', and fit the "
            "head on features of images that are resized so."
        )
    shape = ["images", "height", "width", "channels"]
    pixels = graph.input(IMAGES, TensorProto.UINT8, shape)
    pixels = graph.add("Transpose", pixels, perm=[0, 3, 1, 2])
    values = graph.add("Cast", pixels, to=TensorProto.FLOAT)
    if preprocessing.size is not None:
        values = _resized(graph, values, preprocessing)
    values = _scaled(graph, _ordered(graph, values, preprocessing.channels), preprocessing)
    if not preprocessing.channels_first:
        values = graph.add("Transpose", values, perm=[0, 2, 3, 1])
    graph.name(values, PREPARED)
    graph.metadata["preprocessing"] = json.dumps(asdict(preprocessing))
    return values


def _resized(graph: GraphBuilder, values: str, preprocessing: Preprocessing) -> str:
    """Return the images in the size of the network; those that have it stay as they are."""
    assert isinstance(preprocessing.size, tuple)
    sides = graph.constant(preprocessing.size, np.int64)
    whole = sides
    if preprocessing.crop is not None:
        before = graph.add("Shape", values, start=2, end=4)
        floats = graph.add("Cast", before, to=TensorProto.DOUBLE)
        wanted = graph.constant(preprocessing.size, np.float64)
        # The smallest resize in which `size` is at most this share of each side.
        ratio = graph.add("ReduceMax", graph.add("Div", wanted, floats), keepdims=0)
        factor = graph.add("Div", ratio, graph.constant(preprocessing.crop, np.float64))
        half = graph.constant(0.5, np.float64)
        exact = graph.add("Floor", graph.add("Add", graph.add("Mul", floats, factor), half))
        whole = graph.add("Max", graph.add("Cast", exact, to=TensorProto.INT64), sides)
    outer = graph.add("Shape", values, start=0, end=2)
    values = graph.add(
        "Resize",
        values,
        "",
        "",
        graph.add("Concat", outer, whole, axis=0),
        mode=_MODES[preprocessing.interpolation],
        antialias=1,
        exclude_outside=1,
        cubic_coeff_a=-0.5,
        coordinate_transformation_mode="half_pixel",
    )
    if preprocessing.crop is None:
        return values
    left_over = graph.add("Sub", whole, sides)
    start = graph.add("Div", left_over, graph.constant(2))
    return graph.add("Slice", values, start, graph.add("Add", start, sides), graph.constant([2, 3]))


def _ordered(graph: GraphBuilder, values: str, channels: str) -> str:
    """Return the channels that the network takes, of images with one or three of them."""
    # Of a gray image all three are the same, and so is its luminance.
    values = graph.add("Expand", values, graph.constant([1, 3, 1, 1]))
    if channels == "gray":
        weighted = graph.add("Mul", values, graph.constant(LUMA.reshape(1, 3, 1, 1)))
        return graph.add("ReduceSum", weighted, graph.constant([1]), keepdims=1)
    return values if channels == "rgb" else graph.add("Gather", values, _flipped(graph), axis=1)


def _flipped(graph: GraphBuilder) -> str:
    return graph.constant([2, 1, 0])


def _scaled(graph: GraphBuilder, values: str, preprocessing: Preprocessing) -> str:
    """Return (scale * x - mean) / std, one after the other, as in Python."""
    steps: Sequence[tuple[str, object, float]] = (
        ("Mul", preprocessing.scale, 1),
        ("Sub", preprocessing.mean, 0),
        ("Div", preprocessing.std, 1),
    )
    for operator, number, nothing in steps:
        if number != nothing:
            numbers = np.asarray(number, np.float32).reshape(1, -1, 1, 1)
            values = graph.add(operator, values, graph.constant(numbers))
    return values


def beyond_none(graph: GraphBuilder, prepared: str, shape: Sequence[int | None]) -> tuple[str, str]:
    """Return images of which there is at least one, and their number without that one.

    Many networks cannot be given 0 rows, such as those that reshape. So in place of none there is
    one blank image; `first` removes what becomes of it.

    Parameters
    ----------
    graph : GraphBuilder
    prepared : str
    shape : sequence of int or None
        Of one sample.
    """
    count = graph.add("Shape", prepared, start=0, end=1)
    missing = graph.add("Max", graph.add("Sub", graph.constant([1]), count), graph.constant([0]))
    sides = [
        graph.add("Shape", prepared, start=1 + axis, end=2 + axis)
        if size is None
        else graph.constant([size])
        for axis, size in enumerate(shape)
    ]
    blank = graph.constant(np.zeros([1] * (1 + len(shape)), np.float32))
    blank = graph.add("Expand", blank, graph.add("Concat", missing, *sides, axis=0))
    return graph.add("Concat", prepared, blank, axis=0), count


def first(graph: GraphBuilder, rows: str, count: str) -> str:
    """Return the first rows, as many as there are images."""
    return graph.add("Slice", rows, graph.constant([0]), count, graph.constant([0]))
