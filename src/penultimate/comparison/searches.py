"""Searches of the controls, which score many candidates on the same samples.

Few samples of many features lie in a space of as many dimensions as there are samples. Turned into
it, they keep their inner products, on which alone a logistic head with an L2 penalty depends
(rows = coordinates @ orthonormal: 384 samples of 1,280 features become 384 of 384); and all that
nearest neighbors ask of samples is their distances. So candidates are scored on coordinates or on
distances, computed once; the best one is then fitted on the features themselves.

Forests have no such equivalent, and took longer than all other methods together. Theirs are scored
with fewer trees, so their selection scores are a little lower than those of whole forests.
"""

import time
from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import qr
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import euclidean_distances
from sklearn.model_selection import GridSearchCV

from penultimate._common.protocols import Head
from penultimate._common.threads import single_threaded_blas

_MOST_DISTANCES = 4_000**2  # 64 MB of them, which every fold is cut out of
# Of a forest's candidates. On 30 draws of 360 samples of three data sets, what 50 trees select is
# as accurate on other samples as what 200 select (50.1 and 49.9 % in the mean).
_SCORED_TREES = 50


class OneThreadLogisticRegression(LogisticRegression):
    """LogisticRegression whose matrix products run on one thread.

    They are too small to parallelize: threads gain nothing on an idle machine, and spin while they
    wait for each other on a busy one (25 s instead of 2 s for 3,200 samples of 1,352 features). It
    is the estimator, and not its search, that limits them, because the learning curve and
    cross-fitting fit it outside of a search.
    """

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit, as LogisticRegression does."""
        with single_threaded_blas():
            return super().fit(X, y, sample_weight)


class ByFeaturesSearchCV(GridSearchCV):
    """GridSearchCV whose grid values are in units of 1 / n_features."""

    def fit(self, X: ArrayLike, y: ArrayLike | None = None, **params: object) -> Self:
        """Search, as GridSearchCV does."""
        given = self.get_params(deep=False)["param_grid"]
        scaled = {
            name: np.divide(values, np.shape(X)[1]).tolist() for name, values in given.items()
        }
        # The search reads its grid within `fit`, so the scaled one is there for that long.
        self.set_params(param_grid=scaled)
        try:
            return super().fit(X, y, **params)
        finally:
            self.set_params(param_grid=given)  # after a fit, a parameter is what the user set


class _CheaperSearchCV(ABC, GridSearchCV):
    """GridSearchCV that scores candidates at less cost than it fits the best one."""

    @abstractmethod
    def _cheaper(self, X: NDArray[Any]) -> tuple[Head, NDArray[Any]] | None:
        """Return the estimator to score with, and what it takes; None for a plain search."""

    def fit(self, X: ArrayLike, y: ArrayLike | None = None, **params: object) -> Self:
        """Search, as GridSearchCV does."""
        cheaper = self._cheaper(np.asarray(X))
        if cheaper is None:
            return super().fit(X, y, **params)
        given = {"estimator": self.estimator, "refit": self.refit}
        self.set_params(estimator=cheaper[0], refit=False)
        try:
            super().fit(cheaper[1], y, **params)
        finally:
            self.set_params(**given)  # after a fit, a parameter is what the user set
        if self.refit:
            start = time.perf_counter()
            chosen = clone(self.estimator).set_params(**self.best_params_)
            self.best_estimator_ = chosen.fit(X, y, **params)
            self.refit_time_ = time.perf_counter() - start
        return self


class LogisticSearchCV(_CheaperSearchCV):
    """GridSearchCV over a logistic head, on no more dimensions than there are samples."""

    def _cheaper(self, X: NDArray[Any]) -> tuple[Head, NDArray[Any]] | None:
        if len(X) >= X.shape[1]:
            return None
        with single_threaded_blas():
            coordinates = qr(X.T, mode="r", check_finite=False)[0][: len(X)].T
        return self.estimator, np.ascontiguousarray(coordinates)


class NeighborsSearchCV(_CheaperSearchCV):
    """GridSearchCV over nearest neighbors, on distances that are computed once."""

    def _cheaper(self, X: NDArray[Any]) -> tuple[Head, NDArray[Any]] | None:
        if len(X) ** 2 > _MOST_DISTANCES:
            return None
        return clone(self.estimator).set_params(metric="precomputed"), euclidean_distances(X)


class ForestSearchCV(_CheaperSearchCV):
    """GridSearchCV over a random forest, whose candidates are scored with fewer trees."""

    def _cheaper(self, X: NDArray[Any]) -> tuple[Head, NDArray[Any]] | None:
        n_trees = min(_SCORED_TREES, self.estimator.get_params()["n_estimators"])
        return clone(self.estimator).set_params(n_estimators=n_trees), X
