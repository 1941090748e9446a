"""A search over an `SVC`, solved as one problem.

All settings and all folds are problems on the same samples. Settings of equal gamma share kernel
values, so each is computed once for all folds and values of `C`; along ascending `C` a solution is
a good start for the next, and so is a fold's for the next fold. Hence candidates and folds are
drawn first and solved together, in float32, which is enough to choose by. Each outcome is scored as
soon as it is there; one that float32 does not resolve is fitted once more, by itself, in float64.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from penultimate._common.frames import level_outside
from penultimate._common.per_sample import take_rows
from penultimate._common.protocols import Division, Head, PerSample
from penultimate._common.warnings import PerformanceWarning
from penultimate.svm import _native
from penultimate.svm._grid_engine import GridEngine, Outcome
from penultimate.svm._precomputed_decisions import PrecomputedDecisions
from penultimate.svm._problem import Problem
from penultimate.svm._scoring import ScoreTable, Scoring
from penultimate.svm.svc import SVC

# A float32 solution whose gap is this many times the tolerance is too coarse to choose by. The
# rounding of the Gram matrix alone leaves a gap of up to 3.6e-3 at C = 1000, with a `tol` of 1e-3:
# a factor of 1 would fit such settings twice.
_SLACK = 10.0
# Share of the memory limit for copies of the validation samples, for scorers.
_TESTS_SHARE = 0.25
# Share of the fits that may be repeated separately before the user is warned.
_REPEATED_SHARE = 0.1
# With fewer samples a fit takes about a millisecond, which does not deserve a warning.
_FEWEST_SAMPLES = 200

# What a scorer is called with: a fitted classifier, its validation samples and their labels.
Scored = tuple[Head, PerSample, PerSample]


class JointSearch:
    """Scores candidates for an `SVC` on folds, all of them together.

    Parameters
    ----------
    estimator : SVC
        The classifier that is tuned.
    X, y : ndarray
        All samples, and their labels.
    sample_weight : ndarray of shape (n_samples,) or None
        Weights for fitting.
    scoring : Scoring
    n_jobs : int or None
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        X: PerSample,
        y: PerSample,
        *,
        sample_weight: NDArray[np.float64] | None = None,
        scoring: Scoring,
        n_jobs: int | None,
    ) -> None:
        self.estimator, self.X, self.y, self.sample_weight = estimator, X, y, sample_weight
        self.scoring, self.n_jobs = scoring, n_jobs
        self._engine: GridEngine | None = None
        self._n_fits = self._n_imprecise = self._n_asked_more = 0

    def score(
        self,
        candidates: Sequence[dict[str, Any]],
        folds: Sequence[Division],
        progress: AbstractContextManager[Callable[[float], None]],
    ) -> ScoreTable:
        """Solve all candidates on all folds, and score the solutions.

        Parameters
        ----------
        candidates : list of dict
        folds : list of pairs of array-like
            Training and validation samples of each fold: positions or masks.
        progress : context manager
            Entered before anything is solved, and left afterwards; its value is a function of the
            completed fraction, in [0, 1].

        Returns
        -------
        ScoreTable

        Raises
        ------
        NotJointError
            If they cannot be solved as one problem; then `progress` is not entered.
        """
        start = time.perf_counter()
        # Both raise before anything is solved or shown, so that separate fits can start over.
        X, y = np.asarray(self.X), np.asarray(self.y)
        problem = Problem.of(self.estimator, X, y, self.sample_weight, candidates, folds)
        engine = GridEngine(
            problem.X,
            problem.y,
            problem.folds,
            sample_weight=problem.sample_weight,
            n_jobs=self.n_jobs,
            memory=_native.memory_in_bytes(self.estimator.memory_limit),
        )
        problem.check_solvable(engine)
        # The refit is on all samples: those of a subsample are of no use to it.
        self._engine = engine if len(problem.rows) == len(self.y) else None
        with progress as on_progress:
            rows, seconds = self.score_outcomes(problem, engine, on_progress)
        self._n_fits += rows.size
        fit_time = (time.perf_counter() - start - seconds.sum()) / rows.size
        n_candidates = len(rows)
        times = {
            # Solved together: each fit is given an equal share of the time.
            "mean_fit_time": np.full(n_candidates, fit_time),
            "std_fit_time": np.zeros(n_candidates),
            "mean_score_time": seconds.mean(axis=1),
            "std_score_time": seconds.std(axis=1),
        }
        test = by_metric(rows, self.scoring.error_score)
        return ScoreTable(test, None, times, self.scoring.is_multimetric)

    def score_outcomes(
        self, problem: Problem, engine: GridEngine, on_progress: Callable[[float], None]
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Return the scores by setting and fold, as dicts, and the seconds that scoring took."""
        # The core counts the votes itself: for accuracy alone, decision values of all pairs would
        # only take memory. Broken ties need them.
        by_winners = self.scoring.is_accuracy and not any(
            setting.estimator.break_ties for setting in problem.settings
        )
        scorer = _OutcomeScorer(self, problem, engine, by_winners)
        shape = len(problem.settings), len(problem.folds)
        # Outcomes come grouped by gamma and fold, not in the order of the candidates.
        rows, seconds = np.empty(shape, object), np.empty(shape)
        engine.on_progress = on_progress
        for outcome in engine.run(problem.settings, with_decisions=not by_winners):
            begin = time.perf_counter()
            rows[outcome.setting, outcome.fold] = scorer.score(outcome)
            seconds[outcome.setting, outcome.fold] = time.perf_counter() - begin
        on_progress(1.0)
        return rows, seconds

    def as_scored(self, fitted: SVC, samples: NDArray[Any], y: NDArray[Any]) -> Scored:
        """Return a classifier, its validation samples and their labels as scorers are given them.

        Parameters
        ----------
        fitted : SVC
        samples, y : ndarray
            As the solver has them.
        """
        return fitted, samples, y

    def samples_in_f32(self, kernel: str) -> "_native.core.SingleSource | None":
        """Return the core's float32 copy of all samples, for the refit; None if there is none."""
        return None if self._engine is None else self._engine.samples_in_f32(kernel)

    def fit_alone(self, problem: Problem, outcome: Outcome) -> SVC:
        """Fit a setting on a fold separately, because its outcome does not serve."""
        if self.is_precise(problem, outcome):
            self._n_asked_more += 1
        else:
            self._n_imprecise += 1
        return problem.fit(problem.settings[outcome.setting], problem.folds[outcome.fold])

    def is_precise(self, problem: Problem, outcome: Outcome) -> bool:
        """Return whether float32 resolved an outcome well enough to choose by it."""
        return outcome.gap <= _SLACK * problem.settings[outcome.setting].estimator.tol

    def warn_of_repeats(self) -> None:
        """Warn if many fits were repeated separately, and take long."""
        if len(self.y) < _FEWEST_SAMPLES:
            return
        # The two differ in what the user can do about them.
        for count, why in (
            (
                self._n_imprecise,
                "float32, which the joint solver uses, does not resolve their kernel values. Scale "
                "the features, or leave out extreme settings.",
            ),
            (
                self._n_asked_more,
                "the scorer needs more than predictions for the samples that it is given.",
            ),
        ):
            if count > _REPEATED_SHARE * self._n_fits:
                warnings.warn(
                    f"{count} of the {self._n_fits} fits of a search were repeated separately, "
                    f"which takes several times as long, because {why}",
                    PerformanceWarning,
                    stacklevel=level_outside(),
                )


class _OutcomeScorer:
    """Scores outcomes of one problem, with what all settings of a fold share kept."""

    def __init__(
        self, search: JointSearch, problem: Problem, engine: GridEngine, by_winners: bool
    ) -> None:
        self.search, self.problem, self.engine = search, problem, engine
        self.by_winners = by_winners
        self._keeps_samples = problem.X.nbytes <= _TESTS_SHARE * engine.memory
        self._samples: dict[Any, NDArray[Any]] = {}
        self._params: dict[int, dict[str, Any]] = {}

    def score(self, outcome: Outcome) -> dict[str, float]:
        search, problem, number = self.search, self.problem, outcome.fold
        setting, fold = problem.settings[outcome.setting], problem.folds[number]
        # All settings of a fold share these: taking the rows anew for each would cost more than the
        # accuracy itself.
        if number not in self._params:
            rows = problem.rows[fold.test]
            self._params[number] = take_rows(search.scoring.params, rows, len(search.y))
        params = self._params[number]
        is_precise = search.is_precise(problem, outcome)
        weight = params.get("sample_weight")
        # Without any weight there is no average: the scorer fails, as `error_score` says.
        if is_precise and self.by_winners and (weight is None or np.sum(weight) > 0):
            # No scorer is called, which takes longer than solving a small problem; this is the same
            # average that `accuracy_score` computes.
            right = outcome.winners == self.engine.codes[fold.test]
            return {"score": float(np.average(right, weights=weight))}
        samples = self._samples_of(outcome)
        fitted = PrecomputedDecisions.of(
            setting,
            outcome if is_precise else None,
            self.engine.classes,
            samples,
            lambda: search.fit_alone(problem, outcome),
        )
        given = search.as_scored(fitted, samples, problem.y[fold.test])
        return search.scoring(*given, params)

    def _samples_of(self, outcome: Outcome) -> NDArray[Any]:
        setting, number = self.problem.settings[outcome.setting], outcome.fold
        # A search over kernels may have both kinds of samples for the same fold.
        key = number, setting.estimator.kernel == "precomputed"
        samples = self._samples.get(key)
        if samples is None:
            samples = self.problem.samples_to_score(setting, self.problem.folds[number])
            if self._keeps_samples:
                self._samples[key] = samples
        return samples


def by_metric(rows: NDArray[Any], error_score: float | str) -> dict[str, NDArray[np.float64]]:
    """Return the scores by metric, from one dict per setting and fold."""
    # Where a callable with several metrics failed, there is a single score, for all of them.
    metrics = max(rows.flat, key=lambda row: (set(row) != {"score"}, len(row)))
    return {
        metric: np.array([[row.get(metric, error_score) for row in each] for each in rows], float)
        for metric in metrics
    }
