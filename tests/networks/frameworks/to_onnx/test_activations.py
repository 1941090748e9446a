import pytest

from penultimate.networks.frameworks.frozen import ExportError
from penultimate.networks.frameworks.to_onnx.activations import FUNCTIONS

from .comparing import compare, keras, layers, model_of, ops, to_onnx

SHAPE = (3, 4, 5)

LAYERS = [
    layers.ReLU(),
    layers.ReLU(max_value=2),
    layers.ReLU(negative_slope=0.3),
    layers.ReLU(max_value=4, negative_slope=0.1, threshold=1.5),
    layers.LeakyReLU(),
    layers.ELU(0.7),
    layers.PReLU(),
    layers.PReLU(shared_axes=[1, 2]),
    layers.Softmax(),
    layers.Softmax(axis=1),
    layers.Activation("silu"),
    layers.Dense(4, activation=layers.LeakyReLU(0.3)),
    layers.Dense(4, activation="softmax"),
]
OPERATIONS = {
    "gelu": lambda x: ops.gelu(x, approximate=True),
    "leaky": lambda x: ops.leaky_relu(x, 0.1),
    "softmax": lambda x: ops.softmax(x, axis=2),
    "shrink": lambda x: ops.soft_shrink(x, 0.3),
    "hard shrink": lambda x: ops.hard_shrink(x, 0.3),
    "squareplus": lambda x: ops.squareplus(x, b=2),
    "celu": lambda x: ops.celu(x, 0.5),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function(name):
    compare(layers.Activation(name), SHAPE)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
@pytest.mark.parametrize("after", ["input", "maps"])
def test_layers(layer, after):
    layer = type(layer).from_config(layer.get_config())
    compare((lambda x: layer(layers.MaxPooling2D(1)(x))) if after == "maps" else layer, SHAPE)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations(name):
    compare(OPERATIONS[name], SHAPE)


def relu(x):
    return x * 2


@pytest.mark.parametrize("activation", [relu, lambda x: x, keras.activations.sparsemax])
def test_other_functions_are_refused_whatever_their_names(activation):
    with pytest.raises(ExportError, match="its activation '(relu|<lambda>|sparsemax)'"):
        to_onnx(model_of(layers.Dense(3, activation=activation), (4,)))
