"""The input of `compare`: a dataset from arrays or files, and the array its network is fed.

For images the two differ: the dataset holds 8-bit images for the report and for methods on pixels,
but a network that does not scale pixels itself must be fed samples on their original scale.
Features, in a matrix, take the place of a network: there the two are the same.
"""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penultimate._common.data_objects import as_samples
from penultimate._common.door import spelled
from penultimate._common.images import check_one_scale
from penultimate._common.labels import typed_labels
from penultimate._common.progress import Progress
from penultimate._common.validation import check_same_order
from penultimate.datasets import Dataset
from penultimate.datasets.features import check_finite
from penultimate.datasets.readers import load_kept
from penultimate.datasets.stored_features import read_store
from penultimate.networks import takes_pixels
from penultimate.networks.adapting import prepares_images, takes_channels_first
from penultimate.networks.arguments import check_one_input, names_builder
from penultimate.store import FeatureStore

# What `compare` trains where nothing else is asked for; data that are features need nothing.
DEFAULT_NETWORK = "compact"
DEFAULT_LAYER = "penultimate"


def read_given(
    data: ArrayLike | str | Path | Dataset | FeatureStore,
    y: ArrayLike | None,
    test: tuple[ArrayLike, ArrayLike] | None,
    network: object,
    progress: Progress,
    stack: ExitStack,
) -> tuple[Dataset, NDArray[Any]]:
    """Return the dataset, and the array that the network is fed.

    With a preprocessing, a network is fed image files at their own size, by their paths. Until the
    stack is closed, those of an archive can be read.
    """
    # Named networks begin with a rescaling of pixels; of others, the graph says whether they do.
    takes_own_scale = not (names_builder(network) or takes_pixels(network))
    if isinstance(data, FeatureStore) and y is None:
        data = read_store(data)
    if isinstance(data, (str, Path, Dataset)):
        if test is not None:
            raise ValueError(
                "test=(X_test, y_test) goes with arrays. In a Dataset, mark the test samples: "
                "Dataset.from_arrays(..., is_test=mask). In folders, name the parts train/ and "
                "test/."
            )
        if y is not None:
            raise ValueError("y must be None if 'data' is a path or a Dataset, which has labels.")
        # A user's own network may fix the size of its input, so its images stay as they are.
        size: Literal["auto"] | None = "auto" if names_builder(network) else None
        if not isinstance(data, Dataset):
            prepares = prepares_images(network)
            size = "auto" if prepares else size
            data = load_kept(data, stack, image_size=size, progress=progress, for_report=prepares)
        # `take` keeps all classes, also those of which it took nothing.
        dataset = data.without_empty_classes()
        if not dataset.has_images:
            return dataset, dataset.images
        if prepares_images(network) and dataset.sources is not None:
            return dataset, np.array(dataset.sources, object)
        if prepares_images(network) and dataset.files is not None:
            pixels = " x ".join(map(str, dataset.images.shape[1:3]))
            note = (
                f"The network was fed images of {pixels} pixels, as they were read: their files "
                "can't be read again at their own size."
            )
            dataset = replace(dataset, notes=(*dataset.notes, note))
        fed = dataset.inputs if takes_own_scale else _pixels(dataset)
        # Of images from files it is known where their channels are.
        return dataset, np.moveaxis(fed, -1, 1) if takes_channels_first(network) else fed
    check_one_input(network, data, "compare")
    X = as_samples(data, "compare")
    if y is None:
        raise ValueError("y is missing: compare needs one label per sample.")
    check_same_order(data, y, "compare")
    y = typed_labels(y)
    # A user's own test set is appended and marked: from here on there is one form of data.
    is_test = None
    if test is not None:
        X, y, is_test = _join(X, y, test)
    # One image has as many axes as a matrix of features, but a single label. (Data frames stay as
    # they are, for the names of their columns.)
    if np.ndim(X) == 2 and (np.shape(X)[:1] == np.shape(y)[:1] or np.size(y) > 1):
        dataset = Dataset.from_features(X, y, is_test=is_test).without_empty_classes()
        return dataset, dataset.images
    shown = X
    if takes_channels_first(network) and np.ndim(X) == 4 and np.shape(X)[1] in (1, 3):
        shown = np.moveaxis(np.asarray(X), 1, -1)
    dataset = Dataset.from_arrays(shown, y, is_test=is_test).without_empty_classes()
    return dataset, np.asarray(X) if takes_own_scale else _pixels(dataset)


def refuse_training(
    data: Dataset, network: object, training: object, checkpoints: object, layers: list[str]
) -> None:
    """Raise ``ValueError`` for what is about a network, if the data are features already."""
    given = {
        spelled("--network", "network"): None if network == DEFAULT_NETWORK else network,
        spelled("--epochs", "training"): training,
        spelled("--checkpoints", "checkpoints"): checkpoints,
        spelled("--layer", "layer"): None if layers == [DEFAULT_LAYER] else layers,
    }
    # A parameter at its default is no request.
    unused = [name for name, value in given.items() if value is not None]
    if unused and not data.has_images:
        raise ValueError(
            f"The data are features, of shape {data.images.shape}: no network is trained on them, "
            f"so that {' and '.join(unused)} would do nothing. Leave out what is about networks, "
            "or pass the images."
        )


def _pixels(data: Dataset) -> NDArray[Any]:
    """Return the images for a network that scales pixels itself."""
    low, high = data.given_range
    # Standardized images have lost the scale that pixels could be recovered from.
    if low < 0:
        raise ValueError(
            f"The network takes pixels in [0, 1] or [0, 255]; got values from {low:g} to {high:g}. "
            "Undo the standardization, or pass 8-bit images."
        )
    return data.images


def _join(
    X: ArrayLike, y: ArrayLike, test: tuple[ArrayLike, ArrayLike]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]:
    """Append the user's own test set to the other samples."""
    if not isinstance(test, (tuple, list)) or len(test) != 2:
        raise ValueError(f"test must be a tuple (X_test, y_test); got {type(test).__name__}.")
    check_same_order(test[0], test[1], "compare's test")
    columns, tested = (getattr(each, "columns", None) for each in (X, test[0]))
    if columns is not None and tested is not None and list(columns) != list(tested):
        raise ValueError(
            f"X and X_test have other columns, or in another order: {list(columns)[:4]} ... and "
            f"{list(tested)[:4]} ... Pass X_test[X.columns]."
        )
    X, X_test = np.asarray(X), np.asarray(as_samples(test[0], "compare"))
    y, y_test = np.asarray(y), np.asarray(test[1])
    # The usual slip: one sample, without the axis of the samples.
    if X_test.shape == X.shape[1:] or y_test.ndim == 0:
        noun = "sample" if X.ndim == 2 else "image"
        raise ValueError(
            f"The test set is one {noun}, of shape {X_test.shape}; pass an array with one {noun} "
            "and one label: test=(X_test[None], [y_test])."
        )
    for name, images, labels in (("X", X, y), ("X_test", X_test, y_test)):
        if len(images) != len(labels):
            raise ValueError(f"{name} has {len(images)} samples but {len(labels)} labels.")
    if X.shape[1:] != X_test.shape[1:]:
        alike = "compute the same features of both" if X.ndim == 2 else "resize them alike"
        raise ValueError(
            f"X has samples of shape {X.shape[1:]} and X_test of shape {X_test.shape[1:]}; {alike}."
        )
    # Joining different types or scales would silently change the brightness of one of the two.
    if (X.dtype.kind == "f") != (X_test.dtype.kind == "f"):
        raise ValueError(
            f"X has values of type {X.dtype} and X_test of type {X_test.dtype}; bring both to one "
            "scale and type."
        )
    if X.ndim > 2:
        check_one_scale({"X": X, "X_test": X_test})
    else:  # features, which have no scale in common
        for name, part in (("X", X), ("X_test", X_test)):
            if part.dtype.kind == "f":
                check_finite(part, name)
    if y.ndim != 1 or y_test.ndim != 1:
        raise ValueError(
            f"y and y_test must have one label per sample; got shapes {y.shape} and {y_test.shape}."
        )
    # NumPy would turn the numbers into text, and make 1 and "1" one class.
    if (y.dtype.kind in "iuf") != (y_test.dtype.kind in "iuf"):
        raise ValueError(f"y has labels of type {y.dtype} and y_test of type {y_test.dtype}.")
    is_test = np.repeat([False, True], [len(X), len(X_test)])
    return np.concatenate([X, X_test]), np.concatenate([y, y_test]), is_test
