"""Images of more than 8 bits: one scale for a whole data set, from its actual bit depth.

A 16-bit file may hold 8, 10, 12 or 14 bits (from a camera, a scanner, a screen). Only the header of
a PGM or PPM may state which. Divided by 256 as if it used all bits, a 12-bit image has 16 gray
levels and an 8-bit one is black. So the brightest value of all images determines the bit depth. It
is not determined per image, because that would brighten each image by a different factor, and
brightness may separate classes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BITS = (1, 2, 4, 8, 10, 12, 14, 16)
_DARK = 26  # a tenth of 255


def held_bits(highest: int) -> int:
    """Return the smallest usual bit depth that holds values up to `highest`."""
    return next(bits for bits in _BITS if highest < 1 << bits)


def to_8_bits(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Scale values of the given bit depth to 0 to 255; 8-bit values are unchanged."""
    return scale_to_8_bits(values, (1 << bits) - 1)


def scale_to_8_bits(values: NDArray[Any], top: int) -> NDArray[np.uint8]:
    """Scale values from 0 to `top` to 0 to 255."""
    return np.rint(np.minimum(values, top) * np.float32(255 / top)).astype(np.uint8)


def scale_note(tops: Sequence[int], n_images: int) -> str:
    """Return a note on how the images of more than 8 bits were scaled.

    Parameters
    ----------
    tops : sequence of int
        Brightest value of each of these images.
    n_images : int
        Number of images of the whole data set.
    """
    bits = held_bits(max(tops))
    of = "" if len(tops) == n_images else f" of {n_images:,}"
    note = (
        f"{len(tops):,}{of} {'image' if n_images == 1 else 'images'} came with 16 bits per pixel. "
        f"The brightest value of all is {max(tops):,}, so they were taken to hold "
        f"{bits} {'bit' if bits == 1 else 'bits'}: "
        f"values from 0 to {(1 << bits) - 1:,} were scaled to 0 to 255, by the same factor in all "
        "images."
    )
    if np.median(tops) * 255 / ((1 << bits) - 1) < _DARK:
        note += (
            f" Half of them are darker than {int(np.median(tops)):,} throughout, so they are "
            "nearly black now: if a bright defect is the cause, clip it and save them with 8 bits."
        )
    return note
