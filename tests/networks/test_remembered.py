"""Features that are computed once within a block, and only by what can be known."""

from contextlib import nullcontext
from copy import deepcopy

import numpy as np
import pytest
from PIL import Image

from penultimate import FeatureExtractor
from penultimate.networks import Preprocessing, build_network, extraction, remembered
from penultimate.networks.extractors import cut_each
from penultimate.networks.remembered import extracted, extracted_each, features_remembered
from penultimate.networks.stored import hashes_of


@pytest.fixture
def passed(monkeypatch):
    """The number of samples that went through a network in each pass."""
    counts = []
    stream = FeatureExtractor.stream_each

    def counted(self, X, rows=None, on_error=None):
        counts.append(len(X) if rows is None else len(rows))
        return stream(self, X, rows, on_error)

    monkeypatch.setattr(FeatureExtractor, "stream_each", counted)
    return counts


@pytest.fixture(scope="module")
def network():
    return build_network("compact", (8, 8, 1), 2)


@pytest.fixture
def extractor(network):
    return FeatureExtractor(network).fit()


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), dtype=np.uint8)


def test_only_new_samples_are_computed_in_whatever_order(extractor, images, passed):
    expected = extraction.extracted(extractor, images)
    passed.clear()
    with features_remembered():
        found = [extracted(extractor, images[rows]) for rows in ([0, 1, 2, 3], [3, 1], [5, 4, 0])]
    assert passed == [4, 2]
    for rows, features in zip(([0, 1, 2, 3], [3, 1], [5, 4, 0]), found):
        np.testing.assert_allclose(features, expected[rows], rtol=1e-5, atol=1e-6)
    found[0][:] = 0  # what a caller does with its array is its own
    assert found[1].any()


@pytest.mark.slow
@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("remembers", [False, True])
def test_all_layers_are_computed_in_one_pass(network, images, passed, remembers, copied):
    layers = ["penultimate", network.layers[2].name, "features"]
    extractors = cut_each(network, layers, 4, images)
    expected = {layer: extraction.extracted(each, images) for layer, each in extractors.items()}
    if copied:  # each of them adapts the network anew
        extractors = {layer: deepcopy(each) for layer, each in extractors.items()}
    passed.clear()
    with features_remembered() if remembers else nullcontext():
        found = extracted_each(extractors, images)
        again = extracted(extractors["features"], images)
    assert passed == ([6] if remembers else [6, 6])
    assert list(found) == layers
    np.testing.assert_allclose(again, found["features"], rtol=1e-5, atol=1e-6)
    for layer, features in expected.items():
        np.testing.assert_allclose(found[layer], features, rtol=1e-5, atol=1e-6)


def test_nothing_is_remembered_outside_of_the_outermost_block(extractor, images, passed):
    with features_remembered():
        with features_remembered():
            extracted(extractor, images)
        extracted(extractor, images)
    assert passed == [6]
    extracted(extractor, images)
    with features_remembered():
        extracted(extractor, images)
    assert passed == [6, 6, 6]


def test_a_network_that_was_trained_further_is_another_one(extractor, network, images, passed):
    with features_remembered():
        before = extracted(extractor, images)
        network.set_weights([2 * each for each in network.get_weights()])
        assert not np.allclose(extracted(extractor, images), before)
    assert passed == [6, 6]


def test_files_are_found_by_their_content(images, tmp_path, passed):
    paths = []
    for number in (0, 1, 0):
        paths.append(str(tmp_path / f"{len(paths)}.png"))
        Image.fromarray(images[number, :, :, 0]).save(paths[-1])
    prepare = Preprocessing(size=8, scale=1.0, channels="gray")
    network = build_network("compact", (8, 8, 1), 2)
    extractor = FeatureExtractor(network, preprocessing=prepare).fit()
    with features_remembered():
        extracted(extractor, np.array(paths[:2], dtype=object))
        again = extracted(extractor, np.array(paths[1:], dtype=object))
        assert passed == [2]
        Image.fromarray(images[5, :, :, 0]).save(paths[1])
        assert not np.allclose(extracted(extractor, np.array(paths[1:], dtype=object)), again)
    assert passed == [2, 1]


def test_what_cannot_be_known_is_computed_each_time(images, passed):
    of_function = FeatureExtractor(lambda batch: batch.reshape(len(batch), -1)).fit(images)
    with features_remembered():
        for _ in range(2):
            assert extracted(of_function, images).shape == (6, 64)
    assert passed == [6, 6]


def test_images_of_pillow_are_compared_by_what_a_network_sees_of_them(passed):
    """Two images of the same indices in two palettes, and one that is turned by its metadata."""
    red, blue, turned = (Image.new("P", (8, 8)) for _ in range(3))
    turned.putpixel((0, 0), 1)
    for image, first in ((red, [255, 0, 0]), (blue, [0, 0, 255]), (turned, [255, 0, 0])):
        image.putpalette([*first, 0, 255, 0])
    upright = turned.copy()
    turned.getexif()[0x0112] = 3
    extractor = FeatureExtractor(
        build_network("compact", (8, 8, 3), 2), preprocessing=Preprocessing(size=8, scale=1.0)
    ).fit()
    images = np.empty(4, object)
    images[:] = [red, blue, turned, upright]
    expected = extraction.extracted(extractor, images)
    assert len(np.unique(expected.round(4), axis=0)) == 4
    passed.clear()
    with features_remembered():
        for part in (images[:1], images, images[::-1]):
            found = extracted(extractor, part)
    np.testing.assert_allclose(found, expected[::-1], rtol=1e-5, atol=1e-6)
    assert passed == [1, 3]
    assert len({each.tobytes() for each in hashes_of(images)[0]}) == 4


def test_memory_is_bounded(extractor, images, passed, monkeypatch):
    monkeypatch.setattr(remembered, "_MOST_BYTES", 0)
    with features_remembered():
        first, again = extracted(extractor, images), extracted(extractor, images)
    assert passed == [6, 6]
    np.testing.assert_array_equal(first, again)


def test_no_samples_are_an_error_as_ever(extractor, images):
    with features_remembered(), pytest.raises(ValueError, match="no samples"):
        extracted(extractor, images[:0])
