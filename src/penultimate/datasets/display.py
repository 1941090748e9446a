"""Plots of a data set: a few of its images, class by class."""

import os
from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from penultimate._common.validation import check_choice, check_number
from penultimate._common.wording import quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from penultimate.datasets.dataset import Dataset

_SIDE = 1.0  # inches, of the wider side of an image
_NAME = 18  # characters that fit below an image
_CLASS = 20  # characters of a line beside a row


class DatasetDisplay:
    """A few images of each class, with their names.

    Parameters
    ----------
    images : ndarray of shape (n_shown, height, width, channels)
        Pixels from 0 to 255.
    labels : ndarray of shape (n_shown,), int
        Index into `classes` of each image.
    classes : list of str
        Names of the classes shown, from top to bottom.
    names : list of str, optional
        Name of each image.
    counts : list of int, optional
        Number of images that each class has in all.
    title : str, default=""

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes, of shape (n_classes, n_columns)
        One row per class; where a class has fewer images, the last ones are empty.
    figure_ : matplotlib Figure

    See Also
    --------
    penultimate.Dataset.show : Makes one and draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate import Dataset
    >>> from penultimate.displays import DatasetDisplay
    >>> images = np.random.default_rng(0).integers(0, 256, (9, 8, 8), dtype=np.uint8)
    >>> data = Dataset.from_arrays(images, ["cat", "dog", "owl"] * 3, name="pets")
    >>> display = DatasetDisplay.from_dataset(data, n_classes=2, n_samples=3)
    >>> display.title, display.names
    ('pets: the first 2 of 3 classes',
     ['sample 0', 'sample 3', 'sample 6', 'sample 1', 'sample 4', 'sample 7'])
    >>> display.plot().axes_.shape
    (2, 3)
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        classes: Sequence[str],
        *,
        names: Sequence[str] | None = None,
        counts: Sequence[int] | None = None,
        title: str = "",
    ) -> None:
        self.images = images
        self.labels = labels
        self.classes = classes
        self.names = names
        self.counts = counts
        self.title = title

    @classmethod
    def from_dataset(
        cls,
        data: "Dataset",
        *,
        classes: Sequence[str] | None = None,
        n_classes: int = 10,
        n_samples: int = 5,
    ) -> Self:
        """Take images from the whole length of each class.

        Parameters
        ----------
        data : Dataset
        classes : list of str, optional
            Classes to show; by default the first `n_classes`.
        n_classes : int, default=10
            Number of classes shown if `classes` does not name them. The title says how many there
            are.
        n_samples : int, default=5
            Number of images per class.

        Returns
        -------
        DatasetDisplay

        Raises
        ------
        ValueError
            If there is no such class, or a number is not positive.
        """
        check_number(n_classes, "n_classes", "DatasetDisplay", low=1, integer=True)
        check_number(n_samples, "n_samples", "DatasetDisplay", low=1, integer=True)
        title = data.name
        if classes is None:
            shown = data.classes[:n_classes]
            if len(shown) < len(data.classes):
                title += f": the first {len(shown):,} of {len(data.classes):,} classes"
        else:
            shown = tuple(dict.fromkeys([classes] if isinstance(classes, str) else classes))
            for name in shown:
                check_choice(name, "classes", "DatasetDisplay", data.classes)
        of_class = [np.flatnonzero(data.labels == data.classes.index(name)) for name in shown]
        # Photos are often taken in a row: the first few of a class would all show the same thing.
        samples = [
            members[np.linspace(0, len(members) - 1, min(n_samples, len(members))).astype(int)]
            for members in of_class
        ]
        taken = np.concatenate(samples)
        return cls(
            np.clip(np.rint(data.images[taken]), 0, 255).astype(np.uint8),
            np.repeat(np.arange(len(shown)), [len(members) for members in samples]),
            shown,
            names=[_name(data, sample) for sample in taken.tolist()],
            counts=[len(members) for members in of_class],
            title=title,
        )

    def plot(self, figure: "Figure | None" = None) -> Self:
        """Draw one row per class.

        Parameters
        ----------
        figure : matplotlib Figure, optional
            An empty figure to draw on; by default a new one, of a size that suits the images.

        Returns
        -------
        self
        """
        import matplotlib.pyplot as plt

        n_rows = len(self.classes)
        n_columns = max(1, int(np.bincount(self.labels, minlength=1).max()))
        if figure is None:
            height, width = self.images.shape[1:3]
            cell = _SIDE * np.array([width, height]) / max(height, width)
            # Beside, below and above the images there is text.
            size = cell * (n_columns, n_rows) + (2, 0.3 * n_rows + 0.5)
            figure = plt.figure(figsize=tuple(size), layout="constrained")
        axes = figure.subplots(n_rows, n_columns, squeeze=False)
        # Without mathematics: in names, a dollar sign is a dollar sign.
        figure.suptitle(self.title, parse_math=False)
        for row, name in enumerate(self.classes):
            for ax in axes[row]:
                ax.set(xticks=[], yticks=[])
                ax.spines[:].set_visible(False)
            for ax, place in zip(axes[row], np.flatnonzero(self.labels == row).tolist()):
                self._draw(ax, place)
            words = fill(name, _CLASS)
            if self.counts is not None:
                words += f"\n{quantity(self.counts[row], 'image')}"
            axes[row, 0].set_ylabel(
                words, rotation=0, ha="right", va="center", labelpad=8, parse_math=False
            )
        self.axes_, self.figure_ = axes, figure
        return self

    def _draw(self, ax: "Axes", place: int) -> None:
        image = self.images[place]
        image = image[..., 0] if image.shape[-1] == 1 else image
        ax.imshow(image, cmap="gray", vmin=0, vmax=255)  # the range of colors is known as well
        if self.names is not None:
            ax.set_xlabel(_shortened(self.names[place]), fontsize="x-small", parse_math=False)


def _name(data: "Dataset", sample: int) -> str:
    if data.files is None:
        return f"sample {sample}"
    name = os.path.basename(os.fspath(data.files[sample]))
    return name.encode("utf-8", "backslashreplace").decode()  # file names may hold invalid bytes


def _shortened(name: str) -> str:
    """Leave out the middle of a long name: often, names differ at their ends."""
    return name if len(name) <= _NAME else f"{name[: _NAME // 2 - 2]}...{name[-_NAME // 2 + 1 :]}"
