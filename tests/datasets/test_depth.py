"""Images of 16 bits, by what they hold."""

import cv2
import numpy as np
import pytest
from PIL import Image

from penultimate import datasets
from penultimate.datasets.depth import held_bits, to_8_bits
from penultimate.splits import count_copies

BITS = [8, 10, 12, 14, 16]


@pytest.mark.parametrize(
    ("top", "bits"), [(0, 1), (1, 1), (255, 8), (256, 10), (4095, 12), (65535, 16)]
)
def test_bits_that_hold_a_value(top, bits):
    assert held_bits(top) == bits


@pytest.mark.parametrize("bits", BITS)
def test_scale_is_straight_and_full(bits):
    values = np.arange(1 << bits, dtype=np.uint16)
    scaled = to_8_bits(values, bits)
    assert (scaled[0], scaled[-1]) == (0, 255)
    assert np.abs(scaled - values * (255 / values[-1])).max() <= 0.5


def write(folder, name, values, form):
    folder.mkdir(parents=True, exist_ok=True)
    if form in ("png", "tiff"):
        Image.fromarray(values.astype(np.uint16)).save(folder / f"{name}.{form}")
    elif form == "big-endian":
        Image.fromarray(values.astype(">u2")).save(folder / f"{name}.tiff")
    else:  # in color
        colors = np.stack([values, values // 2, values // 4], axis=-1).astype(np.uint16)
        cv2.imwrite(str(folder / f"{name}.{form.removeprefix('color-')}"), colors[..., ::-1])


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("form", ["png", "tiff", "big-endian", "color-png", "color-tiff"])
@pytest.mark.parametrize("size", [None, (8, 8)])
def test_one_scale_for_all_by_what_the_data_holds(tmp_path, bits, form, size):
    rng = np.random.default_rng(0)
    top, given = (1 << bits) - 1, {}
    for k, label in enumerate(("dark", "light")):
        for index in range(3):
            values = rng.integers(0, top // 2 + 1, (16, 16)) + k * (top // 2)
            values[0, 0] = k * top
            given[label, index] = values
            write(tmp_path / label, index, values, form)
    data = datasets.load(tmp_path, image_size=size)
    assert data.images.dtype == np.uint8
    (note,) = [note for note in data.notes if "16 bits per pixel" in note]
    assert f"taken to hold {bits} bits: values from 0 to {top:,} " in note
    if size is not None:
        assert data.images[data.labels == 1].mean() > 2 * data.images[data.labels == 0].mean()
        return
    for k, (image, label) in enumerate(zip(data.images, data.labels)):
        values = given[data.classes[label], k % 3]
        channels = (values, values // 2, values // 4) if form.startswith("color") else (values,)
        for channel, expected in enumerate(channels):
            off = np.abs(image[..., channel] - expected * (255 / top))
            assert off.max() <= 0.51


def test_dark_images_with_one_bright_pixel_are_noted(tmp_path):
    for label in ("a", "b"):
        for index in range(5):
            values = np.full((8, 8), 900 + index)
            values[0, 0] = 65535 if (label, index) == ("a", 0) else 4000
            write(tmp_path / label, index, values, "png")
    assert "nearly black now" in datasets.load(tmp_path).notes[0]


def test_mixed_eight_and_sixteen_bits(tmp_path):
    for k, label in enumerate(("a", "b")):
        write(tmp_path / label, "deep", np.full((8, 8), 1000 * (k + 3)), "png")
        Image.fromarray(np.full((8, 8), 77, np.uint8)).save(tmp_path / label / "plain.png")
    data = datasets.load(tmp_path)
    assert data.images[:, 0, 0, 0].tolist() == [187, 77, 249, 77]
    assert data.notes[0].startswith("2 of 4 images came with 16 bits")


def test_deep_color_with_transparency_is_refused(tmp_path):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        cv2.imwrite(str(tmp_path / label / "0.png"), np.full((8, 8, 4), 3000, np.uint16))
    with pytest.raises(ValueError, match="16 bits per channel and transparency"):
        datasets.load(tmp_path)


def test_copies_of_deep_images_are_known(tmp_path):
    for label in ("a", "b"):
        for index in range(4):
            write(tmp_path / label, index, np.full((8, 8), 1000 + index // 2), "png")
    assert count_copies(datasets.load(tmp_path).fingerprint()) == 6


def test_arrays_of_sixteen_bits(tmp_path):
    images = np.arange(4 * 64, dtype=np.uint16).reshape(4, 8, 8) * 16
    np.savez(tmp_path / "deep.npz", X=images, y=[0, 1, 0, 1])
    data = datasets.load(tmp_path / "deep.npz")
    assert data.images.max() == 254
    assert "taken to hold 12 bits" in data.notes[0]


def pnm(path, pixels, kind, white):
    """Write 16 bits in binary (P5, P6) or in plain text (P2, P3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = " ".join(map(str, pixels.ravel())).encode()
    content = plain if kind in ("P2", "P3") else pixels.astype(">u2").tobytes()
    height, width = pixels.shape[:2]
    path.write_bytes(f"{kind} {width} {height} {white}\n".encode() + content)


@pytest.mark.parametrize("kind", ["P2", "P3", "P5", "P6"])
@pytest.mark.parametrize(
    ("white", "highest", "scale", "words"),
    [
        (65535, 200, 1, "taken to hold 8 bits"),
        (65535, 4095, 255 / 4095, "taken to hold 12 bits"),
        (65535, 65535, 255 / 65535, "taken to hold 16 bits"),
        (4095, 1000, 255 / 4095, "by the maximum stated in the file"),
        (300, 300, 255 / 300, "by the maximum stated in the file"),
    ],
)
def test_portable_pixmaps(tmp_path, kind, white, highest, scale, words):
    shape = (6, 5, 3) if kind in ("P3", "P6") else (6, 5)
    pixels = np.random.default_rng(0).integers(0, highest + 1, (4, *shape))
    pixels[0, 0, 0] = highest
    for k in range(4):
        pnm(tmp_path / "ab"[k % 2] / f"{k}.ppm", pixels[k], kind, white)
    data = datasets.load(tmp_path)
    expected = pixels[[0, 2, 1, 3]] * scale
    assert np.abs(data.images.reshape(expected.shape) - expected).max() <= 0.51
    assert data.notes[0].startswith("4 images")
    assert words in data.notes[0]


def test_grey_and_colored_pixmaps_are_counted_together(tmp_path):
    for k, label in enumerate("ab"):
        pixels = np.full((6, 5, 3), 1000 * (k + 3))
        pixels[0, 0] = 1, 2, 3
        pnm(tmp_path / label / "grey.pgm", pixels[..., 0], "P5", 65535)
        pnm(tmp_path / label / "color.ppm", pixels, "P6", 65535)
    data = datasets.load(tmp_path)
    assert data.notes[0].startswith("4 images came with 16 bits")
    assert data.images[:, 5, 0, 0].tolist() == [187, 187, 249, 249]


def test_a_pixmap_that_breaks_off(tmp_path):
    pnm(tmp_path / "a" / "0.ppm", np.full((6, 5, 3), 4000), "P6", 65535)
    content = (tmp_path / "a" / "0.ppm").read_bytes()
    (tmp_path / "a" / "0.ppm").write_bytes(content[:-1])
    with pytest.raises(ValueError, match=r"0.ppm: .*or is truncated"):
        datasets.load(tmp_path)
