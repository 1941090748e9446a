import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from penultimate._common import decoding
from penultimate._common.decoding import decode_image
from penultimate._common.progress import Progress
from penultimate.datasets.images import decode_images


def save(path, array, **kwargs):
    Image.fromarray(array).save(path, **kwargs)
    return path


@pytest.fixture
def grey(tmp_path):
    return save(tmp_path / "grey.png", np.arange(64, dtype=np.uint8).reshape(8, 8))


@pytest.fixture
def color(tmp_path):
    return save(tmp_path / "color.png", np.full((8, 8, 3), (9, 8, 7), np.uint8))


def test_grayscale_keeps_one_channel(grey):
    decoded = decode_images([grey, grey])
    assert decoded.images.shape == (2, 8, 8, 1)
    assert decoded.images.dtype == np.uint8
    np.testing.assert_array_equal(decoded.images[0, ..., 0].ravel(), np.arange(64))
    assert decoded.notes == []


def test_mixed_channels_become_color_with_a_note(grey, color):
    decoded = decode_images([grey, color])
    assert decoded.images.shape == (2, 8, 8, 3)
    assert decoded.images[1, 0, 0].tolist() == [9, 8, 7]
    assert decoded.notes == ["1 grayscale image was converted to color."]


def test_resizing_is_stated(grey):
    decoded = decode_images([grey], image_size=(4, 6))
    assert decoded.images.shape == (1, 4, 6, 1)
    assert decoded.notes == ["Images were resized to 4 x 6 (from 8 x 8)."]


def test_mixed_sizes(grey, tmp_path):
    other = save(tmp_path / "wide.png", np.zeros((8, 9), np.uint8))
    with pytest.raises(
        ValueError, match=r"8 x 8 \(grey.png\) and 8 x 9 \(wide.png\).*image_size=\(64, 64\)"
    ):
        decode_images([grey, other])


def test_truncated_file(grey, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(grey.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"broken.png: .*skip_corrupt=True"):
        decode_images([grey, broken])
    decoded = decode_images([broken, grey], skip_corrupt=True)
    assert decoded.read == [1]
    assert "broken.png" in decoded.unreadable[0]


def test_no_image(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("not an image")
    with pytest.raises(ValueError, match="notes.txt: it is not an image in a known format"):
        decode_image(text)
    with pytest.raises(ValueError, match="None of the files could be decoded"):
        decode_images([text], skip_corrupt=True)


def test_too_many_pixels(grey, monkeypatch):
    monkeypatch.setattr(decoding, "MAX_PIXELS", 10)
    with pytest.raises(ValueError, match="8 x 8 pixels are too many"):
        decode_image(grey)


def test_rotation_noted_by_the_camera_is_undone(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    path = save(tmp_path / "turned.jpg", np.zeros((4, 8), np.uint8), exif=exif)
    assert decode_image(path).pixels.shape == (8, 4)


def test_transparency_and_palettes_become_color(tmp_path):
    path = tmp_path / "palette.gif"
    Image.new("RGB", (8, 8), (200, 10, 10)).convert("P").save(path)
    assert decode_image(path).pixels.shape == (8, 8, 3)
    rgba = save(tmp_path / "alpha.png", np.full((8, 8, 4), 100, np.uint8))
    assert decode_image(rgba).pixels.shape == (8, 8, 3)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_shape_in_the_alpha_channel_is_seen_on_white(tmp_path, mode):
    image = Image.new(mode, (8, 8), (0,) * len(mode))
    image.paste((0,) * (len(mode) - 1) + (255,), (2, 2, 4, 4))
    image.save(tmp_path / "glyph.png")
    decoded = decode_image(tmp_path / "glyph.png").pixels
    assert decoded.ndim == (3 if mode == "RGBA" else 2)
    assert (decoded == 0).sum() == 4 * len(mode[:-1])
    assert decoded[0, 0].min() == 255


def test_floats_and_32_bits_are_refused(tmp_path):
    floats = save(tmp_path / "f.tiff", np.full((8, 8), 0.5, np.float32))
    with pytest.raises(ValueError, match="f.tiff: holds floats"):
        decode_image(floats)
    deep = save(tmp_path / "i.tiff", np.full((8, 8), 70000, np.int32))
    with pytest.raises(ValueError, match="more than 16 bits"):
        decode_image(deep)


def test_progress(grey):
    heard = []

    class Listener(Progress):
        def update(self, step, done, total):
            heard.append((done, total))

    decode_images([grey] * 250, progress=Listener())
    assert heard == [(100, 250), (200, 250), (250, 250)]


def modes():
    """One picture in every mode that Pillow can write, with what it must look like."""
    grey = np.tile(np.linspace(0, 255, 8).astype(np.uint8), (8, 1))
    color = np.stack([grey, grey[::-1], 255 - grey], axis=-1)
    image, colored = Image.fromarray(grey), Image.fromarray(color)
    yield "1.png", image.point(lambda v: 255 * (v > 127)).convert("1"), 255 * (grey > 127)
    yield "L.bmp", image, grey
    yield "LA.png", image.convert("LA"), grey
    yield "P.png", image.convert("P"), np.repeat(grey[..., None], 3, axis=2)
    yield "RGB.ppm", colored, color
    yield "RGBA.webp", colored.convert("RGBA"), color
    yield "CMYK.tiff", colored.convert("CMYK"), color


@pytest.mark.parametrize(("name", "image", "expected"), [*modes()], ids=lambda v: str(v)[:9])
def test_every_mode(tmp_path, name, image, expected):
    options = {"lossless": True} if name.endswith("webp") else {}
    image.save(tmp_path / name, **options)
    decoded = decode_images([tmp_path / name])
    np.testing.assert_array_equal(decoded.images[0].squeeze(), expected)
    said = ["1 image was converted from CMYK to RGB (CMYK.tiff)."] if "CMYK" in name else []
    assert decoded.notes == said


def test_changes_are_noted(tmp_path, grey):
    exif = Image.Exif()
    exif[0x0112] = 3
    turned = save(tmp_path / "turned.jpg", np.zeros((8, 8), np.uint8), exif=exif)
    Image.new("RGBA", (8, 8), (0, 0, 0, 9)).save(tmp_path / "clear.png")
    frames = [Image.new("L", (8, 8), k) for k in (9, 200)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "pages.tif", save_all=True, append_images=frames[1:])
    files = [grey, turned, *(tmp_path / n for n in ("clear.png", "film.gif", "pages.tif"))]
    notes = decode_images(files).notes
    assert notes[:3] == [
        "1 image was turned upright, following the camera's orientation tag (turned.jpg).",
        "1 image was put on a white background where transparent (clear.png).",
        "2 images were reduced to the first frame or page (film.gif and others).",
    ]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_colors_are_turned_as_others_are(tmp_path, orientation):
    import cv2

    pixels = np.random.default_rng(0).integers(0, 65536, (5, 7, 3)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), pixels[..., ::-1])
    exif = Image.Exif()
    exif[0x0112] = orientation
    chunk = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    content = (tmp_path / "deep.png").read_bytes()
    at = content.index(b"IDAT") - 4
    extra = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "deep.png").write_bytes(content[:at] + extra + content[at:])
    shallow = save(tmp_path / "shallow.png", (pixels >> 8).astype(np.uint8), exif=exif)
    np.testing.assert_array_equal(
        decode_image(tmp_path / "deep.png").pixels >> 8, decode_image(shallow).pixels
    )


def turned(pixels, orientation):
    """Turn as EXIF numbers orientations."""
    if orientation > 4:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels[::-1] if orientation in (3, 4, 7, 8) else pixels


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize(
    ("dtype", "shape"), [(np.uint8, (5, 7)), (np.uint16, (5, 7)), (np.uint8, (5, 7, 3))]
)
def test_tiff_is_turned_and_says_so(tmp_path, orientation, compression, dtype, shape):
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    file = save(
        tmp_path / "a.tiff", pixels, tiffinfo={0x0112: orientation}, compression=compression
    )
    decoded = decode_image(file)
    np.testing.assert_array_equal(decoded.pixels, turned(pixels, orientation))
    assert decoded.changes == (("turned",) if orientation > 1 else ())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiff_of_deep_colors_is_turned(tmp_path, orientation):
    import cv2

    pixels = np.random.default_rng(0).integers(0, 65536, (5, 7, 3)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "a.tiff"), pixels[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 1])
    content = (tmp_path / "a.tiff").read_bytes()
    (at,) = struct.unpack("<I", content[4:8])
    (n,) = struct.unpack("<H", content[at : at + 2])
    tags = [content[at + 2 + 12 * k :][:12] for k in range(n)]
    tags = [tag for tag in tags if struct.unpack("<H", tag[:2]) != (284,)]  # by default the same
    tags.append(struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0))
    tags.sort(key=lambda tag: struct.unpack("<H", tag[:2]))
    content = content[: at + 2] + b"".join(tags) + content[at + 2 + 12 * n :]
    (tmp_path / "a.tiff").write_bytes(content)
    decoded = decode_image(tmp_path / "a.tiff")
    np.testing.assert_array_equal(decoded.pixels, turned(pixels, orientation))
    assert decoded.changes == (("turned",) if orientation > 1 else ())
