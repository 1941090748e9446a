"""Thumbnails in a bundle: for each class one strip of small examples, as a PNG.

``thumbnails/K.png`` shows class K: squares side by side, each with one image in its middle. They
are shown to people, by decoders that are not ours, so what a stranger's file may hold is narrow: 8
bits, the size of a strip, and no part of a PNG but its header, its pixels and its end.
"""

import io
import re
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from penultimate._common.image_items import Images
from penultimate.bundle.errors import BundleError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

FOLDER = "thumbnails/"
SIDE, MOST = 64, 20  # pixels of a square, and squares per class
_NAME = re.compile(r"thumbnails/(0|[1-9][0-9]{0,5})\.png")
_START = b"\x89PNG\r\n\x1a\n"
_CHUNKS = (b"IHDR", b"IDAT", b"IEND")
_MAX_BYTES = 2 * 3 * SIDE * SIDE * MOST
_WHITE = (255, 255, 255)


def make_thumbnails(images: Any, labels: "ArrayLike", classes: list[Any]) -> dict[str, bytes]:
    """Return strips of examples as parts of a bundle; all images that are given are in them.

    Parameters
    ----------
    images : array-like of shape (n_samples, height, width[, channels]), or sequence of images
    labels : array-like of shape (n_samples,)
    classes : list
        Labels in the order of the model's classes.

    Returns
    -------
    dict of str to bytes
        Contents of PNG files by name.

    Raises
    ------
    ValueError
        If labels are of no class, or there are too many images of one.
    """
    found = Images.of(images)
    given = np.asarray(labels).tolist()
    if len(given) != len(found):
        raise ValueError(f"There are {len(found):,} thumbnails and {len(given):,} labels for them.")
    if odd := [each for each in given if each not in classes]:
        raise ValueError(f"Thumbnails are of the class {odd[0]!r}, which the model does not have.")
    parts = {}
    for number, name in enumerate(classes):
        chosen = [index for index, label in enumerate(given) if label == name]
        if len(chosen) > MOST:
            raise ValueError(
                f"There are {len(chosen):,} thumbnails of the class {name!r}; pass at most {MOST}."
            )
        if chosen:
            parts[f"{FOLDER}{number}.png"] = _strip([found[index] for index in chosen])
    return parts


def _strip(images: list[Any]) -> bytes:
    from PIL import Image, ImageOps

    strip = Image.new("RGB", (SIDE * len(images), SIDE), _WHITE)
    for place, pixels in enumerate(images):
        pixels = np.rint(pixels).astype(np.uint8)
        image = Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels)
        # Small images keep their pixels visible; large ones are averaged.
        method = Image.Resampling.BOX if max(image.size) > SIDE else Image.Resampling.NEAREST
        image = ImageOps.contain(image, (SIDE, SIDE), method)
        left, top = (SIDE - image.width) // 2, (SIDE - image.height) // 2
        strip.paste(image.convert("RGB"), (place * SIDE + left, top))
    buffer = io.BytesIO()
    strip.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def number_of(name: str) -> int | None:
    """Return the class that a part shows by its name; None if it is no thumbnail."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else None


def check_thumbnails(parts: Mapping[str, memoryview], n_classes: int) -> None:
    """Raise unless what is among the thumbnails of a bundle are strips of its classes.

    Parameters
    ----------
    parts : mapping of str to memoryview
        Of the whole bundle, by name.
    n_classes : int

    Raises
    ------
    BundleError
        If one is of no class, or no PNG as `make_thumbnails` writes it.
    """
    for name, content in parts.items():
        number = number_of(name)
        if number is None:
            continue
        if number >= n_classes:
            raise BundleError(f"The bundle has {name!r}, and {n_classes:,} classes.")
        if fault := _fault(content):
            raise BundleError(f"{name!r} in the bundle {fault}.")


def _fault(content: memoryview) -> str | None:
    """Return what is wrong with a strip, by its headers; pixels are not decoded."""
    if len(content) > _MAX_BYTES:
        return f"has {len(content):,} bytes; at most {_MAX_BYTES:,} are read"
    if content[: len(_START)] != _START:
        return "is no PNG"
    kinds, position = [], len(_START)
    while position < len(content):
        if position + 12 > len(content):
            return "is cut short"
        length, kind = struct.unpack_from(">I4s", content, position)
        if position + 12 + length > len(content) or (kind == b"IHDR" and length != 13):
            return "is cut short"
        kinds.append(kind)
        if kind not in _CHUNKS or (kind == b"IHDR") != (len(kinds) == 1):
            return f"has a part {kind!r}, which no thumbnail has"
        if kind == b"IHDR":
            width, height, *form = struct.unpack_from(">II5B", content, position + 8)
            if height != SIDE or width % SIDE or not 0 < width <= SIDE * MOST:
                return f"has {width:,} x {height:,} pixels, and squares of {SIDE} are expected"
            if form != [8, 2, 0, 0, 0]:
                return "is not of 8 bits and three colors"
        position += 12 + length
        if kind == b"IEND":
            break
    if kinds[-1:] != [b"IEND"] or position != len(content):
        return "does not end where a PNG ends"
    return None
