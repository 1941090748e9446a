"""Decoding of one image file to grayscale or RGB pixels, upright, on a white background."""

import stat
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
FORMAT_NAMES = f"{', '.join(FORMATS[:-1])} and {FORMATS[-1]}"
MAX_PIXELS = 50_000_000  # guards against decompression bombs
_MOST = f"at most {MAX_PIXELS:,} are taken"
# A file is decoded at no less than this many times the size to which it is resized. At 2 features
# hardly change, and nothing that selection could see does; see benchmarks/results/draft.md.
_MARGIN = 2
_GREY_MODES = {"1", "L", "LA"}
# Of photos that phones and cameras save, but that can't be decoded here.
_TO_CONVERT = {
    ".arw", ".avif", ".cr2", ".cr3", ".dng", ".heic", ".heif", ".nef", ".nrw", ".orf", ".pef",
    ".raf", ".rw2", ".srw",
}  # fmt: skip
# Suffixes of images, including other formats that can't be decoded here.
_SUFFIXES = _TO_CONVERT | {
    ".apng", ".bmp", ".dib", ".gif", ".ico", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg",
    ".jxl", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".psd", ".svg", ".tga", ".tif", ".tiff",
    ".webp",
}  # fmt: skip


@dataclass(frozen=True)
class DecodedImage:
    """Pixels of one file.

    Attributes
    ----------
    pixels : ndarray of shape (height, width) or (height, width, 3), uint8 or uint16
        Pixel values; 16-bit ones are those of the file, which may use fewer bits.
    changes : tuple of str
        Changes made while decoding, such as ``"turned"`` or ``"reduced"``; ``"stated"``, scaling
        by `white`, is still to be made.
    white : int or None
        Largest possible value of 16-bit pixels, if the file states it.
    """

    pixels: NDArray[Any]
    changes: tuple[str, ...] = ()
    white: int | None = None


def looks_like_image(path: Path) -> bool:
    """Return whether a file is meant to be an image, by its suffix or its first bytes."""
    if path.suffix.lower() in _SUFFIXES:
        return True
    try:
        with _opened(path) as file, Image.open(file, formats=FORMATS):
            return True
    except Exception:  # Pillow's plugins raise arbitrary errors for damaged files
        return False


def decode_image(path: Path | bytes, *, at_least: tuple[int, int] | None = None) -> DecodedImage:
    """Decode one file to grayscale or RGB, turned upright, with transparency laid on white.

    Parameters
    ----------
    path : Path or bytes
        A file, or the content of one.
    at_least : (height, width), optional
        Size of the upright image that will do: a JPEG file is decoded at 1/2, 1/4 or 1/8 of its
        size where that is no less. By default it is decoded whole, as are other formats.

    Returns
    -------
    DecodedImage

    Raises
    ------
    ValueError
        If the file is not an image, is truncated, or has more than 50 million pixels.
    """
    try:
        # Given a path, Pillow memory-maps some TIFF files, and then scrambles the pixels of those
        # that it rotates. It does not do so with an open file.
        with _opened(path) as file, Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels are too many; {_MOST}")
            # (In a camera's MPO, the second frame is a preview or a depth map.)
            several = getattr(image, "is_animated", False) and image.format != "MPO"
            changes = ["frames"] if several else []
            # Pillow keeps only the upper 8 bits of 16-bit colors, so OpenCV reads those files.
            deep = any(";16" in str(tile[3]) for tile in image.tile)
            white = _stated_white(image)
            # Read before loading: Pillow rotates a TIFF while loading it, and drops the tag.
            orientation = image.getexif().get(0x0112, 1)
            if orientation in range(2, 9):
                changes.append("turned")
            if at_least is not None and _reduce(image, at_least, lying=orientation >= 5):
                changes.append("reduced")
            if white is not None:  # Pillow would scale by it, and keep 8 bits
                if white == 65535:  # written by many programs whatever the pixels hold
                    return DecodedImage(_deep_colors(path, 1), tuple(changes))
                changes.append("stated")
                return DecodedImage(_deep_colors(path, 1), tuple(changes), white)
            image.load()
            upright = ImageOps.exif_transpose(image)
            if image.mode.startswith("I"):
                return DecodedImage(_deep_greys(upright), tuple(changes))
            if deep:
                # OpenCV turns a TIFF itself.
                turns = 1 if image.format == "TIFF" else orientation
                return DecodedImage(_deep_colors(path, turns), tuple(changes))
            if image.mode == "CMYK":
                changes.append("cmyk")
            if upright.has_transparency_data and _is_transparent(upright):
                changes.append("transparent")
            return DecodedImage(np.asarray(_to_grey_or_rgb(upright)), tuple(changes))
    except Image.DecompressionBombError as error:  # its limit is not ours
        name = "an image" if isinstance(path, bytes) else path
        raise ValueError(f"{name}: it has too many pixels; {_MOST}") from error
    except Exception as error:  # as above
        if "cannot identify" in str(error):
            reason = _unknown_format(path)
        else:  # the system's own words, without a number and the path once more
            reason = getattr(error, "strerror", None) or str(error)
        name = "an image" if isinstance(path, bytes) else path
        raise ValueError(f"{name}: {reason}") from error


def pixels_of(image: Image.Image) -> DecodedImage:
    """Return the pixels of an opened image, as `decode_image` gives them of its file.

    Raises
    ------
    ValueError
        If its pixels are floats, whose range is not known, or there are none.
    """
    if 0 in image.size:
        raise ValueError(f"The image holds no pixels: its size is {image.size}.")
    upright = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        return DecodedImage(_deep_greys(upright))
    return DecodedImage(np.asarray(_to_grey_or_rgb(upright)))


def least_size(size: tuple[int, int], crop: float | None) -> tuple[int, int]:
    """Return the size at which an image may be decoded that is to be resized, twice that size.

    Parameters
    ----------
    size : (height, width)
        That it is resized to.
    crop : float or None
        Share of the resized image that `size` is, if it is cropped afterwards.
    """
    height, width = (ceil(_MARGIN * side / (crop or 1)) for side in size)
    return height, width


def _reduce(image: Image.Image, at_least: tuple[int, int], *, lying: bool) -> bool:
    """Make an image decode at reduced size if its format can; return whether it will."""
    before = image.size
    height, width = at_least
    # (Only JPEG's decoder does something, for it can leave out part of the inverse transform. It
    # takes the size of the file, in which a photo may lie on its side.)
    image.draft(None, (height, width) if lying else (width, height))
    return image.size != before


def _opened(path: Path | bytes) -> BinaryIO:
    if isinstance(path, bytes):
        return BytesIO(path)
    # Opening a pipe that nobody writes to would wait forever, and a device may have no end.
    if not (stat.S_ISREG(mode := path.stat().st_mode) or stat.S_ISDIR(mode)):
        raise ValueError("it is a pipe or a device, not a file; save the image as a file")
    return path.open("rb")


def _unknown_format(path: Path | bytes) -> str:
    suffix = "" if isinstance(path, bytes) else path.suffix.lower()
    with _opened(path) as file:
        start = file.read(12)
    # HEIC and AVIF are boxes like those of a film; phones export some under the name .jpg.
    if start[4:8] == b"ftyp" and suffix not in _TO_CONVERT:
        return "despite its name it is a HEIC or AVIF photo, or a film; convert it to JPEG"
    if suffix in _TO_CONVERT:
        return f"{suffix[1:].upper()} photos can't be read here; convert them to JPEG"
    return f"it is not an image in a known format ({FORMAT_NAMES})"


def _stated_white(image: ImageFile.ImageFile) -> int | None:
    """Return what is white in a PGM or PPM of more than 8 bits, of which the header says so."""
    if image.format != "PPM" or not image.tile:
        return None
    arguments = image.tile[0][3]
    white = arguments[1] if isinstance(arguments, tuple) else None
    return white if isinstance(white, int) and white > 255 else None


def _deep_greys(image: Image.Image) -> NDArray[np.uint16]:
    values = np.asarray(image, np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("holds more than 16 bits per pixel; save it with 8 or 16")
    return values.astype(np.uint16)


def _deep_colors(path: Path | bytes, orientation: int) -> NDArray[np.uint16]:
    """Decode all 16 bits of a channel, and turn the image as EXIF counts orientations."""
    import cv2

    content = path if isinstance(path, bytes) else path.read_bytes()
    if content[:2] in (
        b"P2",
        b"P3",
    ):  # plain text: OpenCV expects white space after the last number
        content += b"\n"
    values = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16:
        raise ValueError(
            "holds 16 bits per channel in a form that can't be read, or is truncated; save it "
            "again, with 8"
        )
    if values.ndim == 3 and values.shape[2] == 4:
        if (values[..., 3] < 65535).any():
            raise ValueError("holds 16 bits per channel and transparency; save it opaque or with 8")
        values = values[..., :3]
    if values.ndim == 3:
        values = values[..., ::-1]  # OpenCV's order is blue, green, red
        if (values == values[..., :1]).all():
            values = values[..., 0]
    # EXIF orientations 1 to 8: 5 to 8 swap the axes; the others combine mirroring and rotation.
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return np.ascontiguousarray(values)


def _is_transparent(image: Image.Image) -> bool:
    return bool(np.asarray(image.convert("RGBA").getchannel("A")).min() < 255)


def _to_grey_or_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("holds floats of unknown range; save it with 8 or 16 bits")
    mode = "L" if image.mode in _GREY_MODES else "RGB"
    if image.has_transparency_data:
        # Transparent pixels appear white, as on a page.
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert(mode)
    return image.convert(mode)
