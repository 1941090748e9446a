"""What a reader returns: images, labels, and what was done to get them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from penultimate._validation import check_images, check_labels


def natural_order(names: Iterable[Any]) -> list[Any]:
    """Sort the distinct `names` so that numbers inside them count as numbers.

    Parameters
    ----------
    names : iterable
        Class names, of any type that prints.

    Returns
    -------
    list
        Each distinct name once.

    Examples
    --------
    >>> from penultimate.datasets import natural_order
    >>> natural_order(["c10", "c9", "c10"])
    ['c9', 'c10']
    """

    def key(name: Any) -> tuple[Any, ...]:
        parts = re.split(r"(\d+)", str(name))
        return tuple((int(p), "") if p.isdecimal() else (-1, p) for p in parts), str(name)

    return sorted(set(names), key=key)


def _printable(name: Any) -> str:
    """Text that can be written as UTF-8; a file's name may hold bytes that are none."""
    text = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else str(name)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(frozen=True)
class Dataset:
    """Labelled images, in memory.

    Attributes
    ----------
    images : ndarray of shape (n_samples, height, width, channels)
        Pixels from 0 to 255: uint8 as read from files, float32 where given as floats.
    labels : ndarray of shape (n_samples,), int64
        For each image the index of its class in `classes`.
    classes : tuple of str
        The class names, in the natural order of their names: the order of every table.
    name : str
        What the report calls this data.
    groups : ndarray of shape (n_samples,) or None
        What must not be split between development and test, such as a writer.
    is_test : ndarray of shape (n_samples,), bool, or None
        A split that came with the data.
    notes : tuple of str
        What was done to the data on reading, for the report: images resized, files left out.
    subsets : dict of str to tuple of int
        Named groups of classes, by their indices in `classes`; empty where there are none.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.datasets import Dataset
    >>> data = Dataset.from_arrays(np.zeros((2, 8, 8), np.uint8), ["cat", "dog"])
    >>> data.classes, data.images.shape
    (('cat', 'dog'), (2, 8, 8, 1))
    """

    images: NDArray[Any]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    name: str = "data"
    groups: NDArray[Any] | None = None
    is_test: NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = field(default=())
    subsets: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def from_arrays(
        cls,
        images: Any,
        y: Any,
        *,
        name: str = "data",
        groups: Any = None,
        is_test: Any = None,
        notes: tuple[str, ...] = (),
    ) -> Self:
        """Check arrays and number their classes.

        Parameters
        ----------
        images : array-like of shape (n_samples, height, width[, channels])
            Pixels in [0, 255] or [0, 1].
        y : array-like of shape (n_samples,)
            Labels of any type.
        name : str, default="data"
            What the report calls this data.
        groups : array-like of shape (n_samples,), optional
            What must not be split.
        is_test : array-like of shape (n_samples,), optional
            A split that came with the data.
        notes : tuple of str, optional
            What was done to the data.

        Returns
        -------
        Dataset

        Raises
        ------
        ValueError
            If the images or labels are unusable; the message says how.
        """
        images = check_images(images, name="images")
        y = check_labels(y, len(images))
        names, codes = np.unique([_printable(label) for label in y], return_inverse=True)
        classes = natural_order(names.tolist())
        position = np.array([classes.index(n) for n in names.tolist()], dtype=np.int64)
        if groups is not None:
            groups = np.asarray(groups)
            if groups.shape != (len(images),):
                raise ValueError(
                    f"groups must have one entry a sample, shape ({len(images)},); "
                    f"got shape {groups.shape}."
                )
        is_test = None if is_test is None else np.asarray(is_test, dtype=bool)
        return cls(
            images, position[codes], tuple(classes), _printable(name), groups, is_test, notes
        )
