"""What a predictor was given, as batches for its graph: images of one size each, or features.

Images are decoded in threads, some ahead of the graph, and handed on in batches of equal size in
the order in which they came, so that memory stays flat however many there are.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import partial
from io import IOBase
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from penultimate._common.columns import check_columns
from penultimate._common.decoding import MAX_PIXELS, least_size
from penultimate._common.frames import level_outside
from penultimate._common.image_items import Images
from penultimate._common.validation import refuse_masked
from penultimate.bundle.reading_ahead import ReadAhead

# Values in a batch of images, as they come or as the network takes them: two of 320 x 320 in color.
# What a network computes of more does not fit into the caches: efficientnet-lite0 takes half as
# long again for a photograph in batches of 32.
_VALUES = 700_000
# Images that are grouped by size before the graph takes them, and values in these: 32 MB. While it
# computes them, as many are decoded ahead: with 4 of them a processor in eleven waited.
_WINDOW, _WINDOW_VALUES = 256, 32_000_000
_WHOLE = 0.1  # pixels this near to a whole number were one, before a division in float16
# What is done to images that their sender may not expect.
_CHANGES = {
    "frames": "Of images with several frames, such as animations, the first frame was taken.",
    "rounded": "Pixels of more than 8 bits, or floats between two of its levels, were rounded to 8 "
    "bits: the model takes no finer ones.",
}

OnError = Callable[[int, ValueError], None]
OnChange = Callable[[int, str], None]


def as_images(
    X: Any,
    white: float | None,
    n_features: int | None,
    preprocessing: dict[str, Any] | None = None,
) -> Images:
    """Return what was given as images, of one or several.

    Parameters
    ----------
    X : array, Pillow image, path, bytes, or sequence of these
    white : float or None
        What is white in float images; None to find out.
    n_features : int or None
        Width of a matrix of features, which the model takes as well.
    preprocessing : dict, optional
        That of the manifest, which says whether large JPEG files are decoded at reduced size.

    Raises
    ------
    TypeError, ValueError
        If these are no images, too large, or could be two things.
    """
    if isinstance(X, (str, bytes, bytearray, memoryview, PurePath, Image.Image)):
        X = [_frozen(X)]
    elif hasattr(X, "__array__") and not isinstance(X, (list, tuple)):
        refuse_masked(X, "The images")
        X = _as_batch(np.asarray(X), n_features)
    elif isinstance(X, (Mapping, Set, IOBase)) or not isinstance(X, Iterable):
        # A mapping would be its keys, a set would have no order, and a file would be its lines.
        raise TypeError(
            "Images must be arrays, Pillow images, paths or the contents of files, or a list of "
            f"these; got {type(X).__module__}.{type(X).__qualname__}."
        )
    else:
        X = [_frozen(each) for each in X]
        if X and not isinstance(X[0], (str, bytes, PurePath, Image.Image, np.ndarray)):
            X = _as_batch(np.asarray(X), n_features)
    for each in X if isinstance(X, list) else ():
        refuse_masked(each, "The images")
        if isinstance(each, Image.Image):
            _check_size(each.height, each.width)
        elif isinstance(each, np.ndarray) and each.ndim >= 2:
            _check_size(*each.shape[:2])
    if isinstance(X, np.ndarray) and X.ndim >= 3:
        _check_size(*X.shape[1:3])
    at_least = None
    if preprocessing is not None and preprocessing.get("draft") and preprocessing["size"]:
        at_least = least_size(preprocessing["size"], preprocessing.get("crop"))
    return Images.of(X, None if white is None else 255 / white, at_least)


def as_features(X: Any, n_features: int, names: list[str] | None) -> NDArray[np.float32]:
    """Return a matrix of features.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        A data frame must have the columns of training, if these had names.
    n_features : int
    names : list of str or None

    Raises
    ------
    TypeError, ValueError
        If it is something else.
    """
    columns = getattr(X, "columns", None)
    if columns is not None and names is not None:
        check_columns(columns, names)
    refuse_masked(X, "The features")
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise ValueError(f"The features are no matrix: {error}.") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"The model takes features, a matrix of numbers with {n_features} columns; got "
            f"{type(X).__name__} of dtype {array.dtype}."
        )
    if array.ndim != 2 or array.shape[1] != n_features:
        one = array.shape == (n_features,)
        raise ValueError(
            f"The model takes features of shape (n_samples, {n_features}); got {array.shape}."
            f"{' It is one sample: pass X[None].' if one else ''}"
        )
    with np.errstate(over="ignore"):  # becomes infinity, which is refused
        converted = array.astype(np.float32)
    if not np.isfinite(converted).all():
        raise ValueError(
            "The features hold NaN, infinity, or values beyond those of float32 (3.4e38); drop or "
            "fix these samples."
        )
    return converted


def windows(
    images: Images, on_error: OnError | None = None, on_change: OnChange | None = None
) -> Iterator[list[tuple[int, NDArray[np.uint8]]]]:
    """Yield positions and pixels of a few images at a time, in order, of shape (h, w, channels).

    Parameters
    ----------
    images : Images
    on_error : callable, optional
        Called with the position and the error of an image that cannot be read, which is then left
        out. By default the error is raised.
    on_change : callable, optional
        Called with the position of an image and the words for what was done to it.

    Warns
    -----
    UserWarning
        Without `on_change`, once each, if pixels had to be rounded to 8 bits, and if an image has
        several frames.
    """
    window: list[tuple[int, NDArray[np.uint8]]] = []
    n_values, said = 0, set[str]()
    for index, result in _each(images):
        try:
            image = result()
        except (ValueError, OSError) as error:
            if on_error is None:
                raise
            on_error(index, error if isinstance(error, ValueError) else ValueError(str(error)))
            continue
        for each in sorted(image.changes if on_change else image.changes - said):
            if on_change:
                on_change(index, _CHANGES[each])
            else:
                warnings.warn(_CHANGES[each], UserWarning, stacklevel=level_outside())
        said |= image.changes
        window.append((index, image.pixels))
        n_values += image.size
        if len(window) >= _WINDOW or n_values >= _WINDOW_VALUES:
            yield window
            window, n_values = [], 0
    if window:
        yield window


def of_one_size(
    window: list[tuple[int, NDArray[np.uint8]]],
    batch_size: int,
    preprocessing: dict[str, Any] | None = None,
) -> Iterator[tuple[list[int], NDArray[np.uint8]]]:
    """Yield places in a window, and the images there as one array; all of an array have one size.

    Parameters
    ----------
    window : list
        See `windows`.
    batch_size : int
        Images in an array, at most; fewer if they are large.
    preprocessing : dict, optional
        That of the manifest, which says how large they become.
    """
    size = None if preprocessing is None else preprocessing["size"]
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, (_, pixels) in enumerate(window):
        groups.setdefault(pixels.shape, []).append(place)
    for shape, places in groups.items():
        prepared = 0 if size is None else math.prod(size) * shape[2]
        step = max(1, min(batch_size, _VALUES // max(prepared, math.prod(shape))))
        for start in range(0, len(places), step):
            chosen = places[start : start + step]
            yield chosen, np.stack([window[place][1] for place in chosen])


@dataclass(frozen=True)
class _Image:
    """Pixels in 8 bits, of shape (height, width, channels), and what of `_CHANGES` was done."""

    pixels: NDArray[np.uint8]
    changes: set[str]

    @property
    def size(self) -> int:
        return self.pixels.size


def _each(images: Images) -> Iterable[tuple[int, Callable[[], _Image]]]:
    """Return each position with a function that returns the image there, or raises."""
    if len(images) == 1 or images.are_arrays:  # threads are for decoding
        return ((index, partial(_image_at, images, index)) for index in range(len(images)))
    return ReadAhead(partial(_image_at, images), len(images), _WINDOW, _WINDOW_VALUES)


def _image_at(images: Images, index: int) -> _Image:
    pixels, decoding = images.read(index)
    changes = {each for each in decoding if each in _CHANGES}
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    if pixels.dtype == np.uint8:
        return _Image(pixels, changes)
    rounded = np.rint(pixels)
    if np.abs(pixels - rounded).max() > _WHOLE:
        changes.add("rounded")
    return _Image(np.clip(rounded, 0, 255).astype(np.uint8), changes)


def _frozen(item: Any) -> Any:
    """Return an item, and the content of a file as bytes: NumPy takes other buffers for numbers."""
    return bytes(item) if isinstance(item, (bytearray, memoryview)) else item


def _as_batch(X: NDArray[Any], n_features: int | None) -> NDArray[Any]:
    """Return an array of images with its first axis, which a single image lacks."""
    if X.dtype.kind in "OUS":
        return X
    if X.ndim < 2:
        raise ValueError(f"An array of shape {X.shape} is no image: it has fewer than two axes.")
    if X.ndim == 2:
        if X.shape[1] == n_features:
            raise ValueError(
                f"An array of shape {X.shape} may be one gray image, or the features of "
                f"{X.shape[0]} samples. Pass X[None], or features=X."
            )
        return X[np.newaxis]
    if X.ndim == 3 and X.shape[2] in (1, 3, 4):
        if min(X.shape[:2]) <= 4:
            raise ValueError(
                f"An array of shape {X.shape} may be one image with {X.shape[2]} channels, or "
                f"{X.shape[0]} gray images of {X.shape[1]} x {X.shape[2]} pixels. Pass X[None] or "
                "X[..., None]."
            )
        return X[np.newaxis]
    return X


def _check_size(height: int, width: int) -> None:
    if height * width > MAX_PIXELS:
        raise ValueError(
            f"An image has {width} x {height} pixels; at most {MAX_PIXELS:,} are taken. Make it "
            "smaller first."
        )
