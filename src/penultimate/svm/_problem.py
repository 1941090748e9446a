"""A search as one problem: folds as positions, settings as classifiers.

Both are made here, and here it is decided whether the joint solver can serve them. What it cannot
serve is a `NotJointError` with the reason, raised before anything is solved.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from penultimate.svm._grid_engine import Fold, GridEngine, Setting
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


class NotJointError(Exception):
    """The search cannot be solved as one problem.

    The message is the reason, worded to follow "because". It is empty where fitting the settings
    one by one raises an error for the same input, which is then the user's answer.
    """


@dataclass(frozen=True)
class Problem:
    """Samples, folds and settings of a search, or of an iteration of one.

    Attributes
    ----------
    X, y : ndarray
    sample_weight : ndarray of shape (n_samples,) or None
    folds : list of Fold
        Positions in `X`.
    settings : list of Setting
    rows : ndarray of shape (n_samples,)
        Positions of the samples among all samples of the search.
    """

    X: NDArray[Any]
    y: NDArray[Any]
    sample_weight: NDArray[np.float64] | None
    folds: list[Fold]
    settings: list[Setting]
    rows: NDArray[np.intp]

    @classmethod
    def of(
        cls,
        estimator: SVC,
        X: NDArray[Any],
        y: NDArray[Any],
        sample_weight: NDArray[np.float64] | None,
        candidates: Sequence[dict[str, Any]],
        splits: Iterable[Any],
    ) -> Self:
        """Make the problem of all candidates on all folds.

        Raises
        ------
        NotJointError
            If the joint solver does not serve these candidates or folds.
        """
        settings = _settings(estimator, candidates)
        folds = as_folds(splits, len(y))
        # In the joint problem folds differ only in the bounds of the coefficients, one per sample.
        if any(np.bincount(fold.train).max() > 1 for fold in folds):
            raise NotJointError("a fold trains on the same sample twice")
        pairwise = any(setting.estimator.kernel == "precomputed" for setting in settings)
        if pairwise and X.shape[0] != X.shape[1]:
            raise NotJointError
        # Successive halving uses subsamples: those make a smaller problem.
        rows = np.unique(np.concatenate([np.concatenate([f.train, f.test]) for f in folds]))
        if len(rows) < len(y):
            folds = [Fold(*(np.searchsorted(rows, p) for p in (f.train, f.test))) for f in folds]
            X, y = X[np.ix_(rows, rows)] if pairwise else X[rows], y[rows]
            sample_weight = None if sample_weight is None else sample_weight[rows]
        return cls(X, y, sample_weight, folds, settings, rows)

    def check_solvable(self, engine: GridEngine) -> None:
        """Raise `NotJointError` if memory does not suffice, or a fold lacks a class."""
        if len(engine.classes) < 2:
            raise NotJointError
        n_Cs = len({setting.estimator.C for setting in self.settings})
        # Of one kernel: solutions of several are computed in batches, as many as fit.
        needed = engine.bytes_of_solutions(n_Cs)
        # Inner products of other kernels are optional, but a Gram matrix is all there is.
        if any(setting.estimator.kernel == "precomputed" for setting in self.settings):
            needed += 4 * len(self.y) ** 2
        if needed > engine.memory:
            raise NotJointError(
                f"the solutions take {needed / 2**20:.3g} MiB, more than the memory limit of "
                f"{engine.memory / 2**20:.3g} MiB"
            )
        # All folds share the pairs of classes: a fold without one has fewer pairs. Samples whose
        # weight is zero do not count, as in `SVC.fit`.
        for fold in self.folds:
            trained = fold.train[engine.sample_weight[fold.train] > 0]
            if np.bincount(engine.codes[trained], minlength=len(engine.classes)).min() == 0:
                raise NotJointError("a fold has no training samples of some class")

    def samples_to_score(self, setting: Setting, fold: Fold) -> NDArray[Any]:
        """Return the validation samples; their rows of the Gram matrix, if it is precomputed."""
        if setting.estimator.kernel == "precomputed":
            return self.X[np.ix_(fold.test, fold.train)]
        return self.X[fold.test]

    def fit(self, setting: Setting, fold: Fold) -> SVC:
        """Fit a setting on a fold by itself, in float64."""
        train = fold.train
        pairwise = setting.estimator.kernel == "precomputed"
        X = self.X[np.ix_(train, train)] if pairwise else self.X[train]
        weights = None if self.sample_weight is None else self.sample_weight[train]
        return SVC(**setting.estimator.get_params()).fit(X, self.y[train], sample_weight=weights)


def as_folds(splits: Iterable[Any], n_samples: int) -> list[Fold]:
    """Return folds as positions; splitters may yield lists, masks or negative positions.

    Raises
    ------
    NotJointError
        If a fold has nothing to fit on or to score: an error, or `error_score`, of separate fits.
    """
    # Indexing it turns any form of index into positions, and raises where one is out of range.
    positions = np.arange(n_samples)
    folds = [Fold(*(positions[np.asarray(part)] for part in split)) for split in splits]
    if any(len(fold.test) == 0 or len(fold.train) == 0 for fold in folds):
        raise NotJointError
    return folds


def make_settings(
    classifiers: Sequence[SVC], candidates: Sequence[dict[str, Any]]
) -> list[Setting]:
    """Return classifiers as settings of one search; the candidates are for the messages.

    Raises
    ------
    NotJointError
        If one cannot be fitted, or they differ in what all settings share.
    """
    settings: list[Setting] = []
    first = classifiers[0].get_params()
    for index, (classifier, candidate) in enumerate(zip(classifiers, candidates)):
        params = classifier.get_params()
        for name in sorted(set(params) - set(_SHARED)):
            if params[name] is not first[name] and params[name] != first[name]:
                raise NotJointError(f"settings differ in {name!r}")
        # The iterations of a joint solution do not count from zero, as it starts from another one:
        # the same limit would stop it at a different point.
        if classifier.max_iter != -1:
            raise NotJointError("max_iter limits the iterations of each fit")
        try:
            classifier._check_params()
        except (ValueError, TypeError):  # left to `error_score`
            raise NotJointError(f"the setting {candidate} cannot be fitted") from None
        settings.append(Setting(index, classifier))
    return settings


def _settings(estimator: SVC, candidates: Sequence[dict[str, Any]]) -> list[Setting]:
    shared = estimator.get_params()
    for params in candidates:
        # Also if the grid has a single value: then it might as well be set on the classifier.
        if other := sorted(set(params) - set(_SHARED)):
            raise NotJointError(f"settings differ in {other[0]!r}")
    return make_settings([SVC(**{**shared, **params}) for params in candidates], candidates)
