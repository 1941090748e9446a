"""Pictures of single samples, small enough that hundreds of them fit into the page.

They are taken from the files where there are any: a network may see 32 x 32 pixels of a photo that
was squeezed into a square, but who looks for wrong labels has to see the photo. If a file can no
longer be read, the picture is what the network saw.
"""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from penultimate._common.decoding import decode_image
from penultimate.datasets import Dataset

SMALLEST_SIDE, LARGEST_SIDE = 96, 256
_BYTES = 300_000  # of all pictures of a gallery, before base64 adds a third
_BYTES_PER_PIXEL = 0.13  # of an average photo as WebP of this quality
_QUALITY = 72


@dataclass(frozen=True)
class Thumbnail:
    """Picture of a sample.

    Attributes
    ----------
    uri : str
        The picture, as a ``data:`` URI.
    width, height : int
        Its size in pixels; its sides are in the proportion of the file's.
    """

    uri: str
    width: int
    height: int


def make_thumbnails(data: Dataset, samples: NDArray[np.int64]) -> list[Thumbnail | None]:
    """Make pictures of samples: the fewer there are, the larger they are.

    Parameters
    ----------
    data : Dataset
    samples : ndarray of int
        Positions in the dataset.

    Returns
    -------
    list of Thumbnail or None
        None for a sample that is no image, and not of a file that is one.
    """
    pixels = _BYTES / _BYTES_PER_PIXEL / max(1, len(samples))
    side = int(np.clip(np.sqrt(pixels), SMALLEST_SIDE, LARGEST_SIDE))
    pictures = [_picture(data, sample, side) for sample in np.asarray(samples).tolist()]
    return [None if picture is None else _encode(picture, side) for picture in pictures]


def _picture(data: Dataset, sample: int, side: int) -> Image.Image | None:
    if data.files is not None:
        try:
            return _read(Path(data.files[sample]), side)
        except Exception:  # Pillow's plugins raise arbitrary errors for damaged files
            pass
    if not data.has_images:
        return None
    pixels = np.clip(data.images[sample], 0, 255).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _read(path: Path, side: int) -> Image.Image:
    """Read a file, of a large JPEG only as many pixels as are needed, which is ten times faster."""
    with Image.open(path) as image:
        if image.format == "JPEG":
            image.draft(image.mode, (2 * side, 2 * side))
            return ImageOps.exif_transpose(image).convert("RGB")
    pixels = decode_image(path).pixels
    if pixels.dtype != np.uint8:  # to scale 16 bits takes all images of the dataset
        raise ValueError(f"{path} has 16 bits")
    return Image.fromarray(pixels)


def _encode(image: Image.Image, side: int) -> Thumbnail:
    # Small images keep every pixel, and are enlarged by the browser.
    is_small = max(image.size) <= SMALLEST_SIDE
    image.thumbnail((side, side))
    settings: dict[str, Any] = {"lossless": True} if is_small else {"quality": _QUALITY}
    buffer = io.BytesIO()
    image.save(buffer, "webp", method=4, **settings)
    uri = "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
    return Thumbnail(uri, image.width, image.height)
