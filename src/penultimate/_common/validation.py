"""Checks of parameters that are shared by the public classes and functions."""

import difflib
import sys
from collections.abc import Collection
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def check_number(
    value: object,
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
        If `value` is not a number of the required kind.
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


def check_n_jobs(n_jobs: int | None, owner: str) -> None:
    """Raise unless `n_jobs` is None or an integer other than 0, as in joblib."""
    if n_jobs is None:
        return
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, Integral):
        raise TypeError(
            f"The 'n_jobs' parameter of {owner} must be an integer or None; got {n_jobs!r}."
        )
    if n_jobs == 0:
        raise ValueError(
            f"The 'n_jobs' parameter of {owner} must not be 0; pass 1, or -1 for all cores."
        )


def check_choice(value: object, name: str, owner: str, choices: Collection[str | None]) -> None:
    """Raise ``ValueError`` unless `value` is one of `choices`; it names the nearest one."""
    # Only of texts and None, as an array has no truth value.
    if not (value is None or isinstance(value, str)) or value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(
            f"The '{name}' parameter of {owner} must be one of {listed}; got {value!r}."
            + suggest(value, [choice for choice in choices if choice is not None])
        )


def suggest(value: object, choices: Collection[str]) -> str:
    """Return the sentence that names the choice nearest to a misspelled value; else nothing.

    Examples
    --------
    >>> from penultimate._common.validation import suggest
    >>> suggest("compct", ["compact", "wide"]), suggest("resnet", ["compact", "wide"])
    (" Did you mean 'compact'?", '')
    """
    by_lower = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(str(value).strip().lower(), by_lower, 1)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""


def check_per_sample(
    values: ArrayLike | None, n_samples: int, name: str, owner: str
) -> NDArray[Any] | None:
    """Return a per-sample argument, such as groups or weights, as a vector; None stays None.

    Parameters
    ----------
    values : array-like of shape (n_samples,) or None
    n_samples : int
    name : {"groups", "subsets", "is_test", "is_selection", "is_heldout", "sample_weight"}
        Name of the parameter. Groups and names of subsets are labels of any kind; fractions are
        refused, because they are probably weights. Masks hold True and False, or 1 and 0, and are
        returned as booleans. Weights are finite numbers, none negative and not all 0; they are
        returned as float64.
    owner : str
        Name of the class or function, for the messages.

    Raises
    ------
    ValueError
        If the length is wrong, a value is missing, or the values are of the wrong kind.
    """
    if values is None:
        return None
    array = as_array(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.shape != (n_samples,):
        # scikit-learn's estimator checks expect the first words if weights have two axes.
        what = {"sample_weight": "Sample weights", "groups": "Groups"}.get(name, name)
        got = f"{array.shape[0]}" if array.ndim == 1 else f"shape {array.shape}"
        raise ValueError(
            f"{what} must be 1D, one per sample: {name} of {owner} has {got} for "
            f"{n_samples} samples."
        )
    if array.dtype == object or name != "sample_weight":
        check_none_missing(array, name, "values", "fill them in, or drop these samples")
    if name == "sample_weight":
        return _check_weights(array, owner)
    if name in ("is_test", "is_selection", "is_heldout"):
        return _check_mask(array, name, owner)
    return _check_names(array, name, owner)


def check_same_order(X: object, y: object, owner: str) -> None:
    """Raise ``ValueError`` if the rows of pandas objects are the same, in another order.

    Rows are taken by position, here as in scikit-learn, which would give them others' labels.
    """
    rows, labels = getattr(X, "index", None), getattr(y, "index", None)
    if callable(rows) or callable(labels) or rows is None or labels is None:
        return
    if len(rows) == len(labels) and not rows.equals(labels) and set(rows) == set(labels):
        raise ValueError(
            f"The rows of X and y of {owner} have the same index in different orders. Pass "
            "y.loc[X.index] if the index says which label is whose; X.to_numpy() and y.to_numpy() "
            "if the position does."
        )


def refuse_masked(values: object, name: str) -> None:
    """Raise ``ValueError`` for masked values, which NumPy would bring back.

    Parameters
    ----------
    values : object
    name : str
        What they are called, in the plural or as a variable.
    """
    # Who passes a mask has loaded its module; others are spared that.
    if "numpy.ma" not in sys.modules or not isinstance(values, np.ma.MaskedArray):
        return
    if count := int(np.sum(np.ma.getmaskarray(values))):
        raise ValueError(
            f"{name}: masked values, {count:,} of them, have no meaning here. Fill them with "
            ".filled(...), or drop these samples."
        )


def as_array(values: ArrayLike) -> NDArray[Any]:
    """Return an array; for a list with text, an object array, so that nothing becomes text.

    ``np.asarray(["a", nan])`` holds ``"nan"``, which is no longer missing.
    """
    refuse_masked(values, "The labels or values per sample")
    array = np.asarray(values)
    if isinstance(values, (list, tuple)) and array.dtype.kind == "U":
        return np.asarray(values, dtype=object)
    return array


def _check_names(values: NDArray[Any], name: str, owner: str) -> NDArray[Any]:
    if values.dtype == object:
        if len({isinstance(value, str) for value in values.tolist()}) > 1:
            raise ValueError(
                f"{name} of {owner} mixes text and numbers; convert all to one type, for "
                f"example with {name}.astype(str)."
            )
        values = np.array(values.tolist())
    if values.dtype.kind == "f" and (fractions := values[values != np.rint(values)]).size:
        hint = " Weights are passed as sample_weight=..." if name == "groups" else ""
        raise ValueError(
            f"{name} of {owner} holds fractions, such as {fractions[0]:g}, which are not {name}."
            f"{hint}"
        )
    return values


def _check_mask(values: NDArray[Any], name: str, owner: str) -> NDArray[np.bool_]:
    # Converted to booleans, NaN and the text "False" would become True.
    strange = [value for value in values.tolist() if value not in (0, 1)]
    if strange:
        raise ValueError(
            f"{name} of {owner} must hold True or False per sample; got {strange[0]!r}. Convert "
            f"text to a mask, for example with {name} == 'yes'."
        )
    return values.astype(bool)


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


def check_none_missing(values: NDArray[Any], name: str, what: str, advice: str) -> None:
    if values.dtype.kind not in "fO":  # other types cannot hold missing values
        return
    missing = [k for k, value in enumerate(values.ravel().tolist()) if _is_missing(value)]
    if missing:
        raise ValueError(
            f"{name} holds {len(missing)} missing {what} (None or NaN), the first at "
            f"{missing[0]}; {advice}."
        )


def _is_missing(label: object) -> bool:
    try:
        return label is None or bool(label != label)
    except TypeError:  # pandas.NA is neither equal nor unequal to itself
        return True
