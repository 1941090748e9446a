"""Arrays of images as pixels from 0 to 255, and the scale on which they were given."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.images import check_images

BYTES = (0.0, 255.0)


def as_pixels(images: NDArray[Any]) -> tuple[NDArray[Any], tuple[float, float]]:
    """Return images with pixels from 0 to 255, and the original values of 0 and 255."""
    if images.dtype.kind != "f" or not images.size or not np.isfinite(images).all():
        return check_images(images, name="images"), BYTES
    low, high = float(images.min()), float(images.max())
    if low >= 0:
        return check_images(images, name="images"), (0.0, 1.0) if high <= 1 else BYTES
    # Standardized values are not pixels, but the report has to show the images.
    stretched = (images - low) * (255 / ((high - low) or 1))
    return check_images(stretched.clip(0, 255), name="images", scale=1), (low, high)


def note_stretched(given_range: tuple[float, float]) -> str | None:
    """Return a note on values that are no pixels; None for others."""
    low, high = given_range
    if low >= 0:
        return None
    return (
        f"The images hold values from {low:g} to {high:g}, which are no pixels: to be shown, and "
        "for methods on pixels, they were mapped to 0 to 255. A network of your own is fed the "
        "values themselves."
    )
