import io

import numpy as np
import pytest
from PIL import Image

from penultimate._common.image_items import Images

GREEN = np.full((4, 5, 3), (0, 200, 0), np.uint8)


def saved(pixels, kind="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def test_every_form_gives_the_same_pixels(tmp_path):
    (tmp_path / "a.png").write_bytes(saved(GREEN))
    items = [GREEN, Image.fromarray(GREEN), saved(GREEN), tmp_path / "a.png", GREEN.astype(int)]
    images = Images.of(items)
    assert len(images) == 5
    for index in range(5):
        assert np.array_equal(images[index], GREEN)


@pytest.mark.parametrize("items", [GREEN[np.newaxis], [GREEN, GREEN[:2]], [GREEN, GREEN]])
def test_arrays_need_no_decoding(items):
    assert Images.of(items).are_arrays


@pytest.mark.parametrize(
    "items", [["a.png"], np.array(["a.png"]), [GREEN, b""], [Image.fromarray(GREEN), GREEN]]
)
def test_other_items_do(items):
    assert not Images.of(items).are_arrays


def test_sixteen_bits_are_brought_to_the_scale_of_eight():
    deep = saved(np.full((3, 3), 65535, np.uint16))
    assert Images.of([deep])[0].max() == 255


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([np.full((4, 4), 0.5), np.full((4, 4), 200.0)], None),
        ([np.eye(4)], "all of them 0 or 1"),
        ([], "no images"),
        (b"", "one image; pass a list"),
        (np.zeros((4, 4)), "must have the shape"),
    ],
)
def test_the_scale_and_form_of_what_is_given(items, message):
    if message is None:
        assert Images.of(items).factor == 1  # of all: one of them goes beyond 1
        return
    with pytest.raises(ValueError, match=message):
        Images.of(items)
