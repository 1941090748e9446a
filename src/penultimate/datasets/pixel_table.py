"""Reading of images stored as a CSV of pixels: one label column and one column per pixel."""

import math
import re
from itertools import pairwise

import numpy as np

from penultimate.datasets.dataset import Dataset
from penultimate.datasets.tables import Table

_PIXEL = re.compile(r"(pixel|px|p)[ _]?\d+|\d+x\d+")
_LABELS = ("label", "labels", "class")
_OF_MANIFESTS = ("group", "groups", "split", "subset")


def is_pixel_table(table: Table) -> bool:
    """Return whether a table holds pixels: ``label,pixel0,pixel1...`` or ``label,1x1,1x2...``."""
    pixels = [name for name in table.columns if _PIXEL.fullmatch(name)]
    return len(pixels) > 3 and 2 * len(pixels) > len(table.columns) and "path" not in table.columns


def read_pixel_table(table: Table) -> Dataset:
    """Read one square image per row, grayscale or, with three values per pixel, RGB.

    Raises
    ------
    ValueError
        If there is no label, the images are not square, an entry is no number, or the order of the
        columns is unclear.
    """
    path = table.path
    of_label = [index for index, name in enumerate(table.columns) if name in _LABELS]
    if not of_label:
        raise ValueError(
            f"{str(path)!r} has one column per pixel, but none named 'label': is it a test set "
            "without labels? Pass a file with labels."
        )
    if len(of_label) > 1:
        named = " and ".join(repr(table.columns[index]) for index in of_label)
        raise ValueError(f"{str(path)!r} has the columns {named}; keep the one with the labels.")
    columns, notes = _pixel_columns(table)
    n_channels = 1 if math.isqrt(len(columns)) ** 2 == len(columns) else 3
    side = math.isqrt(len(columns) // n_channels)
    if side * side * n_channels != len(columns):
        raise ValueError(
            f"{str(path)!r} has {len(columns):,} columns of pixels, but no square image has so "
            "many. Convert it to an .npz with the arrays X and y."
        )

    def load(usecols: list[int], dtype: type) -> np.ndarray:
        try:
            return table.load(usecols, dtype)
        except ValueError as error:
            raise ValueError(
                f"{str(path)!r} can't be read as a table of pixels: {error}"
            ) from error

    if not table.count_rows():
        raise ValueError(f"{str(path)!r} lists no image.")
    pixels, labels = load(columns, np.float32), load(of_label, str)[:, 0]
    images = pixels.reshape(-1, side, side, n_channels)
    notes = [*notes, "Each row of the table was read as a square image, its pixels row by row."]
    if images.max() > 1:
        if (images >= 0).all() and (images <= 255).all() and (images == np.rint(images)).all():
            images = images.astype(np.uint8)
    else:
        notes.append("The values from 0 to 1 were scaled to 0 to 255.")
    names = np.char.strip(labels)
    return Dataset.from_arrays(images, names, name=path.stem, notes=tuple(notes))


def _pixel_columns(table: Table) -> tuple[list[int], list[str]]:
    """Return the places of the pixels' columns in the order of their numbers, and notes."""
    path, names = str(table.path), table.columns
    placed = [index for index, name in enumerate(names) if _PIXEL.fullmatch(name)]
    numbers = {index: tuple(map(int, re.findall(r"\d+", names[index]))) for index in placed}
    ordered = sorted(placed, key=lambda index: numbers[index])
    for one, other in pairwise(ordered):
        if numbers[one] == numbers[other]:
            raise ValueError(
                f"{path!r} has the columns {names[one]!r} and {names[other]!r} for one pixel; keep "
                "one of them."
            )
        if len(numbers[one]) == 1 and numbers[other][0] > numbers[one][0] + 1:
            raise ValueError(
                f"{path!r} has the columns {names[one]!r} and {names[other]!r}, and none between "
                "them: pixels are missing. Add them, or number the columns without gaps."
            )
    notes = []
    if ordered != placed:
        if len(numbers[placed[0]]) > 1:  # of 1x2 and 2x1, either may be a row's second pixel
            raise ValueError(
                f"The columns of {path!r} are not in the order of their numbers, and names such as "
                f"{names[placed[1]]!r} do not say which number is the row's. Put the columns in "
                "the order of the pixels, row by row, and number them: pixel0, pixel1, ..."
            )
        notes.append("The columns of pixels were put into the order of their numbers.")
    other_columns = [n for n in names if n not in _LABELS and not _PIXEL.fullmatch(n)]
    if asked := [name for name in other_columns if name in _OF_MANIFESTS]:
        raise ValueError(
            f"{path!r} has a column {asked[0]!r}, which is only read from tables of image paths, "
            "not of pixels. Convert the table to an .npz (X, y and groups; or X_train, "
            "y_train, X_test and y_test), or drop the column."
        )
    if other_columns:
        listed = ", ".join(map(repr, other_columns[:4])) + " ..." * (len(other_columns) > 4)
        notes.append(
            f"{len(other_columns)} {'column' if len(other_columns) == 1 else 'columns'} of neither "
            f"pixels nor labels {'was' if len(other_columns) == 1 else 'were'} left out: {listed}."
        )
    return ordered, notes
