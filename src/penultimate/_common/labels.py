"""Checks of labels: one per sample, of one type, not one-hot."""

from collections.abc import Iterator, Mapping, Set
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penultimate._common.door import spelled
from penultimate._common.validation import as_array, check_none_missing


def is_one_hot(y: ArrayLike, *, signed: bool = False) -> bool:
    """Return whether labels are rows with a single 1 and zeros elsewhere, or -1s if `signed`."""
    rows = np.asarray(y)
    if rows.ndim != 2 or rows.shape[1] < 2 or rows.dtype.kind not in "biufO":
        return False
    allowed = np.isin(rows, (-1, 0, 1) if signed else (0, 1)).all()
    return bool(allowed and ((rows > 0).sum(axis=1) == 1).all())


def check_not_one_hot(y: ArrayLike) -> None:
    """Raise ``ValueError`` for labels that are one-hot rows."""
    y = np.asarray(y)
    if is_one_hot(y):
        raise ValueError(
            f"y is one-hot, of shape {y.shape}; classifiers take one label per sample. "
            "Pass y.argmax(axis=1), or the class names."
        )


def from_one_hot(y: ArrayLike, *, whole: bool = True) -> Any:
    """Convert one-hot rows, of 0 and 1 or -1 and 1, to class indices; return others unchanged.

    Raises
    ------
    ValueError
        If a column is empty and these are the `whole` set of labels.
    """
    rows = np.asarray(y)
    if rows.dtype == object or not is_one_hot(rows, signed=True):
        return y
    chosen = rows > 0
    if whole and not chosen.any(axis=0).all():
        empty = np.flatnonzero(~chosen.any(axis=0)).tolist()
        raise ValueError(
            f"y is one-hot with {rows.shape[1]} columns, but no sample belongs to column "
            f"{empty[0]}. Drop empty columns, or pass labels."
        )
    return chosen.argmax(axis=1)


def check_labels(y: ArrayLike, n_samples: int, *, n_classes: int = 2) -> NDArray[Any]:
    """Return `y` as a vector with one label per sample.

    Raises
    ------
    ValueError
        If `y` is one-hot, its length is not the number of samples, it holds a missing value, or it
        has fewer than `n_classes` classes.
    """
    y = np.asarray(typed_labels(y))
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    check_not_one_hot(y)
    if y.ndim != 1:
        raise ValueError(f"y must have one label per sample, shape (n_samples,); got {y.shape}.")
    if len(y) != n_samples:
        hint = "; if X is one image, pass X[None]" if len(y) == 1 else ""
        labels = "1 label" if len(y) == 1 else f"{len(y)} labels"
        raise ValueError(
            f"There are {n_samples} samples but {labels}; each sample needs one label{hint}."
        )
    check_none_missing(y, "y", "labels", "drop these samples, or label them")
    if len(set(y.tolist())) < n_classes:
        raise ValueError(
            spelled(
                f"All samples are of one class, {y[:1].tolist()[0]!r}; a comparison needs at least "
                "two classes.",
                f"y holds 1 class, {y[:1].tolist()[0]!r}; a classifier needs at least two.",
            )
            if len(y)
            else "There are no samples."
        )
    return y


def right_answers(predicted: ArrayLike, y: ArrayLike) -> NDArray[np.bool_]:
    """Return which predictions equal the true labels, of the same type.

    Raises
    ------
    ValueError
        If a label is missing, the shapes differ, or one side is text and the other numbers: none of
        them would be equal, so that each would silently count as an error.
    """
    answers, labels = np.asarray(predicted), np.asarray(typed_labels(y))
    check_none_missing(labels, "y", "labels", "drop these samples, or label them")
    if answers.shape != labels.shape:
        raise ValueError(
            f"y must have one label per sample, shape {answers.shape}; got {labels.shape}."
        )
    if len(labels) and _is_text(answers) != _is_text(labels):
        raise ValueError(
            f"y holds labels such as {labels.tolist()[0]!r}, but the classifier answers with "
            f"labels such as {answers.tolist()[0]!r}. Convert y to the type of the labels that it "
            f"was fitted on, for example with y.astype({_type_of(answers)})."
        )
    return np.asarray(answers == labels)


def _is_text(labels: NDArray[Any]) -> bool:
    return labels.dtype.kind in "UST" or isinstance(labels.tolist()[0], (str, bytes))


def _type_of(labels: NDArray[Any]) -> str:
    return "str" if _is_text(labels) else {"f": "float", "b": "bool"}.get(labels.dtype.kind, "int")


def typed_labels(y: ArrayLike) -> Any:
    """Convert labels in an object array to the type that they have in common.

    pandas returns nullable integers and numeric categories as objects, which scikit-learn does not
    accept as labels. Text is returned unchanged.

    Raises
    ------
    TypeError
        If they have no order or no length, as a set or a generator.
    ValueError
        If a label is missing, or text and numbers are mixed: NumPy would turn ``1`` into ``"1"``.
    """
    if isinstance(y, (Set, Mapping, Iterator)):
        raise TypeError(
            f"y is a {type(y).__name__}; pass a list or an array, with one label per sample, in "
            "the order of X."
        )
    labels = as_array(y)
    if labels.dtype != object:
        return y
    check_none_missing(labels, "y", "labels", "drop these samples, or label them")
    kinds = {isinstance(label, str) for label in labels.ravel().tolist()}
    if len(kinds) > 1:
        raise ValueError(
            "y mixes text and other labels, such as "
            f"{sorted({repr(label) for label in labels.ravel().tolist()})[:3]}; convert all to one "
            "type, for example with y.astype(str)."
        )
    if kinds == {True} or not labels.size:
        return y
    given = np.array(labels.tolist())
    return given if given.dtype.kind in "biuf" and given.shape == labels.shape else y
