"""One of scikit-learn's searches over an `SVC`, solved as one problem.

scikit-learn's own search decides everything that can be seen: which settings are tried, what a
failing scorer means, how several metrics are ranked, which setting is the best. Only the fits are
taken from it. Before it scores settings, all of them are solved at once, on all folds
(`_run_search`, the method that its documentation gives to subclasses, says which). It then "fits"
instances of `JointSVC`, on positions of samples in place of the samples, and these answer with what
has been solved.
"""

import time
import warnings
from collections.abc import Callable, Iterable
from inspect import signature
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import check_scoring, get_scorer

from penultimate._common.warnings import PerformanceWarning
from penultimate._progress import SILENT, Progress
from penultimate.svm import _native
from penultimate.svm._grid import Fold, GridEngine, Outcome, Setting
from penultimate.svm.svc import SVC

# What a setting may differ in and still share kernel values with the others.
_SHARED = (
    "C",
    "gamma",
    "kernel",
    "degree",
    "coef0",
    "class_weight",
    "tol",
    "break_ties",
    "decision_function_shape",
)
# A float32 solution this many times over the tolerance is not good enough to choose by.
_SLACK = 10.0
# Of the memory limit, for decision values until they are scored.
_DECISIONS_SHARE = 0.25
# Of all fits, how many may be repeated one by one before the user should know.
_REPEATED_SHARE = 0.1


class NotJointError(Exception):
    """What was asked for cannot be solved as one problem.

    The message says why, in the middle of a sentence; there is none where scikit-learn's search
    will refuse the same with an error of its own.
    """


class Problem:
    """Samples and folds of a search, and what was solved on them.

    Parameters
    ----------
    estimator : SVC
    X, y : ndarray
    sample_weight : ndarray of shape (n_samples,) or None
    split : callable
        A function of a splitter that returns its folds.
    with_decisions : bool
        Whether scores may need more than the winning classes.
    n_jobs : int or None
    progress : Progress
    """

    def __init__(
        self,
        estimator: SVC,
        X: NDArray[Any],
        y: NDArray[Any],
        *,
        sample_weight: NDArray[Any] | None,
        split: Callable[[Any], Iterable[Any]],
        with_decisions: bool,
        n_jobs: int | None,
        progress: Progress,
    ) -> None:
        self.estimator, self.X, self.y, self.sample_weight = estimator, X, y, sample_weight
        self.split, self.with_decisions = split, with_decisions
        self.n_jobs, self.progress = n_jobs, progress
        self.classes, self.codes = np.unique(y, return_inverse=True)
        self.memory = _native.memory_in_bytes(estimator.memory_limit)
        self.seconds: list[float] = []  # a fit of each setting took, by their order
        self.n_imprecise = self.n_asked_more = 0  # fits that were repeated on their own
        self._engine: GridEngine | None = None
        self._outcomes: dict[tuple[Any, ...], Outcome | None] = {}
        self._tests: dict[bytes, NDArray[Any]] = {}

    def folds_of(self, splitter: Any) -> list[Fold]:
        """Return the folds as positions, of which lists, masks and negative places are some."""
        places = np.arange(len(self.y))
        folds = [Fold(*(places[np.asarray(p)] for p in split)) for split in self.split(splitter)]
        if not folds or any(len(fold.test) == 0 or len(fold.train) == 0 for fold in folds):
            raise NotJointError
        if any(np.bincount(fold.train).max() > 1 for fold in folds):
            raise NotJointError("a fold trains on the same sample twice")
        return folds

    def solve(self, candidates: list[dict[str, Any]], folds: list[Fold]) -> None:
        """Solve all candidates on all folds."""
        start = time.perf_counter()
        settings = self._settings(candidates)
        # Subsamples, as successive halving takes them, are a smaller problem.
        used = np.unique(np.concatenate([np.concatenate([f.train, f.test]) for f in folds]))
        is_whole = len(used) == len(self.y)
        pairwise = any(s.estimator.kernel == "precomputed" for s in settings)
        if pairwise and self.X.shape[0] != self.X.shape[1]:
            raise NotJointError
        X, y, weights, own = self.X, self.y, self.sample_weight, folds
        if not is_whole:
            own = [Fold(*(np.searchsorted(used, p) for p in (f.train, f.test))) for f in folds]
            X, y = X[np.ix_(used, used)] if pairwise else X[used], y[used]
            weights = None if weights is None else weights[used]
        engine = GridEngine(
            X,
            y,
            own,
            sample_weight=weights,
            n_jobs=self.n_jobs,
            memory=self.memory,
            on_progress=lambda share: self.progress.update("search", share, 1.0),
        )
        self._check_solvable(engine, settings, pairwise)
        self._engine = engine if is_whole else None
        self._outcomes, self._tests = {}, {}
        keys = [(f.train.tobytes(), f.test.tobytes()) for f in folds]
        for outcome in engine.run(settings, with_decisions=self._keeps_decisions(settings, folds)):
            estimator = settings[outcome.setting].estimator
            is_good = outcome.gap <= _SLACK * estimator.tol
            self.n_imprecise += not is_good
            self._outcomes[(_identity(estimator), *keys[outcome.fold])] = (
                outcome if is_good else None
            )
        self.progress.update("search", 1.0, 1.0)
        spent = time.perf_counter() - start
        self.seconds += [spent / (len(settings) * len(folds))] * len(settings)

    def outcome(self, estimator: SVC, train: NDArray[Any], test: NDArray[Any]) -> Outcome | None:
        """Return what is known of a setting on a fold; None where float32 could not tell."""
        return self._outcomes.get((_identity(estimator), train.tobytes(), test.tobytes()))

    def samples(self, train: NDArray[Any], test: NDArray[Any], pairwise: bool) -> NDArray[Any]:
        """Return samples to score on; each fold's once, for all settings."""
        key = test.tobytes() + (train.tobytes() if pairwise else b"")
        if key not in self._tests:
            self._tests[key] = self.X[np.ix_(test, train)] if pairwise else self.X[test]
        return self._tests[key]

    def single_source(self, kernel: str) -> Any:
        """Return what the core knows of all samples in float32, or None."""
        return None if self._engine is None else self._engine.single_source(kernel)

    def _settings(self, candidates: list[dict[str, Any]]) -> list[Setting]:
        shared = self.estimator.get_params()
        settings = []
        for index, params in enumerate(candidates):
            if not set(params) <= set(shared):
                raise NotJointError
            if other := sorted(set(params) - set(_SHARED)):
                raise NotJointError(f"settings differ in {other[0]!r}")
            estimator = SVC(**{**shared, **params})
            try:
                estimator._validate_params()
            except (ValueError, TypeError):  # scikit-learn has rules for fits that fail
                raise NotJointError(f"the setting {params} cannot be fitted") from None
            settings.append(Setting(index, estimator))
        if not settings:
            raise NotJointError
        return settings

    def _check_solvable(self, engine: GridEngine, settings: list[Setting], pairwise: bool) -> None:
        if len(self.classes) < 2:
            raise NotJointError
        n_factors = len({s.estimator.C for s in settings})
        needed = engine.bytes_of_solutions(n_factors) + (4 * len(engine.y) ** 2 if pairwise else 0)
        if needed > engine.memory:
            raise NotJointError(
                f"its solutions take {needed / 2**20:.0f} MiB, more than the memory limit"
            )
        # What a fold without a class means, scikit-learn's search knows.
        for fold in engine.folds:
            trained = fold.train[engine.sample_weight[fold.train] > 0]
            if np.bincount(engine.codes[trained], minlength=len(self.classes)).min() == 0:
                raise NotJointError("a fold has no training samples of some class")

    def _keeps_decisions(self, settings: list[Setting], folds: list[Fold]) -> bool:
        if not (self.with_decisions or any(s.estimator.break_ties for s in settings)):
            return False
        n_pairs = len(self.classes) * (len(self.classes) - 1) // 2
        size = 4 * n_pairs * len(settings) * sum(len(fold.test) for fold in folds)
        return size <= _DECISIONS_SHARE * self.memory


def _identity(estimator: SVC) -> tuple[Any, ...]:
    """What tells settings apart; equal ones, such as 1 and 1.0, have equal solutions."""
    return tuple(
        str(value) if isinstance(value, dict) else value
        for value in (getattr(estimator, name) for name in _SHARED)
    )


class JointSVC(SVC):
    """A setting on a fold: fitted on positions, it answers with what the problem's solution says.

    Whoever asks for more than that (other samples, support vectors) gets a classifier that is
    fitted then, on its own.
    """

    _problem: Problem
    _train: NDArray[Any]  # positions
    _test: NDArray[Any]
    _asked: Any  # the samples at _test
    _alone: Any  # an SVC

    @classmethod
    def of(cls, estimator: SVC, problem: Problem) -> Self:
        """Make one with the parameters, and the requests for metadata, of `estimator`."""
        made = cls()
        made.__dict__.update(vars(clone(estimator)), _problem=problem)
        return made

    def __sklearn_clone__(self) -> Self:
        made = type(self)()
        fitted = ("classes_", "_train", "_test", "_asked", "_alone")
        made.__dict__.update((name, v) for name, v in vars(self).items() if name not in fitted)
        return made

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = False  # positions are no Gram matrix
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Take note of the training samples' positions."""
        self._train, self._asked, self._alone = X[:, 0], None, None
        self.classes_ = self._problem.classes
        return self

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy on samples, given by their positions."""
        self.samples(X)
        right = self._winners(self._asked) == self._problem.codes[X[:, 0]]
        return float(np.average(right, weights=sample_weight))

    def samples(self, positions: NDArray[Any]) -> NDArray[Any]:
        """Return the samples at positions, of which the next questions will be."""
        self._test, pairwise = positions[:, 0], self.kernel == "precomputed"
        self._asked = self._problem.samples(self._train, self._test, pairwise)
        return self._asked

    def _known(self, X: Any) -> Outcome | None:
        if X is not self._asked:
            return None
        return self._problem.outcome(self, self._train, self._test)

    def _winners(self, X: Any) -> NDArray[np.int32]:
        known = self._known(X)
        return self._fitted_alone()._winners(X) if known is None else known.winners

    def _decisions(self, X: Any) -> NDArray[Any]:
        known = self._known(X)
        if known is None or known.decisions is None:
            return self._fitted_alone()._decisions(X)
        return known.decisions

    def _fitted_alone(self) -> SVC:
        if self._alone is None:
            problem, train = self._problem, self._train
            X = (
                problem.X[np.ix_(train, train)]
                if self.kernel == "precomputed"
                else problem.X[train]
            )
            weights = None if problem.sample_weight is None else problem.sample_weight[train]
            self._alone = SVC(**self.get_params()).fit(X, problem.y[train], sample_weight=weights)
            if self._problem.outcome(self, train, self._test) is not None:
                problem.n_asked_more += 1
        return self._alone

    def __getattr__(self, name: str) -> Any:
        if name in _ONLY_ALONE and "_train" in vars(self):
            return getattr(self._fitted_alone(), name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


# Fitted attributes that the joint solution does not have.
_ONLY_ALONE = (
    "support_",
    "support_vectors_",
    "n_support_",
    "dual_coef_",
    "intercept_",
    "n_iter_",
    "optimality_gap_",
    "status_",
    "fit_status_",
    "shape_fit_",
    "class_weight_",
    "n_features_in_",
)


class OnSamples:
    """A scorer of the user's, that is given samples where the search has only their positions.

    Parameters
    ----------
    scorer : callable
    """

    def __init__(self, scorer: Any) -> None:
        self._scorer = scorer
        self.__signature__ = signature(scorer)

    def __call__(self, estimator: JointSVC, X: Any, y: Any, **params: Any) -> Any:
        """Score, as the scorer does."""
        return self._scorer(estimator, estimator.samples(X), y, **params)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scorer, name)  # what it says of weights and metadata

    def __repr__(self) -> str:
        return repr(self._scorer)


def scorers_of(estimator: Any, scoring: Any) -> Any:
    """Return what a search calls ``scorer_``: one, or one for each metric by its name.

    Raises
    ------
    ValueError, TypeError
        As scikit-learn raises for `scoring`.
    """
    if callable(scoring):
        return scoring
    checked = check_scoring(estimator, scoring=scoring)
    if scoring is None or isinstance(scoring, str):
        return checked
    named = scoring.items() if isinstance(scoring, dict) else ((name, name) for name in scoring)
    return {name: get_scorer(scorer) for name, scorer in named}


class _Jointly:
    """Mixed into one of scikit-learn's searches, to solve what it is about to score."""

    problem: Problem

    def _run_search(self, evaluate_candidates: Any, callback_ctx: Any = None) -> None:
        def evaluate(candidates: Any, cv: Any = None, more_results: Any = None, **rest: Any) -> Any:
            candidates = list(candidates)
            folds = self.problem.folds_of(self.cv if cv is None else cv)  # type: ignore[attr-defined]
            self.problem.solve(candidates, folds)
            return evaluate_candidates(candidates, _Folds(folds), more_results, **rest)

        # From scikit-learn 1.9 on there is a context to hand through.
        rest = {} if callback_ctx is None else {"callback_ctx": callback_ctx}
        super()._run_search(evaluate, **rest)  # type: ignore[misc]


class _Folds:
    """Folds that were drawn already, as a splitter."""

    def __init__(self, folds: list[Fold]) -> None:
        self.folds = folds

    def split(self, X: Any, y: Any = None, **params: Any) -> Iterable[Any]:
        """Return the folds, as pairs of positions."""
        return ((fold.train, fold.test) for fold in self.folds)


def solve_jointly(
    search: Any,
    X: NDArray[Any],
    y: NDArray[Any],
    params: dict[str, Any],
    *,
    sample_weight: NDArray[Any] | None,
    split: Callable[[Any], Iterable[Any]],
    progress: Progress = SILENT,
) -> tuple[Any, Problem]:
    """Fit one of scikit-learn's searches over an `SVC` as one problem.

    Parameters
    ----------
    search : BaseSearchCV
        Says what is asked for; is left as it is.
    X, y : ndarray
    params : dict
        What its ``fit`` would be given.
    sample_weight : ndarray or None
        What of `params` are weights for the classifier's ``fit``.
    split : callable
        A function of a splitter that returns its folds of the samples.
    progress : Progress, optional

    Returns
    -------
    search : BaseSearchCV
        Another one, fitted, but for its ``best_estimator_``.
    problem : Problem

    Raises
    ------
    NotJointError
        If it cannot be; nothing was done then.
    """
    estimator = search.estimator
    if type(estimator) is not SVC:
        raise NotJointError(f"the estimator is {_a(type(estimator).__name__)}, not an SVC")
    if search.return_train_score:
        raise NotJointError("scores on the training samples were asked for")
    if estimator.max_iter != -1:
        raise NotJointError("max_iter limits the iterations of each fit")
    problem = Problem(
        estimator,
        X,
        y,
        sample_weight=sample_weight,
        split=split,
        with_decisions=not (search.scoring is None or search.scoring == "accuracy"),
        n_jobs=search.n_jobs,
        progress=progress,
    )
    joint = type(type(search).__name__, (_Jointly, type(search)), {})(
        **search.get_params(deep=False)
    )
    joint.problem = problem
    joint.set_params(estimator=JointSVC.of(estimator, problem), n_jobs=1, verbose=0)
    scorers = scorers_of(estimator, search.scoring)
    if isinstance(scorers, dict):
        joint.scoring = {name: OnSamples(scorer) for name, scorer in scorers.items()}
    elif search.scoring is not None:
        joint.scoring = OnSamples(scorers)
    joint.fit(np.arange(len(y))[:, np.newaxis], y, **params)
    joint.scorer_ = scorers
    joint.cv_results_["mean_fit_time"] = np.array(problem.seconds)
    joint.cv_results_["std_fit_time"] = np.zeros(len(problem.seconds))
    _warn_of_repeats(problem, len(problem.seconds) * joint.n_splits_)
    return joint, problem


def _warn_of_repeats(problem: Problem, n_fits: int) -> None:
    for count, why in (
        (
            problem.n_imprecise,
            "float32, in which all are solved at once, does not resolve their kernel values. Scale "
            "the features, or leave out extreme settings.",
        ),
        (
            problem.n_asked_more,
            "the scorer asks for more than predictions for the samples that it is given, or these "
            "do not fit into memory_limit.",
        ),
    ):
        if count > _REPEATED_SHARE * n_fits:
            warnings.warn(
                f"{count} of the {n_fits} fits of a search were repeated one by one, which takes "
                f"several times as long, because {why}",
                PerformanceWarning,
                stacklevel=5,
            )


def _a(noun: str) -> str:
    return f"{'an' if noun[:1] in 'AEIOU' else 'a'} {noun}"
