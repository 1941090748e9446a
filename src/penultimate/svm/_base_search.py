"""Base class of the searches: scikit-learn generates the candidates, the joint solver fits them.

`fit` tries the joint solver first. If that raises `NotJointError`, scikit-learn's own search starts
over, with the same data, folds and random state: the two are alternatives, and never mixed.
"""

import time
import warnings
from abc import abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import loguniform
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from penultimate._common.progress_bar import SearchBar
from penultimate._common.validation import check_per_sample
from penultimate._common.warnings import PerformanceWarning
from penultimate.svm._joint_search import scorers_of, solve_jointly
from penultimate.svm._problem import NotJointError, Problem
from penultimate.svm.svc import SVC

# Default grids, mostly in half decades; those of gamma are factors of `_scale`.
RBF_C = (1.0, 3.0, 10.0, 30.0)
RBF_GAMMA = (0.03, 0.1, 0.3, 1.0, 3.0)
LINEAR_C = (0.001, 0.003, 0.01, 0.03, 0.1, 1.0)


def _has(name: str) -> Any:
    """Make a method available if the classifier of the search has it."""

    def check(search: "Search") -> bool:
        if not search.refit:
            raise AttributeError(
                f"This {type(search).__name__} has refit=False, so it has no classifier "
                f"to {name} with; set refit=True."
            )
        getattr(getattr(search, "best_estimator_", search._estimator()), name)
        return True

    return available_if(check)


class Search(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Base class of the searches.

    scikit-learn's own search defines the candidates and the meaning of their scores; the joint
    solver replaces the fits where it can. Where it cannot, scikit-learn's search does everything,
    and a `PerformanceWarning` gives the reason.
    """

    estimator: Any
    scoring: Any
    refit: Any
    cv: Any
    verbose: int

    @abstractmethod
    def _make_search(self, estimator: Any, X: Any) -> Any:
        """Return the equivalent search of scikit-learn."""

    def _estimator(self) -> Any:
        return SVC() if self.estimator is None else self.estimator

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Score all settings, and refit the best one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        **params : dict
            ``groups`` for the splitter, ``sample_weight`` for the classifier and the scores.
            With ``sklearn.set_config(enable_metadata_routing=True)``, whatever was requested.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or the data is invalid, or `refit` does not name a metric.

        Warns
        -----
        PerformanceWarning
            If settings are fitted one by one, which takes several times as long; the message gives
            the reason.
        """
        estimator = clone(self._estimator())
        self._check_refit()
        given = X  # may have feature names, which validation removes
        if type(estimator) is SVC:
            X, y = validate_data(self, X, y, dtype=(np.float64, np.float32))
            check_classification_targets(y)
            for name in ("groups", "sample_weight"):
                check_per_sample(params.get(name), len(y), name, type(self).__name__)
        search = self._make_search(estimator, X)
        # Only once: a generator of folds is exhausted by its first user.
        search.cv = check_cv(search.cv, y, classifier=True)
        states = _RandomStates(
            getattr(search, "random_state", 0), getattr(search.cv, "random_state", 0)
        )
        problem = None
        try:
            with SearchBar(self.verbose > 0) as bar:
                search, problem = self._solve_jointly(search, X, y, params, bar)
        except NotJointError as why:
            if str(why):
                warnings.warn(
                    f"{type(self).__name__} fits every setting on every fold separately, which "
                    f"takes several times as long as solving them jointly, because {why}.",
                    PerformanceWarning,
                    stacklevel=2,
                )
            # What the joint attempt drew is undone, so that the result is scikit-learn's.
            states.restore()
            search.set_params(verbose=self.verbose).fit(given, y, **params)
        if callable(self.scoring) and isinstance(self.refit, str) and not search.multimetric_:
            self._refuse_refit("a callable with a single metric")
        self.solver_ = "per-fit" if problem is None else "joint"
        for name, value in vars(search).items():
            if name.endswith("_") and not name.startswith("_"):
                setattr(self, name, value)
        if problem is not None and self.refit:
            self._refit(problem, given, y)
        self.classes_ = np.unique(y) if problem is None else problem.classes
        return self

    def _check_refit(self) -> None:
        """Reject a `refit` that names no metric, before anything is computed."""
        several = isinstance(self.scoring, (list, tuple, set, dict))  # scikit-learn checks these
        if several or callable(self.scoring) or not isinstance(self.refit, str):
            return
        if self.refit not in (self.scoring, "score"):
            self._refuse_refit(repr(self.scoring))

    def _refuse_refit(self, scoring: str) -> None:
        raise ValueError(
            f"The 'refit' parameter of {type(self).__name__} must be True, False, a callable or "
            f"the name of a metric in scoring, which is {scoring}; got {self.refit!r}."
        )

    def _solve_jointly(
        self, search: Any, X: Any, y: Any, params: dict[str, Any], bar: SearchBar
    ) -> tuple[Any, Problem]:
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", **params)
            for_fit, for_split = routed.estimator.fit, routed.splitter.split
        else:
            for_fit = {name: value for name, value in params.items() if name != "groups"}
            for_split = {"groups": params.get("groups")}
        if not set(for_fit) <= {"sample_weight"}:
            raise NotJointError  # SVC.fit raises its own error for an unknown argument
        weights = (
            check_per_sample(
                for_fit.get("sample_weight"), len(y), "sample_weight", type(self).__name__
            )
            if type(search.estimator) is SVC
            else None
        )
        return solve_jointly(
            search,
            X,
            y,
            params,
            sample_weight=weights,
            split=lambda splitter: splitter.split(X, y, **for_split),
            progress=bar,
        )

    def _refit(self, problem: Problem, X: Any, y: Any) -> None:
        start = time.perf_counter()
        best = clone(problem.estimator).set_params(**clone(self.best_params_, safe=False))
        source = problem.single_source(best.kernel)
        self.best_estimator_ = best._fit(X, y, problem.sample_weight, source)
        self.refit_time_ = time.perf_counter() - start

    @_has("predict")
    def predict(self, X: Any) -> Any:
        """Predict the class of each sample with the refitted classifier."""
        check_is_fitted(self)
        return self.best_estimator_.predict(X)

    @_has("decision_function")
    def decision_function(self, X: Any) -> Any:
        """Compute the decision values of the refitted classifier, shaped as those of `SVC`."""
        check_is_fitted(self)
        return self.best_estimator_.decision_function(X)

    @_has("class_margins")
    def class_margins(self, X: Any) -> Any:
        """Compute the smallest decision value of each class; see `SVC.class_margins`."""
        check_is_fitted(self)
        return self.best_estimator_.class_margins(X)

    @_has("predict_proba")
    def predict_proba(self, X: Any) -> Any:
        """Estimate probabilities, if the classifier supports it; an `SVC` does not."""
        check_is_fitted(self)
        return self.best_estimator_.predict_proba(X)

    @_has("score")
    def score(self, X: Any, y: Any, **params: Any) -> float:
        """Score the refitted classifier with `scoring`; with several metrics, with that of `refit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        **params : dict
            Metadata for the scorer, if metadata routing is enabled.

        Returns
        -------
        float
        """
        check_is_fitted(self)
        if params and not get_config()["enable_metadata_routing"]:
            raise ValueError(
                f"{type(self).__name__}.score takes {sorted(params)} only with "
                "sklearn.set_config(enable_metadata_routing=True)."
            )
        if params:
            params = process_routing(self, "score", **params).scorer["score"]
        scorer = self.scorer_[self.refit] if isinstance(self.scorer_, dict) else self.scorer_
        score = scorer(self.best_estimator_, X, y, **params)
        return score[self.refit] if isinstance(score, dict) else score

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the routing of metadata to the classifier, the scorer and the splitter.

        Returns
        -------
        MetadataRouter
        """
        estimator = self._estimator()
        scorers = scorers_of(estimator, self.scoring)
        if isinstance(scorers, dict):
            scorers = check_scoring(estimator, scoring=self.scoring)
        fit = MethodMapping().add(caller="fit", callee="fit")
        split = MethodMapping().add(caller="fit", callee="split")
        score = MethodMapping().add(caller="score", callee="score")
        return (
            MetadataRouter(owner=self)
            .add(estimator=estimator, method_mapping=fit)
            .add(scorer=scorers, method_mapping=score.add(caller="fit", callee="score"))
            .add(splitter=self.cv, method_mapping=split)
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = get_tags(self._estimator()).input_tags.pairwise
        return tags


class _RandomStates:
    """States of the random generators of a search, so that another search can draw the same.

    Parameters
    ----------
    *sources : int, RandomState or None
        None is NumPy's global generator.
    """

    def __init__(self, *sources: Any) -> None:
        generators = [check_random_state(source) for source in (None, *sources)]
        self.states = [(generator, generator.get_state()) for generator in generators]

    def restore(self) -> None:
        """Restore the generators to the recorded states."""
        for generator, state in self.states:
            generator.set_state(state)


def _scale(X: NDArray[Any]) -> float:
    """Return the gamma of `SVC`'s ``gamma="scale"``."""
    return SVC(gamma="scale")._resolve_gamma(X)


def _check_has_default(estimator: Any, name: str) -> None:
    if not isinstance(estimator, SVC):
        raise ValueError(
            f"Only an SVC has a default {name}; pass one for {type(estimator).__name__}."
        )


def default_grid(estimator: Any, X: NDArray[Any]) -> dict[str, list[float]]:
    _check_has_default(estimator, "param_grid")
    if estimator.kernel == "linear":
        return {"C": list(LINEAR_C)}
    if estimator.kernel == "precomputed":
        return {"C": list(RBF_C)}
    return {"C": list(RBF_C), "gamma": [factor * _scale(X) for factor in RBF_GAMMA]}


def default_distributions(estimator: Any, X: NDArray[Any]) -> dict[str, Any]:
    _check_has_default(estimator, "param_distributions")
    if estimator.kernel == "linear":
        return {"C": loguniform(1e-4, 10)}
    if estimator.kernel == "precomputed":
        return {"C": loguniform(0.1, 1000)}
    scale = _scale(X)
    return {"C": loguniform(0.1, 1000), "gamma": loguniform(0.01 * scale, 10 * scale)}
