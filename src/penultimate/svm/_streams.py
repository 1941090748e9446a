"""Rows of a matrix that need not fit into memory, read in blocks and in their order.

A block is a slice of rows. It is all that is ever converted or copied, so that a memory-mapped
array, or any other object that can be sliced like one, is read from its file in one sweep per pass.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import qr
from sklearn.base import BaseEstimator
from sklearn.kernel_approximation import RBFSampler
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import validate_data

from penultimate._common.per_sample import is_sliceable
from penultimate._common.protocols import Sliceable
from penultimate._common.threads import single_threaded_blas

Block = tuple[slice, NDArray[Any]]
Stream = Callable[[], Iterator[Block]]


class Rows:
    """The rows of `X`, in blocks of floats that are checked when they are read.

    Parameters
    ----------
    estimator : BaseEstimator
        Its features are checked, or set, as by ``validate_data``.
    X : array-like of shape (n_samples, n_features)
        What has a shape and a dtype, and can be sliced, is read block by block; anything else is
        made an array first.
    size : int
        Rows in a block.
    reset : bool
        Whether the features are set.
    """

    def __init__(
        self, estimator: BaseEstimator, X: ArrayLike | Sliceable, size: int, *, reset: bool
    ) -> None:
        # A slice of one row has all that the checks look at, besides the values.
        checked = validate_data(
            estimator,
            X[:1] if is_sliceable(X) else X,
            dtype=(np.float64, np.float32),
            ensure_all_finite=False,
            reset=reset,
        )
        self.X: Sliceable = X if is_sliceable(X) else checked
        self.size = size
        # Half precision is computed in float32; integers are computed in float64, as elsewhere in
        # scikit-learn.
        is_short = self.X.dtype.kind == "f" and self.X.dtype.itemsize <= 4
        self.dtype = np.dtype(np.float32 if is_short else np.float64)

    def __len__(self) -> int:
        return int(self.X.shape[0])

    def blocks(self) -> Iterator[Block]:
        """Read all rows once.

        Yields
        ------
        slice
            The positions of the rows.
        ndarray of shape (at most size, n_features)

        Raises
        ------
        ValueError
            If a value is NaN or infinite; the message names the row.
        """
        for start in range(0, len(self), self.size):
            rows = slice(start, min(start + self.size, len(self)))
            block = np.asarray(self.X[rows], self.dtype)
            _check_finite(block, start)
            yield rows, block


class FeatureMap:
    """What the linear machine is given for a block: scaled features, or random ones of them.

    Parameters
    ----------
    statistics : StandardScaler
        Fitted to all rows.
    standardize : bool
    sampler : RBFSampler or None
        Fitted; None for the features themselves.
    """

    def __init__(
        self, statistics: StandardScaler, standardize: bool, sampler: RBFSampler | None
    ) -> None:
        self.statistics, self.standardize, self.sampler = statistics, standardize, sampler
        n_inputs = len(statistics.mean_)
        self.n_outputs = n_inputs if sampler is None else sampler.n_components

    def __call__(self, block: NDArray[Any]) -> NDArray[Any]:
        if self.standardize:
            block = self.statistics.transform(block)
        return block if self.sampler is None else self.sampler.transform(block)

    def with_ones(self, rows: Rows) -> Iterator[Block]:
        """Yield all rows mapped, with a last column of ones, whose weight is the intercept.

        A block is overwritten by the next one.
        """
        # The column of ones is written once; each block fills the others.
        buffer = np.ones((min(rows.size, len(rows)), self.n_outputs + 1), rows.dtype)
        for where, block in rows.blocks():
            mapped = buffer[: len(block)]
            mapped[:, :-1] = self(block)
            yield where, mapped

    def in_their_span(self, rows: Rows) -> tuple[Stream, NDArray[np.float64]]:
        """Replace rows, fewer than their weights, by their coordinates in an orthonormal basis.

        Neither products of rows nor norms change, and the best weights of a problem that penalizes
        their norm lie in the span of the rows: it is solved in the coordinates, of which there are
        as many as rows. The basis takes as much memory as all rows in float64.

        Parameters
        ----------
        rows : Rows

        Returns
        -------
        callable
            Returns an iterator over the coordinates, in blocks.
        ndarray of shape (n_outputs + 1, n_rows)
            The basis, by which weights of coordinates become weights of what `with_ones` yields.
        """
        whole = np.empty((len(rows), self.n_outputs + 1))
        for where, block in self.with_ones(rows):
            whole[where] = block
        # On a busy machine BLAS's threads spin while they wait for one another: 7 s, not 0.1.
        with single_threaded_blas():
            basis, triangle = qr(whole.T, mode="economic", overwrite_a=True, check_finite=False)
        coordinates = np.ascontiguousarray(triangle.T)
        places = [
            slice(start, min(start + rows.size, len(rows)))
            for start in range(0, len(rows), rows.size)
        ]
        return lambda: ((where, coordinates[where]) for where in places), basis


def measure(rows: Rows, sample_weight: NDArray[np.float64] | None) -> StandardScaler:
    """Compute the means and variances of all features, in one pass.

    Parameters
    ----------
    rows : Rows
    sample_weight : ndarray of shape (n_samples,) or None
        Rows of weight zero do not count.

    Raises
    ------
    ValueError
        If a value is NaN or infinite, or a variance overflows.
    """
    scaler = StandardScaler()
    # An overflow is not warned of here: below, an error names the feature.
    with np.errstate(over="ignore", invalid="ignore"):
        for where, block in rows.blocks():
            # The scaler sums up in float64, whatever the type of the block.
            if sample_weight is None:
                scaler.partial_fit(block)
                continue
            weight = sample_weight[where]
            counted = weight > 0
            if counted.any():  # the scaler refuses a block without rows
                scaler.partial_fit(block[counted], sample_weight=weight[counted])
    overflown = np.flatnonzero(~np.isfinite(scaler.var_))
    if len(overflown):
        raise ValueError(
            f"The variance of feature {overflown[0]} overflows float64; divide the features by a "
            "constant."
        )
    return scaler


def _check_finite(block: NDArray[Any], start: int) -> None:
    with np.errstate(all="ignore"):
        # A sum needs no temporary array. It may overflow itself; then the values decide.
        if np.isfinite(block.sum(dtype=np.float64)):
            return
        bad = np.argwhere(~np.isfinite(block))
    if len(bad):
        row, column = bad[0]
        what = "NaN" if np.isnan(block[row, column]) else "infinity"
        raise ValueError(
            f"Input X contains {what}: row {start + row} (counted from 0), feature {column}. "
            "Replace such values, as SimpleImputer does, or leave out these rows."
        )
