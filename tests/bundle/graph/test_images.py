"""Images are prepared in the graph as in Python."""

import json

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto

from penultimate.bundle.graph import ExportError
from penultimate.bundle.graph._builder import GraphBuilder
from penultimate.bundle.graph._images import beyond_none, first, prepare_images
from penultimate.networks import Preprocessing

SIZES = [(1, 1), (1, 9), (7, 3), (16, 16), (17, 16), (28, 28), (90, 100), (33, 260), (480, 641)]
PREPROCESSINGS = [
    Preprocessing(size=16),
    Preprocessing(size=16, interpolation="bicubic", channels="gray", channels_first=True),
    Preprocessing(size=(17, 12), crop=0.875, channels="bgr", scale=1 / 255, std=(0.2, 0.3, 0.4)),
    Preprocessing(size=32, crop=1, interpolation="bicubic", mean=127, std=128),
    Preprocessing.imagenet(24),
    Preprocessing(channels="gray", scale=1 / 255),
    Preprocessing(channels_first=True),
]


def session_of(preprocessing):
    graph = GraphBuilder()
    value = prepare_images(graph, preprocessing)
    model = graph.finish({"out": (value, TensorProto.FLOAT, ["n", "a", "b", "c"])})
    return onnxruntime.InferenceSession(model.SerializeToString()), model


@pytest.mark.parametrize("preprocessing", PREPROCESSINGS, ids=lambda each: each.in_words())
def test_pixels_agree_at_every_size(preprocessing):
    session, _ = session_of(preprocessing)
    rng = np.random.default_rng(0)
    for size in SIZES:
        for n_channels in (1, 3):
            images = rng.integers(0, 256, (2, *size, n_channels), dtype=np.uint8)
            (found,) = session.run(None, {"images": images})
            expected = np.stack([preprocessing.apply(image) for image in images])
            assert found.shape == expected.shape
            pixels = np.abs(found - expected) * np.max(preprocessing.std) / preprocessing.scale
            assert pixels.max() < 0.01


def test_an_image_of_the_right_size_is_unchanged():
    session, _ = session_of(Preprocessing(size=8, interpolation="bicubic"))
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(session.run(None, {"images": images})[0], images)


def test_what_is_done_is_written_into_the_model():
    _, model = session_of(PREPROCESSINGS[2])
    stated = {each.key: each.value for each in model.metadata_props}
    assert Preprocessing(**json.loads(stated["preprocessing"])) == PREPROCESSINGS[2]


def test_lanczos_has_no_counterpart():
    with pytest.raises(ExportError, match="'lanczos'.* Use 'bicubic', which is closest, or 'bil"):
        session_of(Preprocessing(size=8, interpolation="lanczos"))


@pytest.mark.parametrize("shape", [(4, 5, 3), (None, None, 3)])
def test_in_place_of_no_images_there_is_a_blank_one(shape):
    graph = GraphBuilder()
    images = graph.input("images", TensorProto.FLOAT, ["n", "h", "w", 3])
    several, count = beyond_none(graph, images, shape)
    # What a network may do, and what fails for 0 rows.
    flat = graph.add("Reshape", several, graph.constant([0, -1]))
    value = first(graph, flat, count)
    model = graph.finish(
        {
            "inside": (several, TensorProto.FLOAT, ["n", "h", "w", 3]),
            "rows": (value, TensorProto.FLOAT, ["n", "width"]),
        }
    )
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for n_images, n_inside in ((0, 1), (1, 1), (3, 3)):
        given = np.ones((n_images, 4, 5, 3), np.float32)
        inside, rows = session.run(None, {"images": given})
        assert inside.shape == (n_inside, 4, 5, 3)
        np.testing.assert_array_equal(rows, given.reshape(n_images, 60))
