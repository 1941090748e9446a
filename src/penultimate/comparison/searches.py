"""Searches of the controls, which score many candidates on the same samples.

What the candidates of a fold have in common is computed once:

- Few samples of many features lie in a space of as many dimensions as there are samples. Turned
  into it, they keep their inner products, on which alone a logistic head with an L2 penalty depends
  (rows = coordinates @ orthonormal: 384 samples of 1,280 features become 384 of 384). The head
  starts from the solution for the next smaller C.
- All that nearest neighbors ask of samples is their distances, and those of the most neighbors that
  a candidate asks for contain those of fewer.
- Forests have no such equivalent. Theirs are scored with fewer trees, so their selection scores are
  a little lower than those of whole forests.

The best candidate is then fitted as it is, on the features themselves.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from joblib import effective_n_jobs, parallel_config
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import qr
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import check_scoring, euclidean_distances
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.parallel import Parallel, delayed

from penultimate._common.cv_results import make_cv_results
from penultimate._common.threads import single_threaded_blas

_MOST_DISTANCES = 4_000**2  # 64 MB of them, which every fold is cut out of
# Of a forest's candidates, which are scored to choose between layers. In four of five splits of 480
# photographs 50 trees choose the layer that 200 choose; in the fifth, the two are level with 200.
_SCORED_TREES = 50
# Up to this many values, newton-cg takes less time than lbfgs: 60 % for 384 photographs in 384
# coordinates, but 170 % for 4,000 samples of 512 features.
_FEW_VALUES = 200_000
# Above this many values (200 MB in float32) folds are scored one at a time, as each copies samples.
_MOST_COPIED = 50_000_000


@dataclass(frozen=True)
class _Task:
    """Candidates to fit on one part of the samples, and to score on another.

    Attributes
    ----------
    fit, held_out : ndarray of int
        Indices of the samples.
    candidates : list of dict
    n_jobs : int or None
        Number of threads for a fit: one if several tasks run at a time.
    """

    fit: NDArray[np.int64]
    held_out: NDArray[np.int64]
    candidates: Sequence[dict[str, Any]]
    n_jobs: int | None


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


class _SharingSearchCV(ABC, GridSearchCV):
    """GridSearchCV whose candidates share what they have in common, and whose folds run in threads.

    It is a plain search wherever that would give something else: with weights or other parameters
    of `fit`, with another score than accuracy, with estimators or grids that share nothing.
    """

    # Whether candidates share nothing and have threads of their own, so that each is a task.
    _one_by_one = False

    @abstractmethod
    def _shares(self, candidates: Sequence[dict[str, Any]]) -> bool:
        """Return whether these candidates of the estimator can be scored together."""

    @abstractmethod
    def _prepare(self, X: NDArray[Any]) -> NDArray[Any] | None:
        """Return what candidates are scored on, by sample; None for a plain search."""

    @abstractmethod
    def _accuracies(self, values: NDArray[Any], y: NDArray[Any], task: _Task) -> list[float]:
        """Return the accuracies of a task's candidates."""

    def fit(self, X: ArrayLike, y: ArrayLike | None = None, **params: object) -> Self:
        """Search, as GridSearchCV does."""
        candidates = list(ParameterGrid(self.param_grid))
        usual = not params and self._has_usual_settings() and self._shares(candidates)
        values = self._prepare(np.asarray(X)) if usual else None
        labels, given = np.asarray(y), self.cv
        folds: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        if values is not None:
            folds = list(check_cv(given, labels, classifier=True).split(X, labels))
        # A fold of one class cannot be fitted by all: a plain search says so and goes on.
        if values is None or any(len(np.unique(labels[fit])) < 2 for fit, _ in folds):
            self.set_params(cv=folds or given)  # the folds may have been an iterator
            try:
                with parallel_config("threading"):  # processes would import everything again
                    return super().fit(X, y, **params)
            finally:
                self.set_params(cv=given)  # after a fit, a parameter is what the user set
        scores = self._scores(values, labels, folds, candidates)
        self.cv_results_ = make_cv_results(candidates, {"score": scores})
        self.best_index_ = int(self.cv_results_["rank_test_score"].argmin())  # the first of ties
        self.best_params_ = candidates[self.best_index_]
        self.best_score_ = float(scores[self.best_index_].mean())
        self.scorer_, self.multimetric_ = check_scoring(self.estimator), False
        self.n_splits_ = len(folds)
        return self.refit_best(X, y) if self.refit else self

    def refit_best(self, X: ArrayLike, y: ArrayLike | None = None, **params: object) -> Self:
        """Fit the best candidate of a search that was fitted with ``refit=False``."""
        start = time.perf_counter()
        chosen = clone(self.estimator).set_params(**self.best_params_)
        self.best_estimator_ = chosen.fit(X, y, **params)
        self.refit_time_ = time.perf_counter() - start
        if hasattr(chosen, "feature_names_in_"):
            self.feature_names_in_ = chosen.feature_names_in_
        return self.set_params(refit=True)

    def _has_usual_settings(self) -> bool:
        error = self.error_score
        return (
            self.scoring is None
            and isinstance(self.refit, bool)
            and not (self.return_train_score or self.verbose)
            and isinstance(error, float)
            and np.isnan(error)
        )

    def _scores(
        self,
        values: NDArray[Any],
        y: NDArray[Any],
        folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
        candidates: Sequence[dict[str, Any]],
    ) -> NDArray[np.float64]:
        """Return the accuracy of each candidate in each fold."""
        groups = [[each] for each in candidates] if self._one_by_one else [candidates]
        n_threads, n_tasks = effective_n_jobs(self.n_jobs), len(folds) * len(groups)
        # Tasks run one at a time if their own threads make better use of the processors, or if
        # their copies of the samples are large.
        in_turn = (self._one_by_one and n_threads > n_tasks) or values.size > _MOST_COPIED
        n_jobs = self.n_jobs if in_turn else 1
        tasks = [_Task(fit, held_out, group, n_jobs) for fit, held_out in folds for group in groups]
        with single_threaded_blas():
            accuracies = Parallel(1 if in_turn else n_threads, require="sharedmem")(
                delayed(self._accuracies)(values, y, task) for task in tasks
            )
        return np.reshape(accuracies, (len(folds), len(candidates))).T


class LogisticSearchCV(_SharingSearchCV):
    """GridSearchCV over C of a logistic head, on no more dimensions than there are samples."""

    def _shares(self, candidates: Sequence[dict[str, Any]]) -> bool:
        # The default solver has no other penalty than the one that depends on inner products alone.
        head = self.estimator
        is_logistic = type(head) in (LogisticRegression, OneThreadLogisticRegression)
        return (
            is_logistic
            and head.solver == "lbfgs"
            and all(set(each) == {"C"} for each in candidates)
        )

    def _prepare(self, X: NDArray[Any]) -> NDArray[Any] | None:
        if len(X) >= X.shape[1]:
            return X
        with single_threaded_blas():
            return qr(X.T, mode="r", check_finite=False)[0][: len(X)].T

    def _accuracies(self, values: NDArray[Any], y: NDArray[Any], task: _Task) -> list[float]:
        head = clone(self.estimator).set_params(warm_start=True)
        # On few values, Newton's steps take less time, and end nearer to the optimum.
        if values.size <= _FEW_VALUES:
            head.set_params(solver="newton-cg")
        X, held_out = values[task.fit], values[task.held_out]
        accuracies = np.empty(len(task.candidates))
        by_strength = np.argsort([each["C"] for each in task.candidates], kind="stable")
        for index in by_strength:
            head.set_params(**task.candidates[index]).fit(X, y[task.fit])
            accuracies[index] = np.mean(head.predict(held_out) == y[task.held_out])
        return accuracies.tolist()


class NeighborsSearchCV(_SharingSearchCV):
    """GridSearchCV over number and weights of nearest neighbors, which are found once."""

    def _shares(self, candidates: Sequence[dict[str, Any]]) -> bool:
        head = self.estimator
        if type(head) is not KNeighborsClassifier or head.metric_params:
            return False
        euclidean = head.metric == "euclidean" or (head.metric == "minkowski" and head.p == 2)
        known = all(
            set(each) == {"n_neighbors", "weights"} and each["weights"] in ("uniform", "distance")
            for each in candidates
        )
        return euclidean and known

    def _prepare(self, X: NDArray[Any]) -> NDArray[Any] | None:
        return None if len(X) ** 2 > _MOST_DISTANCES else euclidean_distances(X)

    def _accuracies(self, values: NDArray[Any], y: NDArray[Any], task: _Task) -> list[float]:
        classes, codes = np.unique(y[task.fit], return_inverse=True)
        most = min(max(each["n_neighbors"] for each in task.candidates), len(codes))
        distances = values[np.ix_(task.held_out, task.fit)]
        nearest = np.argpartition(distances, range(most), axis=1)[:, :most]
        distances = np.take_along_axis(distances, nearest, axis=1)
        with np.errstate(divide="ignore"):
            closeness = 1 / distances
        copies = np.isinf(closeness)  # at no distance: they alone count
        closeness = np.where(copies.any(axis=1, keepdims=True), copies, closeness)
        is_of = codes[nearest][:, :, np.newaxis] == np.arange(len(classes))
        accuracies = []
        for each in task.candidates:
            if each["n_neighbors"] > most:  # more than there are: it cannot predict
                accuracies.append(np.nan)
                continue
            votes = is_of[:, : each["n_neighbors"]].astype(float)
            if each["weights"] == "distance":
                votes *= closeness[:, : each["n_neighbors"], np.newaxis]
            predicted = classes[votes.sum(axis=1).argmax(axis=1)]
            accuracies.append(float(np.mean(predicted == y[task.held_out])))
        return accuracies


class ForestSearchCV(_SharingSearchCV):
    """GridSearchCV over a random forest, whose candidates are scored with fewer trees."""

    _one_by_one = True

    def _shares(self, candidates: Sequence[dict[str, Any]]) -> bool:
        is_forest = isinstance(self.estimator, RandomForestClassifier)
        return is_forest and not any("n_estimators" in each for each in candidates)

    def _prepare(self, X: NDArray[Any]) -> NDArray[Any] | None:
        return X

    def _accuracies(self, values: NDArray[Any], y: NDArray[Any], task: _Task) -> list[float]:
        (candidate,) = task.candidates
        forest = clone(self.estimator).set_params(**candidate, n_jobs=task.n_jobs)
        forest.set_params(n_estimators=min(_SCORED_TREES, forest.get_params()["n_estimators"]))
        forest.fit(values[task.fit], y[task.fit])
        return [float(np.mean(forest.predict(values[task.held_out]) == y[task.held_out]))]
