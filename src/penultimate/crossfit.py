"""Cross-fitting: a head selected on features of samples that their network has not seen."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from penultimate.datasets.splits import Split
from penultimate.selection import LayerHead
from penultimate.svm import SVC

MakePreprocessing = Callable[[], Any]


@dataclass
class FoldScores:
    """What each candidate for a head scored in each fold.

    Attributes
    ----------
    params : list of list of dict
        For each fold the candidates' parameters, in the same order.
    scores : list of ndarray of shape (n_candidates,)
        For each fold.
    """

    params: list[list[dict[str, Any]]] = field(default_factory=list)
    scores: list[NDArray[np.float64]] = field(default_factory=list)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean score of each candidate over folds."""
        return np.mean(self.scores, axis=0)

    @property
    def best(self) -> int:
        """Index of the best candidate; of equal ones, the first."""
        return int(self.mean.argmax())

    def settings(self) -> list[dict[str, Any]]:
        """Return each candidate's parameters, the geometric mean over folds where these differ.

        Default grids follow the features' variance, which differs a little from fold to fold.
        """
        return [
            {name: _middle([fold[index][name] for fold in self.params]) for name in candidate}
            for index, candidate in enumerate(self.params[0])
        ]


def score_fold(
    head: Any,
    features: NDArray[Any],
    y: NDArray[Any],
    fold: Split,
    make_preprocessing: MakePreprocessing = StandardScaler,
) -> tuple[list[dict[str, Any]], NDArray[np.float64]]:
    """Fit every candidate on the other folds, and score it on one.

    Parameters
    ----------
    head : classifier
        A search, or a single candidate.
    features : ndarray of shape (n_samples, n_features)
        Of all development samples, by the network of this fold.
    y : ndarray of shape (n_samples,)
    fold : Split
        The other folds (first), on which this network was trained, and the fold itself (second).
    make_preprocessing : callable, default=StandardScaler
        Makes what is fitted on the other folds before the head.

    Returns
    -------
    params : list of dict
        Of each candidate.
    scores : ndarray of shape (n_candidates,)

    Raises
    ------
    ValueError
        If the search drops candidates on the way, as halving does.
    """
    preprocessing = make_preprocessing().fit(features[fold.first])
    values = preprocessing.transform(features)
    head = clone(head)
    if "cv" not in head.get_params(deep=False):
        fitted = head.fit(values[fold.first], y[fold.first])
        return [{}], np.array([fitted.score(values[fold.second], y[fold.second])])
    head.set_params(cv=[(fold.first, fold.second)], refit=False).fit(values, y)
    if "iter" in head.cv_results_:
        raise ValueError(
            f"selection='crossfit' scores every candidate on every fold, and {type(head).__name__} "
            "drops some on the way. Take SVCSearchCV or SVCRandomizedSearchCV."
        )
    return list(head.cv_results_["params"]), np.asarray(head.cv_results_["mean_test_score"])


def refit(
    head: Any,
    folds: FoldScores,
    features: NDArray[Any],
    y: NDArray[Any],
    make_preprocessing: MakePreprocessing = StandardScaler,
) -> Pipeline:
    """Fit the best candidate on all samples.

    Parameters
    ----------
    head : classifier
        As in `score_fold`.
    folds : FoldScores
    features : ndarray of shape (n_samples, n_features)
        Of all development samples, by the one network that was trained on all of them.
    y : ndarray of shape (n_samples,)
    make_preprocessing : callable, default=StandardScaler

    Returns
    -------
    Pipeline
        The fitted steps ``"preprocessing"`` and ``"head"``; a search has the folds' scores in its
        ``cv_results_``.
    """
    preprocessing = make_preprocessing().fit(features)
    values = preprocessing.transform(features)
    head = clone(head)
    if "cv" not in head.get_params(deep=False):
        return Pipeline([("preprocessing", preprocessing), ("head", head.fit(values, y))])
    settings, mean = folds.settings(), folds.mean
    estimator = clone(SVC() if head.estimator is None else head.estimator)
    estimator.set_params(**settings[folds.best]).fit(values, y)
    found = {
        "best_estimator_": estimator,
        "best_index_": folds.best,
        "best_params_": settings[folds.best],
        "best_score_": float(mean[folds.best]),
        "cv_results_": _results(settings, folds),
        "n_splits_": len(folds.scores),
        "multimetric_": False,
        "scorer_": lambda fitted, X, y: fitted.score(X, y),
    }
    for name, value in found.items():
        setattr(head, name, value)
    if isinstance(getattr(type(head), "classes_", None), property):
        return Pipeline([("preprocessing", preprocessing), ("head", head)])
    head.classes_, head.n_features_in_ = np.unique(y), values.shape[1]
    return Pipeline([("preprocessing", preprocessing), ("head", head)])


def fit_crossfit(
    head: Any,
    networks: Iterable[tuple[Split, Mapping[str, NDArray[Any]]]],
    final: Callable[[], Mapping[str, NDArray[Any]]],
    y: NDArray[Any],
    *,
    make_preprocessing: MakePreprocessing = StandardScaler,
) -> LayerHead:
    """Select a head and its layer by cross-fitting, and fit it on one network's features.

    In each fold a network is trained on the other folds; every candidate is fitted on that
    network's features of those, and scored on its features of the fold. The features of two
    networks are never mixed, for their units do not correspond. Scores are averaged over folds; the
    best candidate is then fitted on the features of a network that was trained on all samples.

    Candidates are scored in a thread, while the next network is trained.

    Parameters
    ----------
    head : classifier
        A search, or a single candidate.
    networks : iterable of (Split, dict of str to ndarray of shape (n_samples, n_features))
        For each fold the split, and by layer the features of all samples; asked for one by one.
    final : callable
        Returns, by layer, the features by the network that was trained on all samples.
    y : ndarray of shape (n_samples,)
    make_preprocessing : callable, default=StandardScaler

    Returns
    -------
    LayerHead

    References
    ----------
    V. Chernozhukov et al., "Double/debiased machine learning for treatment and structural
    parameters", The Econometrics Journal 21(1), 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from penultimate import SVCSearchCV
    >>> from penultimate.crossfit import fit_crossfit
    >>> from penultimate.datasets import split_folds
    >>> X, y = load_iris(return_X_y=True)
    >>> networks = ((fold, {"all": X}) for fold in split_folds(y))
    >>> fit_crossfit(SVCSearchCV(), networks, lambda: {"all": X}, y).scores["all"] > 0.9
    True
    """
    scored: list[dict[str, Future[Any]]] = []
    with ThreadPoolExecutor(1) as beside:
        for fold, features in networks:
            scored.append(
                {
                    layer: beside.submit(score_fold, head, values, y, fold, make_preprocessing)
                    for layer, values in features.items()
                }
            )
        features = final()
    folds: dict[str, FoldScores] = {}
    for layer in features:
        results = [each[layer].result() for each in scored]
        folds[layer] = FoldScores([params for params, _ in results], [s for _, s in results])
    scores = {layer: float(each.mean[each.best]) for layer, each in folds.items()}
    best = max(scores, key=scores.__getitem__)
    fitted = refit(head, folds[best], features[best], y, make_preprocessing)
    return LayerHead(best, scores, fitted)


def _results(settings: Sequence[dict[str, Any]], folds: FoldScores) -> dict[str, Any]:
    """Return what `GridSearchCV` calls ``cv_results_``, but for its times."""
    mean = folds.mean
    # By numbers, as scikit-learn ranks: of equal scores all have the best rank.
    ranks = np.array([1 + int((mean > value).sum()) for value in mean], np.int32)
    columns: dict[str, Any] = {
        "params": list(settings),
        "mean_test_score": mean,
        "std_test_score": np.std(folds.scores, axis=0),
        "rank_test_score": ranks,
    }
    for number, scores in enumerate(folds.scores):
        columns[f"split{number}_test_score"] = scores
    for name in dict.fromkeys(name for setting in settings for name in setting):
        values = [setting.get(name) for setting in settings]
        missing = [name not in setting for setting in settings]
        columns[f"param_{name}"] = np.ma.MaskedArray(values, missing, dtype=object)
    return columns


def _middle(values: Sequence[Any]) -> Any:
    """Return what all folds agree on, or the geometric mean of positive numbers."""
    if all(value == values[0] for value in values):
        return values[0]
    try:
        numbers = np.array(values, dtype=float)
        agree = bool((numbers > 0).all()) and numbers.max() <= 2 * numbers.min()
    except (TypeError, ValueError):
        agree = False
    if not agree:
        raise ValueError(
            f"The folds' candidates differ, such as {values[0]!r} and {values[1]!r}: give a search "
            "that draws them an integer random_state."
        )
    return float(np.exp(np.log(numbers).mean()))
