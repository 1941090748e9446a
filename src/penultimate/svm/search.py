"""The search for the parameters of an SVC."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from penultimate.svm._together import search_together
from penultimate.svm.svc import SVC

RBF_C = (1.0, 3.0, 10.0, 30.0)
RBF_GAMMA = (0.03, 0.1, 0.3, 1.0, 3.0)
LINEAR_C = (0.001, 0.003, 0.01, 0.03, 0.1, 1.0)


def _refitted(search: "SVCSearchCV") -> bool:
    if not search.refit:
        raise AttributeError(
            "This SVCSearchCV has refit=False, and so has no classifier to predict with; "
            "set refit=True."
        )
    return True


class SVCSearchCV(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Grid search for an `SVC`: ``GridSearchCV(SVC(), ...)`` as one estimator.

    Every parameter setting is scored on each validation fold; the classifier is then refitted with
    the best one on all samples. Settings, folds and pairs of classes share their kernel values
    where these fit into memory; else, and for what only scikit-learn's search knows (training
    scores, several metrics, a fold without a class), each is fitted apart.

    Parameters
    ----------
    estimator : SVC, optional
        By default ``SVC()``.
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
        How much to print.
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

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Score every setting, and refit the best.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        **params : dict
            ``groups`` for the splitter, ``sample_weight`` for the classifier.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or the data is unusable.
        """
        estimator = SVC() if self.estimator is None else clone(self.estimator)
        X, y = validate_data(self, X, y, dtype=(np.float64, np.float32))
        check_classification_targets(y)
        grid = _default_grid(estimator, X) if self.param_grid is None else self.param_grid
        search = GridSearchCV(
            estimator,
            grid,
            scoring=self.scoring,
            n_jobs=self.n_jobs,
            refit=self.refit,
            cv=self.cv,
            verbose=self.verbose,
            error_score=self.error_score,
            return_train_score=self.return_train_score,
        )
        if not search_together(search, X, y, params):
            search.fit(X, y, **params)
        for name in ("cv_results_", "best_params_", "best_score_", "best_index_", "n_splits_"):
            setattr(self, name, getattr(search, name))
        self.scorer_ = search.scorer_
        self.classes_ = np.unique(y)
        if self.refit:
            self.best_estimator_: SVC = search.best_estimator_
            self.refit_time_: float = search.refit_time_
        return self

    @available_if(_refitted)
    def predict(self, X: Any) -> Any:
        """Predict the class of each sample with the refitted classifier."""
        return self._best().predict(self._check_features(X))

    @available_if(_refitted)
    def decision_function(self, X: Any) -> Any:
        """Compute the decision values of the refitted classifier, as `SVC` shapes them."""
        return self._best().decision_function(self._check_features(X))

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
        return self.scorer_(self._best(), self._check_features(X), y)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = getattr(self.estimator, "kernel", "rbf") == "precomputed"
        return tags

    def _best(self) -> SVC:
        check_is_fitted(self)
        _refitted(self)
        return self.best_estimator_

    def _check_features(self, X: Any) -> Any:
        check_is_fitted(self)
        return validate_data(self, X, dtype=(np.float64, np.float32), reset=False)


def _default_grid(estimator: SVC, X: Any) -> dict[str, list[float]]:
    if estimator.kernel == "linear":
        return {"C": list(LINEAR_C)}
    if estimator.kernel == "precomputed":
        return {"C": list(RBF_C)}
    variance = float(X.var())
    scale = 1 / (X.shape[1] * variance) if variance > 0 else 1.0
    return {"C": list(RBF_C), "gamma": [factor * scale for factor in RBF_GAMMA]}
