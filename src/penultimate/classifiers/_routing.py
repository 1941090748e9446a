"""Routing samples whose subset is not known.

There are two routers. The network's softmax adds up the probabilities of each subset's classes; it
can do so only if it was trained on all of them here. A router head is one more classifier on the
network's features, with the subsets' names as labels; it also covers subsets that were added later.
It is fitted again, on the features of all subsets, whenever a subset is added or removed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from penultimate._common.protocols import Head
from penultimate.provenance.records import Provenance
from penultimate.selection.heldout import FittedHead, fit_layers
from penultimate.selection.normalization import Normalization, choices
from penultimate.splits.parts import Split
from penultimate.svm.svc import SVC

ROUTERS = ("network", "head")


class Specialist(Protocol):
    """The fitted classifier of a subset, such as a `DeepSVC`."""

    classes_: NDArray[Any]
    provenance_: Provenance

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict the class of each sample."""

    def _ask_head(self, method: str, features: NDArray[Any]) -> NDArray[Any]:
        """Ask its head for values of features that were computed for several heads."""


@dataclass(frozen=True)
class Member:
    """The specialist of a subset, and the samples of the subset, for a router head.

    Attributes
    ----------
    specialist : Specialist
    head : FittedHead
        Its head, for features that are computed once for all specialists.
    features : ndarray of shape (n_samples, n_features), float32
        The features of its samples at the first layer.
    selection : ndarray of shape (n_samples,), bool
        Which of them are in the selection part.
    weights : ndarray of shape (n_samples,) or None
        Their weights.
    """

    specialist: Specialist
    head: FittedHead
    features: NDArray[np.float32]
    selection: NDArray[np.bool_]
    weights: NDArray[np.float64] | None

    @property
    def classes(self) -> NDArray[Any]:
        """The labels of the subset, sorted."""
        return self.specialist.classes_


def choose_router(wanted: str, members: Mapping[str, Member], network_classes: NDArray[Any]) -> str:
    """Return ``"head"`` if the softmax cannot route between these subsets, else `wanted`."""
    known = all(np.isin(each.classes, network_classes).all() for each in members.values())
    return wanted if known else "head"


def fit_router_head(
    head: Head, members: Mapping[str, Member], normalizations: Sequence[Normalization]
) -> Pipeline:
    """Fit a head on the features of all subsets, with their names as labels.

    Parameters
    ----------
    head : classifier
        The unfitted head of the specialists; the router uses a copy, see `balanced`.
    members : dict of str to Member
        The subsets, by name.
    normalizations : list of str or None
        Those of the features to choose from.

    Returns
    -------
    Pipeline
        The pipeline returned by `fit_head`.
    """
    parts = members.values()
    names = np.repeat(list(members), [len(each.selection) for each in parts])
    selection = np.concatenate([each.selection for each in parts])
    weights = None
    if any(each.weights is not None for each in parts):
        # Samples of subsets that were added without weights count as having weight 1.
        weights = np.concatenate(
            [
                np.ones(len(each.selection)) if each.weights is None else each.weights
                for each in parts
            ]
        )
    return fit_layers(
        balanced(head),
        {"first": np.concatenate([each.features for each in parts])},
        names,
        Split(np.flatnonzero(~selection), np.flatnonzero(selection)),
        preprocessing=choices(["first"], normalizations),
        sample_weight=weights,
    ).pipeline


def balanced(head: Head) -> Head:
    """Copy a head, giving subsets equal weight if it has such parameters and they are not set.

    Otherwise a small subset is hardly ever predicted: with few-shot numerals among thousands of
    letters, 64 % of the numerals are routed correctly without it, and 92 % with it.
    """
    head = clone(head)
    if head.get_params(deep=False).get("estimator", head) is None:
        head.set_params(estimator=SVC())
    wanted = {"class_weight": "balanced", "scoring": "balanced_accuracy"}
    for name, value in head.get_params().items():
        if value is None and name.rpartition("__")[2] in wanted:
            head.set_params(**{name: wanted[name.rpartition("__")[2]]})
    return head


def most_probable_subset(
    probabilities: NDArray[np.floating],
    members: Mapping[str, Member],
    network_classes: NDArray[Any],
) -> NDArray[Any]:
    """Return the name of the subset whose classes have the largest total probability."""
    belongs = [np.isin(network_classes, each.classes) for each in members.values()]
    return np.array(list(members))[(probabilities @ np.transpose(belongs)).argmax(axis=1)]


def join_values(
    values: Mapping[str, NDArray[Any]],
    routes: NDArray[Any],
    members: Mapping[str, Member],
    classes: NDArray[Any],
    others: float | None,
) -> NDArray[Any]:
    """Join the values that specialists gave to their samples into a table of all classes.

    Parameters
    ----------
    values : dict of str to ndarray of shape (n_routed,) or (n_routed, n_subset_classes)
        The values of each specialist for the samples that were routed to it.
    routes : ndarray of shape (n_samples,), str
        The subset of each sample.
    members : dict of str to Member
        The subsets, by name.
    classes : ndarray of shape (n_classes,)
        The classes of all subsets, sorted.
    others : float or None
        The value of classes of other subsets; None stands for one below the sample's lowest.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)

    Raises
    ------
    ValueError
        If a specialist does not give one value per class.
    """
    table = np.full((len(routes), len(classes)), np.nan)
    for name, given in values.items():
        rows, own = np.flatnonzero(routes == name), members[name].classes
        if given.ndim == 1:  # two classes have one value, positive for the second
            given = np.column_stack([-given, given])
        if given.shape[1] != len(own):
            raise ValueError(
                f"The head gives {given.shape[1]} values for {len(own)} classes; one per class is "
                "needed. For an SVC, set decision_function_shape='ovr'."
            )
        table[rows[:, np.newaxis], np.searchsorted(classes, own)] = given
    # One below the lowest value is below all classes of the sample's own subset.
    low = np.nanmin(table, axis=1, keepdims=True) - 1 if others is None else others
    return np.where(np.isnan(table), low, table)
