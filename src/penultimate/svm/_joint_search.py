"""One of scikit-learn's searches over an `SVC`, solved as one problem.

scikit-learn's own search keeps all decisions that a user can observe: which settings are tried,
what a failing scorer means, how several metrics are ranked, which setting is best. Only the fits
are replaced. `_run_search`, the method that its documentation offers to subclasses, is where
candidates become known; before they are scored, all of them are solved jointly, on all folds. The
search then "fits" instances of `JointSVC`, on positions of samples in place of the samples, and
these return the solutions that were already computed.
"""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import check_scoring, get_scorer

from penultimate._common.progress import SILENT, Progress
from penultimate._common.warnings import PerformanceWarning
from penultimate.svm._grid_engine import Fold
from penultimate.svm._joint_svc import JointSVC, OnSamples
from penultimate.svm._problem import NotJointError, Problem
from penultimate.svm.svc import SVC

# Share of the fits that may be repeated separately before the user is warned.
_REPEATED_SHARE = 0.1
# With fewer samples a fit takes about a millisecond, which does not deserve a warning.
_FEWEST_SAMPLES = 200


def scorers_of(estimator: Any, scoring: Any) -> Any:
    """Return the ``scorer_`` of a search: one scorer, or a dict of them by metric.

    Raises
    ------
    ValueError, TypeError
        If `scoring` is invalid; the errors are scikit-learn's.
    """
    if callable(scoring):
        return scoring
    checked = check_scoring(estimator, scoring=scoring)
    if scoring is None or isinstance(scoring, str):
        return checked
    named = scoring.items() if isinstance(scoring, dict) else ((name, name) for name in scoring)
    return {name: get_scorer(scorer) for name, scorer in named}


class _Jointly:
    """Mixin for scikit-learn's searches that solves the candidates before they are scored."""

    problem: Problem

    def _run_search(self, evaluate_candidates: Any, callback_ctx: Any = None) -> None:
        def evaluate(candidates: Any, cv: Any = None, more_results: Any = None, **rest: Any) -> Any:
            candidates = list(candidates)
            folds = self.problem.folds_of(self.cv if cv is None else cv)  # type: ignore[attr-defined]
            self.problem.solve(candidates, folds)
            return evaluate_candidates(candidates, _Folds(folds), more_results, **rest)

        # scikit-learn 1.9 added a context, which is passed on.
        rest = {} if callback_ctx is None else {"callback_ctx": callback_ctx}
        super()._run_search(evaluate, **rest)  # type: ignore[misc]


class _Folds:
    """A splitter that returns folds that were already drawn."""

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
        Defines the search; it is not changed.
    X, y : ndarray
    params : dict
        Keyword arguments of its ``fit``.
    sample_weight : ndarray or None
        The weights in `params` that go to the classifier's ``fit``.
    split : callable
        Function that maps a splitter to its folds of the samples.
    progress : Progress, optional

    Returns
    -------
    search : BaseSearchCV
        A fitted copy, without ``best_estimator_``.
    problem : Problem

    Raises
    ------
    NotJointError
        If the search cannot be solved as one problem; nothing has been changed in that case.
    """
    estimator = search.estimator
    if type(estimator) is not SVC:
        made = type(estimator)
        named = f"{made.__module__.partition('.')[0]}'s {made.__qualname__}"
        raise NotJointError(f"the estimator is {named}; penultimate.SVC is solved jointly")
    if search.return_train_score:
        raise NotJointError("training scores were requested")
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
    # A subclass under the same name, which scikit-learn's messages and repr show.
    joint = type(type(search).__name__, (_Jointly, type(search)), {})(
        **search.get_params(deep=False)
    )
    joint.problem = problem
    # n_jobs=1: the fits are look-ups, and processes could not share the problem.
    joint.set_params(estimator=JointSVC.of(estimator, problem), n_jobs=1, verbose=0)
    scorers = scorers_of(estimator, search.scoring)
    if isinstance(scorers, dict):
        joint.scoring = {name: OnSamples(scorer) for name, scorer in scorers.items()}
    elif search.scoring is not None:
        joint.scoring = OnSamples(scorers)
    joint.fit(np.arange(len(y))[:, np.newaxis], y, **params)
    # The user's own scorers, without the wrappers.
    joint.scorer_ = scorers
    joint.cv_results_["mean_fit_time"] = np.array(problem.seconds)
    joint.cv_results_["std_fit_time"] = np.zeros(len(problem.seconds))
    if len(y) >= _FEWEST_SAMPLES:
        _warn_of_repeats(problem, len(problem.seconds) * joint.n_splits_)
    return joint, problem


def _warn_of_repeats(problem: Problem, n_fits: int) -> None:
    for count, why in (
        (
            problem.n_imprecise,
            "float32, which the joint solver uses, does not resolve their kernel values. Scale the "
            "features, or leave out extreme settings.",
        ),
        (
            problem.n_asked_more,
            "the scorer needs more than predictions for the samples that it is given, or these "
            "predictions do not fit into memory_limit.",
        ),
    ):
        if count > _REPEATED_SHARE * n_fits:
            warnings.warn(
                f"{count} of the {n_fits} fits of a search were repeated separately, which takes "
                f"several times as long, because {why}",
                PerformanceWarning,
                stacklevel=5,
            )


def _a(noun: str) -> str:
    return f"{'an' if noun[:1] in 'AEIOU' else 'a'} {noun}"
