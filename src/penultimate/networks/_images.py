"""The way of images into a network: decode, prepare, and put into batches.

Threads decode and prepare some batches ahead while the network computes: Pillow and NumPy release
the interpreter's lock, and the bound on batches keeps memory flat however many images there are.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.image_items import Images, first_readable
from penultimate.networks._forward import Batch
from penultimate.networks.preprocessing import Preprocessing

# One batch being filled while another waits: more would only take memory, as the network is nearly
# always what takes longest (benchmarks/results/extraction.md).
_AHEAD = 2
# Values in a batch of images: 33 of 224 x 224 in three colors. Larger batches take memory by the
# gigabyte in a network's first layers.
_VALUES = 5_000_000


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
        place there are zeros; a batch in which none can be read is left out. By default the error
        is raised.
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
            # A task per image, so that all threads share a batch of few large ones.
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
                # Before the batch is handed out: threads then work while the network computes.
                if (following := next(starts, None)) is not None:
                    submit(following)
                if batch is not None:
                    yield start, stop, [batch]
        except BaseException:  # also Ctrl-C, and who stops taking batches
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def images_per_pass(images: Images, preprocessing: Preprocessing, batch_size: int) -> int:
    """Return the number of images in a batch: `batch_size`, or fewer if they are large."""
    shape = preprocessing.output_shape((1, 1))
    # Then all images have one size, or the batch is refused.
    if preprocessing.size is None:
        first = first_readable(images)
        if first is None:  # each is reported with its batch
            return batch_size
        shape = first.shape
    return max(1, min(batch_size, _VALUES // int(np.prod(shape))))


def _prepare(images: Images, preprocessing: Preprocessing, index: int) -> NDArray[np.float32]:
    return preprocessing.apply(images[index])


def _gathered(
    start: int,
    futures: list[Future[Any]],
    on_error: Callable[[int, ValueError], None] | None,
) -> NDArray[np.float32] | None:
    """Return the images of a batch as one array; None if no image can be read."""
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
    if not shapes:
        return None
    batch = np.zeros((len(results), *shapes.pop()), np.float32)
    for place, each in enumerate(results):
        if each is not None:
            batch[place] = each
    return batch
