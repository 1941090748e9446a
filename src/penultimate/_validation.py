"""Checks shared by everything public, and the import of optional packages."""

import os
import warnings
from collections.abc import Collection
from importlib import import_module
from importlib.util import find_spec
from numbers import Integral, Real
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

_UNEVEN, _FAR = 100, 10  # of standard deviations: between features, and from 1


def import_optional(name: str, extra: str) -> ModuleType:
    """Import an optional package, or say which extra brings it.

    Parameters
    ----------
    name : str
        The module to import.
    extra : str
        The extra of this package that installs it.

    Raises
    ------
    ImportError
        If the package is not installed; the message names the extra.
    """
    if find_spec(name.partition(".")[0]) is None:
        raise ImportError(
            f"The package '{name.partition('.')[0]}' is not installed. "
            f"Install it with: pip install 'penultimate[{extra}]'"
        )
    return import_module(name)


def check_number(
    value: Any,
    name: str,
    owner: str,
    *,
    low: float = -np.inf,
    high: float = np.inf,
    integer: bool = False,
    open_low: bool = False,
    open_high: bool = False,
) -> None:
    """Raise unless `value` is a number in the interval from `low` to `high`.

    Raises
    ------
    TypeError
        If `value` is not a number of the asked kind.
    ValueError
        If it lies outside the interval.
    """
    kind = "an integer" if integer else "a number"
    if isinstance(value, bool) or not isinstance(value, Integral if integer else Real):
        raise TypeError(f"The '{name}' parameter of {owner} must be {kind}; got {value!r}.")
    number = float(value)
    below = number <= low if open_low else number < low
    above = number >= high if open_high else number > high
    if below or above or np.isnan(number):
        left, right = "(" if open_low else "[", ")" if open_high else "]"
        raise ValueError(
            f"The '{name}' parameter of {owner} must be {kind} "
            f"in {left}{low:g}, {high:g}{right}; got {value!r}."
        )


def check_choice(value: Any, name: str, owner: str, choices: Collection[str]) -> None:
    """Raise ``ValueError`` unless `value` is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(
            f"The '{name}' parameter of {owner} must be one of {listed}; got {value!r}."
        )


def check_not_one_hot(y: Any) -> None:
    """Raise ``ValueError`` for labels that are one-hot rows."""
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] > 1 and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all():
        raise ValueError(
            f"y is one-hot, of shape {y.shape}; a classifier here takes one label a sample. "
            "Pass y.argmax(axis=1), or the class names."
        )


def from_one_hot(y: Any, *, whole: bool = True) -> Any:
    """Turn one-hot rows, of 0 and 1 or -1 and 1, into class indices; leave other labels.

    Raises
    ------
    ValueError
        If a column of them is empty, and these are the `whole` of the labels.
    """
    rows = np.asarray(y)
    if rows.ndim != 2 or rows.shape[1] < 2 or rows.dtype.kind not in "bifu":
        return y
    chosen = rows > 0
    if not (np.isin(rows, (-1, 0, 1)).all() and (chosen.sum(axis=1) == 1).all()):
        return y
    if whole and not chosen.any(axis=0).all():
        empty = np.flatnonzero(~chosen.any(axis=0)).tolist()
        raise ValueError(
            f"y is one-hot with {rows.shape[1]} columns, and no sample is of column {empty[0]}. "
            "Drop empty columns, or pass labels."
        )
    return chosen.argmax(axis=1)


def check_labels(y: Any, n_samples: int, *, n_classes: int = 2) -> NDArray[Any]:
    """Return `y` as a vector of one label a sample.

    Raises
    ------
    ValueError
        If `y` is one-hot, has another length than there are samples, holds a missing value or
        names fewer than `n_classes` classes.
    """
    y = np.asarray(typed_labels(y))
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    check_not_one_hot(y)
    if y.ndim != 1:
        raise ValueError(f"y must have one label a sample, shape (n_samples,); got {y.shape}.")
    if len(y) != n_samples:
        raise ValueError(
            f"There are {n_samples} images but {len(y)} labels; each image needs one label."
        )
    _check_none_missing(y, "y", "labels", "drop these samples, or label them")
    if len(set(y.tolist())) < n_classes:
        raise ValueError(
            f"y holds 1 class, {y[:1].tolist()[0]!r}; a classifier needs samples of at least two."
            if len(y)
            else "There are no samples."
        )
    return y


def typed_labels(y: Any) -> Any:
    """Give labels that come in an array of objects the type that all of them have.

    pandas hands on nullable integers, and categories of numbers, as objects, which scikit-learn
    takes for no labels at all. Text stays as it is.

    Raises
    ------
    ValueError
        If a label is missing, or text and numbers are mixed: NumPy would turn ``1`` into ``"1"``.
    """
    labels = _as_array(y)
    if labels.dtype != object:
        return y
    _check_none_missing(labels, "y", "labels", "drop these samples, or label them")
    kinds = {isinstance(label, str) for label in labels.ravel().tolist()}
    if len(kinds) > 1:
        raise ValueError(
            "y mixes text and other labels, such as "
            f"{sorted({repr(label) for label in labels.ravel().tolist()})[:3]}; give all the same "
            "type, as with y.astype(str)."
        )
    if kinds == {True} or not labels.size:
        return y
    given = np.array(labels.tolist())
    return given if given.dtype.kind in "biuf" and given.shape == labels.shape else y


def check_per_sample(values: Any, n_samples: int, name: str, owner: str) -> NDArray[Any] | None:
    """Return what `fit` is given for each sample, groups or weights, as a vector; None as None.

    Parameters
    ----------
    values : array-like of shape (n_samples,) or None
    n_samples : int
    name : {"groups", "sample_weight"}
        Groups are labels of any kind; fractions are refused, as they are weights. Weights are
        finite numbers, none negative and not all 0; they come back as float64.
    owner : str
        Whose `fit` it is, for the messages.

    Raises
    ------
    ValueError
        If the length is another, a value is missing, or the values are of the other kind.
    """
    if values is None:
        return None
    array = _as_array(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.shape != (n_samples,):
        # scikit-learn's checks look for the first words where weights have two axes.
        got = f"{array.shape[0]}" if array.ndim == 1 else f"shape {array.shape}"
        raise ValueError(
            f"{'Sample weights must be 1D' if name == 'sample_weight' else 'Groups must be 1D'}, "
            f"one for each sample: {name} of {owner} has {got} for {n_samples} samples."
        )
    if array.dtype == object or name == "groups":
        _check_none_missing(array, name, "values", "fill them in, or drop these samples")
    return _check_groups(array, owner) if name == "groups" else _check_weights(array, owner)


def _as_array(values: Any) -> NDArray[Any]:
    """Return an array; of a list with text an array of objects, for NumPy makes text of all else.

    ``np.asarray(["a", nan])`` holds ``"nan"``, which is no longer missing.
    """
    array = np.asarray(values)
    if isinstance(values, (list, tuple)) and array.dtype.kind == "U":
        return np.asarray(values, dtype=object)
    return array


def _check_groups(groups: NDArray[Any], owner: str) -> NDArray[Any]:
    if groups.dtype.kind == "f" and (fractions := groups[groups != np.rint(groups)]).size:
        raise ValueError(
            f"groups of {owner} holds fractions, such as {fractions[0]:g}: these are no groups. "
            "Weights are passed as sample_weight=..."
        )
    if groups.dtype == object and len({isinstance(g, str) for g in groups.tolist()}) > 1:
        raise ValueError(
            f"groups of {owner} mixes text and numbers; give all the same type, as with "
            "groups.astype(str)."
        )
    return np.array(groups.tolist()) if groups.dtype == object else groups


def _check_weights(weights: NDArray[Any], owner: str) -> NDArray[np.float64]:
    try:
        if weights.dtype.kind not in "biufO":
            raise TypeError("no numbers")
        weights = weights.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"sample_weight of {owner} must hold numbers; got {weights[:1].tolist()[0]!r}. "
            "Groups are passed as groups=..."
        ) from None
    bad = ~np.isfinite(weights) | (weights < 0)
    if bad.any():
        raise ValueError(
            f"Negative values in data passed to `sample_weight` of {owner}, or NaN, or infinity: "
            f"{int(bad.sum())} of {len(weights)}, such as {weights[bad][0]:g}. Weights are finite "
            "and at least 0."
        )
    if not weights.any():
        raise ValueError(f"sample_weight of {owner} must not be all zero.")
    return weights


def _check_none_missing(values: NDArray[Any], name: str, what: str, advice: str) -> None:
    if values.dtype.kind not in "fO":  # no other kind has a missing value
        return
    missing = [k for k, value in enumerate(values.ravel().tolist()) if _is_missing(value)]
    if missing:
        raise ValueError(
            f"{name} holds {len(missing)} missing {what} (None or NaN), the first at "
            f"{missing[0]}; {advice}."
        )


def _is_missing(label: Any) -> bool:
    try:
        return label is None or bool(label != label)
    except TypeError:  # pandas.NA is neither equal nor unequal to itself
        return True


def check_images(X: Any, *, name: str = "X", scale: float | None = None) -> NDArray[Any]:
    """Return images as an array of shape (n_samples, height, width, channels), values 0 to 255.

    8-bit images are returned as they are, without a copy. Booleans become 0 and 255. Integers are
    pixels from 0 to 255. Floats are multiplied by `scale`; where it is None, by `pixel_scale`.

    Raises
    ------
    ValueError
        If `X` is not of 3 or 4 dimensions, is empty, has neither 1 nor 3 channels, or holds NaN
        or values outside [0, 1] and [0, 255].
    """
    X = np.asarray(X)
    if X.ndim == 3:
        X = X[..., np.newaxis]
    if X.ndim != 4:
        raise ValueError(
            f"{name} must be images, of shape (n, height, width) or (n, height, width, channels); "
            f"got shape {X.shape}."
        )
    if 0 in X.shape:
        raise ValueError(f"{name} holds no pixels: its shape is {X.shape}.")
    if X.shape[-1] not in (1, 3):
        hint = " Move the channels last." if X.shape[1] in (1, 3) else ""
        raise ValueError(f"{name} must have 1 or 3 channels; got {X.shape[-1]} in {X.shape}.{hint}")
    if X.dtype == np.uint8:
        return X
    if X.dtype == bool:
        return X.astype(np.uint8) * 255
    if X.dtype.kind not in "fiu":
        raise ValueError(f"{name} must hold numbers; got an array of dtype {X.dtype}.")
    low, high = float(X.min()), float(X.max())
    if not np.isfinite(low) or not np.isfinite(high):
        count = int((~np.isfinite(X)).any(axis=(1, 2, 3)).sum())
        raise ValueError(f"{name} holds NaN or infinity, in {count} of {len(X)} images; drop them.")
    if low < 0 or high > 255:
        raise ValueError(
            f"{name} must hold pixels in [0, 1] or [0, 255]; got values from {low:g} to {high:g}. "
            "Undo the standardisation, or pass 8-bit images."
        )
    if X.dtype.kind != "f":
        return X.astype(np.uint8)
    if 1 < high <= 2 and scale != 1:
        raise ValueError(
            f"{name} holds floats up to {high:g}: just outside [0, 1], and too small for [0, 255]. "
            "Clip them, as with numpy.clip(X, 0, 1), or pass 8-bit images."
        )
    return X.astype(np.float32) * np.float32(pixel_scale(X) if scale is None else scale)


def pixel_scale(X: NDArray[Any]) -> float:
    """What makes pixels from 0 to 255 of these: 255 for floats of which none is above 1, else 1."""
    return 255.0 if X.dtype.kind == "f" and X.max() <= 1 else 1.0


def uneven_scales(X: NDArray[Any]) -> tuple[float, float] | None:
    """Return the least and the largest standard deviation where they are far apart, or from 1."""
    deviations = X.std(axis=0, dtype=np.float64)
    deviations = deviations[deviations > 0]
    if not len(deviations):
        return None
    low, high = float(deviations.min()), float(deviations.max())
    uneven = high > _UNEVEN * low or high > _FAR or high < 1 / _FAR
    return (low, high) if uneven else None


def warn_if_unscaled(X: NDArray[Any]) -> None:
    """Warn of features whose standard deviations are far from each other, or from 1."""
    if (scales := uneven_scales(X)) is not None:
        low, high = scales
        warnings.warn(
            f"The features' standard deviations go from {low:.3g} to {high:.3g}; margins, C and "
            "the learning rate are meant for features near 1. Pass standardize=True, or scale "
            "them.",
            UserWarning,
            stacklevel=4,
        )


def is_debugging() -> bool:
    """Say whether the user asked for tracebacks, with ``PENULTIMATE_DEBUG=1``."""
    return os.environ.get("PENULTIMATE_DEBUG", "") not in ("", "0")
