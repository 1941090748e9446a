"""Specialists of a comparison that are kept, with the router that was measured with them.

The heads of the subsets and the router were fitted on class numbers, on features of the one shared
network. Here they become `Specialists` with names, without fitting anything again. A method that
was given the subset of each test sample is not kept: in its file a router would have to find it,
and what was measured would not be what is taken away.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.pipeline import Pipeline

from penultimate.classifiers import DeepSVC, Specialists
from penultimate.classifiers._routing import Member
from penultimate.comparison.fit import HeadFit, SeedData
from penultimate.comparison.kept import KeptModel, as_measured, on_network
from penultimate.comparison.plan import Part


class _NamedSpecialist(DeepSVC):
    """A specialist whose head was fitted on class numbers of all classes."""

    _names: NDArray[Any]

    def _predict(self, X: NDArray[Any]) -> NDArray[Any]:
        return self._names[super()._predict(X)]

    def _ask_head(self, method: str, features: NDArray[Any]) -> NDArray[Any]:
        values = super()._ask_head(method, features)
        return self._names[values] if method == "predict" else values


class _NamedRouter(Pipeline):
    """A router head that was fitted on numbers of subsets."""

    _names: NDArray[Any]

    @property
    def classes_(self) -> NDArray[Any]:
        return self._names[super().classes_]

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        return self._names[super().predict(X)]


def keep_specialists(
    heads: Mapping[str, HeadFit],
    parts: Sequence[Part],
    router: HeadFit | None,
    data: SeedData,
    predictions: NDArray[np.int64],
) -> KeptModel:
    """Return the classifier of heads on the features of subsets.

    Parameters
    ----------
    heads : dict of str to HeadFit
        By the subset.
    parts : list of Part
    router : HeadFit or None
        The head that finds the subset; None for the network's softmax.
    data : SeedData
    predictions : ndarray of shape (n_test,), int
        What they predicted for the test set.

    Returns
    -------
    KeptModel
    """
    names, shared = np.array(data.plan.dataset.classes), data.shared
    model = on_network(Specialists(data.settings.network), data)
    # `Specialists` routes by the features at its first layer.
    layers = list(shared.extractors)
    if router is not None:
        layers.sort(key=lambda layer: layer != router.fitted.layer)
    model._extractors = {layer: shared.extractors[layer] for layer in layers}
    members = {}
    for part in parts:
        assert part.subset is not None
        head = heads[part.subset]
        specialist = on_network(_NamedSpecialist(data.settings.network), data)
        specialist._set_head(head.fitted, shared.extractors, head.calibrator)
        specialist._names, specialist.classes_ = names, names[part.classes]
        members[part.subset] = Member(
            specialist,
            head.fitted,
            head.development[:0],  # no router will be fitted on them
            np.zeros(0, bool),
            None,
        )
    model._members, model.classes_ = members, np.unique(names)
    model.router_ = "network" if router is None else "head"
    if router is not None:
        # The steps are those that were fitted; only what they are called within is new.
        model._router_head = _NamedRouter(router.pipeline.steps)
        model._router_head._names = np.array(list(members))
    # The class that each output of the network stands for: `columns` has the output of each class.
    own = shared.own_softmax
    model._network_classes = names if own is None else names[np.argsort(own.columns)]
    model.specialists_ = {name: each.specialist for name, each in members.items()}
    kept = as_measured(model, data, predictions, _mean_score(heads))
    # A specialist can be used alone, and is then asked what it has seen, too.
    for each in model.specialists_.values():
        each.provenance_ = model.provenance_
    return kept


def _mean_score(heads: Mapping[str, HeadFit]) -> float | None:
    scores = [getattr(each.pipeline["head"], "best_score_", None) for each in heads.values()]
    known = [score for score in scores if score is not None]
    return float(np.mean(known)) if len(known) == len(scores) else None
