import warnings
from functools import partial

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from penultimate import FeatureExtractor
from penultimate._common.progress import Progress
from penultimate.networks import build_network, predict_probabilities
from penultimate.networks._inputs import check_shape
from penultimate.networks.extraction import extracted
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.frameworks.keras_models import cut


@pytest.fixture(scope="module")
def network():
    return build_network("compact", (8, 8, 1), 3)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 255, (10, 8, 8, 1), dtype=np.uint8)


def test_features_are_the_layer_outputs(network, images):
    extractor = FeatureExtractor(network, batch_size=4).fit()
    features = extractor.transform(images)
    assert (features.shape, features.dtype) == ((10, 128), np.float32)
    assert (features >= 0).all()
    named = FeatureExtractor(network, layer="features", batch_size=4).fit_transform(images)
    # "penultimate" skips the dropout in between, which has no effect at inference.
    np.testing.assert_allclose(features, named, rtol=1e-6)


def test_missing_channel_axis_is_added(network, images):
    extractor = FeatureExtractor(network).fit()
    np.testing.assert_array_equal(extractor.transform(images[..., 0]), extractor.transform(images))


def test_floats_and_bytes_of_the_same_values_agree(network, images):
    extractor = FeatureExtractor(network).fit()
    np.testing.assert_array_equal(
        extractor.transform(images.astype(np.float64)), extractor.transform(images)
    )


def test_it_is_a_scikit_learn_transformer(network, images):
    extractor = FeatureExtractor(network).fit(images)
    assert extractor.get_feature_names_out()[:2].tolist() == [
        "featureextractor0",
        "featureextractor1",
    ]
    assert len(extractor.get_feature_names_out()) == extractor.n_features_out_ == 128
    assert clone(extractor).get_params()["layer"] == "penultimate"
    y = np.arange(10) % 2
    assert make_pipeline(FeatureExtractor(network), LinearSVC()).fit(images, y).predict(images).size


def test_probabilities_as_features_warn(network):
    with pytest.warns(UserWarning, match="softmax output fed to an SVM"):
        FeatureExtractor(network, layer="probabilities").fit()


@pytest.mark.parametrize("network_", ["compact", None, np.zeros(3)])
def test_not_a_model(network_):
    with pytest.raises(TypeError, match="must be a trained network"):
        FeatureExtractor(network_).fit()


def test_wrong_shape(network):
    with pytest.raises(ValueError, match="images are 9 x 9 x 1; the network takes 8 x 8 x 1: res"):
        FeatureExtractor(network).fit(np.zeros((2, 9, 9, 1)))


def test_nan(network):
    with pytest.raises(ValueError, match="NaN or infinity"):
        FeatureExtractor(network).fit().transform(np.full((2, 8, 8, 1), np.nan))


def test_bad_batch_size(network):
    with pytest.raises(ValueError, match="'batch_size' parameter of FeatureExtractor"):
        FeatureExtractor(network, batch_size=0).fit()


def test_progress_reports_every_batch(network, images):
    heard = []

    class Listener(Progress):
        def update(self, step, done, total):
            heard.append((step, done, total))

    extracted(FeatureExtractor(network, batch_size=4).fit(), images, Listener())
    assert heard == [("extract features", done, 10) for done in (4, 8, 10)]


def test_probabilities(network, images):
    np.testing.assert_allclose(predict_probabilities(network, images).sum(axis=1), 1, rtol=1e-5)


def test_probabilities_of_a_network_that_ends_in_logits():
    layers = import_keras().layers
    logits = import_keras().Sequential([layers.Input((4,)), layers.Dense(3)])
    X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    scores = logits.predict_on_batch(X)
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predict_probabilities(logits, X), expected, rtol=1e-5)


def two_inputs():
    keras = import_keras()
    layers = keras.layers
    image, facts = keras.Input((8, 8, 1), name="image"), keras.Input((3,), name="facts")
    seen = layers.Dense(4, name="seen")(layers.Flatten()(image))
    known = layers.Dense(4, name="known")(facts)
    hidden = layers.Dense(5, activation="relu")(layers.Concatenate()([known, seen]))
    return keras.Model([image, facts], layers.Dense(2, activation="softmax")(hidden))


def test_several_inputs_are_a_list_or_a_dict(images):
    network, facts = two_inputs(), np.random.default_rng(0).random((10, 3))
    extractor = FeatureExtractor(network, batch_size=4).fit()
    assert extractor.input_shape_ == {"image": (8, 8, 1), "facts": (3,)}
    features = extractor.transform([images, facts])
    keras = import_keras()
    hidden = keras.Model(network.inputs, network.layers[-1].input)
    expected = hidden.predict_on_batch([images.astype(np.float32), facts.astype(np.float32)])
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-4)
    named = {"facts": facts, "image": images, "other": None}
    np.testing.assert_array_equal(extractor.transform(named), features)
    probabilities = predict_probabilities(network, named)
    np.testing.assert_array_equal(predict_probabilities(network, [images, facts]), probabilities)


@pytest.mark.parametrize(
    ("layer", "name", "shape"), [("seen", "image", (8, 8, 1)), ("known", "facts", (3,))]
)
def test_only_the_required_inputs(images, layer, name, shape):
    both = {"image": images, "facts": np.random.default_rng(0).random((10, 3))}
    extractor = FeatureExtractor(two_inputs(), layer=layer).fit(both[name])
    assert extractor.input_shape_ == shape
    features = extractor.transform(both[name])
    for X in (list(both.values()), {name: both[name]}, dict(reversed(both.items()))):
        np.testing.assert_array_equal(extractor.transform(X), features)


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((10, 8, 8, 1)),
        [np.zeros((10, 8, 8, 1))],
        {"image": np.zeros((10, 8, 8, 1))},
        [np.zeros((10, 8, 8, 1))] * 3,
    ],
)
def test_missing_inputs(X):
    with pytest.raises(
        ValueError, match=r"takes 2 inputs, 'image' \(8, 8, 1\), 'facts' \(3,\); got"
    ):
        FeatureExtractor(two_inputs()).fit().transform(X)


def test_inputs_of_different_lengths():
    with pytest.raises(ValueError, match=r"one row per sample; got \[3, 2\]"):
        FeatureExtractor(two_inputs()).fit([np.zeros((3, 8, 8, 1)), np.zeros((2, 3))])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 8, 8, 3), r"move their channels first, as with numpy.moveaxis\(X, -1, 1\)"),
        ((2, 3, 9, 7), r"resize them, or let Preprocessing\(size=...\) do it"),
        ((2, 1, 8, 8), r"repeat their gray channel, as with numpy.repeat\(X, 3, axis=1\)"),
        ((2, 4, 8, 8), r"drop their alpha channel, as with X\[:, :3\]"),
        ((2, 2, 8, 8), "give them 3 channels"),
        (
            (2, 9, 7, 3),
            r"move their channels first, as with numpy.moveaxis\(X, -1, 1\), and resize",
        ),
        ((2, 9, 9, 1), "move their channels first, .* and resize them"),
        ((2, 8, 8), r"no channels; make 3 .* numpy.repeat\(X\[:, None\], 3, axis=1\)"),
    ],
)
def test_samples_of_a_wrong_shape_for_channels_before_places(shape, message):
    """As in ONNX files."""
    with pytest.raises(ValueError, match=f"the network takes 3 x 8 x 8: .*{message}"):
        check_shape(np.zeros(shape), (3, 8, 8))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((8, 8, 3)), r"X is one sample, of shape \(8, 8, 3\); pass X\[None\]"),
        (np.zeros((2, 9, 7, 3)), "images are 9 x 7 x 3; the network takes 8 x 8 x 3: resize"),
        (np.zeros((2, 8, 8, 1)), r"8 x 8 x 1; .*: repeat their gray channel, .*repeat\(X, 3"),
        (np.zeros((2, 8, 8, 4)), r"8 x 8 x 4; .*: drop their alpha channel, .*X\[..., :3\]"),
        (np.zeros((2, 8, 8, 2)), "8 x 8 x 2; .*: give them 3 channels"),
        (np.zeros((2, 8, 8)), r"8 x 8; .*no channels; .*repeat\(X\[..., None\], 3"),
        (np.zeros((2, 3, 8, 8)), "images are 3 x 8 x 8; .*: move their channels last"),
        (
            np.zeros((2, 3, 9, 7)),
            "images are 3 x 9 x 7; .*: move their channels last, .* and resize",
        ),
        (np.zeros((2, 192)), r"samples of shape \(8, 8, 3\); got X of shape \(2, 192\)"),
        ([np.zeros((8, 8, 3)), np.zeros((9, 8, 3))], "resize all images to one size"),
    ],
)
def test_samples_of_a_wrong_shape(X, message):
    layers = import_keras().layers
    network = import_keras().Sequential([layers.Input((8, 8, 3)), layers.Flatten()])
    extractor = FeatureExtractor(network)
    uses = (extractor.fit, extractor.fit().transform, partial(predict_probabilities, network))
    for use in uses:
        with pytest.raises(ValueError, match=message):
            use(X)


def test_one_grayscale_image(network):
    for X in (np.zeros((8, 8)), np.zeros((8, 8, 1))):
        with pytest.raises(ValueError, match=r"pass X\[None\]"):
            FeatureExtractor(network).fit(X)


@pytest.mark.parametrize("X", [["a.png", "b.png"], np.array([None, 3]), iter([1, 2]), 5])
def test_input_that_is_not_numeric(network, X):
    with pytest.raises(TypeError, match="must be an array of numbers|takes arrays: X of shape"):
        FeatureExtractor(network).fit(X)


@pytest.mark.parametrize("layer", [None, 3, [3]])
def test_a_layer_has_a_name(network, layer):
    with pytest.raises(TypeError, match="'layer' parameter of FeatureExtractor must be the name"):
        FeatureExtractor(network, layer=layer).fit()


def test_the_position_of_the_cut(network):
    extractor = FeatureExtractor(network).fit()
    assert (extractor.layer_, extractor.cut_at_) == ("features", "the input of 'probabilities'")
    named = FeatureExtractor(network, layer="flatten").fit()
    assert (named.layer_, named.cut_at_) == ("flatten", "the output of 'flatten'")
    headless = FeatureExtractor(cut(network, "penultimate")).fit()
    assert (headless.layer_, headless.cut_at_) == ("features", "the network's output")


def test_images_of_any_size():
    keras = import_keras()
    layers = keras.layers
    image = keras.Input((None, None, 1))
    maps = layers.Conv2D(4, 3, activation="relu", name="maps")(image)
    network = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(maps)))
    small, large = np.zeros((2, 6, 8, 1)), np.zeros((2, 9, 9, 1))
    pooled = FeatureExtractor(network).fit(small)
    assert pooled.transform(small).shape == pooled.transform(large).shape == (2, 4)
    extractor = FeatureExtractor(network, layer="maps").fit()
    assert extractor.n_features_out_ is None
    assert extractor.transform(large).shape == (2, 196)
    with pytest.raises(ValueError, match="depends on the images' size"):
        extractor.get_feature_names_out()
    assert extractor.fit(small).n_features_out_ == 96
    with pytest.raises(ValueError, match="have 196 features at 'maps', .* had 96"):
        extractor.transform(large)


def test_samples_on_another_scale_are_noticed(network, images):
    extractor = FeatureExtractor(network).fit()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        extractor.transform(images)
    with pytest.warns(UserWarning, match=r"rescaling pixels from 0 to 255.*Multiply by 255"):
        extractor.transform(images / 255)
    with pytest.warns(UserWarning, match="Undo the standardization"):
        extractor.transform(images / 100 - 1)
    # A network that does not say what it takes: as in fit.
    layers = import_keras().layers
    plain = import_keras().Sequential([layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2)])
    extractor = FeatureExtractor(plain).fit(images / 255)
    with pytest.warns(UserWarning, match="FeatureExtractor was fitted on.*Divide by 255"):
        extractor.transform(images)


def test_an_object_of_a_framework_that_is_no_network():
    module = type("Linear", (), {"__module__": "torch.nn.modules.linear"})()
    with pytest.raises(TypeError, match=r"Pass the torch\.nn\.Module itself"):
        FeatureExtractor(module).fit()
