"""Images as they come, and their way into a network: decode, prepare, and put into batches.

Images of one array, arrays of several sizes, Pillow images, files and the contents of files are one
sequence here, of which each item is decoded when it is needed. Threads decode and prepare some
batches ahead while the network computes: Pillow and NumPy release the interpreter's lock, and the
bound on batches keeps memory flat however many images there are.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path, PurePath
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from penultimate._common.decoding import DecodedImage, decode_image, pixels_of
from penultimate._common.images import check_images
from penultimate.networks._forward import Batch
from penultimate.networks.preprocessing import Preprocessing

# One batch being filled while another waits: more would only take memory, as the network is nearly
# always what takes longest (benchmarks/results/extraction.md).
_AHEAD = 2
# Values in a batch of images: 33 of 224 x 224 in three colors. Larger batches take memory by the
# gigabyte in a network's first layers.
_VALUES = 5_000_000
_WHITE, _WHITE_16 = 255.0, 65535


class Images:
    """A sequence of images with pixels from 0 to 255, each decoded when it is asked for.

    Parameters
    ----------
    items : sequence
        Arrays, Pillow images, paths, or contents of files.
    factor : float or None
        What brings the pixels of float arrays to 255; None if no item is one.
    """

    def __init__(self, items: Sequence[Any] | NDArray[Any], factor: float | None = None) -> None:
        self._items = items
        self.factor = factor

    @classmethod
    def of(cls, X: Any, factor: float | None = None) -> Self:
        """Check what was given as images, without decoding anything.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]), or sequence
            A sequence may hold arrays of different sizes, Pillow images, paths or bytes.
        factor : float, optional
            That of the images in `fit`, if these were floats.

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
            if len(shapes) == 1 and all(isinstance(item, np.ndarray) for item in X):
                X = np.stack(X)
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
            return cls(X, factor)
        for index, item in enumerate(X):
            if not isinstance(item, (str, PurePath, bytes, np.ndarray, Image.Image)):
                raise TypeError(
                    "Images must be arrays, Pillow images, paths or the contents of files; got "
                    f"{type(item).__module__}.{type(item).__qualname__} at position {index}."
                )
        floats = [x for x in X if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
        if floats:
            factor = _scale_of(floats, factor)
        return cls(X, factor)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> NDArray[Any]:
        """Return the pixels of one image, (height, width) or (height, width, channels)."""
        item = self._items[index]
        if isinstance(item, (str, PurePath)):
            return _pixels(decode_image(Path(item)))
        if isinstance(item, bytes):
            return _pixels(decode_image(item))
        try:
            if isinstance(item, Image.Image):
                return _pixels(pixels_of(item))
            image = check_images(item[np.newaxis], name="The image", scale=self.factor)[0]
        except ValueError as error:
            raise ValueError(f"Image {index}: {error}") from error
        if image.dtype.kind == "f" and (high := float(image.max())) > _WHITE + 0.5:
            given = high / (self.factor or 1)
            raise ValueError(
                f"Image {index} has values up to {given:g}, and others were taken to "
                "go up to 1: they are on different scales. Pass all as 8-bit images, or floats "
                "from 0 to 1."
            )
        return image


def prepared_batches(
    images: Images,
    preprocessing: Preprocessing,
    *,
    batch_size: int,
    rows: Sequence[int] | NDArray[Any] | None = None,
    on_error: Callable[[int, ValueError], None] | None = None,
    threads: int | None = None,
) -> Generator[Batch, None, None]:
    """Decode and prepare images in threads, some batches ahead of who takes them.

    Parameters
    ----------
    images : Images
    preprocessing : Preprocessing
        With a size, or the images must have one in common.
    batch_size : int
    rows : sequence of int, optional
        Which images, in this order; all of them by default.
    on_error : callable, optional
        Called with the position in `rows` and the error of an image that can't be read, in whose
        place there are zeros. By default the error is raised.
    threads : int, optional
        As many as there are processors by default.

    Yields
    ------
    Batch
        Start and stop in `rows`, and a list of one array of shape (stop - start, ...), float32.
    """
    chosen = range(len(images)) if rows is None else rows
    n_threads = threads or os.cpu_count() or 1
    with ThreadPoolExecutor(n_threads, thread_name_prefix="penultimate-images") as pool:
        starts = iter(range(0, len(chosen), batch_size))
        waiting: deque[tuple[int, int, list[Future[Any]]]] = deque()

        def submit(start: int) -> None:
            stop = min(start + batch_size, len(chosen))
            futures = [
                pool.submit(_prepare, images, preprocessing, int(chosen[k]))
                for k in range(start, stop)
            ]
            waiting.append((start, stop, futures))

        try:
            for start in islice(starts, _AHEAD):
                submit(start)
            while waiting:
                start, stop, futures = waiting.popleft()
                batch = _gathered(start, futures, on_error)
                if (following := next(starts, None)) is not None:
                    submit(following)
                yield start, stop, [batch]
        except BaseException:  # also Ctrl-C, and who stops taking batches
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def images_per_pass(images: Images, preprocessing: Preprocessing, batch_size: int) -> int:
    """Return the number of images in a batch: `batch_size`, or fewer if they are large."""
    shape = preprocessing.output_shape((1, 1))
    if preprocessing.size is None:
        shape = images[0].shape
    return max(1, min(batch_size, _VALUES // int(np.prod(shape))))


def _prepare(images: Images, preprocessing: Preprocessing, index: int) -> NDArray[np.float32]:
    return preprocessing.apply(images[index])


def _gathered(
    start: int,
    futures: list[Future[Any]],
    on_error: Callable[[int, ValueError], None] | None,
) -> NDArray[np.float32]:
    """Return the images of a batch as one array."""
    results: list[NDArray[np.float32] | None] = []
    for place, future in enumerate(futures):
        try:
            results.append(future.result())
        except ValueError as error:
            if on_error is None:
                raise
            on_error(start + place, error)
            results.append(None)
    shapes = {each.shape for each in results if each is not None}
    if len(shapes) > 1:
        raise ValueError(
            f"The images have {len(shapes)} sizes, such as "
            f"{' and '.join(map(str, list(shapes)[:2]))}: state the size that the network takes, "
            "Preprocessing(size=...)."
        )
    shape = next(iter(shapes), (1, 1, 1))
    batch = np.zeros((len(results), *shape), np.float32)
    for place, each in enumerate(results):
        if each is not None:
            batch[place] = each
    return batch


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
                "The images are floats up to 1, and those that the extractor was fitted on went up "
                "to 255: multiply them by 255."
            )
        return known
    if not in_unit:
        return 1.0
    if any(each.any() for each in floats) and all(np.isin(each, (0, 1)).all() for each in floats):
        raise ValueError(
            "The images are floats, zeros and ones alone: from 0 to 255 they are nearly black, "
            "from 0 to 1 black and white. Pass booleans, 8-bit images, or fit the extractor on "
            "images that show their scale."
        )
    return _WHITE


def _pixels(image: DecodedImage) -> NDArray[Any]:
    """Return the pixels of a file, those of 16 bits on the scale of 8."""
    if image.pixels.dtype == np.uint8:
        return image.pixels
    # A file alone does not show how many of its 16 bits it uses, but what it states.
    white = image.white or _WHITE_16
    return image.pixels.astype(np.float32) * np.float32(255 / white)
