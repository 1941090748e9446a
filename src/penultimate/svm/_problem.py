"""All settings of a search on all folds, as one problem, and its solutions.

`Problem` decides whether a search can be solved jointly (`NotJointError` if not), has `GridEngine`
solve it, and keeps the results by setting and fold, where `JointSVC` looks them up. Results that
float32 did not resolve are dropped; `JointSVC` then fits that setting separately.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.progress import Progress
from penultimate.svm import _native
from penultimate.svm._grid_engine import Fold, GridEngine, Outcome, Setting
from penultimate.svm.svc import SVC

# Parameters that settings of a joint search may differ in.
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
# A float32 solution whose gap is this many times the tolerance is too coarse to choose by.
_SLACK = 10.0
# Share of the memory limit for decision values that wait to be scored.
_DECISIONS_SHARE = 0.25
# Share of the memory limit for copies of the validation samples, for scorers.
_TESTS_SHARE = 0.25


class NotJointError(Exception):
    """The search cannot be solved as one problem.

    The message is the reason, worded to follow "because". It is empty where scikit-learn's search
    will raise its own error for the same input.
    """


class Problem:
    """Samples and folds of a search, and the solutions on them.

    Parameters
    ----------
    estimator : SVC
    X, y : ndarray
    sample_weight : ndarray of shape (n_samples,) or None
    split : callable
        Function that maps a splitter to its folds.
    with_decisions : bool
        Whether scorers may need more than the winning classes.
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
        self.seconds: list[float] = []  # mean fit time of each setting, in order
        self.n_imprecise = self.n_asked_more = 0  # counts of fits that were repeated
        self._engine: GridEngine | None = None
        self._outcomes: dict[tuple[Any, ...], Outcome | None] = {}
        self._tests: dict[bytes, NDArray[Any]] = {}

    def folds_of(self, splitter: Any) -> list[Fold]:
        """Return the folds as positions; a splitter may yield lists, masks or negative indices."""
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
        # Successive halving uses subsamples: those make a smaller problem.
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
        """Return the result of a setting on a fold; None where float32 did not resolve it."""
        return self._outcomes.get((_identity(estimator), train.tobytes(), test.tobytes()))

    def samples(self, train: NDArray[Any], test: NDArray[Any], pairwise: bool) -> NDArray[Any]:
        """Return the samples to score on, copied once per fold for all settings."""
        key = test.tobytes() + (train.tobytes() if pairwise else b"")
        if (kept := self._tests.get(key)) is not None:
            return kept
        samples = self.X[np.ix_(test, train)] if pairwise else self.X[test]
        if self.X.nbytes <= _TESTS_SHARE * self.memory:  # the size of the test sets of all folds
            self._tests[key] = samples
        return samples

    def single_source(self, kernel: str) -> Any:
        """Return the core's float32 copy of all samples, or None."""
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
            except (ValueError, TypeError):  # left to scikit-learn's `error_score`
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
                f"the solutions take {needed / 2**20:.3g} MiB, more than the memory limit of "
                f"{engine.memory / 2**20:.3g} MiB"
            )
        # A fold without a class is handled by scikit-learn's search.
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
    """Return a key per setting; equal values such as 1 and 1.0 share a key, and a solution."""
    return tuple(
        str(value) if isinstance(value, dict) else value
        for value in (getattr(estimator, name) for name in _SHARED)
    )
