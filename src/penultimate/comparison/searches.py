"""Searches of the controls, which score many candidates on the same samples.

Few samples of many features lie in a space of as many dimensions as there are samples. Turned into
it, they keep their inner products, on which alone a logistic head with an L2 penalty depends
(rows = coordinates @ orthonormal: 384 samples of 1,280 features become 384 of 384); and all that
nearest neighbors ask of samples is their distances. So candidates are scored on coordinates or on
distances, computed once; the best one is then fitted on the features themselves.
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


class _EquivalentSearchCV(ABC, GridSearchCV):
    """GridSearchCV that scores candidates on other values, which lead to the same predictions."""

    @abstractmethod
    def _equivalent(self, X: NDArray[Any]) -> tuple[Head, NDArray[Any]] | None:
        """Return the estimator for the other values, and these; None to keep the features."""

    def fit(self, X: ArrayLike, y: ArrayLike | None = None, **params: object) -> Self:
        """Search, as GridSearchCV does."""
        equivalent = self._equivalent(np.asarray(X))
        if equivalent is None:
            return super().fit(X, y, **params)
        given = {"estimator": self.estimator, "refit": self.refit}
        self.set_params(estimator=equivalent[0], refit=False)
        try:
            super().fit(equivalent[1], y, **params)
        finally:
            self.set_params(**given)  # after a fit, a parameter is what the user set
        if self.refit:
            start = time.perf_counter()
            chosen = clone(self.estimator).set_params(**self.best_params_)
            self.best_estimator_ = chosen.fit(X, y, **params)
            self.refit_time_ = time.perf_counter() - start
        return self


class LogisticSearchCV(_EquivalentSearchCV):
    """GridSearchCV over a logistic head, on no more dimensions than there are samples."""

    def _equivalent(self, X: NDArray[Any]) -> tuple[Head, NDArray[Any]] | None:
        if len(X) >= X.shape[1]:
            return None
        with single_threaded_blas():
            coordinates = qr(X.T, mode="r", check_finite=False)[0][: len(X)].T
        return self.estimator, np.ascontiguousarray(coordinates)


class NeighborsSearchCV(_EquivalentSearchCV):
    """GridSearchCV over nearest neighbors, on distances that are computed once."""

    def _equivalent(self, X: NDArray[Any]) -> tuple[Head, NDArray[Any]] | None:
        if len(X) ** 2 > _MOST_DISTANCES:
            return None
        return clone(self.estimator).set_params(metric="precomputed"), euclidean_distances(X)
