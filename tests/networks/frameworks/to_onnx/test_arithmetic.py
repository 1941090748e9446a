import numpy as np
import pytest

from penultimate.networks.frameworks.frozen import ExportError

from .comparing import compare, layers, model_of, ops, to_onnx

IMAGE, ROW = (5, 4, 6), (7,)


def maps(x):
    return layers.MaxPooling2D(1)(x)


def of_two(merge):
    return lambda x: merge([maps(x), layers.Activation("tanh")(x)])


LAYERS = {
    "add": (of_two(layers.Add()), IMAGE),
    "subtract": (of_two(layers.Subtract()), IMAGE),
    "multiply": (of_two(layers.Multiply()), IMAGE),
    "average": (lambda x: layers.Average()([x, maps(x), x * 3]), IMAGE),
    "maximum": (of_two(layers.Maximum()), IMAGE),
    "minimum": (of_two(layers.Minimum()), IMAGE),
    "concatenate": (of_two(layers.Concatenate()), IMAGE),
    "concatenate axis": (of_two(layers.Concatenate(axis=1)), IMAGE),
    "ranks": (lambda x: layers.Add()([x, layers.GlobalAveragePooling2D()(x)]), IMAGE),
    "gate": (
        lambda x: layers.Multiply()(
            [maps(x), layers.Reshape((1, 1, 6))(layers.GlobalAveragePooling2D()(x))]
        ),
        IMAGE,
    ),
    "flatten": (lambda x: layers.Flatten()(maps(x)), IMAGE),
    "reshape": (lambda x: layers.Reshape((3, -1))(maps(x)), IMAGE),
    "permute": (lambda x: layers.Permute((3, 1, 2))(maps(x)), IMAGE),
    "repeat": (layers.RepeatVector(3), ROW),
    "dropout": (lambda x: layers.GaussianNoise(1.0)(layers.Dropout(0.5)(x)), IMAGE),
    "augmentation": (lambda x: layers.RandomFlip()(layers.RandomRotation(0.2)(x)), (5, 4, 3)),
}
OPERATIONS = {
    "scalars": lambda x: 2 - (x * 3 + 1) / 4,
    "arrays": lambda x: maps(x) * np.arange(6, dtype="float32") + np.ones((4, 1), "float32"),
    "power": lambda x: ops.power(ops.abs(x), 1.5),
    "maximum": lambda x: ops.maximum(ops.minimum(x, 1.0), maps(x) / 2),
    "unary": lambda x: ops.log(ops.exp(-x) + ops.square(x)) + ops.sin(x) + ops.sqrt(ops.abs(x)),
    "rsqrt": lambda x: ops.rsqrt(ops.square(x) + 1),
    "clip": lambda x: ops.clip(x, -1, 0.5),
    "mean": lambda x: ops.mean(maps(x), axis=(1, 2)),
    "sum": lambda x: ops.sum(maps(x), axis=-1, keepdims=True),
    "max": lambda x: ops.max(maps(x), axis=1),
    "logsumexp": lambda x: ops.logsumexp(x, axis=-1),
    "matmul": lambda x: ops.matmul(x, ops.transpose(x, (0, 1, 3, 2))),
    "matmul constant": lambda x: ops.matmul(maps(x), np.ones((6, 2), "float32")),
    "einsum": lambda x: ops.einsum("abcd,abcd->abc", x, x),
    "concatenate": lambda x: ops.concatenate([x, maps(x)], axis=-1),
    "reshape": lambda x: ops.reshape(maps(x), (-1, 10, 12)),
    "axes": lambda x: ops.squeeze(ops.expand_dims(ops.expand_dims(x, 1), -1), 1),
    "items": lambda x: maps(x)[:, 1:4:2, -1],
    "ellipsis": lambda x: x[..., 1::2],
    "flip": lambda x: ops.flip(maps(x), axis=2),
    "pad": lambda x: ops.pad(maps(x), ((0, 0), (1, 0), (0, 2), (0, 0)), constant_values=2.0),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    compare(*LAYERS[name])


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations(name):
    compare(OPERATIONS[name], IMAGE)


def test_a_gate_on_channels_is_not_turned():
    assert compare(*LAYERS["gate"]).count("Transpose") == 2  # maps, and the output


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: ops.sum(x, axis=0, keepdims=True), "axis of the samples"),
        (lambda x: ops.flip(x, axis=0), "reverses the samples"),
        (lambda x: ops.reshape(x, (-1, 6)), "number of rows"),
        (lambda x: ops.cast(x, "int32"), "casts to int32"),
        (lambda x: ops.cumsum(x, axis=1), "Cumsum.*no conversion"),
    ],
)
def test_what_does_not_convert_is_refused(function, words):
    with pytest.raises(ExportError, match=words):
        to_onnx(model_of(function, IMAGE))
