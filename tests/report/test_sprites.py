import base64
import io

import numpy as np
import pytest
from PIL import Image

from penultimate.report.sprites import make_sprite_sheet


def decode(sheet):
    data = base64.b64decode(sheet.uri.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("n_samples", [1, 20, 21, 47])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_is_at_its_place(n_samples, channels):
    images = np.random.default_rng(0).integers(0, 255, (n_samples, 9, 7, channels), dtype=np.uint8)
    sheet = make_sprite_sheet(images)
    picture = decode(sheet).reshape(sheet.rows * 9, sheet.columns * 7, channels)
    for index, image in enumerate(images):
        top, left = index // sheet.columns * 9, index % sheet.columns * 7
        np.testing.assert_array_equal(picture[top : top + 9, left : left + 7], image)


def test_large_images_shrink_and_keep_their_sides():
    sheet = make_sprite_sheet(np.zeros((2, 384, 512, 3), np.uint8))
    assert (sheet.width, sheet.height) == (48, 36)


def test_floats_are_pixels():
    assert decode(make_sprite_sheet(np.full((1, 8, 8, 1), 200.0, np.float32))).max() == 200


def test_no_images():
    assert make_sprite_sheet(np.zeros((0, 8, 8, 1), np.uint8)) is None
