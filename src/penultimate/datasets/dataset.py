"""The data set that readers return: images or features, labels, and notes on how they were read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penultimate._common.columns import names_of
from penultimate._common.images import note_black
from penultimate._common.labels import check_labels
from penultimate._common.subsets import check_subsets
from penultimate._common.validation import check_choice, check_per_sample, check_same_order
from penultimate.datasets.class_names import (
    lookalikes,
    merge_labels,
    natural_order,
    printable,
    with_names,
)
from penultimate.datasets.description import describe
from penultimate.datasets.display import DatasetDisplay
from penultimate.datasets.features import check_features, note_scales, refuse_label_copy
from penultimate.datasets.pixels import BYTES, as_pixels, note_stretched
from penultimate.datasets.reduced import without_duplicates, without_empty_classes
from penultimate.provenance.fingerprints import copy_prints, fingerprint

_PER_SAMPLE = ("groups", "is_test", "is_selection", "fingerprints", "files", "sources")


@dataclass(frozen=True, repr=False)
class Dataset:
    """Labeled images, or features of them, in memory.

    Attributes
    ----------
    images : ndarray of shape (n_samples, height, width, channels)
        Pixels from 0 to 255: uint8 if read from files, float32 if given as floats. If the data are
        features, these: an array of shape (n_samples, n_features).
    labels : ndarray of shape (n_samples,), int64
        Index into `classes` for each image.
    classes : tuple of str
        Class names in natural order, which is the order in every table.
    name : str
        Name of the data in the report.
    groups : ndarray of shape (n_samples,) or None
        Group of each sample, such as its writer; groups are kept whole in splits.
    is_test : ndarray of shape (n_samples,), bool, or None
        Test set that came with the data.
    is_selection : ndarray of shape (n_samples,), bool, or None
        Selection part of development that came with the data.
    notes : tuple of str
        What was done while reading the data, such as resizing images or skipping files.
    subsets : dict of str to tuple of int
        Class indices of each subset, by its name; empty if there are no subsets.
    fingerprints : ndarray of shape (n_samples,), uint64, or None
        Fingerprints of the images as decoded, before resizing; None if they were not changed.
    files : ndarray of shape (n_samples,), str, or None
        Path that each image was read from.
    given_range : tuple of float, default=(0, 255)
        Values that 0 and 255 in `images` had in the original array: (0, 1) for floats in [0, 1].
        A network that was trained elsewhere is given `inputs`, which are on that scale.
    sources : ndarray of shape (n_samples,), str, or None
        Where the image files can still be read, at their own size; None if they cannot, as those of
        an archive.
    feature_names : tuple of str or None
        Names of the columns, if the data are features that came with names.

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
    fingerprints: NDArray[np.uint64] | None = None
    files: NDArray[Any] | None = None
    is_selection: NDArray[np.bool_] | None = None
    given_range: tuple[float, float] = BYTES
    sources: NDArray[Any] | None = None
    feature_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for arrays that lack samples, wrong labels, and parts that overlap.

        Groups and masks are converted to arrays of comparable values.
        """
        n_classes = len(self.classes)
        for name in ("groups", "is_test", "is_selection"):
            checked = check_per_sample(getattr(self, name), len(self.images), name, "Dataset")
            object.__setattr__(self, name, checked)
        for name in ("labels", *_PER_SAMPLE):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.images):
                raise ValueError(
                    f"There are {len(self.images)} {self.noun}s but {len(values)} {name}; to "
                    "select samples, use Dataset.take."
                )
        names = self.feature_names
        if names is not None and self.images.shape[1:] != (len(names),):
            raise ValueError(
                f"There are {len(names)} feature_names for samples of shape {self.images.shape[1:]}"
                "; pass one per feature."
            )
        labels = np.asarray(self.labels)
        outside = labels.dtype.kind not in "iu" or np.any((labels < 0) | (labels >= n_classes))
        if len(labels) and outside:
            raise ValueError(
                f"labels must be indices of the {n_classes} classes; got "
                f"{', '.join(map(repr, np.unique(labels).tolist()[:5]))}. Dataset.from_arrays "
                "takes labels of any kind."
            )
        if self.is_test is not None and self.is_selection is not None:
            n_both = int(np.sum(self.is_test & self.is_selection))
            if n_both:
                raise ValueError(
                    f"{n_both} samples are in both is_test and is_selection; the selection part "
                    "belongs to development."
                )

    @classmethod
    def from_arrays(
        cls,
        images: ArrayLike,
        y: ArrayLike,
        *,
        name: str = "data",
        groups: ArrayLike | None = None,
        is_test: ArrayLike | None = None,
        is_selection: ArrayLike | None = None,
        subsets: Mapping[str, Sequence[Any]] | Sequence[str] | None = None,
        notes: tuple[str, ...] = (),
    ) -> Self:
        """Create a data set from arrays, checking them and indexing the classes.

        Parameters
        ----------
        images : array-like of shape (n_samples, height, width[, channels])
            Pixels in [0, 255] or [0, 1]; or standardized floats, some of them negative, for a
            network that expects them (`images` then holds them stretched to [0, 255]).
        y : array-like of shape (n_samples,)
            Labels of any type.
        name : str, default="data"
            Name of the data in the report.
        groups : array-like of shape (n_samples,), optional
            Group of each sample; groups are kept whole in splits.
        is_test : array-like of shape (n_samples,), optional
            Test set that came with the data.
        is_selection : array-like of shape (n_samples,), optional
            Selection part of development that came with the data.
        subsets : dict or array-like of shape (n_samples,), optional
            Labels of the classes of each subset, by its name; or the name of the subset of each
            sample, in which case classes are named ``subset/label``, so that a label may occur in
            several subsets.
        notes : tuple of str, optional
            Notes on what was done to the data.

        Returns
        -------
        Dataset

        Raises
        ------
        ValueError
            If the images, labels or subsets are invalid; the message gives the reason.
        """
        given = np.asarray(images)
        images, given_range = as_pixels(given)
        noted = [note_black(given, "The array of images"), note_stretched(given_range)]
        return cls._labeled(
            images,
            y,
            name=name,
            groups=groups,
            is_test=is_test,
            is_selection=is_selection,
            subsets=subsets,
            notes=(*notes, *(note for note in noted if note is not None)),
            # Rescaling changes the fingerprint of floats that are not whole pixel values.
            fingerprints=None if given_range == BYTES else fingerprint(given),
            given_range=given_range,
        )

    @classmethod
    def from_features(
        cls,
        features: ArrayLike,
        y: ArrayLike,
        *,
        name: str = "data",
        groups: ArrayLike | None = None,
        is_test: ArrayLike | None = None,
        is_selection: ArrayLike | None = None,
        subsets: Mapping[str, Sequence[Any]] | Sequence[str] | None = None,
        notes: tuple[str, ...] = (),
    ) -> Self:
        """Create a data set from features that were computed elsewhere, such as embeddings.

        Parameters
        ----------
        features : array-like of shape (n_samples, n_features)
            Finite numbers on any scale. Heads standardize them on the samples that they are
            fitted on.
        y : array-like of shape (n_samples,)
            Labels of any type.
        name : str, default="data"
            Name of the data in the report.
        groups : array-like of shape (n_samples,), optional
            Group of each sample; groups are kept whole in splits.
        is_test : array-like of shape (n_samples,), optional
            Test set that came with the data.
        is_selection : array-like of shape (n_samples,), optional
            Selection part of development that came with the data.
        subsets : dict or array-like of shape (n_samples,), optional
            As in `from_arrays`.
        notes : tuple of str, optional
            Notes on what was done to the data.

        Returns
        -------
        Dataset

        Raises
        ------
        ValueError
            If the features, labels or subsets are invalid; the message gives the reason.

        Examples
        --------
        >>> import numpy as np
        >>> from penultimate import Dataset
        >>> embeddings = np.random.default_rng(0).normal(size=(4, 16))
        >>> Dataset.from_features(embeddings, ["cat", "dog", "cat", "dog"], name="pets")
        <Dataset 'pets': 4 samples of 16 features
        2 classes: cat (2), dog (2)>
        """
        for each in (y, groups, is_test, is_selection):
            check_same_order(features, each, "Dataset.from_features")
        values, noted = check_features(features)
        data = cls._labeled(
            values,
            y,
            name=name,
            groups=groups,
            is_test=is_test,
            is_selection=is_selection,
            subsets=subsets,
            notes=(*notes, *noted),
            feature_names=names_of(features),
        )
        refuse_label_copy(values, data.labels, getattr(features, "columns", None))
        if (note := note_scales(values, data.is_test)) is not None:
            data = replace(data, notes=(*data.notes, note))
        return data

    @classmethod
    def _labeled(
        cls,
        samples: NDArray[Any],
        y: ArrayLike,
        *,
        name: str,
        subsets: Mapping[str, Sequence[Any]] | Sequence[str] | None,
        notes: tuple[str, ...],
        **others: Any,
    ) -> Self:
        """Create a data set from samples that were checked, indexing the classes."""
        y = check_labels(y, len(samples), n_classes=1)
        labels = [printable(label) for label in y]
        if empty := [k for k, label in enumerate(labels) if not label.strip()]:
            raise ValueError(
                f"y holds {len(empty)} empty labels, the first at {empty[0]}; drop these samples, "
                "or label them."
            )
        if subsets is not None and not isinstance(subsets, Mapping):
            labels, subsets = merge_labels(labels, subsets)
        names, codes = np.unique(labels, return_inverse=True)
        classes = natural_order(names.tolist())
        position = np.array([classes.index(n) for n in names.tolist()], dtype=np.int64)
        if subsets is not None:
            subsets = check_subsets(with_names(subsets), classes)
        return cls(
            samples,
            position[codes],
            tuple(classes),
            printable(name),
            subsets={} if subsets is None else dict(subsets),
            notes=(*notes, *lookalikes(classes)),
            **others,
        )

    @property
    def has_images(self) -> bool:
        """Whether the samples are images; otherwise they are features."""
        return self.images.ndim != 2

    @property
    def noun(self) -> str:
        """What a sample is called in texts: "image" or "sample"."""
        return "image" if self.has_images else "sample"

    @property
    def inputs(self) -> NDArray[Any]:
        """Images on their original scale, which is the input of a user's own network."""
        if self.given_range == BYTES:
            return self.images
        low, high = self.given_range
        return self.images.astype(np.float32) * np.float32((high - low) / 255) + np.float32(low)

    def fingerprint(self) -> NDArray[np.uint64]:
        """Return a fingerprint of each image; see `penultimate.provenance.fingerprint`.

        Returns
        -------
        ndarray of shape (n_samples,), uint64
        """
        if self.fingerprints is not None:
            return self.fingerprints
        if self.has_images:
            return fingerprint(self.images)
        prints = copy_prints(self.images)
        # Short vectors are equal by coincidence: then none counts as a copy of another.
        return np.arange(len(self.images), dtype=np.uint64) if prints is None else prints

    def take(self, samples: NDArray[Any]) -> Self:
        """Return a data set with some of the samples and all of the classes.

        Parameters
        ----------
        samples : ndarray of int or bool
            Positions of the samples, or a mask.

        Returns
        -------
        Dataset
        """
        arrays: dict[str, Any] = {
            name: getattr(self, name) for name in ("images", "labels", *_PER_SAMPLE)
        }
        arrays = {name: values for name, values in arrays.items() if values is not None}
        return replace(self, **{name: values[samples] for name, values in arrays.items()})

    def without_empty_classes(self) -> Self:
        """Remove the classes that have no image, and add a note.

        `take` keeps them. A network trained for them would have outputs that never occur.

        Returns
        -------
        Dataset

        Raises
        ------
        ValueError
            If fewer than two classes are left, in all or in a subset that keeps some.

        Examples
        --------
        >>> import numpy as np
        >>> from penultimate.datasets import Dataset
        >>> data = Dataset.from_arrays(np.zeros((6, 8, 8), np.uint8), list("abcabc"))
        >>> data.take(data.labels != 1).without_empty_classes().classes
        ('a', 'c')
        """
        return without_empty_classes(self)

    def without_duplicates(self) -> Self:
        """Remove exact copies of earlier images, and add a note.

        Returns
        -------
        Dataset

        Raises
        ------
        ValueError
            If copies of an image have different labels, since it is unclear which one is right.

        Examples
        --------
        >>> import numpy as np
        >>> from penultimate.datasets import Dataset
        >>> data = Dataset.from_arrays(np.eye(8).repeat(8).reshape(8, 8, 8).repeat(2, axis=0),
        ...                            ["cat", "cat", "dog", "dog"] * 4)
        >>> data.without_duplicates().notes
        ('8 images were left out: each is an exact copy of another one.',)
        """
        return without_duplicates(self)

    def with_groups(self, groups: Any) -> Self:
        """Return the data set with other groups, which no split divides.

        Parameters
        ----------
        groups : array-like of shape (n_samples,) or None
            Group of each sample, such as its writer or patient; None removes the groups.

        Returns
        -------
        Dataset

        Examples
        --------
        >>> import numpy as np
        >>> from penultimate import Dataset
        >>> data = Dataset.from_arrays(np.zeros((2, 8, 8), np.uint8), ["cat", "dog"])
        >>> data.with_groups(["Ada", "Ben"]).groups.tolist()
        ['Ada', 'Ben']
        """
        return replace(self, groups=groups)

    def with_subsets(self, subsets: Mapping[str, Sequence[Any]] | None) -> Self:
        """Return the data set with other subsets of its classes.

        Parameters
        ----------
        subsets : dict of str to list of labels, or None
            Labels of the classes of each subset, by its name; None removes the subsets, so that
            `compare` fits one classifier for all classes.

        Returns
        -------
        Dataset

        Raises
        ------
        TypeError, ValueError
            If `check_subsets` refuses them, for example because a class is in no subset.

        Examples
        --------
        >>> import numpy as np
        >>> from penultimate import Dataset
        >>> data = Dataset.from_arrays(np.zeros((4, 8, 8), np.uint8), [0, 1, 2, 3])
        >>> data.with_subsets({"low": [0, 1], "high": [2, 3]}).subsets
        {'low': (0, 1), 'high': (2, 3)}
        """
        if subsets is None:
            return replace(self, subsets={})
        return replace(self, subsets=check_subsets(with_names(subsets), self.classes))

    def show(
        self,
        classes: Sequence[str] | None = None,
        *,
        n_classes: int = 10,
        n_samples: int = 5,
    ) -> DatasetDisplay:
        """Draw a few images of each class, with their names.

        Parameters
        ----------
        classes : list of str, optional
            Classes to show; by default the first `n_classes`.
        n_classes : int, default=10
            Number of classes shown if `classes` does not name them. The title says how many there
            are.
        n_samples : int, default=5
            Number of images per class, from its whole length.

        Returns
        -------
        DatasetDisplay
            With the attributes `figure_` and `axes_`. In a script, ``matplotlib.pyplot.show()``
            opens the window.

        Raises
        ------
        ValueError
            If there is no such class, or a number is not positive.

        Examples
        --------
        >>> import numpy as np
        >>> from penultimate import Dataset
        >>> data = Dataset.from_arrays(np.zeros((6, 8, 8), np.uint8), ["cat", "dog"] * 3)
        >>> data.show().axes_.shape
        (2, 3)
        >>> data.show(["dog"], n_samples=1).names
        ['sample 1']
        """
        if not self.has_images:
            raise ValueError(
                f"There are no images to show: {self.name!r} holds features, of shape "
                f"{self.images.shape}."
            )
        return DatasetDisplay.from_dataset(
            self, classes=classes, n_classes=n_classes, n_samples=n_samples
        ).plot()

    def __repr__(self) -> str:
        # Not all fields: pixels would fill the screen.
        return describe(self)

    def subset_samples(self, name: str) -> NDArray[np.int64]:
        """Return the samples of a subset.

        Parameters
        ----------
        name : str
            Name of a subset in `subsets`.

        Returns
        -------
        ndarray of int
            Ascending positions.
        """
        check_choice(name, "name", "Dataset.subset_samples", self.subsets)
        return np.flatnonzero(np.isin(self.labels, self.subsets[name]))

    def view(self, name: str) -> Self:
        """Return a subset as a separate data set, with the original names of its classes.

        Parameters
        ----------
        name : str
            Name of a subset in `subsets`.

        Returns
        -------
        Dataset
            Data set without subsets.

        Examples
        --------
        >>> import numpy as np
        >>> from penultimate.datasets import Dataset
        >>> subsets = ["vowels", "vowels", "digits", "digits"]
        >>> images = np.zeros((4, 8, 8), np.uint8)
        >>> data = Dataset.from_arrays(images, ["1", "2", "1", "2"], subsets=subsets)
        >>> data.classes
        ('digits/1', 'digits/2', 'vowels/1', 'vowels/2')
        >>> data.view("vowels").classes
        ('1', '2')
        """
        chosen = self.subset_samples(name)
        members = self.subsets[name]
        new_index = np.zeros(len(self.classes), np.int64)
        new_index[list(members)] = np.arange(len(members))
        classes = [self.classes[index] for index in members]
        if all(c.startswith(f"{name}/") for c in classes):
            classes = [c.removeprefix(f"{name}/") for c in classes]
        part = self.take(chosen)
        return replace(
            part,
            labels=new_index[part.labels],
            classes=tuple(classes),
            name=f"{self.name}, {name}",
            subsets={},
        )
