"""Decoding of many image files to one size, one number of channels and one bit depth."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from penultimate._common.decoding import decode_image
from penultimate._common.door import spelled
from penultimate._common.progress import SILENT, Progress
from penultimate._common.resizing import resize
from penultimate._common.wording import quantity
from penultimate.datasets.depth import held_bits, scale_note, scale_to_8_bits, to_8_bits
from penultimate.datasets.sizes import Size, auto_size, describe_resizing
from penultimate.provenance.fingerprints import fingerprint

# Notes on changes during decoding, one per kind of change for all files.
_CHANGES = {
    "turned": "{} turned upright, following the camera's orientation tag ({}).",
    "transparent": "{} put on a white background where transparent ({}).",
    "cmyk": "{} converted from CMYK to RGB ({}).",
    "stated": "{} scaled to 0 to 255 by the maximum stated in the file ({}).",
    "frames": "{} reduced to the first frame or page ({}).",
}


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


def _resize(pixels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Resize as a saved model does (``bundle/graph``), and round to the type of the pixels."""
    resized = resize(np.atleast_3d(pixels), size, "bicubic")
    white = np.iinfo(pixels.dtype).max  # the cubic overshoots at edges
    rounded = resized.clip(0, white).round().astype(pixels.dtype)
    return rounded[..., 0] if pixels.ndim == 2 else rounded


def decode_images(
    paths: Sequence[Path],
    *,
    image_size: Size | Literal["auto"] | None = None,
    skip_corrupt: bool = False,
    progress: Progress = SILENT,
    for_report: bool = False,
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
    for_report : bool
        Whether a network reads the files by itself, so that these images are only shown, and used
        by methods on pixels.

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
        resized = describe_resizing(size, sizes, auto=image_size == "auto" and not for_report)
        whose = "For the report and methods on pixels, images" if for_report else "Images"
        notes.append(f"{whose} were {resized}")
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
