"""Cross-fitting: a head selected on features of samples that their network has not seen.

Every fold has its own network, and thus its own features: candidates are compared by their scores,
fold by fold (``fold_scores.py``), and are never fitted on features of two networks at once. The
best one is refitted on the features of a network that saw all samples, as a `SelectedHead`.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from penultimate._common.per_sample import take_rows
from penultimate._common.protocols import Head, Search, Transformer
from penultimate.selection.fold_scores import FoldScores, scale_of
from penultimate.selection.heads import inner_searches, is_search, score_weighted, weight_params
from penultimate.selection.heldout import FittedHead, fit_preprocessing
from penultimate.selection.normalization import DEFAULT_NORMALIZATION, Choice, choices
from penultimate.selection.selected import SelectedHead
from penultimate.splits.parts import Split
from penultimate.svm.svc import SVC


def check_candidates(head: Head) -> None:
    """Raise for a head whose candidates cannot be matched across folds.

    Raises
    ------
    ValueError
        If the head draws different candidates in each fold, drops some during the search, does not
        list them, or contains the search inside another estimator.
    """
    if not is_search(head):
        if inside := inner_searches(head):
            raise ValueError(
                f"selection='crossfit' compares candidates over the folds, and the "
                f"{type(inside[0]).__name__} is inside a {type(head).__name__}, where they "
                "cannot be accessed. Search over it instead: "
                f"GridSearchCV({type(head).__name__}(...), ...)."
            )
        return
    given, name = head.get_params(deep=False), type(head).__name__
    if not any(key.startswith("param_") or key == "search_spaces" for key in given):
        raise ValueError(
            f"selection='crossfit' compares candidates over the folds, and {name} does not list "
            "its own. Search over its classifier, for example with SVCSearchCV or GridSearchCV."
        )
    if "min_resources" in given:
        raise ValueError(
            f"selection='crossfit' scores every candidate on every fold, and {name} drops some "
            "during the search. Use SVCSearchCV or SVCRandomizedSearchCV."
        )
    if "random_state" in given and not isinstance(given["random_state"], Integral):
        raise ValueError(
            f"selection='crossfit' compares candidates over the folds, and {name} would draw "
            "different ones in each: set its random_state to an integer; got "
            f"{given['random_state']!r}."
        )
    if callable(given.get("refit")) and isinstance(given["scoring"], (list, tuple, set, dict)):
        raise ValueError(
            "selection='crossfit' accepts a callable refit only with a single metric; with "
            "several, refit must name one."
        )


def score_fold(
    head: Head,
    features: NDArray[Any],
    y: NDArray[Any],
    fold: Split,
    preprocessing: Transformer | None = None,
    *,
    sample_weight: NDArray[Any] | None = None,
    params: Mapping[str, Any] | None = None,
) -> tuple[list[dict[str, Any]], dict[str, NDArray[np.float64]], float]:
    """Fit every candidate on the other folds, and score it on this one.

    Parameters
    ----------
    head : classifier
        A search, or a single candidate.
    features : ndarray of shape (n_samples, n_features)
        Features of all development samples, from the network of this fold.
    y : ndarray of shape (n_samples,)
    fold : Split
        The other folds (`train`), on which this network was trained, and the fold itself
        (`held_out`).
    preprocessing : transformer, optional
        Transformer of the features, a copy of which is fitted on the other folds; by default
        ``StandardScaler()``.
    sample_weight : ndarray of shape (n_samples,), optional
        Weights for the preprocessing, the head and the scores.
    params : dict, optional
        Parameters of the head's `fit`; by default the weights.

    Returns
    -------
    params : list of dict
        Parameters of each candidate.
    scores : dict of str to ndarray of shape (n_candidates,)
        Scores by metric.
    scale : float
        ``1 / (n_features * X.var())`` of the preprocessed features.
    """
    fitted_on_others = fit_preprocessing(preprocessing, features, fold.train, sample_weight)
    values = fitted_on_others.transform(features)
    scale = scale_of(values)
    head = clone(head)
    given = weight_params(head, sample_weight) if params is None else dict(params)
    if not is_search(head):
        part = take_rows(given, fold.train, len(y))
        fitted = head.fit(values[fold.train], y[fold.train], **part)
        score = score_weighted(fitted, values[fold.held_out], y, fold.held_out, sample_weight)
        return [{}], {"score": np.array([score])}, scale
    # A single split: the search fits on the other folds only, although it is passed all samples.
    # Nothing is refitted, because the final head stands on the features of another network.
    head.set_params(cv=[(fold.train, fold.held_out)], refit=False).fit(values, y, **given)
    found = head.cv_results_
    before = "mean_test_"
    scores = {key[len(before) :]: np.asarray(found[key]) for key in found if key[:10] == before}
    return list(found["params"]), scores, scale


def refit(
    head: Head,
    folds: FoldScores,
    features: NDArray[Any],
    y: NDArray[Any],
    preprocessing: Transformer | None = None,
    *,
    sample_weight: NDArray[Any] | None = None,
    params: Mapping[str, Any] | None = None,
) -> Pipeline:
    """Fit the best candidate on all samples.

    Parameters
    ----------
    head : classifier
        As in `score_fold`.
    folds : FoldScores
    features : ndarray of shape (n_samples, n_features)
        Features of all development samples, from the network that was trained on all of them.
    y : ndarray of shape (n_samples,)
    preprocessing : transformer, optional
        Transformer of the features, as in `score_fold`, fitted on all samples.
    sample_weight, params
        Weights and parameters of `fit`, as in `score_fold`.

    Returns
    -------
    Pipeline
        The fitted steps ``"preprocessing"`` and ``"head"``; for a search, the latter is a
        `SelectedHead`.
    """
    preprocessing = fit_preprocessing(preprocessing, features, np.arange(len(y)), sample_weight)
    values = preprocessing.transform(features)
    head = clone(head)
    given = weight_params(head, sample_weight) if params is None else dict(params)
    if not is_search(head):
        return Pipeline([("preprocessing", preprocessing), ("head", head.fit(values, y, **given))])
    results = folds.results(scale_of(values))
    metric, best = _choose(head, results)
    # Our searches may have no estimator, which stands for SVC().
    estimator = clone(SVC() if head.estimator is None else head.estimator)
    chosen = results["params"][best]
    # `score` uses the metric that chose the candidate.
    scoring = head.scoring
    if isinstance(scoring, (list, tuple, set, dict)):
        scoring = scoring[metric] if isinstance(scoring, dict) else metric
    # A chosen value may be an estimator itself: cloned, as in scikit-learn, so as not to share it.
    selected = SelectedHead(estimator.set_params(**clone(chosen, safe=False)), scoring)
    selected.fit(values, y, **given)
    selected.best_index_, selected.best_params_ = best, chosen
    selected.cv_results_, selected.n_splits_ = results, len(folds.scores)
    # A callable may choose by something other than the best score.
    if not callable(head.refit):
        selected.best_score_ = float(results[f"mean_test_{metric}"][best])
    return Pipeline([("preprocessing", preprocessing), ("head", selected)])


def _choose(head: Search, results: Mapping[str, Any]) -> tuple[str, int]:
    """Return the metric and the index of the candidate chosen by `refit` of a search."""
    metric = head.refit if isinstance(head.refit, str) else "score"
    if f"mean_test_{metric}" not in results:
        known = [key[10:] for key in results if key.startswith("mean_test_")]
        raise ValueError(f"refit={head.refit!r} must be one of the head's metrics, {known}.")
    if callable(head.refit):
        return metric, int(head.refit(results))
    # The first of tied candidates, as in scikit-learn.
    return metric, int(results[f"rank_test_{metric}"].argmin())


def fit_crossfit(
    head: Head,
    networks: Iterable[tuple[Split, Mapping[str, NDArray[Any]]]],
    final: Callable[[], Mapping[str, NDArray[Any]]],
    y: NDArray[Any],
    *,
    preprocessing: Mapping[Choice, Transformer] | None = None,
    sample_weight: NDArray[Any] | None = None,
    params: Mapping[str, Any] | None = None,
) -> FittedHead:
    """Select a head, layer and normalization by cross-fitting, then fit it for one network.

    For each fold a network is trained on the other folds; every candidate is fitted on that
    network's features of the other folds, and scored on its features of the fold. The features of
    two networks are never mixed, because their units do not correspond. Scores are averaged over
    folds; the best candidate is then fitted on the features of a network trained on all samples.

    Candidates are scored in a separate thread, while the next network is trained.

    Parameters
    ----------
    head : classifier
        A search, or a single candidate.
    networks : iterable of (Split, dict of str to ndarray of shape (n_samples, n_features))
        The split of each fold, and the features of all samples by layer; consumed one by one.
    final : callable
        Returns the features by layer, from the network that was trained on all samples.
    y : ndarray of shape (n_samples,)
    preprocessing : dict of (str, str or None) to transformer, optional
        The pairs of layer and normalization to choose from, as in `fit_layers`.
    sample_weight, params
        Weights and parameters of `fit`, as in `score_fold`.

    Returns
    -------
    FittedHead

    Raises
    ------
    ValueError
        If `check_candidates` rejects the head, before the first network is trained.

    References
    ----------
    V. Chernozhukov et al., "Double/debiased machine learning for treatment and structural
    parameters", The Econometrics Journal 21(1), 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from penultimate import SVCSearchCV
    >>> from penultimate.selection.crossfit import fit_crossfit
    >>> from penultimate.splits import split_folds
    >>> X, y = load_iris(return_X_y=True)
    >>> networks = ((fold, {"all": X}) for fold in split_folds(y))
    >>> fit_crossfit(SVCSearchCV(), networks, lambda: {"all": X}, y).scores["all"] > 0.9
    True
    """
    check_candidates(head)
    given: dict[str, Any] = {"sample_weight": sample_weight, "params": params}
    scored: list[dict[Choice, Future[Any]]] = []
    # `networks` is lazy: asking for the next fold trains its network in this thread, while the
    # worker scores the candidates of the previous one.
    with ThreadPoolExecutor(1) as scoring:
        for fold, features in networks:
            if preprocessing is None:
                preprocessing = choices(features, [DEFAULT_NORMALIZATION])
            scored.append(
                {
                    pair: scoring.submit(
                        score_fold, head, features[pair[0]], y, fold, transformer, **given
                    )
                    for pair, transformer in preprocessing.items()
                }
            )
        features = final()
    folds = {
        pair: FoldScores(*map(list, zip(*(each[pair].result() for each in scored))))
        for pair in scored[0]
    }
    scores = {pair: _best_score(head, each) for pair, each in folds.items()}
    best = max(scores, key=scores.__getitem__)
    assert preprocessing is not None  # there is at least one fold
    fitted = refit(head, folds[best], features[best[0]], y, preprocessing[best], **given)
    return FittedHead(*best, fitted, scores)


def _best_score(head: Head, folds: FoldScores) -> float:
    """Return the mean score of the best candidate."""
    # The scale changes only the parameters in the results, not the scores: any one will do.
    results = folds.results(folds.scales[0])
    metric, best = _choose(head, results) if is_search(head) else ("score", 0)
    return float(results[f"mean_test_{metric}"][best])
