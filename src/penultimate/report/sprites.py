"""Sprite sheets: many thumbnails in one picture.

The page embeds its images, and a single picture compresses better and decodes faster than hundreds
of small ones.
"""

import base64
import io
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

LARGEST_SIDE = 48
COLUMNS = 20


@dataclass(frozen=True)
class SpriteSheet:
    """Picture of thumbnails in rows of `COLUMNS`.

    Attributes
    ----------
    uri : str
        The picture, as a ``data:`` URI.
    width, height : int
        Size of one thumbnail, in pixels.
    columns, rows : int
        Number of thumbnails across and down.
    """

    uri: str
    width: int
    height: int
    columns: int
    rows: int


def make_sprite_sheet(
    images: NDArray, *, largest_side: int = LARGEST_SIDE, lossy: bool = False
) -> SpriteSheet | None:
    """Arrange images in rows, shrinking them if they are too large.

    Parameters
    ----------
    images : ndarray of shape (n_samples, height, width, 1 or 3)
        Pixel values from 0 to 255.
    largest_side : int, default=48
        Longest side of a thumbnail, in pixels.
    lossy : bool, default=False
        Whether to encode as JPEG, a fraction of the size for photographs, instead of PNG.

    Returns
    -------
    SpriteSheet or None
        None if there are no images.
    """
    n_samples, height, width, channels = images.shape
    if not n_samples:
        return None
    factor = min(1.0, largest_side / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    columns = min(COLUMNS, n_samples)
    rows = -(-n_samples // columns)
    sheet = np.zeros((rows * size[1], columns * size[0], channels), np.uint8)
    for index, image in enumerate(images):
        small = cv2.resize(
            np.clip(image, 0, 255).astype(np.uint8), size, interpolation=cv2.INTER_AREA
        )
        top, left = index // columns * size[1], index % columns * size[0]
        sheet[top : top + size[1], left : left + size[0]] = small.reshape(
            size[1], size[0], channels
        )
    buffer = io.BytesIO()
    kind = "jpeg" if lossy else "png"
    Image.fromarray(sheet[..., 0] if channels == 1 else sheet).save(buffer, kind, optimize=True)
    uri = f"data:image/{kind};base64," + base64.b64encode(buffer.getvalue()).decode()
    return SpriteSheet(uri, size[0], size[1], columns, rows)
