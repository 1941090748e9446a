"""Whether a search can be solved as one problem, and doing so."""

import time
from collections import defaultdict
from collections.abc import Iterable
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils.validation import _check_sample_weight

from penultimate._progress import SILENT, Progress
from penultimate.svm import _native
from penultimate.svm._grid import Fold, GridEngine, KnownSVC, Outcome, Setting
from penultimate.svm.svc import SVC

_SHARED = {"C", "gamma", "kernel", "degree", "coef0", "class_weight"}
# A float32 solution this many times over the tolerance is not good enough to choose by.
_SLACK = 10.0


class _ApartError(Exception):
    """What was asked for cannot be solved as one problem."""


class _NoCallbacks:
    """Stands in for the callbacks that scikit-learn's searches tell of their progress."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: self


def search_together(
    search: BaseSearchCV,
    X: NDArray[Any],
    y: NDArray[Any],
    params: dict[str, Any],
    progress: Progress = SILENT,
) -> "Evaluation | None":
    """Fit one of scikit-learn's searches over an `SVC` as one problem, if it can be.

    Parameters
    ----------
    search : BaseSearchCV
        Decides what is tried; gets the attributes that its own ``fit`` would give it.
    X, y : ndarray
    params : dict
        What its ``fit`` would be given.
    progress : Progress, optional

    Returns
    -------
    Evaluation or None
        None where nothing was done, and its own ``fit`` must do it. The refit is the caller's.
    """
    try:
        search._validate_params()
        evaluation = Evaluation(search, X, y, params, progress)
        search._checked_cv_orig = check_cv(search.cv, y, classifier=True)
        split_params = {"groups": params.get("groups")}
        if hasattr(search, "_check_input_parameters"):  # a grid search has it from 1.9 on
            search._check_input_parameters(X=X, y=y, split_params=split_params)
        search.n_splits_ = search._checked_cv_orig.get_n_splits(X, y, **split_params)
        search._n_samples_orig = len(X)
        callbacks = {"callback_ctx": _NoCallbacks()}
        takes_callbacks = "callback_ctx" in signature(search._run_search).parameters
        search._run_search(evaluation, **(callbacks if takes_callbacks else {}))
    except _ApartError:
        return None
    search.multimetric_ = False
    search.scorer_ = evaluation.scorer
    search.cv_results_ = results = evaluation.results
    refit = search.refit if callable(search.refit) else True
    search.best_index_ = int(search._select_best_index(refit, "score", results))
    search.best_score_ = results["mean_test_score"][search.best_index_]
    search.best_params_ = results["params"][search.best_index_]
    return evaluation


class Evaluation:
    """Scores candidates; what scikit-learn's searches call ``evaluate_candidates``."""

    def __init__(
        self,
        search: BaseSearchCV,
        X: NDArray[Any],
        y: NDArray[Any],
        params: dict[str, Any],
        progress: Progress,
    ) -> None:
        if type(search.estimator) is not SVC or search.return_train_score:
            raise _ApartError
        if search.estimator.max_iter != -1 or not (
            search.refit in (True, False) or callable(search.refit)
        ):
            raise _ApartError
        if not (search.scoring is None or isinstance(search.scoring, str)):
            raise _ApartError
        if get_config()["enable_metadata_routing"] or not set(params) <= {
            "groups",
            "sample_weight",
        }:
            raise _ApartError
        self.search, self.X, self.y, self.progress = search, X, y, progress
        self.groups, self.weights = params.get("groups"), params.get("sample_weight")
        if self.weights is not None:
            self.weights = _check_sample_weight(self.weights, X, dtype=np.float64)
        self.scorer = check_scoring(search.estimator, search.scoring)
        self.results: dict[str, Any] = {}
        self._engine: GridEngine | None = None
        self._candidates: list[dict[str, Any]] = []
        self._out: list[dict[str, Any]] = []
        self._more: dict[str, list[Any]] = defaultdict(list)

    def __call__(
        self,
        candidates: Iterable[dict[str, Any]],
        cv: Any = None,
        more_results: dict[str, Any] | None = None,
        callback_ctx: Any = None,
    ) -> dict[str, Any]:
        """Score candidates on the folds of `cv`, and return all results until now."""
        candidates = list(candidates)
        if not candidates:
            raise _ApartError
        settings = _settings(self.search.estimator, candidates)
        folds = self._folds(cv or self.search._checked_cv_orig)
        self._out += self._score(settings, folds)
        self._candidates += candidates
        for name, values in (more_results or {}).items():
            self._more[name] += values
        self.results = self.search._format_results(
            self._candidates, len(folds), self._out, self._more
        )
        return self.results

    def single_source(self, kernel: str) -> Any:
        """Return what the core knows of all samples in float32, or None."""
        return None if self._engine is None else self._engine.single_source(kernel)

    def _folds(self, cv: Any) -> list[Fold]:
        splits = cv.split(self.X, self.y, groups=self.groups)
        places = np.arange(len(self.y))  # of which lists, masks and negative places choose some
        folds = [Fold(*(places[np.asarray(part)] for part in split)) for split in splits]
        # A splitter that is used up, or repeats a training sample, is left to scikit-learn.
        if not folds or any(np.bincount(f.train).max() > 1 for f in folds):
            raise _ApartError
        return folds

    def _score(self, settings: list[Setting], folds: list[Fold]) -> list[dict[str, Any]]:
        # Subsamples, as successive halving takes them, are a smaller problem.
        used = np.unique(np.concatenate([np.concatenate([f.train, f.test]) for f in folds]))
        if len(used) < len(self.y):
            folds = [Fold(*(np.searchsorted(used, p) for p in (f.train, f.test))) for f in folds]
        pairwise = any(s.estimator.kernel == "precomputed" for s in settings)
        if pairwise and self.X.shape[0] != self.X.shape[1]:
            raise _ApartError
        if len(used) == len(self.y):
            X, y, weights = self.X, self.y, self.weights
        else:
            X = self.X[np.ix_(used, used)] if pairwise else self.X[used]
            y = self.y[used]
            weights = None if self.weights is None else self.weights[used]
        start = time.perf_counter()
        engine = GridEngine(
            X,
            y,
            folds,
            sample_weight=weights,
            n_jobs=self.search.n_jobs,
            memory=_native.memory_in_bytes(self.search.estimator.memory_limit),
            on_progress=lambda share: self.progress.update("search", share, 1.0),
        )
        self._check_solvable(engine, settings, pairwise)
        self._engine = engine if len(used) == len(self.y) else None
        scoring = _Scoring(self.search, self.scorer, engine)
        for outcome in engine.run(settings, with_decisions=not scoring.by_winners(settings)):
            scoring.add(settings[outcome.setting].estimator, outcome)
        self.progress.update("search", 1.0, 1.0)
        spent = time.perf_counter() - start - sum(scoring.seconds.values())
        return [
            {
                "fit_error": None,
                "test_scores": scoring.scores[s, f],
                "n_test_samples": len(folds[f].test),
                "fit_time": spent / len(scoring.scores),
                "score_time": scoring.seconds[s, f],
            }
            for s in range(len(settings))
            for f in range(len(folds))
        ]

    def _check_solvable(self, engine: GridEngine, settings: list[Setting], pairwise: bool) -> None:
        classes, y = engine.classes, engine.y
        n_factors = len({s.estimator.C for s in settings})
        needed = engine.bytes_of_solutions(n_factors) + (4 * len(y) ** 2 if pairwise else 0)
        if len(np.unique(self.y)) < 2 or needed > engine.memory:
            raise _ApartError
        # What a fold without a class means, scikit-learn's search knows.
        for fold in engine.folds:
            trained = fold.train[engine.sample_weight[fold.train] > 0]
            if np.bincount(engine.codes[trained], minlength=len(classes)).min() == 0:
                raise _ApartError


class _Scoring:
    """Validation scores of outcomes."""

    def __init__(self, search: BaseSearchCV, scorer: Any, engine: GridEngine) -> None:
        self.search, self.scorer, self.engine = search, scorer, engine
        self.scores: dict[tuple[int, int], float] = {}
        self.seconds: dict[tuple[int, int], float] = {}

    def by_winners(self, settings: list[Setting]) -> bool:
        """Whether the winning classes are all that scores need."""
        plain = not any(s.estimator.break_ties for s in settings)
        return plain and self.search.scoring in (None, "accuracy")

    def add(self, estimator: SVC, outcome: Outcome) -> None:
        begun = time.perf_counter()
        engine, fold = self.engine, self.engine.folds[outcome.fold]
        # A solution beyond float32 is not good enough to choose by.
        if outcome.gap > _SLACK * estimator.tol:
            score = self._score(self._fit_apart(estimator, fold), fold)
        elif outcome.decisions is None:
            right = outcome.winners == engine.codes[fold.test]
            weights = engine.sample_weight[fold.test]
            score = float(np.average(right, weights=weights))
        else:
            score = self._score(KnownSVC.of(estimator, engine.classes, outcome), fold)
        place = outcome.setting, outcome.fold
        self.scores[place] = score
        self.seconds[place] = time.perf_counter() - begun

    def _score(self, fitted: SVC, fold: Fold) -> float:
        X, y = self.engine.X, self.engine.y
        pairwise = fitted.kernel == "precomputed"
        X_test = X[np.ix_(fold.test, fold.train)] if pairwise else X[fold.test]
        try:
            return float(self.scorer(fitted, X_test, y[fold.test], **self._weights(fold.test)))
        except Exception:
            raise _ApartError from None  # scikit-learn has rules for scores that fail

    def _fit_apart(self, estimator: SVC, fold: Fold) -> SVC:
        X, y, train = self.engine.X, self.engine.y, fold.train
        samples = X[np.ix_(train, train)] if estimator.kernel == "precomputed" else X[train]
        weights = self.engine.sample_weight[train]
        return clone(estimator).fit(samples, y[train], sample_weight=weights)

    def _weights(self, test: NDArray[np.intp]) -> dict[str, Any]:
        if self.engine.weights_given and self.search._check_scorers_accept_sample_weight():
            return {"sample_weight": self.engine.sample_weight[test]}
        return {}


def _settings(estimator: SVC, candidates: list[dict[str, Any]]) -> list[Setting]:
    """The points of the grid, where the engine knows all parameters and their values."""
    settings = []
    shared = estimator.get_params()
    for index, params in enumerate(candidates):
        if not set(params) <= _SHARED:
            raise _ApartError
        candidate = SVC(**{**shared, **params})
        try:
            candidate._validate_params()
        except (ValueError, TypeError):
            raise _ApartError from None  # scikit-learn has rules for settings that cannot be fitted
        settings.append(Setting(index, candidate))
    return settings
