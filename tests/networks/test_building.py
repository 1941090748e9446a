import random

import numpy as np
import pytest

from penultimate import MarginClassifier, Training
from penultimate.networks import NETWORKS, build_network, fit_network
from penultimate.networks.architectures import named
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.margins.builders import RandomFeatureNetwork, linear


def test_unknown_name():
    with pytest.raises(ValueError, match="must be one of 'compact', 'wide', .*; got 'resnet'"):
        build_network("resnet", (28, 28, 1), 10)


@pytest.mark.parametrize("shape", [(20,), (7, 28, 1)])
def test_inputs_of_a_wrong_shape(shape):
    with pytest.raises(ValueError, match="takes images of at least 8 x 8 pixels"):
        build_network("compact", shape, 10)


def test_not_a_network():
    with pytest.raises(TypeError, match="a function of .* that builds a Keras model"):
        build_network(3, (28, 28, 1), 10)


def test_builder_that_returns_nothing():
    with pytest.raises(TypeError, match="must return a Keras model; got None"):
        build_network(lambda shape, n_classes: None, (8, 8, 1), 3)


def test_builder_with_wrong_outputs():
    with pytest.raises(ValueError, match=r"one unit for each of the 3 classes.*\(None, 10\)"):
        build_network(lambda shape, n_classes: NETWORKS["compact"](shape, 10), (8, 8, 1), 3)


def vgg(shape, n_classes, padding="same"):
    """A network that halves an image four times, then flattens it into dense layers."""
    layers = import_keras().layers
    stages = []
    for channels in (2, 4, 4, 4):
        stages += [layers.Conv2D(channels, 3, padding=padding), layers.MaxPooling2D()]
    head = [layers.Flatten(), layers.Dense(n_classes, activation="softmax")]
    return import_keras().Sequential([layers.Input(shape), *stages, *head])


def strided(shape, n_classes):
    layers = import_keras().layers
    stem = [layers.Conv2D(4, 7, strides=4), layers.Conv2D(4, 5, strides=2)]
    head = [layers.GlobalMaxPooling2D(), layers.Dense(n_classes)]
    return import_keras().Sequential([layers.Input(shape), *stem, *head])


def averaged(shape, n_classes):
    layers = import_keras().layers
    pool = [layers.AveragePooling2D(10), layers.Flatten(), layers.Dense(n_classes)]
    return import_keras().Sequential([layers.Input(shape), *pool])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("builder", "shape", "side"),
    [
        (vgg, (8, 8, 1), 16),
        (vgg, (12, 100, 3), 16),
        (lambda shape, n: vgg(shape, n, "valid"), (28, 28, 1), 46),
        (strided, (20, 20, 1), 23),
        (averaged, (8, 8, 1), 10),
    ],
)
def test_too_deep_for_the_images(builder, shape, side):
    height, width, channels = shape
    message = f"too deep for images of {height} x {width} .* at least {side} x {side} pixels"
    with pytest.raises(ValueError, match=message) as caught:
        build_network(builder, shape, 3)
    assert "negative" in str(caught.value.__cause__)  # what Keras said
    assert build_network(builder, (side, side, channels), 3).output_shape == (None, 3)
    with pytest.raises(ValueError, match="too deep"):
        build_network(builder, (side - 1, side - 1, channels), 3)


def test_a_size_that_never_helps_and_samples_without_a_size():
    def broken(shape, n_classes):
        raise ValueError("a negative number of units")

    for shape in ((8, 8, 1), (20,)):
        with pytest.raises(ValueError, match="a negative number of units") as caught:
            build_network(broken, shape, 3)
        assert caught.value.__notes__ == [f"Raised by broken({shape}, 3), the network's builder."]


def test_generators_are_given_back_by_a_build_that_fails():
    def drawing(shape, n_classes):
        random.random()
        np.random.random()
        return vgg(shape, n_classes)

    python, numpy = random.getstate(), np.random.get_state()[1].copy()
    with pytest.raises(ValueError, match="too deep"):
        build_network(drawing, (8, 8, 1), 3)
    assert random.getstate() == python
    np.testing.assert_array_equal(np.random.get_state()[1], numpy)


SETTINGS = {
    "dtype_policy": "mixed_float16",
    "floatx": "float64",
    "image_data_format": "channels_first",
}


@pytest.fixture(params=SETTINGS)
def setting(request):
    """What is set in Keras for all layers, and looks the same afterwards."""
    config = import_keras().config
    get, put = getattr(config, request.param), getattr(config, f"set_{request.param}")
    before = get()

    def change():
        put(SETTINGS[request.param])
        return lambda: getattr(get(), "name", get()) == SETTINGS[request.param]

    yield change
    put(before)
    config.set_floatx("float32")


@pytest.mark.parametrize("network", [*NETWORKS, linear, RandomFeatureNetwork(8)])
def test_named_networks_do_not_depend_on_global_settings(setting, network):
    shape = (6,) if isinstance(network, RandomFeatureNetwork) else (10, 10, 3)
    plain = build_network(network, shape, 2)
    is_kept = setting()
    model = build_network(network, shape, 2)
    assert is_kept()
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    for ours, theirs in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == np.float32


@named
def like_compact(shape, n_classes):
    """Build a network with the layers of "compact", and a fifth of its weights to compile."""
    layers = import_keras().layers
    return import_keras().Sequential(
        [
            layers.Input(shape),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(n_classes, activation="softmax"),
        ]
    )


def trained_values():
    X, codes = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1), np.uint8), np.arange(16) % 2
    recipe = Training(epochs=1, batch_size=8, augmentation=None)
    trained = fit_network(like_compact, X, codes, recipe)[0].get_weights()
    margin = MarginClassifier(like_compact, training=recipe, random_state=0).fit(X, codes)
    return [*trained, margin.decision_function(X)]


@pytest.fixture(scope="module")
def plainly_trained_values():
    return trained_values()


@pytest.mark.slow
def test_trainings_of_named_networks_do_not_depend_on_global_settings(
    plainly_trained_values, setting
):
    is_kept = setting()
    for ours, theirs in zip(trained_values(), plainly_trained_values, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert is_kept()
