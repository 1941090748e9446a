"""Selecting a head, and the layer it stands on, on samples held out of the fitting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import PredefinedSplit, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from penultimate.datasets.splits import Split
from penultimate.svm import SVC

Splits = Split | Sequence[Split] | None


def fit_head(
    head: Any,
    features: NDArray[Any],
    y: NDArray[Any],
    split: Splits,
    *,
    preprocessing: Any = None,
) -> Pipeline:
    """Select a head's parameters on held-out samples, then fit it on all of development.

    The preprocessing learns from the fit part only. Every candidate is fitted on the fit part and
    scored on the selection part; the best is refitted on both.

    Parameters
    ----------
    head : classifier
        A search with a `cv` parameter is given the split; any other classifier is just fitted.
    features : ndarray of shape (n_samples, n_features)
        Of the development samples.
    y : ndarray of shape (n_samples,)
        Their labels.
    split : Split, list of Split or None
        Fit part (first) and selection part (second). A list has one for each fold; with an empty
        one nothing can be selected, and the classifier that a search would search over is fitted
        as it is. None leaves a search its own folds. Without a single fit part the preprocessing
        is fitted on all samples; it sees no labels.
    preprocessing : transformer, optional
        By default ``StandardScaler()``.

    Returns
    -------
    Pipeline
        The fitted steps ``"preprocessing"`` and ``"head"``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from penultimate import SVCSearchCV
    >>> from penultimate.datasets import split_development
    >>> from penultimate.selection import fit_head
    >>> X, y = load_iris(return_X_y=True)
    >>> fit_head(SVCSearchCV(), X, y, split_development(y)).score(X, y) > 0.9
    True
    """
    preprocessing = StandardScaler() if preprocessing is None else clone(preprocessing)
    head = clone(head)
    preprocessing.fit(features[split.first] if isinstance(split, Split) else features)
    parameters = head.get_params(deep=False)
    if split is not None and "cv" in parameters:
        if _selects(split):
            head.set_params(cv=_folds(split, len(y)))
        elif "estimator" in parameters:
            head = SVC() if head.estimator is None else head.estimator
    head.fit(preprocessing.transform(features), y)
    return Pipeline([("preprocessing", preprocessing), ("head", head)])


@dataclass(frozen=True)
class LayerHead:
    """A head, and the layer whose features it is fitted on.

    Attributes
    ----------
    layer : str
        The layer with the best selection score; of equal ones, the first.
    scores : dict of str to float
        The selection score on each layer. Empty where nothing was selected: for one layer and a
        head that does not search, or without samples to select on.
    head : Pipeline
        As `fit_head` returns it.
    """

    layer: str
    scores: dict[str, float]
    head: Pipeline


def fit_layers(
    head: Any, features: Mapping[str, NDArray[Any]], y: NDArray[Any], split: Splits
) -> LayerHead:
    """Select the layer as any other hyper-parameter: a head on each, the best selection score wins.

    Parameters
    ----------
    head : classifier
        As in `fit_head`. One that does not search is scored in the same way: fitted on the fit
        part, scored on the selection part.
    features : dict of str to ndarray of shape (n_samples, n_features)
        Of the development samples, by layer.
    y : ndarray of shape (n_samples,)
        Their labels.
    split : Split, list of Split or None
        As in `fit_head`; None stands for 5 stratified folds where the head does not search.

    Returns
    -------
    LayerHead

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from penultimate import SVCSearchCV
    >>> from penultimate.datasets import split_development
    >>> from penultimate.selection import fit_layers
    >>> X, y = load_iris(return_X_y=True)
    >>> by_layer = {"sepals": X[:, :2], "petals": X[:, 2:]}
    >>> fit_layers(SVCSearchCV(), by_layer, y, split_development(y)).layer
    'petals'
    """
    first = next(iter(features))
    if split is not None and not _selects(split):
        return LayerHead(first, {}, fit_head(head, features[first], y, split))
    fitted, scores = {}, {}
    for layer, values in features.items():
        fitted[layer] = fit_head(head, values, y, split)
        if hasattr(fitted[layer]["head"], "best_score_"):
            scores[layer] = float(fitted[layer]["head"].best_score_)
        elif len(features) > 1:
            candidate = Pipeline([("preprocessing", StandardScaler()), ("head", clone(head))])
            folds = None if split is None else _folds(split, len(y))
            scores[layer] = float(np.mean(cross_val_score(candidate, values, y, cv=folds)))
    best = max(scores, key=scores.__getitem__, default=first)  # of equals, the first
    return LayerHead(best, scores, fitted[best])


def check_layers(layer: Any, owner: str) -> list[str]:
    """Return the layers to choose from: one, or those of a list.

    Raises
    ------
    TypeError
        If `layer` is neither a name nor a list of names.
    ValueError
        If the list is empty, or names a layer twice.
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
            f"The 'layer' parameter of {owner} must name at least one layer, and each once; "
            f"got {layer!r}."
        )
    return list(layer)


def plain_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Turn NumPy scalars among a head's parameters into Python ones, for JSON."""
    return {k: v.item() if isinstance(v, np.generic) else v for k, v in params.items()}


def _selects(split: Split | Sequence[Split]) -> bool:
    """Say whether there is anything to select on."""
    return isinstance(split, Split) or len(split) > 0


def _folds(split: Split | Sequence[Split], n_samples: int) -> Any:
    """Return the split as scikit-learn's searches take it."""
    if not isinstance(split, Split):
        return [(fold.first, fold.second) for fold in split]
    fold = np.full(n_samples, -1)
    fold[split.second] = 0
    return PredefinedSplit(fold)
