"""A search over a pipeline that ends with an SVC.

Candidates are grouped by their settings of the steps before the SVC. For each group and fold these
steps are fitted once, and all settings of the SVC are solved jointly on the samples that they make.
Folds cannot share kernel values, as each has steps, and so samples, of its own. One group and fold
is in memory at a time. Where a step cannot be fitted, the candidates of the group get `error_score`
on that fold, as in scikit-learn's searches.
"""

import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import product
from traceback import format_exc
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import FitFailedWarning
from sklearn.pipeline import Pipeline
from sklearn.utils import column_or_1d

from penultimate._common.frames import level_outside
from penultimate._common.per_sample import take_rows
from penultimate._common.protocols import Division, PerSample
from penultimate._common.validation import check_per_sample
from penultimate.svm import _native
from penultimate.svm._grid_engine import Fold, GridEngine, Setting
from penultimate.svm._joint_search import JointSearch, Scored, by_metric
from penultimate.svm._pipelines import (
    FittedSteps,
    as_dense,
    as_ours,
    key_of_steps,
    split_off_svc,
    with_params,
)
from penultimate.svm._problem import NotJointError, Problem, as_folds, make_settings
from penultimate.svm._scoring import ScoreTable, Scoring
from penultimate.svm.svc import SVC


@dataclass
class _Group:
    """Candidates with the same steps before the SVC."""

    pipeline: Pipeline
    candidates: list[int]  # their positions in the search
    settings: list[Setting]  # numbered within the group


@dataclass(frozen=True)
class _Part:
    """Reports the progress of a part of a search, which begins at a fraction and has a share."""

    on_progress: Callable[[float], None]
    begin: float
    share: float

    def __call__(self, fraction: float) -> None:
        self.on_progress(self.begin + self.share * fraction)


class PipelineSearch(JointSearch):
    """Scores candidates for a pipeline on folds; its steps are fitted once per setting and fold.

    Parameters
    ----------
    estimator : Pipeline
        The pipeline that is tuned; its last step is an `SVC`.
    X, y
        All samples as they reach the pipeline, and their labels.
    for_fit : dict
        Keyword arguments of the pipeline's `fit`.
    scoring : Scoring
    n_jobs : int or None

    Raises
    ------
    NotJointError
        If `y` is not one label per sample.
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        X: PerSample,
        y: PerSample,
        *,
        for_fit: Mapping[str, Any],
        scoring: Scoring,
        n_jobs: int | None,
    ) -> None:
        # Candidates may replace it: whether all of them are solved jointly is found in `score`.
        _, last = split_off_svc(estimator)
        super().__init__(last if type(last) is SVC else SVC(), X, y, scoring=scoring, n_jobs=n_jobs)
        self.pipeline, self.for_fit = estimator, for_fit
        # Several labels per sample are scikit-learn's business: separate fits raise its own error.
        try:
            self._labels = column_or_1d(y)
        except ValueError:
            raise NotJointError from None
        self._steps: FittedSteps | None = None  # of the group and fold that are being scored

    def score(
        self,
        candidates: Sequence[dict[str, Any]],
        folds: Sequence[Division],
        progress: AbstractContextManager[Callable[[float], None]],
    ) -> ScoreTable:
        """Score all candidates on all folds; see `JointSearch.score`."""
        groups = self._groups(candidates)
        splits = as_folds(folds, len(self._labels))
        for fold in splits:
            self._check_fold(fold, [each for group in groups for each in group.settings])
        start = time.perf_counter()
        # Before anything is shown: if these samples cannot be solved jointly, separate fits start.
        first = self._fit_steps(groups[0], splits[0], is_first=True)
        shape = len(candidates), len(splits)
        # Each entry of `rows` is a dict of scores: their number is not known beforehand.
        rows, fits, scorings = np.empty(shape, object), np.empty(shape), np.empty(shape)
        errors: list[str] = []
        done = 0
        with progress as on_progress:
            for group, (number, fold) in product(groups, enumerate(splits)):
                steps = first if done == 0 else self._fit_steps(group, fold)
                size = len(group.candidates)
                part = _Part(on_progress, done / rows.size, size / rows.size)
                found, seconds = self._score_group(group, fold, steps, part, errors)
                rows[group.candidates, number] = found
                scorings[group.candidates, number] = seconds
                now = time.perf_counter()
                # Solved together: each fit is given an equal share of the time.
                fits[group.candidates, number] = (now - start - seconds.sum()) / size
                start, done = now, done + size
            on_progress(1.0)
        self._steps = None
        self._n_fits += rows.size
        self._report(errors, rows.size)
        times = {
            "mean_fit_time": fits.mean(axis=1),
            "std_fit_time": fits.std(axis=1),
            "mean_score_time": scorings.mean(axis=1),
            "std_score_time": scorings.std(axis=1),
        }
        test = by_metric(rows, self.scoring.error_score)
        return ScoreTable(test, None, times, self.scoring.is_multimetric)

    def _groups(self, candidates: Sequence[dict[str, Any]]) -> list[_Group]:
        """Group the candidates by their steps, which keep the order of the candidates."""
        pipelines = [with_params(self.pipeline, params) for params in candidates]
        ends = [split_off_svc(pipeline) for pipeline in pipelines]
        settings = make_settings([as_ours(classifier) for _, classifier in ends], candidates)
        # One holds a matrix of samples, the other one of kernel values: no engine reads both.
        if len({each.estimator.kernel == "precomputed" for each in settings}) > 1:
            raise NotJointError("settings differ in whether the kernel is precomputed")
        groups: dict[Any, _Group] = {}
        for index, (path, classifier) in enumerate(ends):
            # Not only the steps: the two kinds of SVC differ in the samples that they take.
            key = path, type(classifier), key_of_steps(candidates[index], path)
            group = groups.setdefault(key, _Group(pipelines[index], [], []))
            group.settings.append(Setting(len(group.candidates), settings[index].estimator))
            group.candidates.append(index)
        return list(groups.values())

    def as_scored(self, fitted: SVC, samples: NDArray[Any], y: NDArray[Any]) -> Scored:
        """Return the pipeline that ends with `fitted`, and the samples as they reach it."""
        assert self._steps is not None
        return self._steps.ending_with(fitted, samples), self._steps.X_test, self._steps.y_test

    def _check_fold(self, fold: Fold, settings: list[Setting]) -> None:
        """Raise `NotJointError` for what is known of a fold before its steps are fitted."""
        # Neither the classes nor the memory depends on what the steps make of the samples.
        labels = self._labels[np.concatenate([fold.train, fold.test])]
        not_known_yet = np.empty((len(labels), 0))
        problem, engine = self._problem(not_known_yet, labels, None, settings, fold)
        problem.check_solvable(engine)

    def _problem(
        self,
        X: NDArray[Any],
        y: NDArray[Any],
        weights: NDArray[np.float64] | None,
        settings: list[Setting],
        fold: Fold,
    ) -> tuple[Problem, GridEngine]:
        """Return the problem of one fold, and its engine; `X` has the validation samples last."""
        n_train = len(y) - len(fold.test)
        part = Fold(np.arange(n_train), np.arange(n_train, len(y)))
        # Training samples may have been resampled by a step; only the others' rows are needed.
        rows = np.concatenate([np.zeros(n_train, np.intp), fold.test])
        engine = GridEngine(
            X,
            y,
            [part],
            sample_weight=weights,
            n_jobs=self.n_jobs,
            memory=_native.memory_in_bytes(self.estimator.memory_limit),
        )
        return Problem(X, y, weights, [part], settings, rows), engine

    def _fit_steps(self, group: _Group, fold: Fold, is_first: bool = False) -> FittedSteps | str:
        """Fit the steps of a group on a fold; return the traceback if they fail."""
        try:
            return FittedSteps.on(group.pipeline, self.X, self.y, fold, self.for_fit)
        except Exception as error:
            # Later it is too late for separate fits: others are scored already.
            if is_first and isinstance(error, NotJointError):
                raise
            if self.scoring.error_score == "raise":
                raise
            return format_exc()

    def _score_group(
        self,
        group: _Group,
        fold: Fold,
        steps: FittedSteps | str,
        on_progress: Callable[[float], None],
        errors: list[str],
    ) -> tuple[Any, NDArray[np.float64]]:
        """Return the scores of a group on a fold, as dicts, and the seconds of each scoring."""
        n_settings = len(group.settings)
        if isinstance(steps, str):  # the traceback of steps that could not be fitted
            errors += [steps] * n_settings
            return [self.scoring.failed()] * n_settings, np.zeros(n_settings)
        self._steps = steps
        X, y, weights = steps.samples(self._labels[fold.test])
        problem, engine = self._problem(X, y, weights, group.settings, fold)
        try:
            problem.check_solvable(engine)
        except NotJointError:
            # A weight of zero, for instance, left this fold without a class.
            return self._score_alone(problem, errors)
        rows, seconds = self.score_outcomes(problem, engine, on_progress)
        return rows[:, 0], seconds[:, 0]

    def _score_alone(self, problem: Problem, errors: list[str]) -> tuple[Any, NDArray[np.float64]]:
        """Fit and score each setting by itself: each raises, as weights leave out a class."""
        rows, seconds = [], np.zeros(len(problem.settings))
        fold = problem.folds[0]
        params = take_rows(self.scoring.params, problem.rows[fold.test], len(self._labels))
        for setting in problem.settings:
            try:
                fitted = problem.fit(setting, fold)
            except Exception:
                if self.scoring.error_score == "raise":
                    raise
                errors.append(format_exc())
                rows.append(self.scoring.failed())
                continue
            begin = time.perf_counter()
            samples = problem.samples_to_score(setting, fold)
            given = self.as_scored(fitted, samples, problem.y[fold.test])
            rows.append(self.scoring(*given, params))
            seconds[setting.index] = time.perf_counter() - begin
        return rows, seconds

    def _report(self, errors: list[str], n_fits: int) -> None:
        """Warn of fits that failed, or raise if all did, as scikit-learn's searches do."""
        if not errors:
            return
        # Candidates of one group fail for the same reason: it is printed once, with its count.
        counted = "\n".join(f"{n} times:\n{error}" for error, n in Counter(errors).items())
        if len(errors) == n_fits:
            raise ValueError(
                f"All the {n_fits} fits failed. Set error_score='raise' to debug the first error."
                f"\n\n{counted}"
            )
        warnings.warn(
            f"{len(errors)} fits failed out of a total of {n_fits}. The score on these train-test "
            f"partitions for these parameters will be set to {self.scoring.error_score}. Set "
            f"error_score='raise' to debug the first error.\n\n{counted}",
            FitFailedWarning,
            stacklevel=level_outside(),
        )


def joint_search_for(
    estimator: BaseEstimator,
    X: PerSample,
    y: PerSample,
    *,
    for_fit: Mapping[str, Any],
    scoring: Scoring,
    n_jobs: int | None,
) -> JointSearch:
    """Return the joint solver for either `SVC`, or for a pipeline that ends with one.

    Raises
    ------
    NotJointError
        If it is neither.
    """
    if isinstance(estimator, Pipeline):
        return PipelineSearch(estimator, X, y, for_fit=for_fit, scoring=scoring, n_jobs=n_jobs)
    classifier = as_ours(estimator)
    if not set(for_fit) <= {"sample_weight"}:
        raise NotJointError  # the classifier raises its own error for an unknown argument
    weights = check_per_sample(for_fit.get("sample_weight"), len(y), "sample_weight", "the search")
    X = as_dense(X, classifier.memory_limit)
    return JointSearch(classifier, X, y, sample_weight=weights, scoring=scoring, n_jobs=n_jobs)
