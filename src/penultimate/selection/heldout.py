"""Selecting a head, its layer and its normalization on samples that the network has not seen.

The layer and the normalization are two more hyper-parameters, chosen by the same selection score.
After the selection the head is refitted on all of development. The preprocessing is not: with a
single split it stays as fitted on the fit part.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import PredefinedSplit, check_cv
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import has_fit_parameter

from penultimate._common.callbacks import Task, part_of
from penultimate._common.per_sample import take_rows
from penultimate._common.pipelines import ask_last_step
from penultimate._common.protocols import Head, Transformer
from penultimate.selection.heads import (
    chosen_search,
    give_folds,
    is_search,
    score_weighted,
    weight_params,
    without_search,
)
from penultimate.selection.normalization import (
    DEFAULT_NORMALIZATION,
    Choice,
    Normalization,
    choices,
)
from penultimate.splits.parts import Split

Splits = Split | Sequence[Split] | None


def fit_head(
    head: Head,
    features: NDArray[Any],
    y: NDArray[Any],
    split: Splits,
    *,
    preprocessing: Transformer | None = None,
    sample_weight: NDArray[Any] | None = None,
    params: Mapping[str, Any] | None = None,
    task: tuple[Task, object] | None = None,
) -> Pipeline:
    """Select a head's hyper-parameters on held-out samples, then fit it on all of development.

    The preprocessing is fitted on the fit part only. Every candidate is fitted on the fit part and
    scored on the selection part; the best one is refitted on both.

    Parameters
    ----------
    head : classifier
        The head. A search (see `is_search`) is given the split, even at the end of a pipeline or in
        a voting classifier. Any other classifier is simply fitted, with its own folds if it has
        some, as `CalibratedClassifierCV` does.
    features : ndarray of shape (n_samples, n_features)
        Features of the development samples.
    y : ndarray of shape (n_samples,)
        Their labels.
    split : Split, list of Split or None
        Fit part (`train`) and selection part (`held_out`), or a list with one split per fold. With
        an empty list nothing can be selected, and the estimator of a search is fitted as it was
        passed. None leaves a search its own folds. Unless there is a single fit part, the
        preprocessing is fitted on all samples; it uses no labels.
    preprocessing : transformer, optional
        Transformer of the features; by default ``StandardScaler()``.
    sample_weight : ndarray of shape (n_samples,), optional
        Weights for the preprocessing, if it takes any, and for the head.
    params : dict, optional
        Parameters of the head's `fit`; by default the weights, under the head's name for them.
    task : (CallbackContext, estimator), optional
        The task of scikit-learn's callbacks that this is a part of, and its estimator.

    Returns
    -------
    Pipeline
        The fitted steps ``"preprocessing"`` and ``"head"``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from penultimate import SVCSearchCV
    >>> from penultimate.splits import split_development
    >>> from penultimate.selection.heldout import fit_head
    >>> X, y = load_iris(return_X_y=True)
    >>> fit_head(SVCSearchCV(), X, y, split_development(y)).score(X, y) > 0.9
    True
    """
    head = clone(head)
    # Folds have no common fit part. The preprocessing uses no labels, so it takes all samples.
    first = split.train if isinstance(split, Split) else np.arange(len(y))
    preprocessing = fit_preprocessing(preprocessing, features, first, sample_weight)
    if split is not None:
        if _selects(split):
            give_folds(head, _folds(split, len(y)))
        else:
            head = without_search(head)
    if params is None:
        params = weight_params(head, sample_weight)
    parent, owner = task or (None, None)
    with part_of(parent, "fit-head", owner, head):
        head.fit(preprocessing.transform(features), y, **params)
    return Pipeline([("preprocessing", preprocessing), ("head", head)])


@dataclass(frozen=True)
class FittedHead:
    """A fitted head, and the layer and the normalization of the features it uses.

    Attributes
    ----------
    layer : str
        The layer with the best selection score; the first in case of ties.
    normalization : str or None
        The normalization with the best score on that layer; the first in case of ties.
    pipeline : Pipeline
        The pipeline returned by `fit_head`.
    selection_scores : dict of (str, str or None) to float
        The selection score of each pair of layer and normalization. Empty if nothing was selected:
        with one pair and a head that is not a search, or without samples to select on.
    """

    layer: str
    normalization: Normalization
    pipeline: Pipeline
    selection_scores: dict[Choice, float]

    @property
    def scores(self) -> dict[str, float]:
        """The selection score of each layer, with the best of the normalizations."""
        best: dict[str, float] = {}
        for (layer, _), score in self.selection_scores.items():
            best[layer] = max(score, best.get(layer, score))
        return best

    def ask(self, method: str, features: NDArray[Any]) -> NDArray[Any]:
        """Call a method of the head, such as ``"class_margins"``, on features of the layer."""
        # Transformers in the head must return arrays, as in `fit`, whatever is configured by now.
        with config_context(transform_output="default"):
            return ask_last_step(self.pipeline, method, features)


def fit_layers(
    head: Head,
    features: Mapping[str, NDArray[Any]],
    y: NDArray[Any],
    split: Splits,
    *,
    preprocessing: Mapping[Choice, Transformer] | None = None,
    sample_weight: NDArray[Any] | None = None,
    params: Mapping[str, Any] | None = None,
    task: tuple[Task, object] | None = None,
) -> FittedHead:
    """Select layer and normalization like any hyper-parameter: the best selection score wins.

    A head is fitted for each pair of them.

    Parameters
    ----------
    head : classifier
        The head, as in `fit_head`. One that is not a search is scored in the same way: fitted on
        the fit part, scored on the selection part.
    features : dict of str to ndarray of shape (n_samples, n_features)
        Features of the development samples, by layer.
    y : ndarray of shape (n_samples,)
        Their labels.
    split : Split, list of Split or None
        Splits, as in `fit_head`; None stands for 5 stratified folds if the head is not a search.
    preprocessing : dict of (str, str or None) to transformer, optional
        The pairs of layer and normalization to choose from, with the transformer of each; by
        default every layer is standardized. See `choices`.
    sample_weight : ndarray of shape (n_samples,), optional
        Weights, as in `fit_head`, and also for the scores.
    params : dict, optional
        Parameters of the head's `fit`, as in `fit_head`.
    task : (CallbackContext, estimator), optional
        As in `fit_head`; there is a part for each pair.

    Returns
    -------
    FittedHead

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from penultimate import SVCSearchCV
    >>> from penultimate.splits import split_development
    >>> from penultimate.selection.heldout import fit_layers
    >>> X, y = load_iris(return_X_y=True)
    >>> by_layer = {"sepals": X[:, :2], "petals": X[:, 2:]}
    >>> fit_layers(SVCSearchCV(), by_layer, y, split_development(y)).layer
    'petals'
    """
    if preprocessing is None:
        preprocessing = choices(features, [DEFAULT_NORMALIZATION])
    given: dict[str, Any] = {"sample_weight": sample_weight, "params": params}
    selects = split is None or _selects(split)
    fitted: dict[Choice, Pipeline] = {}
    scores: dict[Choice, float] = {}
    # Some searches can fit their best candidate on all samples later: for the chosen pair alone.
    later = selects and len(preprocessing) > 1 and _refits_later(head)
    if later:
        head = clone(head).set_params(refit=False)
    for pair, transformer in preprocessing.items():
        values, given["preprocessing"] = features[pair[0]], transformer
        fitted[pair] = fit_head(head, values, y, split, task=task, **given)
        if not selects:
            break  # without samples to select on, the first pair is used
        search = chosen_search(fitted[pair]["head"])
        if hasattr(search, "best_score_"):
            scores[pair] = float(search.best_score_)
        # A head without search needs a score only to choose between pairs.
        elif len(preprocessing) > 1:
            scores[pair] = float(np.mean(_score_folds(head, values, y, split, **given)))
    best = max(scores, key=scores.__getitem__, default=next(iter(fitted)))  # the first of ties
    if later:
        transformer, search = (step for _, step in fitted[best].steps)
        weights = weight_params(search, sample_weight) if params is None else params
        search.refit_best(transformer.transform(features[best[0]]), y, **weights)
    return FittedHead(*best, fitted[best], scores)


def _refits_later(head: Head) -> bool:
    """Return whether a search can fit its best candidate, by its only score, after the search."""
    if not is_search(head) or not hasattr(head, "refit_best"):
        return False
    return head.refit is True and head.scoring is None


def _score_folds(
    head: Head,
    values: NDArray[Any],
    y: NDArray[Any],
    split: Splits,
    *,
    preprocessing: Transformer,
    sample_weight: NDArray[Any] | None,
    params: Mapping[str, Any] | None,
) -> list[float]:
    """Score a head without a selection score of its own, fitted and scored on separate samples.

    Like scikit-learn's `cross_val_score`, which does not accept weights for pipelines.
    """
    if split is None:
        folds = [Split(*fold) for fold in check_cv(None, y, classifier=True).split(values, y)]
    else:
        folds = [split] if isinstance(split, Split) else list(split)
    scores = []
    for fold in folds:
        # Fitted in each fold anew: the samples held out must not influence their own scaling.
        fitted = fit_preprocessing(preprocessing, values, fold.train, sample_weight)
        candidate, weights = clone(head), take_rows({"w": sample_weight}, fold.train, len(y))["w"]
        given = weight_params(candidate, weights)
        if params is not None:
            given = take_rows(params, fold.train, len(y))
        candidate.fit(fitted.transform(values[fold.train]), y[fold.train], **given)
        held_out = fitted.transform(values[fold.held_out])
        scores.append(score_weighted(candidate, held_out, y, fold.held_out, sample_weight))
    return scores


def check_layers(layer: object, owner: str) -> list[str]:
    """Return the layers to choose from: one, or those of a list.

    Raises
    ------
    TypeError
        If `layer` is neither a name nor a list of names.
    ValueError
        If the list is empty, or contains a layer twice.
    """
    if isinstance(layer, str):
        return [layer]
    if not isinstance(layer, (list, tuple)) or not all(isinstance(name, str) for name in layer):
        raise TypeError(
            f"The 'layer' parameter of {owner} must be a layer's name or a list of names; "
            f"got {layer!r}."
        )
    if not layer or len(set(layer)) < len(layer):
        raise ValueError(
            f"The 'layer' parameter of {owner} must name at least one layer, and each only once; "
            f"got {layer!r}."
        )
    return list(layer)


def plain_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a head's parameters as JSON can hold them; objects by what they print."""
    return {name: _plain(value) for name, value in params.items()}


def _plain(value: object) -> object:
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    # Not a number and infinity are floats that JSON has no form for.
    is_finite = not isinstance(value, float) or np.isfinite(value)
    return value if isinstance(value, (str, int, float, type(None))) and is_finite else repr(value)


def fit_preprocessing(
    preprocessing: Transformer | None,
    features: NDArray[Any],
    rows: NDArray[np.int64],
    sample_weight: NDArray[Any] | None = None,
) -> Transformer:
    """Fit a copy of the preprocessing (by default a ``StandardScaler``) on some samples.

    Its output is an array, regardless of ``sklearn.set_config(transform_output=...)``: a head that
    was fitted on arrays must never be given a data frame.
    """
    copy = StandardScaler() if preprocessing is None else clone(preprocessing)
    with suppress(AttributeError, ValueError):  # for a transformer whose output format is fixed
        copy.set_output(transform="default")
    weights = {}
    if sample_weight is not None and has_fit_parameter(copy, "sample_weight"):
        weights["sample_weight"] = sample_weight[rows]
    return copy.fit(features[rows], **weights)


def _selects(split: Split | Sequence[Split]) -> bool:
    """Return whether there are samples to select on."""
    return isinstance(split, Split) or len(split) > 0


def _folds(
    split: Split | Sequence[Split], n_samples: int
) -> PredefinedSplit | list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return the split in the form of the `cv` parameter of scikit-learn's searches."""
    if not isinstance(split, Split):
        return [(fold.train, fold.held_out) for fold in split]
    fold = np.full(n_samples, -1)  # -1: never held out
    fold[split.held_out] = 0
    return PredefinedSplit(fold)
