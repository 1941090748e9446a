"""Decoding image files: allowed formats, one size, one number of channels."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from penultimate._progress import SILENT, Progress
from penultimate.provenance import fingerprint

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MAX_PIXELS = 50_000_000
_GREY_MODES = {"1", "L", "LA"}


@dataclass(frozen=True)
class DecodedImages:
    """Decoded files, and what happened to them.

    Attributes
    ----------
    images : ndarray of shape (n_read, height, width, channels), uint8
        One channel where every file is greyscale, else three.
    read : list of int
        The indices of the files that could be read.
    unreadable : list of str
        For each other file, its name and the reason.
    notes : list of str
        Resizing and conversion, in words.
    fingerprints : ndarray of shape (n_read,), uint64
        Of the pixels as decoded, before resizing.
    """

    images: NDArray[np.uint8]
    read: list[int]
    unreadable: list[str]
    notes: list[str]
    fingerprints: NDArray[np.uint64]


def decode_image(path: Path) -> Image.Image:
    """Decode one file to greyscale or RGB, upright, what is transparent on white.

    Raises
    ------
    ValueError
        If the file is no image, is truncated, or is larger than 50 million pixels.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{path}: {image.width} x {image.height} pixels are too many")
            image.load()
            return _to_8_bits(ImageOps.exif_transpose(image))
    except Exception as error:  # Pillow's plugins raise whatever damaged bytes lead them to
        reason = "is no image of a known format" if "cannot identify" in str(error) else error
        raise ValueError(f"{path}: {reason}") from error


def _to_8_bits(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("holds floats, of unknown range; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        # Pillow clips 16-bit greys when it converts them: scale them instead.
        values = np.asarray(image, np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("holds more than 16 bits a pixel; save it with 8 or 16")
        return Image.fromarray((values >> 8).astype(np.uint8))
    if image.has_transparency_data:
        # What is transparent is seen on white, as on a page.
        mode = "L" if image.mode in _GREY_MODES else "RGB"
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert(mode)
    return image.convert("L" if image.mode in _GREY_MODES else "RGB")


def decode_images(
    paths: Sequence[Path],
    *,
    image_size: tuple[int, int] | None = None,
    skip_corrupt: bool = False,
    progress: Progress = SILENT,
) -> DecodedImages:
    """Decode files into one array.

    Parameters
    ----------
    paths : sequence of Path
        The files, in the order of the result.
    image_size : (height, width) or None
        What to resize every image to, with antialiasing; None takes the size that all share.
    skip_corrupt : bool
        Whether to leave out, and list, files that can't be decoded instead of raising.
    progress : Progress
        Hears of each hundred files.

    Raises
    ------
    ValueError
        If a file can't be decoded and `skip_corrupt` is false, if none can, or if sizes differ
        and `image_size` is None.
    """
    unreadable: list[str] = []
    read: list[int] = []
    pixels: list[NDArray[np.uint8]] = []
    sizes: dict[tuple[int, int], Path] = {}
    fingerprints: list[NDArray[np.uint64]] = []

    def decode(path: Path) -> Any:
        try:
            image = decode_image(path)
        except ValueError as error:
            return error
        native = (image.height, image.width)
        print_of = fingerprint(np.asarray(image)[np.newaxis])
        if image_size is not None and native != image_size:
            image = image.resize(image_size[::-1], Image.Resampling.LANCZOS)
        return native, print_of, np.asarray(image)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for index, result in enumerate(pool.map(decode, paths)):
                if isinstance(result, ValueError):
                    if not skip_corrupt:
                        raise ValueError(
                            f"{result}. Mend or remove the file, or leave out such files with "
                            "skip_corrupt=True (--skip-corrupt)."
                        ) from result
                    unreadable.append(str(result))
                    continue
                native, print_of, array = result
                sizes.setdefault(native, paths[index])
                read.append(index)
                pixels.append(array)
                fingerprints.append(print_of)
                if index % 100 == 99 or index + 1 == len(paths):
                    progress.update("read images", index + 1, len(paths))
        except BaseException:  # Ctrl-C too: do not decode what is left
            pool.shutdown(cancel_futures=True)
            raise

    if not read:
        raise ValueError(f"None of the {len(paths)} files could be decoded; first: {unreadable[0]}")
    if image_size is None and len(sizes) > 1:
        (a, first), (b, second) = list(sizes.items())[:2]
        raise ValueError(
            f"The images have {len(sizes)} different sizes, such as {a[0]} x {a[1]} ({first.name}) "
            f"and {b[0]} x {b[1]} ({second.name}). Say what to resize them to: "
            "image_size=(64, 64) (--image-size 64)."
        )
    notes = []
    resized = [size for size in sizes if size != image_size]
    if image_size is not None and resized:
        came = ", ".join(f"{h} x {w}" for h, w in resized[:3]) + (" ..." if resized[3:] else "")
        notes.append(f"Images were resized to {image_size[0]} x {image_size[1]} (from {came}).")
    n_colour = sum(array.ndim == 3 for array in pixels)
    if n_colour:
        if n_colour < len(pixels):
            notes.append(f"{len(pixels) - n_colour} greyscale images were turned into colour ones.")
        pixels = [a if a.ndim == 3 else np.repeat(a[..., None], 3, axis=2) for a in pixels]
    stacked = np.stack(pixels)
    return DecodedImages(
        stacked if n_colour else stacked[..., None],
        read,
        unreadable,
        notes,
        np.concatenate(fingerprints),
    )
