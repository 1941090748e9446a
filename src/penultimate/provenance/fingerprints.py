"""Fingerprints of samples, by which identical ones are recognized.

The same image has to have the same fingerprint in the forms in which users pass it: as bytes, as
floats in [0, 255] or [0, 1], with or without a channel axis. So pixels are hashed as bytes after
undoing the scaling, and everything else as float32.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import xxhash
from numpy.typing import ArrayLike, NDArray

_ROUNDING = 5e-7  # relative error of a pixel divided by 255 and multiplied again, in float32
_CHUNK = 1 << 16  # values converted at a time, so that they stay in the cache
_LEAST_COPIED = 16  # shorter vectors can be equal by coincidence


def fingerprint(X: ArrayLike) -> NDArray[np.uint64]:
    """Compute a fingerprint of each sample, the first half of `hash_samples`.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Samples.

    Returns
    -------
    ndarray of shape (n_samples,), uint64
        Fingerprints. Any collision among a million different samples has a probability of 3e-8.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.provenance import fingerprint
    >>> image = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    >>> bool(fingerprint(image) == fingerprint(image[..., np.newaxis] / 255))
    True
    """
    return hash_samples(X)[:, 0]


def copy_prints(
    X: NDArray[Any], prints: NDArray[np.uint64] | None = None
) -> NDArray[np.uint64] | None:
    """Return the fingerprints with which a split keeps exact copies on one side.

    None for short vectors: equal ones are measurements that agree, not copies of one object.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
    prints : ndarray of shape (n_samples,), uint64, optional
        Fingerprints of the samples, if already known.
    """
    if X.dtype.kind not in "biuf" or (X.ndim < 3 and X[:1].size < _LEAST_COPIED):
        return None
    return fingerprint(X) if prints is None else prints


def hash_samples(X: ArrayLike) -> NDArray[np.uint64]:
    """Hash the values of each sample, with its shape, to 128 bits (XXH3).

    Samples with two or more axes are treated as images: an image has the same hash as bytes, as
    floats from 0 to 255 or from 0 to 1, and with or without a last axis of length 1. Vectors, and
    values that are not pixels, are hashed as float32.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Samples of numbers or booleans.

    Returns
    -------
    ndarray of shape (n_samples, 2), uint64

    Raises
    ------
    ValueError
        If `X` has no sample axis or does not hold numbers.
    """
    X = np.asarray(X)
    if X.ndim < 1 or X.dtype.kind not in "biuf":
        raise ValueError(
            f"Samples to fingerprint must be an array of numbers; got dtype {X.dtype} and shape "
            f"{X.shape}."
        )
    shape = X.shape[1:]
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    seed = xxhash.xxh3_64_intdigest(repr(tuple(int(side) for side in shape)).encode())
    if not len(X):  # `reshape` can't infer a width from no rows
        return np.empty((0, 2), np.uint64)
    rows = X.reshape(len(X), -1)
    step = max(1, _CHUNK // max(1, rows.shape[1]))
    hashes = b"".join(
        digest
        for start in range(0, len(rows), step)
        for digest in _hash(rows[start : start + step], seed, len(shape) > 1)
    )
    return np.frombuffer(hashes, ">u8").reshape(len(X), 2).astype(np.uint64)


def _hash(rows: NDArray[Any], seed: int, are_images: bool) -> Iterator[bytes]:
    rows = np.ascontiguousarray(rows)
    if are_images and rows.dtype == bool:
        rows = rows.astype(np.uint8) * np.uint8(255)
    if are_images and rows.dtype == np.uint8:
        for row in rows:
            yield xxhash.xxh3_128_digest(row, seed)
        return
    values = rows.astype(np.float32) + np.float32(0)  # turns -0 into 0
    pixels, are_pixels = _as_pixels(values) if are_images else (rows, np.zeros(len(rows), bool))
    for value, pixel, is_pixels in zip(values, pixels, are_pixels.tolist()):
        yield xxhash.xxh3_128_digest(pixel if is_pixels else value, seed)


def _as_pixels(values: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return rows of floats as bytes, and which of the rows are pixels."""
    highest = values.max(axis=1, initial=0)
    are_pixels = (values.min(axis=1, initial=0) >= 0) & (highest <= 255)  # False for NaN
    scaled = np.where(are_pixels, np.where(highest <= 1, 255, 1), 0).astype(np.float32)[:, None]
    with np.errstate(invalid="ignore"):
        scaled = values * scaled
        whole = np.rint(scaled)
        are_pixels &= (np.abs(scaled - whole) <= _ROUNDING * whole).all(axis=1)
        return np.where(are_pixels[:, None], whole, 0).astype(np.uint8), are_pixels
