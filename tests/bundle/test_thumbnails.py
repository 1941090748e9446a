"""Thumbnails: what is written, shown, and refused."""

import io
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import penultimate
from penultimate.bundle import BundleError
from penultimate.bundle.archive import pack
from penultimate.bundle.thumbnails import check_thumbnails, make_thumbnails

from .handmade import OF_IMAGES, make_parts, of_images

RED = np.full((3, 8, 8, 3), (250, 0, 0), np.uint8)
CLASSES = ["red", "green", "blue"]


def opened(content):
    return np.asarray(Image.open(io.BytesIO(content)))


def test_one_strip_per_class_with_each_image_in_a_square():
    X = [RED[0], np.zeros((100, 50), np.uint8), RED[1] / 255]
    parts = make_thumbnails(X, ["red", "blue", "red"], CLASSES)
    assert list(parts) == ["thumbnails/0.png", "thumbnails/2.png"]
    strip = opened(parts["thumbnails/0.png"])
    assert strip.shape == (64, 128, 3)
    assert (strip == (250, 0, 0)).all()
    tall = opened(parts["thumbnails/2.png"])
    assert (tall[:, 16:48] == 0).all()
    assert (tall[:, :16] == 255).all()
    assert parts == make_thumbnails(X, ["red", "blue", "red"], CLASSES)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (RED, ["red", "red"], "3 thumbnails and 2 labels"),
        (RED, ["red", "red", "pink"], "class 'pink', which the model does not have"),
        (np.repeat(RED, 7, axis=0), ["red"] * 21, "21 thumbnails of the class 'red'; pass at most"),
        ([b"x"], ["red"], "not an image"),
    ],
)
def test_what_cannot_be_shown(images, labels, message):
    with pytest.raises(ValueError, match=message):
        make_thumbnails(images, labels, CLASSES)


def bundle(**thumbnails):
    parts = {f"thumbnails/{name[1:]}.png": content for name, content in thumbnails.items()}
    return pack(make_parts(of_images(), **OF_IMAGES, parts=parts))


def test_a_model_shows_them():
    strip = make_thumbnails(RED, ["red"] * 3, CLASSES)["thumbnails/0.png"]
    model = penultimate.load(bundle(_0=strip))
    assert "training images of 1 of 3 classes are in the file" in str(model)
    html = model._repr_html_()
    assert html.count("<img src=") == 1
    assert 'alt="Training images of red"' in html
    assert model.part("thumbnails/0.png") == strip
    plain = penultimate.load(bundle())
    assert "thumbnails" not in str(plain)
    assert "<img" not in plain._repr_html_()


def saved(size=(64, 64), mode="RGB", kind="PNG", **how):
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, kind, **how)
    return buffer.getvalue()


def of_size(width, height):
    """A strip whose header lies about its size."""
    header = struct.pack(">4sII5B", b"IHDR", width, height, 8, 2, 0, 0, 0)
    return saved()[:12] + header + struct.pack(">I", zlib.crc32(header)) + saved()[33:]


WORDS = PngImagePlugin.PngInfo()
WORDS.add_text("a", "b", zip=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no PNG"),
        (saved(kind="JPEG"), "is no PNG"),
        (saved()[:-3], "cut short|does not end"),
        (saved()[:60], "does not end|cut short"),
        (saved() + b"more", "does not end where a PNG ends"),
        (saved((64, 65)), "64 x 65 pixels, and squares of 64"),
        (saved((65, 64)), "65 x 64"),
        (saved((64 * 21, 64)), "1,344 x 64"),
        (of_size(2**31, 64), "2,147,483,648 x 64"),
        (of_size(0, 64), "0 x 64"),
        (saved(mode="L"), "not of 8 bits and three colors"),
        (saved(mode="RGBA"), "not of 8 bits and three colors"),
        (saved(pnginfo=WORDS), "a part b'zTXt'"),
        (saved()[:8] + saved()[33:], "has a part b'IDAT'"),
        (saved() + bytes(600_000), "at most 491,520 are read"),
    ],
)
def test_what_is_no_strip_is_refused(content, message):
    with pytest.raises(BundleError, match=rf"'thumbnails/0\.png' in the bundle.*({message})"):
        penultimate.load(bundle(_0=content))


def test_damage_at_random_is_refused_or_harmless():
    """Another error than ours would end the test; so it does at every length."""
    rng, whole = random.Random(0), saved((128, 64))
    damaged = [whole[:length] for length in range(len(whole))]
    for _ in range(500):
        content = bytearray(whole)
        for _ in range(rng.choice([1, 1, 4])):
            content[rng.randrange(len(content))] = rng.randrange(256)
        damaged.append(bytes(content[: rng.choice([len(content), rng.randrange(len(content))])]))
    refused = 0
    for content in damaged:
        try:
            check_thumbnails({"thumbnails/0.png": memoryview(content)}, 3)
        except BundleError:
            refused += 1
    assert refused > len(whole)


def test_a_strip_of_no_class_is_refused():
    with pytest.raises(BundleError, match="'thumbnails/3.png', and 3 classes"):
        penultimate.load(bundle(_3=saved()))
    with pytest.raises(BundleError, match="'thumbnails/00.png', which is no part"):
        penultimate.load(bundle(_00=saved()))
