"""Hyper-parameter searches for an SVC: grid, random, and successive halving."""

from typing import Any

import numpy as np
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from penultimate.svm._base_search import Search, default_distributions, default_grid

__all__ = ["SVCHalvingSearchCV", "SVCRandomizedSearchCV", "SVCSearchCV"]


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
        estimator: Any = None,
        param_grid: Any = None,
        *,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        error_score: Any = np.nan,
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

    def _make_search(self, estimator: Any, X: Any) -> GridSearchCV:
        grid = default_grid(estimator, X) if self.param_grid is None else self.param_grid
        return GridSearchCV(
            estimator,
            grid,
            scoring=self.scoring,
            n_jobs=self.n_jobs,
            refit=self.refit,
            cv=self.cv,
            error_score=self.error_score,
            return_train_score=self.return_train_score,
        )


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

    def __init__(
        self,
        estimator: Any = None,
        param_distributions: Any = None,
        *,
        n_iter: int = 20,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        random_state: Any = None,
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

    def _make_search(self, estimator: Any, X: Any) -> RandomizedSearchCV:
        distributions = self.param_distributions
        if distributions is None:
            distributions = default_distributions(estimator, X)
        return RandomizedSearchCV(
            estimator,
            distributions,
            n_iter=self.n_iter,
            scoring=self.scoring,
            n_jobs=self.n_jobs,
            refit=self.refit,
            cv=self.cv,
            random_state=self.random_state,
        )


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
        estimator: Any = None,
        param_grid: Any = None,
        *,
        factor: float = 3,
        min_resources: int | str = "exhaust",
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        random_state: Any = None,
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

    def _make_search(self, estimator: Any, X: Any) -> Any:
        from sklearn.experimental import enable_halving_search_cv  # noqa: F401
        from sklearn.model_selection import HalvingGridSearchCV

        grid = default_grid(estimator, X) if self.param_grid is None else self.param_grid
        return HalvingGridSearchCV(
            estimator,
            grid,
            factor=self.factor,
            min_resources=self.min_resources,
            scoring=self.scoring,
            n_jobs=self.n_jobs,
            refit=self.refit,
            cv=5 if self.cv is None else self.cv,
            random_state=self.random_state,
            return_train_score=False,
        )
