"""Hyper-parameter searches for an SVC: grid, random, and successive halving."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import ParameterGrid, ParameterSampler

from penultimate._common.callbacks import Task
from penultimate._common.frames import level_outside
from penultimate._common.protocols import (
    CrossValidation,
    Division,
    Metrics,
    PerSample,
    RandomState,
    Refit,
)
from penultimate._common.validation import check_number
from penultimate.svm._base_search import Search
from penultimate.svm._default_grids import default_distributions, default_grid
from penultimate.svm._halving import Schedule, check_constant_folds, subsample, top_candidates
from penultimate.svm._trials import Trials

__all__ = ["SVCHalvingSearchCV", "SVCRandomizedSearchCV", "SVCSearchCV"]

# Values to try, or distributions to draw from, by parameter; or several such grids.
Grid = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class SVCSearchCV(Search):
    """Grid search for an `SVC`: ``GridSearchCV(SVC(), ...)`` as one problem.

    Every setting of the hyper-parameters is scored on each validation fold; the classifier is then
    refitted with the best one on all samples. Settings, folds and pairs of classes share kernel
    values and start from one another's solutions. Requests that the joint solver does not support
    (training scores, a fold that lacks a class, a classifier other than `SVC`) are delegated to
    scikit-learn's search, which fits every setting on every fold separately and takes several times
    as long; a `PerformanceWarning` gives the reason, and ``solver_`` is then ``"per-fit"``.

    Parameters
    ----------
    estimator : SVC, optional
        Classifier to tune; by default ``SVC()``. Its `memory_limit` applies to the whole search.
    param_grid : dict or list of dicts, optional
        Lists of values by parameter name. By default, for an RBF kernel, ``C`` in 1, 3, 10, 30 and
        ``gamma`` in 0.03, 0.1, 0.3, 1, 3 times ``1 / (n_features * X.var())``; for a linear kernel,
        ``C`` in 0.001, 0.003, 0.01, 0.03, 0.1, 1.
    scoring : str, callable, list, tuple or dict, optional
        One or several metrics, as in `GridSearchCV`; by default accuracy.
    n_jobs : int, optional
        Number of threads; by default as many as scikit-learn's own parallel loops would use.
    refit : bool, str or callable, default=True
        Whether to refit the best setting on all samples. With several metrics, the name of the one
        to choose by; or a function that maps `cv_results_` to an index.
    cv : int, splitter or iterable, optional
        Splitting strategy; by default 5 stratified folds.
    verbose : int, default=0
        1 shows a progress bar on standard error. Where settings are fitted separately, this is
        scikit-learn's `verbose`.
    error_score : "raise" or float, default=nan
        Score of a setting that cannot be fitted.
    return_train_score : bool, default=False
        Whether `cv_results_` includes training scores.

    Attributes
    ----------
    cv_results_ : dict of ndarrays
        Results with the columns of `GridSearchCV`.
    solver_ : {"joint", "per-fit"}
        Whether the settings were solved jointly or fitted separately.
    best_estimator_ : SVC
        Classifier refitted on all samples; only if ``refit=True``.
    best_params_ : dict
    best_score_ : float
        Mean validation score of the best setting.
    best_index_ : int
    scorer_ : callable, or dict of them
    multimetric_ : bool
        Whether several metrics were computed.
    n_splits_ : int
    refit_time_ : float
        Seconds for refitting; only if ``refit=True``.
    classes_ : ndarray of shape (n_classes,)

    Notes
    -----
    With scikit-learn 1.9 or newer, ``set_callbacks`` takes its callbacks, such as
    ``sklearn.callback.ProgressBar()``. The fits of a joint search are reported as
    a share of them is solved, because none of them ends before the others.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from penultimate import SVCSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> search = SVCSearchCV(param_grid={"C": [0.01, 1], "gamma": [0.1]}).fit(X, y)
    >>> search.best_params_
    {'C': 1, 'gamma': 0.1}
    """

    def __init__(
        self,
        estimator: BaseEstimator = None,
        param_grid: Grid | None = None,
        *,
        scoring: Metrics = None,
        n_jobs: int | None = None,
        refit: Refit = True,
        cv: CrossValidation = None,
        verbose: int = 0,
        error_score: float | str = np.nan,
        return_train_score: bool = False,
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.scoring = scoring
        self.n_jobs = n_jobs
        self.refit = refit
        self.cv = cv
        self.verbose = verbose
        self.error_score = error_score
        self.return_train_score = return_train_score

    def _candidates(self, estimator: BaseEstimator, X: PerSample) -> list[dict[str, Any]]:
        return _grid_candidates(self.param_grid, estimator, X)


class SVCRandomizedSearchCV(Search):
    """Random search for an `SVC`: ``RandomizedSearchCV(SVC(), ...)`` as one problem.

    Parameters
    ----------
    estimator : SVC, optional
        By default ``SVC()``.
    param_distributions : dict or list of dicts, optional
        Lists, or distributions with a method ``rvs``, by parameter name. By default log-uniform:
        ``C`` from 0.1 to 1,000 and, for an RBF kernel, ``gamma`` from 0.01 to 10 times
        ``1 / (n_features * X.var())``; for a linear kernel, ``C`` from 0.0001 to 10.
    n_iter : int, default=20
        Number of settings that are sampled.
    scoring, n_jobs, refit, cv, verbose : optional
        As `SVCSearchCV` has them.
    random_state : int, RandomState instance or None, default=None
        Controls which settings are sampled.
    return_train_score : bool, default=False
        As `SVCSearchCV` has it.

    Attributes
    ----------
    cv_results_, best_estimator_, best_params_, best_score_, best_index_, n_splits_, classes_,
    solver_
        As `SVCSearchCV` has them.

    References
    ----------
    J. Bergstra and Y. Bengio, "Random search for hyper-parameter optimization", JMLR 13, 2012.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from penultimate import SVCRandomizedSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> search = SVCRandomizedSearchCV(n_iter=10, random_state=0).fit(X, y)
    >>> bool(search.best_score_ > 0.95)
    True
    """

    _grid_name = "param_distributions"

    def __init__(
        self,
        estimator: BaseEstimator = None,
        param_distributions: Grid | None = None,
        *,
        # As many settings as the default grid of an RBF kernel has, so that the two cost the same.
        n_iter: int = 20,
        scoring: Metrics = None,
        n_jobs: int | None = None,
        refit: Refit = True,
        cv: CrossValidation = None,
        verbose: int = 0,
        random_state: RandomState = None,
        return_train_score: bool = False,
    ) -> None:
        self.estimator = estimator
        self.param_distributions = param_distributions
        self.n_iter = n_iter
        self.scoring = scoring
        self.n_jobs = n_jobs
        self.refit = refit
        self.cv = cv
        self.verbose = verbose
        self.random_state = random_state
        self.return_train_score = return_train_score

    def _check_params(self) -> None:
        super()._check_params()
        check_number(self.n_iter, "n_iter", type(self).__name__, low=1, integer=True)

    def _candidates(self, estimator: BaseEstimator, X: PerSample) -> list[dict[str, Any]]:
        distributions = self.param_distributions
        if distributions is None:
            distributions = default_distributions(estimator, X)
        # scikit-learn's sampler: the same random state draws the settings of `RandomizedSearchCV`.
        sampler = ParameterSampler(distributions, self.n_iter, random_state=self.random_state)
        values = [each for one in sampler.param_distributions for each in one.values()]
        if not any(hasattr(value, "rvs") for value in values):
            n_settings = len(ParameterGrid(sampler.param_distributions))
            if n_settings < self.n_iter:
                # The sampler's own warning recommends scikit-learn's search.
                warnings.warn(
                    f"There are {n_settings} settings, fewer than n_iter={self.n_iter}: all are "
                    "tried, each once. For a grid there is SVCSearchCV.",
                    UserWarning,
                    stacklevel=level_outside(),
                )
                sampler.n_iter = n_settings
        return list(sampler)


class SVCHalvingSearchCV(Search):
    """Successive halving for an `SVC`: ``HalvingGridSearchCV(SVC(), ...)`` as one problem.

    All settings start on few samples; in each iteration the best of them continue with more, until
    few settings are left, on all samples.

    Parameters
    ----------
    estimator : SVC, optional
        By default ``SVC()``.
    param_grid : dict or list of dicts, optional
        As in `SVCSearchCV`, with the same default.
    factor : int or float, default=3
        Each iteration keeps one in `factor` settings and uses `factor` times as many samples.
    min_resources : {"exhaust", "smallest"} or int, default="exhaust"
        Number of samples in the first iteration, as in `HalvingGridSearchCV`.
    scoring, n_jobs, refit, cv, verbose : optional
        As `SVCSearchCV` has them.
    random_state : int, RandomState instance or None, default=None
        Controls which samples are drawn.
    return_train_score : bool, default=False
        As `SVCSearchCV` has it. (`HalvingGridSearchCV` computes training scores by default; here
        they would cost the speed of the joint solution.)

    Attributes
    ----------
    cv_results_, best_estimator_, best_params_, best_score_, best_index_, n_splits_, classes_,
    solver_
        As in `SVCSearchCV`; the best setting is one of those in the last iteration.
    n_resources_, n_candidates_ : list of int
        Number of samples and of settings in each iteration.

    References
    ----------
    K. Jamieson and A. Talwalkar, "Non-stochastic best arm identification and hyperparameter
    optimization", AISTATS 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from penultimate import SVCHalvingSearchCV
    >>> X, y = load_digits(return_X_y=True)
    >>> search = SVCHalvingSearchCV(random_state=0).fit(X, y)
    >>> bool(search.best_score_ > 0.97)
    True
    """

    def __init__(
        self,
        estimator: BaseEstimator = None,
        param_grid: Grid | None = None,
        *,
        factor: float = 3,
        min_resources: int | str = "exhaust",
        scoring: Metrics = None,
        n_jobs: int | None = None,
        refit: Refit = True,
        cv: CrossValidation = None,
        verbose: int = 0,
        random_state: RandomState = None,
        return_train_score: bool = False,
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.factor = factor
        self.min_resources = min_resources
        self.scoring = scoring
        self.n_jobs = n_jobs
        self.refit = refit
        self.cv = cv
        self.verbose = verbose
        self.random_state = random_state
        self.return_train_score = return_train_score

    def _check_params(self) -> None:
        super()._check_params()
        owner = type(self).__name__
        check_number(self.factor, "factor", owner, low=1, open_low=True)
        # Validated here, since `Schedule` computes with both.
        if self.min_resources not in ("exhaust", "smallest"):
            check_number(self.min_resources, "min_resources", owner, low=1, integer=True)
        if isinstance(self.scoring, (list, tuple, set, dict)):
            raise ValueError(
                f"The 'scoring' parameter of {owner} must be a single metric, by which it drops "
                f"settings; got {self.scoring!r}."
            )

    def _try(
        self,
        trials: Trials,
        X: PerSample,
        draw_folds: Callable[[], list[Division]],
        task: Task,
    ) -> None:
        check_constant_folds(trials.splitter)
        candidates = _grid_candidates(self.param_grid, trials.estimator, X)
        # Drawn once, and subsampled anew in each iteration: candidates of all iterations are
        # compared on parts of the same folds.
        folds, y = draw_folds(), trials.fit_args[1]
        n_samples = len(y)
        schedule = Schedule.of(
            self.factor,
            self.min_resources,
            n_candidates=len(candidates),
            n_samples=n_samples,
            n_splits=len(folds),
            n_classes=len(np.unique(y)),
        )
        # These attributes have the names and values of `HalvingGridSearchCV`, whose schedule it is.
        self.min_resources_, self.max_resources_ = schedule.min_resources, n_samples
        self.n_required_iterations_ = schedule.n_required_iterations
        self.n_possible_iterations_ = schedule.n_possible_iterations
        self.n_iterations_ = schedule.n_iterations
        self.n_resources_, self.n_candidates_ = [], []
        iterations = task.subcontext("search", max_subtasks=schedule.n_iterations)
        iterations.call_on_fit_task_begin(estimator=self)
        for iteration in range(schedule.n_iterations):
            n_resources = schedule.n_resources(iteration)
            self.n_resources_.append(n_resources)
            self.n_candidates_.append(len(candidates))
            table = trials.score(
                candidates,
                subsample(folds, n_resources, n_samples, self.random_state),
                iterations,
                "halving-iteration",
                {"iter": iteration, "n_resources": n_resources},
            )
            # Only known now, since a callable shows by its result what it computes.
            if table.is_multimetric:
                raise ValueError(
                    f"The 'scoring' parameter of {type(self).__name__} must be a single metric, by "
                    f"which it drops settings; {self.scoring!r} computes {list(table.test)}."
                )
            # A setting that failed on any fold has the mean NaN, and is among the first to be
            # dropped.
            kept = schedule.n_kept(len(candidates))
            candidates = top_candidates(candidates, table.test["score"].mean(axis=1), kept)
        self.n_remaining_candidates_ = len(candidates)
        iterations.call_on_fit_task_end(estimator=self)

    def _best_index(self, results: dict[str, Any], metric: str) -> int:
        # Scores of earlier iterations are from fewer samples, and do not compare.
        last = np.flatnonzero(results["iter"] == results["iter"].max())
        scores = results[f"mean_test_{metric}"][last]
        return last[0 if np.isnan(scores).all() else np.nanargmax(scores)]


def _grid_candidates(
    param_grid: Grid | None, estimator: BaseEstimator, X: PerSample
) -> list[dict[str, Any]]:
    return list(ParameterGrid(default_grid(estimator, X) if param_grid is None else param_grid))
