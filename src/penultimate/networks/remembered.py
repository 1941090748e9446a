"""Features that are computed once, however often they are asked for.

Selecting a head, calibrating it, certifying an abstention, proving a file and filling its parts
each ask the network for features of the same images: `penultimate fit` did so 27 times. Within
`features_remembered` they are kept in memory as a store keeps them in files: by the fingerprint of
what computes them, and the content of each sample.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from penultimate._common.progress import SILENT, Progress
from penultimate._common.protocols import Inputs
from penultimate.networks import extraction
from penultimate.networks.extraction import FeatureExtractor, joined
from penultimate.networks.stored import hashes_of, key_of

# Enough for 100,000 samples of 1,280 features. What comes then is computed as often as it is asked
# for, which takes time, but no memory that was not expected.
_MOST_BYTES = 2**29


@dataclass
class _Memory:
    """The features that were computed: for each extractor, by the hash of the sample."""

    tables: dict[str, dict[bytes, NDArray[np.float32]]] = field(default_factory=dict)
    n_bytes: int = 0


_memory: ContextVar[_Memory | None] = ContextVar("memory", default=None)


@contextmanager
def features_remembered() -> Iterator[None]:
    """Keep features until the end of the block, or of the outermost one.

    It also decorates functions.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate import FeatureExtractor
    >>> from penultimate.networks import build_network
    >>> from penultimate.networks.remembered import extracted, features_remembered
    >>> extractor = FeatureExtractor(build_network("compact", (8, 8, 1), 2)).fit()
    >>> images = np.zeros((3, 8, 8, 1), np.uint8)
    >>> with features_remembered():
    ...     first, again = extracted(extractor, images), extracted(extractor, images)
    >>> np.array_equal(first, again)
    True
    """
    if _memory.get() is not None:
        yield
        return
    token = _memory.set(_Memory())
    try:
        yield
    finally:
        _memory.reset(token)


def extracted(
    extractor: FeatureExtractor, X: Inputs, progress: Progress = SILENT
) -> NDArray[np.float32]:
    """Return what `networks.extraction.extracted` returns; compute only what is not remembered.

    Parameters
    ----------
    extractor : FeatureExtractor
        Fitted.
    X : array-like of shape (n_samples, ...), or sequence of images
    progress : Progress, optional
        Observer of every batch that is computed.

    Returns
    -------
    ndarray of shape (n_samples, n_features), float32
    """
    memory = _memory.get()
    tables = None if memory is None else _tables(memory, [extractor], X)
    if memory is None or tables is None:
        return extraction.extracted(extractor, X, progress)
    return _remembered(memory, extractor, tables, X, progress)[0]


def extracted_each(
    extractors: Mapping[str, FeatureExtractor], X: Inputs, progress: Progress = SILENT
) -> dict[str, NDArray[np.float32]]:
    """Return the features of each layer; a batch passes through the network once for all of them.

    Parameters
    ----------
    extractors : dict of str to FeatureExtractor
        The extractor of each layer, all of one network and fitted alike.
    X : array-like of shape (n_samples, ...), or sequence of images
    progress : Progress, optional
        Observer of every batch that is computed.

    Returns
    -------
    dict of str to ndarray of shape (n_samples, n_features), float32
    """
    each = list(extractors.values())
    if len(each) == 1:
        return dict.fromkeys(extractors, extracted(each[0], X, progress))
    whole = extraction.together(each)
    memory = _memory.get()
    tables = None if memory is None else _tables(memory, each, X)
    if memory is None or tables is None:
        values = whole.extract_each(X, progress)
    else:
        values = _remembered(memory, whole, tables, X, progress)
    return dict(zip(extractors, values, strict=True))


def _tables(
    memory: _Memory, extractors: Sequence[FeatureExtractor], X: Inputs
) -> list[dict[bytes, NDArray[np.float32]]] | None:
    """Return the table of each extractor; None if these features cannot be remembered."""
    if memory.n_bytes > _MOST_BYTES or not _have_hashes(X):
        return None
    try:
        # The same values are other pixels on another scale.
        keys = [f"{key_of(each)} {each._factor}" for each in extractors]
    except ValueError:  # a function, of which nothing can be known
        return None
    return [memory.tables.setdefault(key, {}) for key in keys]


def _remembered(
    memory: _Memory,
    extractor: FeatureExtractor,
    tables: Sequence[dict[bytes, NDArray[np.float32]]],
    X: Inputs,
    progress: Progress,
) -> list[NDArray[np.float32]]:
    """Return the features in each table, after computing those that a table lacks."""
    hashes = [each.tobytes() for each in hashes_of(X)[0]]
    rows = [row for row, each in enumerate(hashes) if any(each not in one for one in tables)]
    # Without rows, samples are not copied to be chosen from.
    chosen = None if len(rows) == len(hashes) else rows
    for start, stop, parts in extractor.stream_each(X, chosen) if rows else ():
        # One table may be of several layers, which are concatenated.
        parts = parts if len(tables) > 1 else [joined(parts)]
        for table, features in zip(tables, parts, strict=True):
            flat = np.reshape(features, (stop - start, -1))
            table.update(zip([hashes[row] for row in rows[start:stop]], flat))
            memory.n_bytes += flat.nbytes
        progress.update("extract features", stop, len(rows))
    return [np.stack([table[each] for each in hashes]) for table in tables]


def _have_hashes(X: Inputs) -> bool:
    """Return whether each sample has a hash: not of a list, which may be several inputs."""
    if not isinstance(X, np.ndarray) or not len(X):
        return False
    return X.dtype.kind in "biuf" or all(
        isinstance(each, (str, PurePath, bytes, Image)) for each in X
    )
