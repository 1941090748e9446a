import numpy as np
import pytest

from penultimate.networks.frameworks.frozen import ExportError

from .comparing import compare, layers, model_of, ops, to_onnx

IMAGE, ROW = (5, 4, 6), (7,)

LAYERS = {
    "dense": (layers.Dense(4, activation="tanh"), ROW),
    "dense bare": (layers.Dense(4, use_bias=False), ROW),
    "dense maps": (layers.Dense(4), IMAGE),
    "einsum": (layers.EinsumDense("abc,cd->abd", (None, 8), bias_axes="d"), (5, 6)),
    "batch": (layers.BatchNormalization(), IMAGE),
    "batch row": (layers.BatchNormalization(scale=False), ROW),
    "batch axis": (layers.BatchNormalization(axis=2, center=False), IMAGE),
    "layer": (layers.LayerNormalization(), IMAGE),
    "layer axes": (layers.LayerNormalization(axis=(-2, -1), center=False, scale=False), IMAGE),
    "group": (layers.GroupNormalization(3), IMAGE),
    "group row": (layers.GroupNormalization(7), ROW),
    "instance": (layers.GroupNormalization(-1, scale=False), IMAGE),
    "rms": (layers.RMSNormalization(), IMAGE),
    "unit": (layers.UnitNormalization(), ROW),
    "unit axis": (layers.UnitNormalization(axis=1), IMAGE),
    "rescaling": (layers.Rescaling(1 / 127.5, offset=-1), IMAGE),
    "rescaling channels": (layers.Rescaling(list(range(1, 7)), offset=[0.5] * 6), IMAGE),
    "normalization": (layers.Normalization(mean=list(range(6)), variance=[2.0] * 6), IMAGE),
    "inverse": (layers.Normalization(mean=1.0, variance=4.0, invert=True), IMAGE),
    "spectral": (layers.SpectralNormalization(layers.Dense(4)), ROW),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    compare(*LAYERS[name])


@pytest.mark.parametrize("name", ["batch", "layer", "group", "rescaling channels", "normalization"])
def test_layers_on_maps_with_channels_on_axis_1(name):
    layer = type(LAYERS[name][0]).from_config(LAYERS[name][0].get_config())
    compare(lambda x: layer(layers.MaxPooling2D(2)(x)), IMAGE)


def test_operations():
    compare(lambda x: ops.normalize(x, axis=-1), ROW)
    with pytest.raises(ExportError, match="order 1"):
        to_onnx(model_of(lambda x: ops.normalize(x, axis=-1, order=1), ROW))


def test_a_normalization_over_other_axes_is_refused():
    with pytest.raises(ExportError, match=r"axes \[1\], which are not the last"):
        to_onnx(model_of(layers.LayerNormalization(axis=1), IMAGE))


def test_a_layer_that_was_adapted():
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(0).normal(2, 3, (20, *IMAGE)).astype(np.float32))
    compare(layer, IMAGE)
