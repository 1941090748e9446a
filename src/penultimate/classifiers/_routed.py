"""Prediction with specialists: for a known subset, or through the router.

With a subset, its specialist classifies all samples. Without one, each sample is routed first, and
the head of its subset gets the features at its own layer; these are computed once for all heads.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from penultimate.classifiers._cut_network import CutNetworkClassifier
from penultimate.classifiers._routing import (
    Member,
    Specialist,
    join_values,
    most_probable_subset,
)
from penultimate.networks import FeatureExtractor, predict_probabilities
from penultimate.networks.remembered import extracted

Extract = Callable[[str], NDArray[np.float32]]


def _heads_have(method: str) -> Callable[[Any], bool]:
    """Return a check for ``available_if``: whether all heads, fitted if any, have a method."""

    def check(self: "RoutedClassifier") -> bool:
        fitted = list(getattr(self, "specialists_", {}).values())
        calibrated = method == "predict_proba" and self.calibration is not None
        if not fitted and calibrated:
            return True
        return all(hasattr(head, method) for head in fitted or [self._make_head()])

    return check


class RoutedClassifier(CutNetworkClassifier):
    """Base class of `Specialists`: how fitted specialists predict."""

    calibration: str | None
    classes_: NDArray[Any]
    specialists_: dict[str, Specialist]
    router_: str
    _members: dict[str, Member]
    _extractors: Mapping[str, FeatureExtractor]
    _network_classes: NDArray[Any]
    _router_head: Pipeline

    def predict(self, X: ArrayLike, subset: str | None = None) -> NDArray[Any]:
        """Predict the class of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit` and on the same scale.
        subset : str, optional
            The subset of all samples; by default the router predicts it for each sample.

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        ValueError
            If there is no such subset, or the samples differ in shape or scale from those in `fit`.
        """
        if subset is not None:
            return self._specialist(subset).predict(X)
        check_is_fitted(self)
        return self._predict(self._check_samples(X))

    def _predict(self, X: NDArray[Any]) -> NDArray[Any]:
        routes, values = self._ask_routed("predict", X)
        predictions = np.empty(len(X), self.classes_.dtype)
        for name, labels in values.items():
            predictions[routes == name] = labels
        return predictions

    @available_if(_heads_have("decision_function"))
    def decision_function(self, X: ArrayLike, subset: str | None = None) -> NDArray[Any]:
        """Compute a specialist's decision values; available only if the head has them.

        Without a subset, they come from the specialist that each sample is routed to; classes of
        other subsets get a lower value than any of its own classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.
        subset : str, optional
            The subset whose specialist is used; by default the router predicts it.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Values for the classes of the subset, or for all classes.

        Raises
        ------
        ValueError
            If there is no such subset.
        """
        return self._values_of("decision_function", X, subset)

    @available_if(_heads_have("predict_proba"))
    def predict_proba(self, X: ArrayLike, subset: str | None = None) -> NDArray[Any]:
        """Compute a specialist's probabilities; available only if the head has them.

        Without a subset, they come from the specialist that each sample is routed to, as if the
        router were certain; classes of other subsets have probability 0.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.
        subset : str, optional
            The subset whose specialist is used; by default the router predicts it.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)

        Raises
        ------
        ValueError
            If there is no such subset.
        """
        return self._values_of("predict_proba", X, subset)

    @available_if(_heads_have("class_margins"))
    def class_margins(self, X: ArrayLike, subset: str | None = None) -> NDArray[Any]:
        """Compute a specialist's `SVC.class_margins`; available only if the head has them.

        Without a subset, the values are combined as in `decision_function`.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.
        subset : str, optional
            The subset whose specialist is used; by default the router predicts it.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)

        Raises
        ------
        ValueError
            If there is no such subset.
        """
        return self._values_of("class_margins", X, subset)

    def _values_of(self, method: str, X: ArrayLike, subset: str | None) -> NDArray[Any]:
        if subset is not None:
            return getattr(self._specialist(subset), method)(X)
        check_is_fitted(self)
        routes, values = self._ask_routed(method, self._check_samples(X))
        others = 0.0 if method == "predict_proba" else None
        return join_values(values, routes, self._members, self.classes_, others)

    def route(self, X: ArrayLike) -> NDArray[Any]:
        """Predict the subset of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,), str
        """
        check_is_fitted(self)
        X = self._check_samples(X)
        return self._route(X, self._extract_once(X))

    def extract(self, X: ArrayLike) -> NDArray[np.float32]:
        """Compute the features of the network, at the first layer if heads have several.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_features), float32
        """
        check_is_fitted(self)
        return self._extract_once(self._check_samples(X))(next(iter(self._extractors)))

    def _specialist(self, name: str) -> Specialist:
        check_is_fitted(self)
        if name not in self.specialists_:
            raise ValueError(f"There is no subset {name!r}; there are {list(self.specialists_)}.")
        return self.specialists_[name]

    def _extract_once(self, X: NDArray[Any]) -> Extract:
        """Return a function that computes the features at each layer at most once."""
        return cache(lambda layer: extracted(self._extractors[layer], X))

    def _ask_routed(
        self, method: str, X: NDArray[Any]
    ) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """Return the subset of each sample, and what the head of each subset gives for its own."""
        extract = self._extract_once(X)
        routes, values = self._route(X, extract), {}
        for name in np.unique(routes).tolist():
            specialist = self._members[name].specialist
            features = extract(self._members[name].head.layer)[routes == name]
            values[name] = specialist._ask_head(method, features)
        return routes, values

    def _route(self, X: NDArray[Any], extract: Extract) -> NDArray[Any]:
        if len(self._members) == 1:
            return np.repeat(list(self._members), len(X))
        if self.router_ == "head":
            with config_context(transform_output="default"):
                return self._router_head.predict(extract(next(iter(self._extractors))))
        probabilities = predict_probabilities(self.network_, X, batch_size=self.batch_size)
        return most_probable_subset(probabilities, self._members, self._network_classes)
