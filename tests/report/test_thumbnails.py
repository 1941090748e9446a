import base64
import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from penultimate import Dataset
from penultimate.report.thumbnails import LARGEST_SIDE, SMALLEST_SIDE, make_thumbnails


def decode(thumbnail):
    data = base64.b64decode(thumbnail.uri.removeprefix("data:image/webp;base64,"))
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    assert picture.size == (thumbnail.width, thumbnail.height)
    return np.asarray(picture)


@pytest.mark.parametrize("channels", [1, 3])
def test_small_images_keep_every_pixel(channels):
    images = np.random.default_rng(0).integers(0, 255, (3, 9, 7, channels), dtype=np.uint8)
    data = Dataset.from_arrays(images, list("aba"))
    for image, thumbnail in zip(images[[2, 0]], make_thumbnails(data, [2, 0]), strict=True):
        np.testing.assert_array_equal(decode(thumbnail), np.broadcast_to(image, (9, 7, 3)))


def photo(folder, suffix):
    """A file that is wider than high, while the network sees a gray square."""
    path = folder / f"a photo {suffix}"
    Image.new("RGB", (800, 400), (200, 30, 30)).save(path)
    data = Dataset.from_arrays(np.full((2, 8, 8, 3), 90, np.uint8), ["a", "b"])
    files = np.array([str(path), str(folder / "absent.jpg")])
    return dataclasses.replace(data, files=files)


@pytest.mark.parametrize("suffix", ["1.jpg", "2.png"])
def test_files_are_shown_with_their_own_sides(tmp_path, suffix):
    of_file, absent = make_thumbnails(photo(tmp_path, suffix), [0, 1])
    assert (of_file.width, of_file.height) == (LARGEST_SIDE, LARGEST_SIDE // 2)
    assert np.abs(decode(of_file).mean(axis=(0, 1)) - [200, 30, 30]).max() < 12
    # A file that is gone: what the network saw.
    assert (decode(absent) == 90).all()


def test_many_are_smaller_and_never_too_small():
    data = Dataset.from_arrays(np.zeros((2, 300, 300, 3), np.uint8), ["a", "b"])
    few, many = (make_thumbnails(data, [0] * n)[0].width for n in (1, 300))
    assert few == LARGEST_SIDE
    assert many == SMALLEST_SIDE


def test_none():
    data = Dataset.from_arrays(np.zeros((2, 8, 8), np.uint8), ["a", "b"])
    assert make_thumbnails(data, np.array([], int)) == []
