"""The search for the parameters of an SVC: over a grid, at random, and by successive halving."""

import time
from abc import abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from penultimate.svm._bar import SearchBar
from penultimate.svm._together import search_together
from penultimate.svm.svc import SVC

RBF_C = (1.0, 3.0, 10.0, 30.0)
RBF_GAMMA = (0.03, 0.1, 0.3, 1.0, 3.0)
LINEAR_C = (0.001, 0.003, 0.01, 0.03, 0.1, 1.0)


def _refitted(search: "_Search") -> bool:
    if not search.refit:
        raise AttributeError(
            f"This {type(search).__name__} has refit=False, and so has no classifier to predict "
            "with; set refit=True."
        )
    return True


class _Search(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """What the searches share: one of scikit-learn's says what is tried, and this solves it."""

    estimator: SVC | None
    refit: bool
    verbose: int

    @abstractmethod
    def _make_search(self, estimator: SVC, X: NDArray[Any]) -> Any:
        """Make scikit-learn's search."""

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Score settings, and refit the best.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        **params : dict
            ``groups`` for the splitter, ``sample_weight`` for the classifier and the scores.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or the data is unusable.
        """
        estimator = SVC() if self.estimator is None else clone(self.estimator)
        given = X  # whose features may have names
        X, y = validate_data(self, X, y, dtype=(np.float64, np.float32))
        check_classification_targets(y)
        search = self._make_search(estimator, X)
        with SearchBar(self.verbose > 0) as bar:
            evaluation = search_together(search, X, y, params, bar)
        if evaluation is None:
            search.fit(given, y, **params)
        for name, value in vars(search).items():
            if name.endswith("_") and name not in ("multimetric_", "n_features_in_"):
                setattr(self, name, value)
        self.classes_ = np.unique(y)
        if evaluation is not None and self.refit:
            start = time.perf_counter()
            best = clone(estimator).set_params(**clone(self.best_params_, safe=False))
            source = evaluation.single_source(best.kernel)
            self.best_estimator_ = best._fit(given, y, params.get("sample_weight"), source)
            self.refit_time_ = time.perf_counter() - start
        return self

    @available_if(_refitted)
    def predict(self, X: Any) -> Any:
        """Predict the class of each sample with the refitted classifier."""
        return self._best().predict(X)

    @available_if(_refitted)
    def decision_function(self, X: Any) -> Any:
        """Compute the decision values of the refitted classifier, as `SVC` shapes them."""
        return self._best().decision_function(X)

    @available_if(_refitted)
    def class_margins(self, X: Any) -> Any:
        """Compute for each class its least decision value, as `SVC.class_margins` does."""
        return self._best().class_margins(X)

    def score(self, X: Any, y: Any) -> float:
        """Score the refitted classifier with `scoring`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)

        Returns
        -------
        float
        """
        return self.scorer_(self._best(), X, y)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = getattr(self.estimator, "kernel", "rbf") == "precomputed"
        return tags

    def _best(self) -> SVC:
        check_is_fitted(self)
        _refitted(self)
        return self.best_estimator_


class SVCSearchCV(_Search):
    """Grid search for an `SVC`: ``GridSearchCV(SVC(), ...)`` as one problem.

    Every parameter setting is scored on each validation fold; the classifier is then refitted with
    the best one on all samples. Settings, folds and pairs of classes share their kernel values,
    and start from one another's solutions. What only scikit-learn's search knows (training scores,
    several metrics, a fold without a class) it does, each setting and fold apart.

    Parameters
    ----------
    estimator : SVC, optional
        By default ``SVC()``. Its `memory_limit` holds for the whole search.
    param_grid : dict or list of dicts, optional
        Lists of values by parameter name. By default, for an RBF kernel, ``C`` in 1, 3, 10, 30 and
        ``gamma`` in .03, .1, .3, 1, 3 times ``1 / (n_features * X.var())``; for a linear kernel,
        ``C`` in .001, .003, .01, .03, .1, 1.
    scoring : str or callable, optional
        By default accuracy.
    n_jobs : int, optional
        Threads; by default as many as scikit-learn's own parallel loops would take.
    refit : bool, default=True
        Whether to fit the best setting on all samples.
    cv : int, splitter or iterable, optional
        By default 5 stratified folds.
    verbose : int, default=0
        1 shows a progress bar on standard error.
    error_score : "raise" or float, default=nan
        The score of a setting that cannot be fitted.
    return_train_score : bool, default=False
        Whether `cv_results_` has training scores.

    Attributes
    ----------
    cv_results_ : dict of ndarrays
        As `GridSearchCV` has it.
    best_estimator_ : SVC
        If ``refit=True``.
    best_params_ : dict
    best_score_ : float
        Mean validation score of the best setting.
    best_index_ : int
    n_splits_ : int
    refit_time_ : float
        Seconds, if ``refit=True``.
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
        estimator: SVC | None = None,
        param_grid: Any = None,
        *,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool = True,
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

    def _make_search(self, estimator: SVC, X: NDArray[Any]) -> GridSearchCV:
        grid = _default_grid(estimator, X) if self.param_grid is None else self.param_grid
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


class SVCRandomizedSearchCV(_Search):
    """Random search for an `SVC`: ``RandomizedSearchCV(SVC(), ...)`` as one problem.

    Parameters
    ----------
    estimator : SVC, optional
        By default ``SVC()``.
    param_distributions : dict or list of dicts, optional
        Lists, or distributions with a method ``rvs``, by parameter name. By default log-uniform:
        ``C`` from .1 to 1,000 and, for an RBF kernel, ``gamma`` from .01 to 10 times
        ``1 / (n_features * X.var())``; for a linear kernel, ``C`` from .0001 to 10.
    n_iter : int, default=20
        How many settings are tried.
    scoring, n_jobs, refit, cv, verbose : optional
        As `SVCSearchCV` has them.
    random_state : int, RandomState instance or None, default=None
        Decides which settings are tried.

    Attributes
    ----------
    cv_results_, best_estimator_, best_params_, best_score_, best_index_, n_splits_, classes_
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
        estimator: SVC | None = None,
        param_distributions: Any = None,
        *,
        n_iter: int = 20,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool = True,
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

    def _make_search(self, estimator: SVC, X: NDArray[Any]) -> RandomizedSearchCV:
        distributions = self.param_distributions
        if distributions is None:
            distributions = _default_distributions(estimator, X)
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


class SVCHalvingSearchCV(_Search):
    """Successive halving for an `SVC`: ``HalvingGridSearchCV(SVC(), ...)`` as one problem.

    All settings begin on few samples; the best share of them goes on with more, until few settings
    are left, on all samples.

    Parameters
    ----------
    estimator : SVC, optional
        By default ``SVC()``.
    param_grid : dict or list of dicts, optional
        As `SVCSearchCV` has it, its default too.
    factor : int or float, default=3
        One in so many settings goes on, on so many times as many samples.
    min_resources : {"exhaust", "smallest"} or int, default="exhaust"
        Samples of the first iteration, as `HalvingGridSearchCV` has them.
    scoring, n_jobs, refit, cv, verbose : optional
        As `SVCSearchCV` has them.
    random_state : int, RandomState instance or None, default=None
        Decides which samples are taken.

    Attributes
    ----------
    cv_results_, best_estimator_, best_params_, best_score_, best_index_, n_splits_, classes_
        As `SVCSearchCV` has them; the best is among the settings of the last iteration.
    n_resources_, n_candidates_ : list of int
        Samples and settings of each iteration.

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
        estimator: SVC | None = None,
        param_grid: Any = None,
        *,
        factor: float = 3,
        min_resources: int | str = "exhaust",
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool = True,
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

    def _make_search(self, estimator: SVC, X: NDArray[Any]) -> Any:
        from sklearn.experimental import enable_halving_search_cv  # noqa: F401
        from sklearn.model_selection import HalvingGridSearchCV

        grid = _default_grid(estimator, X) if self.param_grid is None else self.param_grid
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


def _scale(X: NDArray[Any]) -> float:
    return SVC(gamma="scale")._resolve_gamma(X)


def _default_grid(estimator: SVC, X: NDArray[Any]) -> dict[str, list[float]]:
    if estimator.kernel == "linear":
        return {"C": list(LINEAR_C)}
    if estimator.kernel == "precomputed":
        return {"C": list(RBF_C)}
    return {"C": list(RBF_C), "gamma": [factor * _scale(X) for factor in RBF_GAMMA]}


def _default_distributions(estimator: SVC, X: NDArray[Any]) -> dict[str, Any]:
    if estimator.kernel == "linear":
        return {"C": loguniform(1e-4, 10)}
    if estimator.kernel == "precomputed":
        return {"C": loguniform(0.1, 1000)}
    scale = _scale(X)
    return {"C": loguniform(0.1, 1000), "gamma": loguniform(0.01 * scale, 10 * scale)}
