import numpy as np
import pytest

from penultimate.networks import NETWORKS, FeatureExtractor, build_network
from penultimate.networks.architectures import _staged


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (48, 20, 1)])
def test_every_network_outputs_probabilities_for_every_image(name, shape):
    model = build_network(name, shape, 7)
    outputs = model.predict_on_batch(np.full((2, *shape), 200, np.float32))
    assert outputs.shape == (2, 7)
    np.testing.assert_allclose(outputs.sum(axis=1), 1, rtol=1e-5)


def test_compact_is_small():
    assert build_network("compact", (28, 28, 1), 10).count_params() < 500_000
    assert build_network("compact", (96, 128, 3), 10).count_params() < 2_000_000


def test_wide_doubles_its_channels_from_32():
    model = build_network("wide", (28, 28, 1), 58)
    assert 1_890_000 < model.count_params() < 1_910_000
    convolutions = [layer for layer in model.layers if "conv2d" in layer.name]
    assert [layer.filters for layer in convolutions] == [32, 64, 64, 128, 128]
    assert model.get_layer("flatten").output.shape == (None, 7 * 7 * 128)
    assert model.get_layer("features").output.shape == (None, 256)


@pytest.mark.slow
def test_pooling_first_changes_nothing_if_normalization_keeps_the_order():
    """If its scale is positive, as in a new network, the largest of four stays the largest."""
    first, last = (
        _staged((28, 28, 1), 10, channels=8, pool_first=order, name="staged")
        for order in (True, False)
    )
    last.set_weights(first.get_weights())
    images = np.random.default_rng(0).integers(0, 255, (4, 28, 28, 1), dtype=np.uint8)
    np.testing.assert_allclose(
        first.predict_on_batch(images), last.predict_on_batch(images), rtol=1e-4
    )
    kinds = [type(layer).__name__ for layer in first.layers]
    assert kinds[2:6] == ["Conv2D", "MaxPooling2D", "BatchNormalization", "ReLU"]


def test_plane_has_two_linear_features():
    model = build_network("plane", (28, 28, 1), 10)
    images = np.random.default_rng(0).integers(0, 255, (9, 28, 28, 1), dtype=np.uint8)
    features = FeatureExtractor(model, layer="plane").fit_transform(images)
    np.testing.assert_array_equal(features, FeatureExtractor(model).fit_transform(images))
    assert features.shape == (9, 2)
    assert (features < 0).any()


def test_same_seed_same_weights():
    first, again, other = (build_network("compact", (8, 8, 1), 2, seed=s) for s in (1, 1, 2))
    for a, b in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(
        (a != b).any() for a, b in zip(first.get_weights(), other.get_weights(), strict=True)
    )
