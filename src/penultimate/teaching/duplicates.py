"""Samples that are the same: found by their features, whatever file they came in."""

import numpy as np
from numpy.typing import NDArray

# Of a sample's length. The same pixels give the same features but for rounding, about 1e-6.
_SAME = 1e-4
_NEAR = 1e-2  # what is looked at exactly: products in float32 have lost digits


def same_samples(X: NDArray[np.floating], known: NDArray[np.floating]) -> list[NDArray[np.int64]]:
    """Return, for each sample, the positions of known ones that are the same.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    known : ndarray of shape (n_known, n_features)

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.teaching.duplicates import same_samples
    >>> [each.tolist() for each in same_samples(np.eye(2), np.eye(2)[[1, 1]])]
    [[], [0, 1]]
    """
    if not len(known):
        return [np.empty(0, np.int64) for _ in X]
    with np.errstate(over="ignore"):
        lengths = np.einsum("ij,ij->i", known, known)
    found = []
    for row in X:
        # What overflows is near, or nothing is; the scaled lengths below decide.
        with np.errstate(over="ignore", invalid="ignore"):
            length = float(row @ row)
            squares = length + lengths - 2 * (known @ row)
            near = np.flatnonzero(~(squares > _NEAR**2 * length))
            scale = np.abs(row).max() or 1
            distances = np.linalg.norm((known[near] - row) / scale, axis=1)
        found.append(near[distances <= _SAME * np.linalg.norm(row / scale)])
    return found
