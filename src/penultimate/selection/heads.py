"""Kinds of heads: searches, estimators that contain one, and the parameters of their `fit`.

A head is fitted on features of samples that its network may have been trained on. Anything that
chooses hyper-parameters by a score must score samples that the network has not seen, so it is given
our split instead of its own folds. Estimators with folds for another purpose keep them:
`CalibratedClassifierCV` and `StackingClassifier` need a prediction of every sample, which our split
does not provide.
"""

from inspect import Parameter, signature
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.ensemble import VotingClassifier
from sklearn.pipeline import Pipeline

from penultimate._common.protocols import Head, Search
from penultimate.svm.svc import SVC


def is_search(head: object) -> TypeGuard[Search]:
    """Return whether a classifier chooses hyper-parameters by a score on folds.

    Such a classifier has the parameters `cv` and `scoring`: scikit-learn's searches and ours, and
    also `LogisticRegressionCV` and `TunedThresholdClassifierCV`.
    """
    return {"cv", "scoring"} <= set(_params(head))


def inner_searches(head: Head) -> list[Search]:
    """Return the searches in an unfitted head that will be fitted on all of its samples, in order.

    Searches inside a calibration, a stack or another search are fitted on parts of the samples, and
    keep their own folds.
    """
    if is_search(head):
        return [head]
    if isinstance(head, Pipeline):
        return inner_searches(head.steps[-1][1])
    if isinstance(head, VotingClassifier):
        return [search for _, part in head.estimators for search in inner_searches(part)]
    return []


def give_folds(head: Head, folds: object) -> None:
    """Set the folds of every search in an unfitted head."""
    for search in inner_searches(head):
        search.set_params(cv=folds)


def without_search(head: Head) -> Head:
    """Replace each search in an unfitted head with the estimator that it searches over."""
    if isinstance(head, Pipeline):
        name, last = head.steps[-1]
        return head.set_params(**{name: without_search(last)})
    if isinstance(head, VotingClassifier):
        return head.set_params(**{name: without_search(part) for name, part in head.estimators})
    # Without samples to select on, the estimator is fitted with the parameters that it has.
    if is_search(head) and "estimator" in _params(head):
        return SVC() if head.estimator is None else head.estimator
    if is_search(head) and "estimators" in _params(head):  # a choice among heads: the first
        return without_search(_params(head)["estimators"][0][1])
    return head


def chosen_search(head: Head) -> Any:
    """Return the last step of a fitted pipeline, or the head itself; it has `best_score_`."""
    while isinstance(head, Pipeline):
        head = head[-1]
    return head


def check_head(head: Head, owner: str) -> None:
    """Raise for an unusable head, before anything is trained for it.

    Raises
    ------
    TypeError
        If it is not a classifier.
    ValueError
        If its search does not refit, or does not name one of several metrics for it.
    """
    if isinstance(head, type) or not hasattr(head, "get_params") or not is_classifier(head):
        raise TypeError(
            f"The 'head' parameter of {owner} must be a classifier, such as SVCSearchCV(); "
            f"got {head!r}."
        )
    for search in inner_searches(head):
        given = _params(search)
        name, refit = type(search).__name__, given.get("refit", True)
        if refit is False:
            raise ValueError(
                f"The head's {name} has refit=False, and so no classifier to predict with; set "
                "refit=True, or the name of a metric if there are several."
            )
        if isinstance(given["scoring"], (list, tuple, set, dict)) and refit is True:
            raise ValueError(
                f"The head's {name} has several metrics, {list(given['scoring'])}; name the one "
                f"that chooses, for example refit={next(iter(given['scoring']))!r}."
            )


def weight_params(head: Head, sample_weight: NDArray[Any] | None) -> dict[str, Any]:
    """Return sample weights as a parameter of the head's `fit`, even if it is a pipeline.

    Raises
    ------
    ValueError
        If it takes no weights.
    """
    if sample_weight is None:
        return {}
    name = _weight_name(head)
    if name is None:
        raise ValueError(
            f"sample_weight was passed, but {head!r} takes none. Omit it, or use another "
            "classifier, such as SVC()."
        )
    return {name: sample_weight}


def takes(head: Head, name: str) -> bool:
    """Return whether a head's `fit` takes a parameter, by name or as one of ``**kwargs``."""
    parameters = signature(head.fit).parameters
    return name in parameters or any(
        each.kind is Parameter.VAR_KEYWORD for each in parameters.values()
    )


def _weight_name(head: Head) -> str | None:
    """Return the name of the weights in `fit`; None if it takes none."""
    if isinstance(head, Pipeline):
        name, last = head.steps[-1]
        inner = _weight_name(last)
        return None if inner is None else f"{name}__{inner}"
    parameters = signature(head.fit).parameters
    if "sample_weight" in parameters:
        return "sample_weight"
    if not any(each.kind is Parameter.VAR_KEYWORD for each in parameters.values()):
        return None
    # Searches and ensembles pass all parameters on to their classifiers, so ask those.
    inside = [part for _, part in getattr(head, "estimators", None) or []]
    if (estimator := getattr(head, "estimator", None)) is not None:
        inside.append(estimator)
    # All parts must use the same name, or no single parameter reaches them. Strings are "drop" or
    # "passthrough".
    names = {_weight_name(part) for part in inside if not isinstance(part, str)}
    return "sample_weight" if not inside else names.pop() if len(names) == 1 else None


def score_weighted(
    head: Head,
    values: NDArray[Any],
    y: NDArray[Any],
    rows: NDArray[np.int64],
    sample_weight: NDArray[Any] | None,
) -> float:
    """Score a fitted head on some samples, with weights if its `score` takes them."""
    weights = {}
    if sample_weight is not None and "sample_weight" in signature(head.score).parameters:
        weights["sample_weight"] = sample_weight[rows]
    return float(head.score(values, y[rows], **weights))


def _params(head: object) -> dict[str, Any]:
    return head.get_params(deep=False) if hasattr(head, "get_params") else {}
