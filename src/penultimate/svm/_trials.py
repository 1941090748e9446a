"""The candidates of a search and their scores, however these are obtained.

The joint solver is tried first. What it does not serve is fitted one by one, by scikit-learn's
search on the same candidates and folds, and a `PerformanceWarning` gives the reason.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from sklearn.base import BaseEstimator, clone

from penultimate._common.callbacks import Task, TaskProgress
from penultimate._common.cv_results import make_cv_results
from penultimate._common.frames import level_outside
from penultimate._common.progress_bar import SearchBar
from penultimate._common.protocols import Division, Metrics, PerSample, Splitter
from penultimate._common.warnings import PerformanceWarning
from penultimate.svm._foresight import announce_cost
from penultimate.svm._joint_search import JointSearch
from penultimate.svm._pipelines import is_svc, split_off_svc
from penultimate.svm._problem import NotJointError
from penultimate.svm._scoring import ScoreTable, Scoring
from penultimate.svm._search_checks import check_last_step, check_names, check_probabilities
from penultimate.svm._separate_fits import DrawnFolds, fit_separately


class SearchParameters(Protocol):
    """Parameters of a search that separate fits are given, too."""

    scoring: Metrics
    n_jobs: int | None
    verbose: int
    return_train_score: bool


class Trials:
    """Scores the candidates of a search, and keeps what it finds.

    Parameters
    ----------
    search : Search
        Its parameters determine how candidates are scored.
    estimator : classifier
        The classifier that is tuned.
    fit_args : tuple
        `X`, `y` and the keyword arguments that the search was given.
    splitter : splitter
        The one that draws the folds.
    scoring : Scoring
    joint : JointSearch or NotJointError
        The joint solver, or why it does not serve this search.

    Attributes
    ----------
    is_joint : bool
        Whether all candidates were scored by the joint solver.
    is_multimetric : bool
    """

    def __init__(
        self,
        search: SearchParameters,
        estimator: BaseEstimator,
        fit_args: tuple[PerSample, PerSample, Mapping[str, Any]],
        *,
        splitter: Splitter,
        scoring: Scoring,
        joint: JointSearch | NotJointError,
    ) -> None:
        self.search, self.estimator, self.fit_args = search, estimator, fit_args
        self.splitter, self.scoring, self.joint = splitter, scoring, joint
        # What a callable returns is known only after the first scores.
        self.is_joint, self.is_multimetric = True, scoring.is_multimetric
        self._candidates: list[dict[str, Any]] = []
        # One table per call of `score`: successive halving calls it once per iteration.
        self._tables: list[ScoreTable] = []
        self._columns: dict[str, list[Any]] = {}

    def score(
        self,
        candidates: Sequence[dict[str, Any]],
        folds: Sequence[Division],
        parent: Task,
        task_name: str = "search",
        columns: Mapping[str, Any] | None = None,
    ) -> ScoreTable:
        """Score candidates on folds.

        Parameters
        ----------
        candidates : list of dict
        folds : list of pairs of array-like
            Training and validation samples.
        parent : CallbackContext
            The task that this one is a part of.
        task_name : str
        columns : dict, optional
            Further columns of ``cv_results_``: one value each for all of these candidates.

        Returns
        -------
        ScoreTable
            The scores of these candidates.

        Raises
        ------
        ValueError
            If there are no candidates or no folds, a candidate has an unknown parameter, a metric
            needs probabilities, or a setting cannot be fitted on any fold.
        """
        candidates = list(candidates)
        if not candidates or not len(folds):
            raise ValueError(
                f"No fits were performed: {type(self.search).__name__} has {len(candidates)} "
                f"candidates and {len(folds)} folds. Pass at least one value of each parameter, "
                "and a cv that yields folds; a generator can be used once only."
            )
        if not self._tables:
            owner = type(self.search).__name__
            check_last_step(self.estimator, candidates, owner)
            check_names(self.estimator, candidates, owner)
            check_probabilities(self.estimator, candidates, self.scoring.scorer, owner)
            self._announce_cost(len(candidates) * len(folds))
        # Successive halving scores several times, on different samples: each time may need the
        # separate fits, for example because a subsample lacks a class.
        try:
            if isinstance(self.joint, NotJointError):
                raise self.joint
            table = self._score_jointly(self.joint, candidates, folds, parent, task_name)
        except NotJointError as why:
            self._warn_of_separate_fits(str(why))
            self.is_joint = False
            table = self._score_separately(candidates, folds, parent, task_name)
        self.is_multimetric = table.is_multimetric
        self._tables.append(table)
        self._candidates += candidates
        for name, value in (columns or {}).items():
            self._columns.setdefault(name, []).extend([value] * len(candidates))
        return table

    def _announce_cost(self, n_fits: int) -> None:
        """Say what a search over an SVC will cost, if that is much."""
        X, y, _ = self.fit_args
        classifier = split_off_svc(self.estimator)[1]
        if not is_svc(classifier):
            return
        announce_cost(
            type(self.search).__name__,
            clone(self.estimator),
            X,
            y,
            kernel=classifier.kernel,
            memory_limit=getattr(classifier, "memory_limit", None),
            n_fits=n_fits,
        )

    def results(self) -> dict[str, Any]:
        """Return ``cv_results_`` of all candidates so far."""
        table = ScoreTable.joined(self._tables)
        columns = {**self._columns, **table.times}
        return make_cv_results(self._candidates, table.test, table.train, columns)

    def _score_jointly(
        self,
        joint: JointSearch,
        candidates: Sequence[dict[str, Any]],
        folds: Sequence[Division],
        parent: Task,
        task_name: str,
    ) -> ScoreTable:
        progress = self._progress(len(candidates) * len(folds), parent, task_name)
        table = joint.score(candidates, folds, progress)
        # As scikit-learn's searches do: a mean that is not finite ranks last, which must not be
        # silent. In separate fits they have already done it themselves.
        for metric, scores in table.test.items():
            if not np.isfinite(means := scores.mean(axis=1)).all():
                warnings.warn(
                    f"One or more of the test scores ({metric}) are non-finite: {means}",
                    UserWarning,
                    stacklevel=level_outside(),
                )
        return table

    @contextmanager
    def _progress(
        self, n_fits: int, parent: Task, task_name: str
    ) -> Iterator[Callable[[float], None]]:
        """Show the progress of the joint solver, and report it to callbacks."""
        # A bar of our own beside scikit-learn's, because `verbose` must work with 1.8, too.
        bar = SearchBar(self.search.verbose > 0)
        # In a joint search no fit ends before the others, so callbacks get the completed share.
        task = TaskProgress(self.search, parent, task_name, "candidate-split-evaluation", n_fits)
        with bar, task:

            def report(share: float) -> None:
                bar.update("search", share, 1.0)
                task.reach(share)

            yield report

    def _score_separately(
        self,
        candidates: Sequence[dict[str, Any]],
        folds: Sequence[Division],
        parent: Task,
        task_name: str,
    ) -> ScoreTable:
        search, (X, y, params) = self.search, self.fit_args
        return fit_separately(
            # With the same parameters in each iteration, whatever was set on the last one.
            clone(self.estimator),
            (X, y, params),
            candidates,
            DrawnFolds(folds, self.splitter),
            parent=parent,
            task_name=task_name,
            owner=search,
            scoring=search.scoring,
            n_jobs=search.n_jobs,
            verbose=search.verbose,
            error_score=self.scoring.error_score,
            return_train_score=search.return_train_score,
        )

    def _warn_of_separate_fits(self, why: str) -> None:
        # Without a reason, the separate fits will raise an error.
        # And only once per search, whatever the number of iterations.
        if why and self.is_joint:
            warnings.warn(
                f"{type(self.search).__name__} fits every setting on every fold separately, which "
                f"takes several times as long as solving them jointly, because {why}.",
                PerformanceWarning,
                stacklevel=level_outside(),
            )
