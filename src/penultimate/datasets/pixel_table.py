"""Reading of images stored as a CSV of pixels: one label column and one column per pixel."""

import io
import math
import re

import numpy as np

from penultimate.datasets.dataset import Dataset
from penultimate.datasets.tables import Table

_PIXEL = re.compile(r"(pixel|px|p)[ _]?\d+|\d+x\d+")
_LABELS = ("label", "labels", "class")


def is_pixel_table(table: Table) -> bool:
    """Return whether a table holds pixels: ``label,pixel0,pixel1...`` or ``label,1x1,1x2...``."""
    pixels = [name for name in table.columns if _PIXEL.fullmatch(name)]
    return len(pixels) > 3 and len(pixels) >= len(table.columns) - 1


def read_pixel_table(table: Table) -> Dataset:
    """Read one square image per row, grayscale or, with three values per pixel, RGB.

    Raises
    ------
    ValueError
        If there is no label, the images are not square, or an entry is not a number.
    """
    path = table.path
    label = next((table.columns.index(name) for name in _LABELS if name in table.columns), None)
    if label is None:
        raise ValueError(
            f"{str(path)!r} has one column per pixel, but none named 'label': is it a test set "
            "without labels? Pass a file with labels."
        )
    columns = [index for index in range(len(table.columns)) if index != label]
    n_channels = 1 if math.isqrt(len(columns)) ** 2 == len(columns) else 3
    side = math.isqrt(len(columns) // n_channels)
    if side * side * n_channels != len(columns):
        raise ValueError(
            f"{str(path)!r} has {len(columns):,} columns of pixels, but no square image has so "
            "many. Convert it to an .npz with the arrays X and y."
        )

    def load(usecols: list[int], dtype: type) -> np.ndarray:
        try:
            return np.loadtxt(
                io.StringIO(table.text),
                dtype,
                delimiter=table.delimiter,
                quotechar='"',
                comments=None,
                skiprows=1,
                usecols=usecols,
                ndmin=2,
            )
        except ValueError as error:
            raise ValueError(
                f"{str(path)!r} can't be read as a table of pixels: {error}"
            ) from error

    if not table.text.partition("\n")[2].strip():
        raise ValueError(f"{str(path)!r} lists no image.")
    pixels, labels = load(columns, np.float32), load([label], str)[:, 0]
    images = pixels.reshape(-1, side, side, n_channels)
    notes = ["Each row of the table was read as a square image, with its pixels row by row."]
    if images.max() > 1:
        if (images >= 0).all() and (images <= 255).all() and (images == np.rint(images)).all():
            images = images.astype(np.uint8)
    else:
        notes.append("The values from 0 to 1 were scaled to 0 to 255.")
    names = np.char.strip(labels)
    return Dataset.from_arrays(images, names, name=path.stem, notes=tuple(notes))
