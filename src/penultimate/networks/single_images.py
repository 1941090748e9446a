"""Images that come one by one: paths, contents of files, Pillow images, arrays of several sizes.

A network with a `Preprocessing` takes them at their own size, so no array can hold them.
Classifiers keep them as they came, in an array of objects, of which rows can be taken as usual.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.frozen import FrozenEstimator

from penultimate._common.image_items import Images
from penultimate.networks.adapting import prepares_images
from penultimate.provenance.fingerprints import copy_prints, fingerprint


def come_one_by_one(X: object) -> bool:
    """Return whether samples are images in a sequence that no numeric array can hold."""
    if isinstance(X, np.ndarray):
        return X.ndim == 1 and len(X) > 0 and X.dtype.kind in "OU" and _is_image(X[0])
    if not isinstance(X, (list, tuple)) or not len(X):
        return False
    arrays = {each.shape for each in X if isinstance(each, np.ndarray)}
    return all(map(_is_image, X)) and (
        len(arrays) > 1 or any(not isinstance(each, np.ndarray) for each in X)
    )


def _is_image(item: object) -> bool:
    if isinstance(item, np.ndarray):
        return item.ndim in (2, 3)
    return isinstance(item, (str, PurePath, bytes, Image.Image))


def takes_one_by_one(classifier: object, X: object) -> bool:
    """Return whether samples come one by one, and a classifier's network takes them so."""
    if isinstance(classifier, FrozenEstimator):
        return takes_one_by_one(classifier.estimator, X)
    network = getattr(classifier, "network", None)
    return network is not None and come_one_by_one(X) and prepares_images(network)


def as_sequence(X: Any) -> NDArray[np.object_]:
    """Return images that come one by one as an array of objects, after checking what they are.

    Raises
    ------
    TypeError, ValueError
        If an item is no image, or floats are on different scales.
    """
    Images.of(X)
    items = np.empty(len(X), object)
    for index, item in enumerate(X):  # NumPy would make one array of arrays of one size
        items[index] = str(item) if isinstance(item, str) else item
    return items


def prints_of(X: NDArray[Any]) -> NDArray[np.uint64]:
    """Compute the fingerprint of each sample; that of an image is of its pixels, decoded."""
    if X.dtype != object:
        return fingerprint(X)
    images = Images.of(X)
    # Decoding releases the interpreter's lock.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        prints = pool.map(lambda k: fingerprint(images[k][np.newaxis])[0], range(len(X)))
        return np.fromiter(prints, np.uint64, len(X))


def copies_of(X: NDArray[Any], prints: NDArray[np.uint64]) -> NDArray[np.uint64] | None:
    """Return the fingerprints with which a split keeps exact copies on one side."""
    return prints if X.dtype == object else copy_prints(X, prints)
