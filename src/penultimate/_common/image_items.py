"""Images as they come, as one sequence: each is decoded when it is needed.

Images of one array, arrays of several sizes, Pillow images, files and the contents of files are the
same here, on one scale: that of pixels from 0 to 255.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from penultimate._common.decoding import DecodedImage, decode_image, pixels_of
from penultimate._common.images import check_images

# In 8 and in 16 bits.
_WHITE, _WHITE_16 = 255.0, 65535


class Images:
    """A sequence of images with pixels from 0 to 255, each decoded when it is asked for.

    Parameters
    ----------
    items : sequence
        Arrays, Pillow images, paths, or contents of files.
    factor : float or None
        What brings the pixels of float arrays to 255; None if no item is one.
    at_least : (height, width) or None
        Size at which files may be decoded; see `decode_image`.
    """

    def __init__(
        self,
        items: Sequence[Any] | NDArray[Any],
        factor: float | None = None,
        at_least: tuple[int, int] | None = None,
    ) -> None:
        self._items = items
        self.factor = factor
        self.at_least = at_least

    @classmethod
    def of(
        cls, X: Any, factor: float | None = None, at_least: tuple[int, int] | None = None
    ) -> Self:
        """Check what was given as images, without decoding anything.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]), or sequence
            A sequence may hold arrays of different sizes, Pillow images, paths or bytes.
        factor : float, optional
            That of the images in `fit`, if these were floats.
        at_least : (height, width), optional
            Size at which files may be decoded; see `decode_image`.

        Raises
        ------
        TypeError
            If an item is no image.
        ValueError
            If there are none.
        """
        if isinstance(X, (str, bytes, PurePath, Image.Image)):
            raise ValueError("X is one image; pass a list with one image: [X].")
        if hasattr(X, "__array__"):
            X = np.asarray(X)
        else:
            X = list(X)
            shapes = {np.shape(item) for item in X if isinstance(item, np.ndarray)}
            # Arrays of one shape are one array, which is checked and scaled as a whole.
            if len(shapes) == 1 and all(isinstance(item, np.ndarray) for item in X):
                X = np.stack(X)
        # An array of texts is a list of paths.
        if isinstance(X, np.ndarray) and X.dtype.kind == "U":
            X = list(map(str, X))
        if not len(X):
            raise ValueError("There are no images to pass through the network.")
        if isinstance(X, np.ndarray) and X.dtype != object:
            if X.ndim not in (3, 4) or X.dtype.kind not in "biuf":
                raise ValueError(
                    "Images must have the shape (n_samples, height, width) or (n_samples, height, "
                    f"width, channels) and hold numbers; got {X.dtype} of shape {X.shape}."
                )
            if X.ndim == 4 and X.shape[3] not in (1, 3):
                check_images(X[:1])  # which says what is wrong with the channels
            # The scale belongs to all of them: a dark image alone does not show it.
            if X.dtype.kind == "f":
                factor = _scale_of([X], factor)
            return cls(X, factor, at_least)
        for index, item in enumerate(X):
            if not isinstance(item, (str, PurePath, bytes, np.ndarray, Image.Image)):
                raise TypeError(
                    "Images must be arrays, Pillow images, paths or the contents of files; got "
                    f"{type(item).__module__}.{type(item).__qualname__} at position {index}."
                )
        floats = [x for x in X if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
        if floats:
            factor = _scale_of(floats, factor)
        return cls(X, factor, at_least)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def are_arrays(self) -> bool:
        """Whether none of them has to be decoded."""
        if isinstance(self._items, np.ndarray):
            return self._items.dtype != object
        return all(isinstance(item, np.ndarray) for item in self._items)

    def __getitem__(self, index: int) -> NDArray[Any]:
        """Return the pixels of one image, (height, width) or (height, width, channels)."""
        return self.read(index)[0]

    def read(self, index: int) -> tuple[NDArray[Any], tuple[str, ...]]:
        """Return the pixels of one image, and what was changed; see `DecodedImage`."""
        item = self._items[index]
        if isinstance(item, (str, PurePath, bytes)):
            source = item if isinstance(item, bytes) else Path(item)
            decoded = decode_image(source, at_least=self.at_least)
            return _pixels(decoded), decoded.changes
        try:
            if isinstance(item, Image.Image):
                return _pixels(pixels_of(item)), ()
            image = check_images(item[np.newaxis], name="The image", scale=self.factor)[0]
        except ValueError as error:
            # A file is named by its own error; arrays and Pillow images only by their position.
            raise ValueError(f"Image {index}: {error}") from error
        if image.dtype.kind == "f" and (high := float(image.max())) > _WHITE + 0.5:
            # Half a gray level more is rounding.
            given = high / (self.factor or 1)
            raise ValueError(
                f"Image {index} has values up to {given:g}, and others were taken to "
                "go up to 1: they are on different scales. Pass all as 8-bit images, or floats "
                "from 0 to 1."
            )
        return image, ()


def _scale_of(floats: Sequence[NDArray[Any]], known: float | None) -> float:
    """Return the factor that brings floats to pixels from 0 to 255.

    Parameters
    ----------
    floats : sequence of ndarray
    known : float or None
        That of the images in `fit`, if these were floats.

    Raises
    ------
    ValueError
        If they are on another scale than those in `fit`; if they are zeros and ones alone, nearly
        black or black and white.
    """
    in_unit = max(float(each.max()) for each in floats) <= 1
    if known is not None:
        # A dark image from 0 to 255 has whole numbers, or some above 1.
        if known == 1 and in_unit and not all((each == np.rint(each)).all() for each in floats):
            raise ValueError(
                "The images are floats up to 1, and those of fit went up to 255: multiply them by "
                "255."
            )
        return known
    if not in_unit:
        return 1.0
    if any(each.any() for each in floats) and all(np.isin(each, (0, 1)).all() for each in floats):
        raise ValueError(
            "The images are floats, all of them 0 or 1: from 0 to 255 they are nearly black, "
            "from 0 to 1 black and white. Pass booleans or 8-bit images, or fit on images that "
            "show their scale."
        )
    return _WHITE


def _pixels(image: DecodedImage) -> NDArray[Any]:
    """Return the pixels of a file, those of 16 bits on the scale of 8."""
    if image.pixels.dtype == np.uint8:
        return image.pixels
    # A file alone does not show how many of its 16 bits it uses, but what it states.
    white = image.white or _WHITE_16
    return image.pixels.astype(np.float32) * np.float32(255 / white)


def first_readable(images: Images) -> NDArray[Any] | None:
    """Return the first image that can be read; None if none can."""
    for index in range(len(images)):
        with suppress(ValueError, OSError):
            return images[index]
    return None
