"""Features as data: what is checked of a matrix that was computed elsewhere, such as embeddings.

Nothing is changed but the type: heads standardize features themselves, on the samples that they are
fitted on, so that nothing of the test set goes into it.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse

from penultimate._common.validation import refuse_masked
from penultimate._common.wording import quantity
from penultimate.datasets.row_numbers import refuse_row_numbers

# Beyond, and below the smallest normal number, float32 and the squares of heads end.
_LARGEST, _SMALLEST = 1e37, np.finfo(np.float32).tiny
_FEWEST_FOR_COPY = 20  # samples
_OTHER_SCALE = 10  # times; the samples of one class alone vary a few times less


def check_features(
    features: ArrayLike, name: str = "The features"
) -> tuple[NDArray[Any], list[str]]:
    """Return features as a matrix of floats, and notes on what is odd about them.

    Parameters
    ----------
    features : array-like of shape (n_samples, n_features)
    name : str, default="The features"
        What they are called in a message on values that are not finite.

    Returns
    -------
    features : ndarray of shape (n_samples, n_features)
        As float32; as float64 if given so, or as integers that float32 would round.
    notes : list of str
        How many features are constant, if any are.

    Raises
    ------
    ValueError
        If it is no matrix of finite numbers.

    Examples
    --------
    >>> from penultimate.datasets.features import check_features
    >>> check_features([[0, 1], [0, 2]])
    (array([[0., 1.],
           [0., 2.]], dtype=float32), ['1 of 2 features is the same in every sample.'])
    """
    if issparse(features):
        raise ValueError(
            "The features are a sparse matrix, which is not supported. Pass features.toarray(), or "
            "fewer columns, such as those of sklearn.decomposition.TruncatedSVD."
        )
    refuse_masked(features, name)
    columns = getattr(features, "columns", None)
    given = np.asarray(features)
    if given.ndim != 2 or 0 in given.shape:
        raise ValueError(
            "Features must be a matrix with one row per sample and at least one column; got an "
            f"array of shape {given.shape}."
        )
    if given.dtype == object:  # of a data frame with columns of several types, all numbers
        with suppress(TypeError, ValueError):  # refused below, with the type as it was given
            given = given.astype(np.float64)
    if given.dtype.kind not in "fiub":
        raise ValueError(
            f"Features must be numbers; got an array of dtype {given.dtype}. Drop or encode the "
            "columns that hold text."
        )
    values = given.astype(np.float64 if given.dtype.itemsize > 4 else np.float32, copy=False)
    if values.dtype == np.float64 and given.dtype.kind in "iu" and np.abs(values).max() < 2**24:
        values = values.astype(np.float32)  # which holds such integers exactly
    check_finite(values, name)
    _check_size(values, name)
    if len(values) == 1:
        return values, []
    refuse_row_numbers(values, None if columns is None else list(columns))
    n_constant, n_features = int((np.ptp(values, axis=0) < _SMALLEST).sum()), values.shape[1]
    if n_constant == n_features:
        raise ValueError(
            "Every feature is the same in every sample, so they hold no information on the labels."
        )
    if not n_constant:
        return values, []
    verb = "is" if n_constant == 1 else "are"
    return values, [f"{n_constant:,} of {n_features:,} features {verb} the same in every sample."]


def refuse_label_copy(
    values: NDArray[Any], labels: NDArray[np.int64], names: Sequence[object] | None = None
) -> None:
    """Raise ``ValueError`` for a feature that is the label: one value for each class, and another.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_features)
    labels : ndarray of shape (n_samples,)
    names : sequence, optional
        Those of the columns; by default their positions.
    """
    classes, first = np.unique(labels, return_index=True)
    # Of fewer samples, binary features may agree by coincidence; and of single ones of a class
    # every feature does.
    if len(values) < max(_FEWEST_FOR_COPY, 2 * len(classes)) or len(classes) < 2:
        return
    of_class = values[first]
    constant = (values == of_class[np.searchsorted(classes, labels)]).all(axis=0)
    for k in np.flatnonzero(constant).tolist():
        if len(np.unique(of_class[:, k])) == len(classes):
            name = f"{k} (counted from 0)" if names is None else repr(str(list(names)[k]))
            raise ValueError(
                f"The column {name} of the features is the label: it has one value per class, "
                f"such as {of_class[0, k]:g}. Leave it out. (If it is a feature after all, it "
                "classifies every sample alone.)"
            )


def note_scales(values: NDArray[Any], is_test: NDArray[np.bool_] | None) -> str | None:
    """Return a note if the test set's features are on another scale than the others."""
    if is_test is None or is_test.sum() < 2 or (~is_test).sum() < 2:
        return None
    spread = [values[part].std(axis=0, dtype=np.float64) for part in (~is_test, is_test)]
    known = (spread[0] > 0) & (spread[1] > 0)
    ratio = float(np.median(spread[1][known] / spread[0][known])) if known.any() else 1.0
    if 1 / _OTHER_SCALE < ratio < _OTHER_SCALE:
        return None
    return (
        f"The features of the test set vary {ratio:.2g} times as much as the others: they are on "
        "another scale, and accuracies say little. Compute both alike."
    )


def check_finite(values: NDArray[Any], name: str) -> None:
    """Raise ``ValueError`` for NaN or infinity, with the number of samples and columns.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_features)
    name : str
        What they are called in the message, in the plural or as a variable.
    """
    finite = np.isfinite(values)
    if finite.all():
        return
    rows, columns = (int((~finite).any(axis=axis).sum()) for axis in (1, 0))
    raise ValueError(
        f"{name} must be finite, and NaN or infinity is in {quantity(rows, 'sample')} and "
        f"{quantity(columns, 'column')}, first in row {int((~finite).any(axis=1).argmax())}. Drop "
        "these samples or columns, or fill the values in (sklearn.impute.SimpleImputer)."
    )


def as_float32(values: NDArray[Any], name: str) -> NDArray[np.float32]:
    """Return numbers as float32; raise ``ValueError`` for those that it does not hold."""
    _check_size(values, name)
    return values.astype(np.float32)


def _check_size(values: NDArray[Any], name: str) -> None:
    """Raise ``ValueError`` for numbers that are too large; NaN and infinity are not meant."""
    largest = np.abs(values[np.isfinite(values)]).max(initial=0)
    if largest > _LARGEST:
        row = int((np.abs(values) >= largest).any(axis=1).argmax())
        raise ValueError(
            f"{name} must be at most {_LARGEST:g} in size; got {largest:g}, in row {row}. Divide "
            "them by a constant, or look for values that stand for missing ones."
        )
