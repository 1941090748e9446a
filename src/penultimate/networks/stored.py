"""Filling a feature store: only the features that it does not hold yet are computed.

A store's key is a fingerprint of everything that decides the features: the network's layers and
weights, the layer, the pooling, the preprocessing. Its rows are found by the samples' content. So
files may be renamed, shuffled, added or changed: each costs only itself, and what is interrupted
goes on where it was.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray
from PIL.Image import Image

from penultimate._common.decoding import pixels_of
from penultimate._common.progress import SILENT, Progress
from penultimate.networks.adapting import adapt
from penultimate.networks.extraction import FeatureExtractor
from penultimate.store.feature_store import FeatureStore
from penultimate.store.hashes import as_array, content_hash, content_hashes
from penultimate.store.manifest import in_words, is_store
from penultimate.store.parts import DamagedError


@dataclass(frozen=True)
class Extracted:
    """What an extraction did.

    Attributes
    ----------
    hashes : ndarray of shape (n_samples, 16), uint8
        The content hash of each sample.
    n_computed : int
        Number of samples that were not in the store before.
    unreadable : dict of int to str
        Position and reason of every image that could not be read, if these are skipped.
    """

    hashes: NDArray[np.uint8]
    n_computed: int
    unreadable: dict[int, str]


def describe(extractor: FeatureExtractor) -> dict[str, Any]:
    """Return in words what a fitted extractor computes, for the store's manifest.

    Parameters
    ----------
    extractor : FeatureExtractor

    Returns
    -------
    dict
    """
    prepare = extractor.preprocessing_
    return {
        "network": adapt(extractor.network).name,
        "layer": extractor.layer_,
        "pooling": extractor.pooling_,
        "mirror": extractor.mirror,
        "preprocessing": None if prepare is None else asdict(prepare),
    }


def key_of(extractor: FeatureExtractor) -> str:
    """Return the fingerprint of everything that decides the features of a fitted extractor.

    Parameters
    ----------
    extractor : FeatureExtractor

    Returns
    -------
    str
        32 hexadecimal digits.

    Raises
    ------
    ValueError
        If the network is a function, of which nothing can be known.

    Examples
    --------
    >>> from penultimate import FeatureExtractor
    >>> from penultimate.networks import build_network
    >>> from penultimate.networks.stored import key_of
    >>> extractor = FeatureExtractor(build_network("compact", (8, 8, 1), 2)).fit()
    >>> len(key_of(extractor))
    32
    """
    words = describe(extractor)
    del words["network"]  # a name is no part of what is computed
    content = [adapt(extractor.network).digest(), *(f"{k}={v}" for k, v in sorted(words.items()))]
    return xxhash.xxh3_128_hexdigest("\n".join(content).encode())


def extract_to_store(
    extractor: FeatureExtractor,
    X: Any,
    store: FeatureStore,
    *,
    skip_unreadable: bool = False,
    progress: Progress = SILENT,
) -> Extracted:
    """Compute the features that a store lacks.

    Parameters
    ----------
    extractor : FeatureExtractor
        Fitted.
    X : array-like of shape (n_samples, ...), or sequence of images
        Samples as the extractor takes them, such as paths of image files.
    store : FeatureStore
        A store of this extractor's key.
    skip_unreadable : bool, default=False
        Whether images that can't be read are reported instead of raised.
    progress : Progress, optional

    Returns
    -------
    Extracted

    Raises
    ------
    ValueError
        If the store is of another network or preprocessing; if an image can't be read. What was
        computed until then is kept.
    """
    key = key_of(extractor)
    if store.key != key:
        raise ValueError(
            f"The store {str(store.path)!r} has features of {store.key!r} "
            f"({in_words(store.description)}), and these are of {key!r} "
            f"({in_words(describe(extractor))}): choose another folder."
        )
    hashes, unreadable = hashes_of(X, skip_unreadable=skip_unreadable)
    # Files that could not even be read for their hash are not tried again.
    rows = np.setdiff1d(store.missing(hashes), list(unreadable))
    with store:  # what was computed is kept, also after Ctrl-C
        bad: set[int] = set()

        def note(place: int, error: ValueError) -> None:
            bad.add(place)
            unreadable[int(rows[place])] = str(error)

        on_error = note if skip_unreadable else None
        # Batch by batch into the store, so that memory does not grow with the number of samples.
        for start, stop, features in extractor.stream(X, rows, on_error) if len(rows) else ():
            good = [k for k in range(start, stop) if k not in bad]
            if good:
                store.append(hashes[rows[good]], features[[k - start for k in good]])
            progress.update("extract features", stop, len(rows))
        # A store is asked for each content once: copies of what can't be read can't be, either.
        originals = {hashes[row].tobytes(): row for row in rows[sorted(bad)].tolist()}
        for row in range(len(hashes)) if originals else ():
            if (original := originals.get(hashes[row].tobytes(), row)) != row:
                unreadable[row] = f"{X[row]}: it is a copy of {X[original]}"
        if len(rows):  # also if nothing could be read of the last batches
            progress.update("extract features", len(rows), len(rows))
    return Extracted(hashes, len(rows) - len(bad), dict(sorted(unreadable.items())))


def cached_features(
    extractor: FeatureExtractor, X: Any, folder: Path, progress: Progress = SILENT
) -> list[NDArray[np.float32]]:
    """Return the features of each layer of an extractor, from stores in a folder where they are.

    Parameters
    ----------
    extractor : FeatureExtractor
        Fitted, at one or several layers.
    X : array-like of shape (n_samples, ...), or sequence of images
    folder : Path
        Holds one store per network, layer and preprocessing; or is the store of the only one.
    progress : Progress, optional

    Returns
    -------
    list of ndarray of shape (n_samples, n_features), float32

    Raises
    ------
    ValueError
        If a file of a store is damaged.
    """
    try:
        return _cached(extractor, X, folder, progress)
    except DamagedError as error:  # here, nothing is left out
        again = "Delete it, and its features are computed again."
        raise ValueError(f"{error.problem} {again}") from error


def _cached(
    extractor: FeatureExtractor, X: Any, folder: Path, progress: Progress
) -> list[NDArray[np.float32]]:
    layers = extractor.layer_ if isinstance(extractor.layer_, list) else [extractor.layer_]
    singles = [extractor.at(layer) for layer in layers]
    hashes, _ = hashes_of(X)
    with ExitStack() as stack:  # what was computed is kept, also after Ctrl-C
        stores = [stack.enter_context(_store_in(folder, single)) for single in singles]
        missing = [store.missing(hashes) for store in stores]
        rows = np.unique(np.concatenate(missing))
        # All layers in one pass, though some of them may have been stored before.
        for start, stop, each in extractor.stream_each(X, rows) if len(rows) else ():
            for store, features, lacking in zip(stores, each, missing):
                wanted = np.isin(rows[start:stop], lacking)
                if wanted.any():
                    store.append(hashes[rows[start:stop][wanted]], features[wanted])
            progress.update("extract features", stop, len(rows))
    return [store.take(hashes) for store in stores]


def hashes_of(X: Any, *, skip_unreadable: bool = False) -> tuple[NDArray[np.uint8], dict[int, str]]:
    """Return the content hash of each sample; of files, that of their bytes.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...), or sequence of paths, bytes or arrays
    skip_unreadable : bool, default=False
        Whether files that can't be read are reported instead of raised.

    Returns
    -------
    hashes : ndarray of shape (n_samples, 16), uint8
    unreadable : dict of int to str
    """
    items = X if isinstance(X, np.ndarray) else list(X)
    if isinstance(items, np.ndarray) and items.dtype.kind not in "OUS":
        return content_hashes(items), {}
    unreadable: dict[int, str] = {}

    def hashed(index: int) -> bytes:
        item = items[index]
        try:
            if isinstance(item, (str, PurePath)):
                return content_hash(Path(item).read_bytes())
            if isinstance(item, bytes):
                return content_hash(item)
            # Of a Pillow image, the array alone is without its palette and its orientation.
            pixels = pixels_of(item).pixels if isinstance(item, Image) else np.asarray(item)
            # As a batch of one, so that it has the hash that it has in an array of images.
            return content_hashes(pixels[np.newaxis])[0].tobytes()
        except OSError as error:
            if not skip_unreadable:
                raise
            unreadable[index] = f"{item}: {error.strerror}"
            return bytes(16)  # in its place; its row is left out by the caller

    with ThreadPoolExecutor() as pool:  # reading waits for the disk
        return as_array(list(pool.map(hashed, range(len(items))))), unreadable


def _store_in(folder: Path, extractor: FeatureExtractor) -> FeatureStore:
    key = key_of(extractor)
    # One store of the user's own, or a folder of caches, one for each network and layer.
    place = folder if is_store(folder) else folder / key
    return FeatureStore(place, key=key, description=describe(extractor))
