"""Decoding of image files to one size, one number of channels and one bit depth."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps

from penultimate._common.door import spelled
from penultimate._common.progress import SILENT, Progress
from penultimate._common.wording import quantity
from penultimate.datasets.depth import held_bits, scale_note, scale_to_8_bits, to_8_bits
from penultimate.datasets.sizes import Size, auto_size, describe_resizing
from penultimate.provenance.fingerprints import fingerprint

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
FORMAT_NAMES = f"{', '.join(FORMATS[:-1])} and {FORMATS[-1]}"
MAX_PIXELS = 50_000_000  # guards against decompression bombs
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
# Notes on changes during decoding, one per kind of change for all files.
_CHANGES = {
    "turned": "{} turned upright, following the camera's orientation tag ({}).",
    "transparent": "{} put on a white background where transparent ({}).",
    "cmyk": "{} converted from CMYK to RGB ({}).",
    "stated": "{} scaled to 0 to 255 by the maximum stated in the file ({}).",
    "frames": "{} reduced to the first frame or page ({}).",
}


@dataclass(frozen=True)
class DecodedImage:
    """Pixels of one file.

    Attributes
    ----------
    pixels : ndarray of shape (height, width) or (height, width, 3), uint8 or uint16
        Pixel values; 16-bit ones are those of the file, which may use fewer bits.
    changes : tuple of str
        Changes made while decoding, as keys of `_CHANGES`; ``"stated"`` is still to be made.
    white : int or None
        Largest possible value of 16-bit pixels, if the file states it.
    """

    pixels: NDArray[Any]
    changes: tuple[str, ...] = ()
    white: int | None = None


@dataclass(frozen=True)
class DecodedImages:
    """Decoded files, with notes on their decoding.

    Attributes
    ----------
    images : ndarray of shape (n_read, height, width, channels), uint8
        Decoded images, with one channel if every file is grayscale, else three.
    read : list of int
        Indices of the files that could be read.
    unreadable : list of str
        Name and reason for every other file.
    notes : list of str
        Notes on resizing and conversion.
    fingerprints : ndarray of shape (n_read,), uint64
        Fingerprints of the pixels in the file, before scaling and resizing.
    """

    images: NDArray[np.uint8]
    read: list[int]
    unreadable: list[str]
    notes: list[str]
    fingerprints: NDArray[np.uint64]


def looks_like_image(path: Path) -> bool:
    """Return whether a file is meant to be an image, by its suffix or its first bytes."""
    if path.suffix.lower() in _SUFFIXES:
        return True
    try:
        with Image.open(path, formats=FORMATS):
            return True
    except Exception:  # Pillow's plugins raise arbitrary errors for damaged files
        return False


def decode_image(path: Path) -> DecodedImage:
    """Decode one file to grayscale or RGB, turned upright, with transparency laid on white.

    Raises
    ------
    ValueError
        If the file is not an image, is truncated, or has more than 50 million pixels.
    """
    try:
        # Given a path, Pillow memory-maps some TIFF files, and then scrambles the pixels of those
        # that it rotates. It does not do so with an open file.
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{path}: {image.width} x {image.height} pixels are too many")
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
    except Exception as error:  # as above
        unknown = "cannot identify" in str(error)
        raise ValueError(f"{path}: {_unknown_format(path) if unknown else error}") from error


def _unknown_format(path: Path) -> str:
    suffix = path.suffix.lower()
    with path.open("rb") as file:
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


def _deep_colors(path: Path, orientation: int) -> NDArray[np.uint16]:
    """Decode all 16 bits of a channel, and turn the image as EXIF counts orientations."""
    import cv2

    content = path.read_bytes()
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


def _resize(pixels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    if pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.LANCZOS))
    channels = [
        np.asarray(
            Image.fromarray(channel.astype(np.float32)).resize(size[::-1], Image.Resampling.LANCZOS)
        )
        for channel in np.atleast_3d(pixels).transpose(2, 0, 1)
    ]
    resized = np.stack(channels, axis=-1).clip(0, 65535).round().astype(np.uint16)
    return resized[..., 0] if pixels.ndim == 2 else resized


def decode_images(
    paths: Sequence[Path],
    *,
    image_size: Size | Literal["auto"] | None = None,
    skip_corrupt: bool = False,
    progress: Progress = SILENT,
) -> DecodedImages:
    """Decode files into one array.

    Parameters
    ----------
    paths : sequence of Path
        Files, in the order of the result.
    image_size : (height, width), "auto" or None
        Size to resize every image to, with antialiasing; ``"auto"`` chooses it by `auto_size`; None
        keeps the size, which all images must share.
    skip_corrupt : bool
        Whether to skip and list files that can't be decoded, instead of raising.
    progress : Progress
        Observer that is called after every hundred files.

    Raises
    ------
    ValueError
        If a file can't be decoded and `skip_corrupt` is false, if none can, or if sizes differ
        and `image_size` is None.
    """
    unreadable: list[str] = []
    read: list[int] = []
    pixels: list[NDArray[Any]] = []
    tops: dict[int, int] = {}
    sizes: dict[tuple[int, int], Path] = {}
    changed: dict[str, list[Path]] = {}
    fingerprints: list[NDArray[np.uint64]] = []
    whites: dict[int, int] = {}

    def decode(path: Path) -> Any:
        try:
            image = decode_image(path)
        except ValueError as error:
            return error
        values = image.pixels
        native, top = values.shape[:2], int(values.max())
        print_of = fingerprint(values[np.newaxis])
        # One large image decides the size of all, so it is resized here, before more are in memory.
        size = auto_size([native]) if image_size == "auto" else image_size
        if size is not None and native != size:
            values = _resize(values, size)
        return native, top, print_of, image.changes, values, image.white

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for index, result in enumerate(pool.map(decode, paths)):
                if isinstance(result, ValueError):
                    if not skip_corrupt:
                        raise ValueError(
                            f"{result}. Fix or remove the file, or skip unreadable files: "
                            f"{spelled('--skip-corrupt', 'skip_corrupt=True')}."
                        ) from result
                    unreadable.append(str(result))
                    continue
                native, top, print_of, changes, array, white = result
                sizes.setdefault(native, paths[index])
                for change in changes:
                    changed.setdefault(change, []).append(paths[index])
                if white is not None:
                    whites[len(read)] = white
                elif array.dtype != np.uint8:
                    tops[len(read)] = top
                read.append(index)
                pixels.append(array)
                fingerprints.append(print_of)
                if index % 100 == 99 or index + 1 == len(paths):
                    progress.update("read images", index + 1, len(paths))
        except BaseException:  # including Ctrl-C: cancel the remaining files
            pool.shutdown(cancel_futures=True)
            raise

    if not read:
        raise ValueError(f"None of the files could be decoded; first: {unreadable[0]}")
    if image_size is None and len(sizes) > 1:
        (a, first), (b, second) = list(sizes.items())[:2]
        raise ValueError(
            f"The images have {len(sizes)} different sizes, such as {a[0]} x {a[1]} ({first.name}) "
            f"and {b[0]} x {b[1]} ({second.name}). Choose a size to resize them to: "
            + spelled(
                "--image-size 64, or --image-size auto.",
                "image_size=(64, 64), or image_size='auto'.",
            )
        )
    size = auto_size(sizes) if image_size == "auto" else image_size
    notes = []
    if size is not None and sizes.keys() != {size}:
        notes.append(f"Images were {describe_resizing(size, sizes, auto=image_size == 'auto')}")
        if image_size == "auto":
            pixels = [a if a.shape[:2] == size else _resize(a, size) for a in pixels]
            # Nobody asked for it, so it is said before any training, not only in the report.
            progress.message(f"Note: {notes[0]}")
    notes += _conversions(changed)
    for index, white in whites.items():
        pixels[index] = scale_to_8_bits(pixels[index], white)
    if tops:
        bits = held_bits(max(tops.values()))
        for index in tops:
            pixels[index] = to_8_bits(pixels[index], bits)
        notes.append(scale_note(list(tops.values()), len(read)))
    n_color = sum(array.ndim == 3 for array in pixels)
    if n_color:
        if n_color < len(pixels):
            n_grey = len(pixels) - n_color
            notes.append(
                f"{quantity(n_grey, 'grayscale image')} {'was' if n_grey == 1 else 'were'} "
                "converted to color."
            )
        pixels = [a if a.ndim == 3 else np.repeat(a[..., None], 3, axis=2) for a in pixels]
    stacked = np.stack(pixels)
    return DecodedImages(
        stacked if n_color else stacked[..., None],
        read,
        unreadable,
        notes,
        np.concatenate(fingerprints),
    )


def _conversions(changed: dict[str, list[Path]]) -> Iterator[str]:
    for change, text in _CHANGES.items():
        if files := changed.get(change):
            who = "1 image was" if len(files) == 1 else f"{len(files):,} images were"
            yield text.format(who, files[0].name + (" and others" if files[1:] else ""))
