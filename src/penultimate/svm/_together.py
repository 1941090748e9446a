"""Whether a grid search can be solved as one problem, and doing so."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv

from penultimate.svm import _native
from penultimate.svm._grid import Fold, GridEngine, KnownSVC, Setting
from penultimate.svm.svc import SVC

_SHARED = {"C", "gamma", "kernel", "degree", "coef0", "class_weight"}
# A float32 solution this many times over the tolerance is not good enough to choose by.
_SLACK = 10.0


def search_together(
    search: GridSearchCV, X: NDArray[Any], y: NDArray[Any], params: dict[str, Any]
) -> bool:
    """Fit an unfitted `GridSearchCV` over an `SVC` as one problem, if it can be.

    Parameters
    ----------
    search : GridSearchCV
        Gets the attributes that its own ``fit`` would give it.
    X, y : ndarray
    params : dict
        What its ``fit`` would be given.

    Returns
    -------
    bool
        False where nothing was done, and its own ``fit`` must do it.
    """
    settings = _settings(search)
    folds = None if settings is None else _folds(search, X, y, params)
    if settings is None or folds is None:
        return False
    classes = np.unique(y)
    memory = _native.memory_in_bytes(search.estimator.memory_limit)
    if len(classes) < 2 or GridEngine.bytes_needed(len(X)) > memory:
        return False
    if any(len(np.unique(y[f.train])) < len(classes) for f in folds):
        return False
    if any(s.estimator.kernel == "precomputed" for s in settings) and X.shape[0] != X.shape[1]:
        return False

    scorer = check_scoring(search.estimator, search.scoring)
    start = time.perf_counter()
    engine = GridEngine(X, y, folds, _native.count_threads(search.n_jobs))
    scores = np.empty((len(settings), len(folds)))
    score_seconds = np.zeros_like(scores)
    for outcome in engine.run(settings):
        begun = time.perf_counter()
        estimator, fold = settings[outcome.setting].estimator, folds[outcome.fold]
        pairwise = estimator.kernel == "precomputed"
        X_test = X[np.ix_(fold.test, fold.train)] if pairwise else X[fold.test]
        if outcome.gap <= _SLACK * estimator.tol:
            fitted = KnownSVC.of(estimator, classes, outcome.decisions)
        else:
            fitted = _fit_apart(estimator, X, y, fold)
        if search.scoring in (None, "accuracy"):
            score = float(np.mean(fitted.predict(X_test) == y[fold.test]))
        else:
            score = scorer(fitted, X_test, y[fold.test])
        scores[outcome.setting, outcome.fold] = score
        score_seconds[outcome.setting, outcome.fold] = time.perf_counter() - begun
    total = time.perf_counter() - start - score_seconds.sum()

    candidates = list(ParameterGrid(search.param_grid))
    out = [
        {
            "fit_error": None,
            "test_scores": scores[s, f],
            "n_test_samples": len(folds[f].test),
            "fit_time": total / scores.size,
            "score_time": score_seconds[s, f],
        }
        for s in range(len(settings))
        for f in range(len(folds))
    ]
    search.multimetric_ = False
    search.scorer_ = scorer
    search.n_splits_ = len(folds)
    search.cv_results_ = search._format_results(candidates, len(folds), out)
    search.best_index_ = int(search.cv_results_["rank_test_score"].argmin())
    search.best_score_ = search.cv_results_["mean_test_score"][search.best_index_]
    search.best_params_ = candidates[search.best_index_]
    if search.refit:
        start = time.perf_counter()
        best = clone(search.estimator).set_params(**clone(search.best_params_, safe=False))
        search.best_estimator_ = best.fit(X, y)
        search.refit_time_ = time.perf_counter() - start
    return True


def _settings(search: GridSearchCV) -> list[Setting] | None:
    """The points of the grid, or None where the engine does not know a parameter or its value."""
    if type(search.estimator) is not SVC or search.return_train_score:
        return None
    if search.estimator.max_iter != -1 or search.refit not in (True, False):
        return None
    if not (search.scoring is None or isinstance(search.scoring, str)):
        return None
    settings = []
    for index, params in enumerate(ParameterGrid(search.param_grid)):
        if not set(params) <= _SHARED:
            return None
        estimator = clone(search.estimator).set_params(**params)
        try:
            estimator._validate_params()
        except (ValueError, TypeError):
            return None  # scikit-learn's search has rules for settings that cannot be fitted
        settings.append(Setting(index, estimator))
    return settings


def _folds(
    search: GridSearchCV, X: NDArray[Any], y: NDArray[Any], params: dict[str, Any]
) -> list[Fold] | None:
    # With sample weights scikit-learn's search weighs the scores too, by rules of its own.
    if get_config()["enable_metadata_routing"] or not set(params) <= {"groups"}:
        return None
    splitter = check_cv(search.cv, y, classifier=True)
    folds = [Fold(*parts) for parts in splitter.split(X, y, params.get("groups"))]
    # A splitter that is used up, or repeats a training sample, is left to scikit-learn.
    if not folds or any(len(np.unique(f.train)) < len(f.train) for f in folds):
        return None
    return folds


def _fit_apart(estimator: SVC, X: NDArray[Any], y: NDArray[Any], fold: Fold) -> SVC:
    train = fold.train
    samples = X[np.ix_(train, train)] if estimator.kernel == "precomputed" else X[train]
    return clone(estimator).fit(samples, y[train])
