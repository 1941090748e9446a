"""What a model says of samples: from the outputs of its graph, which are checked as its input was.

A graph from a stranger may give anything: a class that there is not, or another number of rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.bundle.errors import BundleError

_PER_CLASS = ("scores", "margins", "probabilities")
_PER_SAMPLE = ("confidence", "accepted", "novel", "subset_index", "unlikeness")


@dataclass(frozen=True)
class Predictions:
    """All that a model says of some samples.

    Attributes
    ----------
    labels : ndarray of shape (n_samples,)
    scores, margins, probabilities : ndarray of shape (n_samples, n_classes), or None
        Decision values, class margins and probabilities; None if the model has none.
    confidence, accepted : ndarray of shape (n_samples,), or None
        Of a model that may abstain: how sure it is, and whether that suffices for an answer.
        `accepted` is None where a subset was named: the guarantee is for answers whose subset the
        model found itself.
    novel : ndarray of bool of shape (n_samples,), or None
        Of a model that recognizes samples of none of its classes: which are.
    subsets : ndarray of str of shape (n_samples,), or None
        Of specialists: which one answered.
    unlikeness : ndarray of shape (n_samples,), or None
        Of a model that can be watched: how unlike the samples it knows each one is, in no unit.
    """

    labels: NDArray[Any]
    scores: NDArray[np.floating] | None = None
    margins: NDArray[np.floating] | None = None
    probabilities: NDArray[np.floating] | None = None
    confidence: NDArray[np.floating] | None = None
    accepted: NDArray[np.bool_] | None = None
    novel: NDArray[np.bool_] | None = None
    subsets: NDArray[np.str_] | None = None
    unlikeness: NDArray[np.floating] | None = None


def of_outputs(
    found: Mapping[str, NDArray[Any]], n_rows: int, classes: NDArray[Any], subsets: list[str]
) -> Predictions:
    """Return the outputs of a graph as predictions.

    Raises
    ------
    BundleError
        If an output has another shape or type than it must have.
    """
    label = found["label"]
    if label.shape != (n_rows,) or label.dtype != np.int64:
        raise BundleError(f"The graph gives {label.shape} labels for {n_rows} samples.")
    for names, shape in ((_PER_CLASS, (n_rows, len(classes))), (_PER_SAMPLE, (n_rows,))):
        for name in names:
            if name in found and found[name].shape != shape:
                raise BundleError(f"The graph gives {name} of shape {found[name].shape}.")
    for name, what in (("accepted", "it accepts a sample"), ("novel", "a sample is novel")):
        if name in found and found[name].dtype != np.bool_:
            raise BundleError(f"The graph does not say yes or no to whether {what}.")
    return Predictions(
        labels=_chosen(classes, label),
        scores=found.get("scores"),
        margins=found.get("margins"),
        probabilities=found.get("probabilities"),
        confidence=found.get("confidence"),
        accepted=found.get("accepted"),
        novel=found.get("novel"),
        subsets=_chosen(np.array(subsets), found["subset_index"])
        if subsets and "subset_index" in found
        else None,
        unlikeness=found.get("unlikeness"),
    )


def joined(parts: list[Predictions], order: NDArray[np.intp] | None = None) -> Predictions:
    """Return several predictions as one, with its rows in another order if one is given."""
    columns = {}
    for each in fields(Predictions):
        values = [getattr(part, each.name) for part in parts]
        if values[0] is not None:
            together = values[0] if len(values) == 1 else np.concatenate(values)
            columns[each.name] = together if order is None else together[order]
    return Predictions(**columns)


def columns_of(found: Predictions, classes: NDArray[Any]) -> dict[str, list[Any]]:
    """Return what is said of each sample as columns of plain values: its label, and of that one.

    Parameters
    ----------
    found : Predictions
    classes : ndarray of shape (n_classes,)

    Returns
    -------
    dict of str to list
        ``label``; where the model gives them ``score``, ``margin`` and ``probability`` of the
        label, ``accepted``, ``novel`` and ``subset``.
    """
    place_of = {label: place for place, label in enumerate(classes.tolist())}
    labels = found.labels.tolist()
    chosen = np.arange(len(labels)), np.array([place_of[label] for label in labels], np.intp)
    columns = {"label": labels}
    for name, values in (
        ("score", found.scores),
        ("margin", found.margins),
        ("probability", found.probabilities),
    ):
        if values is not None:
            columns[name] = values[chosen].tolist()
    if found.accepted is not None:
        columns["accepted"] = found.accepted.tolist()
    if found.novel is not None:
        columns["novel"] = found.novel.tolist()
    if found.subsets is not None:
        columns["subset"] = found.subsets.tolist()
    return columns


def _chosen(names: NDArray[Any], indices: NDArray[Any]) -> NDArray[Any]:
    if indices.dtype != np.int64:
        raise BundleError(f"The graph gives positions of type {indices.dtype}.")
    if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < len(names):
        raise BundleError(f"The graph gives class {int(indices.max())} of {len(names)}.")
    return names[indices]
