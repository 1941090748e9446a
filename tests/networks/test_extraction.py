import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from penultimate import FeatureExtractor
from penultimate._progress import Progress
from penultimate.networks import build_network, predict_probabilities
from penultimate.networks._backend import import_keras


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
    # "penultimate" removes the dropout in between, which does nothing at inference.
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
def test_no_model(network_):
    with pytest.raises(TypeError, match="must be a trained Keras model"):
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


def test_progress_hears_every_batch(network, images):
    heard = []

    class Listener(Progress):
        def update(self, step, done, total):
            heard.append((step, done, total))

    FeatureExtractor(network, batch_size=4).fit().extract(images, Listener())
    assert heard == [("extract features", done, 10) for done in (4, 8, 10)]


def test_probabilities(network, images):
    np.testing.assert_allclose(predict_probabilities(network, images).sum(axis=1), 1, rtol=1e-5)


def test_probabilities_are_such_where_the_network_ends_in_logits():
    layers = import_keras().layers
    logits = import_keras().Sequential([layers.Input((4,)), layers.Dense(3)])
    X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    scores = logits.predict_on_batch(X)
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predict_probabilities(logits, X), expected, rtol=1e-5)
