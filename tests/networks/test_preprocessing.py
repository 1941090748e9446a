import numpy as np
import pytest
from PIL import Image

from penultimate._common import resizing
from penultimate.networks import Preprocessing

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (37, 53, 3), dtype=np.uint8)


def by_pillow(image, size, filter_=Image.Resampling.BILINEAR):
    planes = [Image.fromarray(image[..., c].astype(np.float32)) for c in range(image.shape[2])]
    return np.stack([np.asarray(p.resize(size[::-1], filter_)) for p in planes], axis=-1)


def test_nothing_stated_nothing_done():
    np.testing.assert_array_equal(Preprocessing().apply(PHOTO), PHOTO.astype(np.float32))


@pytest.mark.parametrize("size", [(8, 8), (37, 20), (90, 70), (1, 1)])
def test_resizing_is_antialiased_and_in_float(size):
    resized = Preprocessing(size=size).apply(PHOTO)
    np.testing.assert_allclose(resized, by_pillow(PHOTO, size), atol=1e-4)
    if size == (1, 1):
        assert np.any(resized != np.round(resized))


def test_values_are_scaled_in_the_order_of_the_channels():
    colors = np.zeros((4, 4, 3), np.uint8) + np.array([255, 51, 0], np.uint8)
    prepare = Preprocessing(
        scale=1 / 255, mean=(0.0, 0.1, 0.2), std=(1.0, 2.0, 4.0), channels="bgr"
    )
    np.testing.assert_allclose(prepare.apply(colors)[0, 0], [0, 0.05, 0.2], atol=1e-6)
    first = Preprocessing(channels_first=True).apply(colors)
    assert first.shape == (3, 4, 4)
    assert first.flags.c_contiguous


def test_gray_and_color():
    gray = PHOTO[..., 0]
    for image in (gray, gray[..., np.newaxis]):
        np.testing.assert_array_equal(Preprocessing().apply(image)[..., 2], gray)
    luma = Preprocessing(channels="gray").apply(PHOTO)
    assert luma.shape == (37, 53, 1)
    expected = np.asarray(Image.fromarray(PHOTO).convert("L"), np.float32)
    assert np.abs(luma[..., 0] - expected).max() <= 1


def test_a_crop_keeps_the_aspect_ratio_and_the_center():
    wide = np.zeros((40, 80, 3), np.uint8)
    wide[:, 38:42] = 255
    for crop in (1.0, 0.875, 0.5):
        cropped = Preprocessing(size=20, crop=crop).apply(wide)
        assert cropped.shape == (20, 20, 3)
        columns = cropped[..., 0].mean(axis=0)
        np.testing.assert_allclose(columns, columns[::-1], atol=0.1)
        assert columns[9:11].min() == columns.max()
    # With 1 the whole height is seen: 40 rows are 20, so that the bar of 4 columns is 2 wide.
    columns = Preprocessing(size=20, crop=1.0).apply(wide)[..., 0].mean(axis=0)
    assert columns.sum() == pytest.approx(2 * 255, rel=0.01)


def test_one_pixel_and_one_row():
    for shape in ((1, 1, 3), (1, 500, 3), (500, 1)):
        for crop in (None, 0.875):
            assert Preprocessing(size=16, crop=crop).apply(np.ones(shape)).shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"size": (3, 4, 5)}, ValueError, "one number or"),
        ({"size": 0}, ValueError, "size"),
        ({"size": 2.5}, (TypeError, ValueError), "size"),
        ({"crop": 0.9}, ValueError, "needs a 'size'"),
        ({"size": 8, "crop": 1.5}, ValueError, "crop"),
        ({"mean": (1, 2)}, ValueError, "one per channel of 'rgb'"),
        ({"std": 0}, ValueError, "must not be 0"),
        ({"std": (1, 0, 1)}, ValueError, "must not be 0"),
        ({"channels": "rgba"}, ValueError, "channels"),
        ({"interpolation": "nearest"}, ValueError, "interpolation"),
        ({"draft": "no"}, TypeError, "'draft' parameter of Preprocessing must be True or False"),
    ],
)
def test_what_is_no_preprocessing(settings, error, message):
    with pytest.raises(error, match=message):
        Preprocessing(**settings)


@pytest.mark.parametrize("shape", [(3,), (4, 4, 4), (4, 4, 2), (0, 4, 3), (2, 4, 4, 3)])
def test_what_is_no_image(shape):
    with pytest.raises(ValueError, match="An image must have the shape"):
        Preprocessing(size=4).apply(np.zeros(shape))


def test_words_say_that_files_are_reduced():
    words = Preprocessing(size=224, crop=0.875).in_words()
    assert "large JPEG photos decoded at 1/2, 1/4 or 1/8 of their size, at least 512 x 512" in words
    for whole in (Preprocessing(size=224, draft=False), Preprocessing(scale=1 / 255)):
        assert "JPEG" not in whole.in_words()


def test_equal_ones_have_equal_digests():
    one = Preprocessing(size=8, mean=1)
    assert one == Preprocessing(size=(8, 8), mean=1.0)
    assert one.digest() == Preprocessing(size=(8, 8), mean=1.0).digest()
    others = [
        Preprocessing(size=9, mean=1),
        Preprocessing(size=8),
        Preprocessing(size=8, mean=1, crop=1),
        Preprocessing(size=8, mean=1, draft=False),
    ]
    assert len({one.digest(), *(each.digest() for each in others)}) == 5
    assert len(one.digest()) == 32


@pytest.mark.parametrize("name", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("shape", [(7, 1000, 3), (300, 200, 1), (1, 1, 3)])
def test_every_filter_is_pillows_also_in_blocks_of_columns(monkeypatch, name, shape):
    monkeypatch.setattr(resizing, "_BLOCK", 1000)
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    resized = Preprocessing(size=(33, 64), crop=1.0, interpolation=name)._resized(image)
    factor = max(33 / shape[0], 64 / shape[1])
    whole = (max(33, int(shape[0] * factor + 0.5)), max(64, int(shape[1] * factor + 0.5)))
    expected = by_pillow(image, whole, Image.Resampling[name.upper()])
    top, left = (whole[0] - 33) // 2, (whole[1] - 64) // 2
    expected = expected[top : top + 33, left : left + 64]
    np.testing.assert_allclose(resized, expected, atol=5e-4)
