"""Base class of the searches: what they all do with the candidates of a subclass.

The subclass lists the candidates, and `fit` draws the folds. `Trials` scores all candidates on all
folds; the scores become ``cv_results_``, and the best candidate is refitted on all samples.
Candidates are drawn before folds, as scikit-learn does: the same random state gives the same ones.
"""

import time
from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    clone,
    is_classifier,
)
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags, get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from penultimate._common.callbacks import CallbackSupportMixin, Task, part_of, with_callbacks
from penultimate._common.pipelines import ask_last_step
from penultimate._common.protocols import (
    CrossValidation,
    Division,
    Metrics,
    PerSample,
    Refit,
)
from penultimate._common.validation import check_per_sample
from penultimate.svm._joint_search import JointSearch
from penultimate.svm._pipeline_search import joint_search_for
from penultimate.svm._pipelines import is_svc, split_off_svc, with_svc
from penultimate.svm._problem import NotJointError
from penultimate.svm._scoring import Scoring, make_scorer_of
from penultimate.svm._search_checks import (
    check_estimator,
    check_fit_params,
    check_refit,
    check_refit_found,
    check_scoring_names,
    check_search_params,
)
from penultimate.svm._trials import Trials
from penultimate.svm.svc import SVC

_Method = TypeVar("_Method", bound=Callable[..., object])


def _has(name: str) -> Callable[[_Method], _Method]:
    """Make a method available if the classifier of the search has it."""

    def check(search: "Search") -> bool:
        if not search.refit:
            raise AttributeError(
                f"This {type(search).__name__} has refit=False, so it has no classifier "
                f"to {name} with; set refit=True."
            )
        estimator = getattr(search, "best_estimator_", search._estimator())
        # A pipeline forwards no method that scikit-learn does not know.
        getattr(split_off_svc(estimator)[1] if name == "class_margins" else estimator, name)
        return True

    return available_if(check)


class Search(CallbackSupportMixin, MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Base class of the searches: a subclass lists the candidates."""

    _grid_name = "param_grid"

    estimator: BaseEstimator
    scoring: Metrics
    n_jobs: int | None
    refit: Refit
    cv: CrossValidation
    verbose: int
    return_train_score: bool
    # A parameter of the grid search only; the other two searches have this value.
    error_score: float | str = np.nan

    def _candidates(self, estimator: BaseEstimator, X: PerSample) -> list[dict[str, Any]]:
        """Return the settings to try."""
        raise NotImplementedError

    def _try(
        self,
        trials: Trials,
        X: PerSample,
        draw_folds: Callable[[], list[Division]],
        task: Task,
    ) -> None:
        """Have `trials` score the candidates."""
        candidates = self._candidates(trials.estimator, X)
        trials.score(candidates, draw_folds(), task)

    def _estimator(self) -> BaseEstimator:
        return SVC() if self.estimator is None else self.estimator

    @with_callbacks
    def fit(self, X: PerSample, y: PerSample | None = None, **params: Any) -> Self:
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
        # A copy: neither a search nor its refit may change the classifier that it was given.
        owner = type(self).__name__
        check_estimator(self._estimator(), owner, self._grid_name)
        estimator = clone(self._estimator())
        self._check_params()
        given = X  # may have feature names, which validation removes
        X, y = self._check_data(estimator, X, y, params)
        # All that can be wrong with the parameters is found before anything is drawn or solved.
        for_fit, for_split, for_score = self._route(params)
        scoring = Scoring(with_svc(estimator), self.scoring, self.error_score, for_score)
        check_refit(self.refit, scoring, owner)
        # Once only: it wraps an iterable of folds, and a generator can be read once.
        # A pipeline that ends with a placeholder becomes a classifier with its candidates.
        splitter = check_cv(self.cv, y, classifier=is_classifier(with_svc(estimator)))

        # Drawn when the subclass has its candidates: both may draw from the same random state, and
        # scikit-learn draws the candidates first.
        def draw_folds() -> list[Division]:
            folds = list(splitter.split(X, y, **for_split))
            self.n_splits_ = len(folds)
            return folds

        weights = params.get("sample_weight")
        metadata = None if weights is None else {"sample_weight": weights}
        reported = {"estimator": self, "X": X, "y": y, "metadata": metadata}
        # One part scores the candidates, and one refits.
        task = self._init_callback_context(max_subtasks=1 + bool(self.refit))
        task.call_on_fit_task_begin(**reported)
        # A reason instead of a solver is kept until the candidates are scored: they may be invalid,
        # and then the error is the answer.
        joint = self._joint_search(estimator, X, y, for_fit, scoring)
        trials = Trials(
            self,
            estimator,
            (given, y, params),
            splitter=splitter,
            scoring=scoring,
            joint=joint,
        )
        self._try(trials, X, draw_folds, task)
        self.solver_ = "joint" if trials.is_joint else "per-fit"
        self.scorer_, self.multimetric_ = scoring.scorer, trials.is_multimetric
        if isinstance(joint, JointSearch):
            joint.warn_of_repeats()
        self._choose(trials.results())
        if self.refit:
            # The solver has samples that serve the refit of a plain SVC, and of nothing else.
            serves = trials.is_joint and type(estimator) is SVC
            solver = joint if serves and isinstance(joint, JointSearch) else None
            self._refit(estimator, given, y, for_fit, solver, task)
        # Also without a refit, when there is no classifier to ask for them.
        self.classes_ = np.unique(y)
        task.call_on_fit_task_end(**reported, reconstruction_attributes={})
        return self

    def _check_params(self) -> None:
        """Raise for parameters that are invalid whatever the data."""
        check_search_params(self.error_score, self.verbose, type(self).__name__)
        check_scoring_names(self.scoring, type(self).__name__)

    def _check_data(
        self,
        estimator: BaseEstimator,
        X: PerSample,
        y: PerSample | None,
        params: Mapping[str, Any],
    ) -> tuple[PerSample, PerSample]:
        """Return validated samples and labels; raise for what no fit could be made of."""
        owner = type(self).__name__
        if y is None:
            raise ValueError(f"{owner} requires y to be passed, but the target y is None.")
        # Other classifiers may accept what we do not, such as text: their own `fit` validates it.
        if is_svc(estimator):
            X, y = validate_data(
                self,
                X,
                y,
                dtype=(np.float64, np.float32),
                accept_sparse=type(estimator) is not SVC,
            )
            check_classification_targets(y)
            check_fit_params(estimator, params, len(y), owner)
            for name in ("groups", "sample_weight"):
                check_per_sample(params.get(name), len(y), name, owner)
        elif isinstance(estimator, Pipeline):
            X, y = indexable(X, y)
            check_classification_targets(y)
            check_fit_params(estimator, params, len(y), owner)
        if is_svc(split_off_svc(estimator)[1]) and len(found := np.unique(y)) < 2:
            # Otherwise every fit would fail, each with a traceback that says this.
            raise ValueError(
                "The number of classes has to be greater than one; got 1 class, "
                f"{found.tolist()[0]!r}."
            )
        return X, y

    def _route(self, params: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
        """Return the keyword arguments of the classifier, the splitter and the scorers."""
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", **params)
            # The names are those under which `get_metadata_routing` adds the three consumers.
            parts = routed.estimator.fit, routed.splitter.split, routed.scorer.score
            return tuple(dict(part) for part in parts)
        # Without routing, scikit-learn's rule: groups are for the splitter, all else is for the
        # classifier, and the scorers receive its weights.
        for_fit = {name: value for name, value in params.items() if name != "groups"}
        weights = params.get("sample_weight")
        for_score = {} if weights is None else {"sample_weight": weights}
        return for_fit, {"groups": params.get("groups")}, for_score

    def _joint_search(
        self,
        estimator: BaseEstimator,
        X: PerSample,
        y: PerSample,
        for_fit: Mapping[str, Any],
        scoring: Scoring,
    ) -> JointSearch | NotJointError:
        """Return the joint solver, or why it does not serve this search."""
        if self.return_train_score:
            return NotJointError("training scores were requested")
        try:
            return joint_search_for(
                estimator, X, y, for_fit=for_fit, scoring=scoring, n_jobs=self.n_jobs
            )
        except NotJointError as why:
            return why

    def _choose(self, results: dict[str, Any]) -> None:
        """Set the attributes of the best candidate, unless none is to be chosen."""
        self.cv_results_ = results
        if callable(self.scoring):
            metrics = [name[10:] for name in results if name.startswith("mean_test_")]
            check_refit_found(self.refit, metrics, self.multimetric_, type(self).__name__)
        # Several metrics, and none that chooses: there is no best candidate.
        if self.multimetric_ and not self.refit:
            return
        metric = self.refit if self.multimetric_ and isinstance(self.refit, str) else "score"
        if callable(self.refit):
            index = self.refit(results)
            is_integer = isinstance(index, Integral)
            if not is_integer:
                raise TypeError(
                    f"best_index_, which refit returned, must be an integer; got {index!r}."
                )
            if not 0 <= index < len(results["params"]):
                raise IndexError(
                    f"best_index_, which refit returned, is {index}, and there are "
                    f"{len(results['params'])} candidates."
                )
            self.best_index_ = index
        else:
            # With a callable there is no best score: it may choose by something else.
            self.best_index_ = self._best_index(results, metric)
            self.best_score_ = results[f"mean_test_{metric}"][self.best_index_]
        self.best_params_ = results["params"][self.best_index_]

    def _best_index(self, results: dict[str, Any], metric: str) -> int:
        return results[f"rank_test_{metric}"].argmin()  # the first of tied candidates

    def _refit(
        self,
        estimator: BaseEstimator,
        X: PerSample,
        y: PerSample,
        for_fit: dict[str, Any],
        joint: JointSearch | None,
        task: Task,
    ) -> None:
        # The values are cloned, too: they may be estimators.
        best = clone(estimator).set_params(**clone(self.best_params_, safe=False))
        start = time.perf_counter()
        with part_of(task, "refit-with-best-params", self, best):
            if joint is None:
                best.fit(X, y, **for_fit)
            else:
                # The candidate is valid, since it was solved; and the core has the samples.
                best._fit(X, y, joint.sample_weight, joint.samples_in_f32(best.kernel))
        self.refit_time_ = time.perf_counter() - start
        self.best_estimator_ = best
        for name in ("feature_names_in_", "n_features_in_"):
            if hasattr(best, name):
                setattr(self, name, getattr(best, name))

    @_has("predict")
    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict the class of each sample with the refitted classifier."""
        check_is_fitted(self)
        return self.best_estimator_.predict(X)

    @_has("decision_function")
    def decision_function(self, X: ArrayLike) -> NDArray[Any]:
        """Compute the decision values of the refitted classifier, shaped as those of `SVC`."""
        check_is_fitted(self)
        return self.best_estimator_.decision_function(X)

    @_has("class_margins")
    def class_margins(self, X: ArrayLike) -> NDArray[Any]:
        """Compute the smallest decision value of each class; see `SVC.class_margins`."""
        check_is_fitted(self)
        if isinstance(best := self.best_estimator_, Pipeline):
            return ask_last_step(best, "class_margins", X)
        return best.class_margins(X)

    @_has("predict_proba")
    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Estimate probabilities, if the classifier supports it; an `SVC` does not."""
        check_is_fitted(self)
        return self.best_estimator_.predict_proba(X)

    @_has("score")
    def score(self, X: ArrayLike, y: ArrayLike, **params: object) -> float:
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
        if self.multimetric_ and not isinstance(self.refit, str):
            raise ValueError(
                f"{type(self).__name__} has several metrics, and its refit is a callable, so score "
                "does not know which of them to return; call scorer_ or a metric yourself."
            )
        metric = str(self.refit)  # a name where there are several metrics, and unused elsewhere
        scorer = self.scorer_[metric] if isinstance(self.scorer_, dict) else self.scorer_
        score = scorer(self.best_estimator_, X, y, **params)
        return score[metric] if isinstance(score, dict) else score

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the routing of metadata to the classifier, the scorer and the splitter.

        Returns
        -------
        MetadataRouter
        """
        estimator = self._estimator()
        scorers = make_scorer_of(estimator, self.scoring)
        if isinstance(scorers, dict):  # scikit-learn's scorer of several metrics routes to them
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

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        check_estimator(self._estimator(), type(self).__name__, self._grid_name)
        tags.input_tags.pairwise = get_tags(self._estimator()).input_tags.pairwise
        return tags
