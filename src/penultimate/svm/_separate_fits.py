"""Candidates fitted one by one, by scikit-learn's search: for what the joint solver does not serve.

The candidates and the folds are already drawn; `GridSearchCV` is given both as lists, so that it
neither draws nor chooses anything.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.utils.metadata_routing import MetadataRequest, get_routing_for_object

from penultimate._common.callbacks import Task, part_of
from penultimate._common.protocols import Division, PerSample, Splitter
from penultimate.svm._scoring import ScoreTable


class DrawnFolds:
    """A splitter that returns folds that were already drawn.

    Parameters
    ----------
    folds : list of pairs of array-like
    splitter : splitter
        The one that drew them; metadata that it requests is accepted, and not used again.
    """

    def __init__(self, folds: Sequence[Division], splitter: Splitter) -> None:
        self.folds, self.splitter = folds, splitter

    def split(
        self, X: object = None, y: object = None, groups: object = None, **params: object
    ) -> Iterator[Division]:
        """Return the folds."""
        return iter(self.folds)

    def get_n_splits(
        self, X: object = None, y: object = None, groups: object = None, **params: object
    ) -> int:
        """Return the number of folds."""
        return len(self.folds)

    def get_metadata_routing(self) -> MetadataRequest:
        """Return the requests of the splitter."""
        # The search routes the user's metadata anew, and would refuse what nobody requests.
        return get_routing_for_object(self.splitter)


def fit_separately(
    estimator: BaseEstimator,
    fit_args: tuple[PerSample, PerSample, Mapping[str, Any]],
    candidates: Sequence[Mapping[str, Any]],
    folds: DrawnFolds,
    *,
    parent: Task,
    task_name: str,
    owner: object,
    **options: object,
) -> ScoreTable:
    """Fit and score every candidate on every fold.

    Parameters
    ----------
    estimator : classifier
    fit_args : tuple
        `X`, `y` and the keyword arguments of a search's `fit`.
    candidates : list of dict
    folds : DrawnFolds
    parent : CallbackContext
        The task that this one is a part of.
    task_name : str
    owner : estimator
        The search whose task it is.
    **options : dict
        Parameters of `GridSearchCV`.

    Returns
    -------
    ScoreTable
    """
    # A list of grids of one point each: the candidates, in their order.
    grid = [{name: [value] for name, value in candidate.items()} for candidate in candidates]
    # Nothing is refitted: the caller chooses.
    search = GridSearchCV(estimator, grid, cv=folds, refit=False, **options)
    X, y, params = fit_args
    with part_of(parent, task_name, owner, search):
        search.fit(X, y, **params)
    # Its means and ranks are made anew from these, in one table for all iterations.
    found = search.cv_results_
    scores: dict[str, Any] = {"test": {}, "train": {}}
    for part, by_metric in scores.items():
        for key in [key for key in found if key.startswith(f"mean_{part}_")]:
            name = key.removeprefix("mean_")
            by_fold = [found[f"split{fold}_{name}"] for fold in range(search.n_splits_)]
            by_metric[name.removeprefix(f"{part}_")] = np.stack(by_fold, axis=1)
    times = {
        key: found[key]
        for key in ("mean_fit_time", "std_fit_time", "mean_score_time", "std_score_time")
    }
    return ScoreTable(scores["test"], scores["train"] or None, times, search.multimetric_)
