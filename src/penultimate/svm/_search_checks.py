"""What is refused before a search computes anything: each message names the way out."""

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from numbers import Real
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, is_classifier
from sklearn.metrics import accuracy_score, get_scorer_names, make_scorer

from penultimate._common.protocols import Refit, Scorer
from penultimate._common.validation import check_per_sample
from penultimate.svm._pipelines import is_svc, split_off_svc, with_params
from penultimate.svm._scoring import Scoring

# The class of scikit-learn's scorers is private; that of an instance is not.
_MadeScorer = type(make_scorer(accuracy_score))


def check_estimator(estimator: BaseEstimator, owner: str, grid: str) -> None:
    """Raise unless the estimator of a search can be tuned.

    Parameters
    ----------
    estimator : object
    owner, grid : str
        Names of the search, and of its parameter that holds the settings.

    Raises
    ------
    TypeError
        If it is a grid.
    """
    # The usual slip: the grid in first place, since `SVCSearchCV()` needs no estimator.
    if isinstance(estimator, (Mapping, list, tuple)):
        raise TypeError(
            f"The first parameter of {owner} is the estimator; got {estimator!r}. Write "
            f"{owner}({grid}=...) to tune an SVC, or pass a classifier first: "
            f"{owner}(SVC(), ...)."
        )


def check_last_step(
    estimator: BaseEstimator, candidates: Sequence[Mapping[str, Any]], owner: str
) -> None:
    """Raise for a pipeline that does not end with a classifier, unless all candidates replace it.

    Raises
    ------
    ValueError
    """
    # Without a classifier at the end, scikit-learn would fail later, and name no step.
    path, last = split_off_svc(estimator)
    if not path or (hasattr(last, "get_params") and is_classifier(last)):
        return
    if not all(path in candidate for candidate in candidates):
        raise ValueError(
            f"The last step of the Pipeline that {owner} tunes must be an SVC; got {last!r}. "
            "Append one: make_pipeline(StandardScaler(), SVC())."
        )


def check_search_params(error_score: object, verbose: object, owner: str) -> None:
    """Raise for a parameter of a search that is invalid whatever the data.

    Raises
    ------
    ValueError
    """
    if error_score != "raise" and not isinstance(error_score, Real):
        raise ValueError(
            f"The 'error_score' parameter of {owner} must be 'raise' or a number; "
            f"got {error_score!r}."
        )
    if not isinstance(verbose, Real) or verbose < 0:
        raise ValueError(
            f"The 'verbose' parameter of {owner} must be an integer, at least 0; got {verbose!r}."
        )


def check_scoring_names(scoring: object, owner: str) -> None:
    """Raise for a `scoring` that names no metric of scikit-learn's, or is empty.

    Raises
    ------
    ValueError
        With the nearest name.
    """
    metrics = scoring.values() if isinstance(scoring, Mapping) else scoring
    if isinstance(scoring, (list, tuple, set, Mapping)) and not scoring:
        raise ValueError(
            f"The 'scoring' parameter of {owner} is empty; pass None for the accuracy, or name a "
            "metric."
        )
    names = [scoring] if isinstance(scoring, str) else metrics
    if not isinstance(names, Collection):
        return
    for name in names:
        if isinstance(name, str) and name not in (known := get_scorer_names()):
            near = get_close_matches(name, known, n=1, cutoff=0.5)
            raise ValueError(
                f"The 'scoring' parameter of {owner} must name metrics of scikit-learn's; got "
                f"{name!r}.{f' Did you mean {near[0]!r}?' if near else ''} All names: "
                "sklearn.metrics.get_scorer_names()."
            )


def check_fit_params(
    estimator: BaseEstimator, params: Mapping[str, Any], n_samples: int, owner: str
) -> None:
    """Raise for keyword arguments of `fit` that an SVC, or a pipeline with one, has no use for.

    Otherwise every fit would fail, each with the same traceback.

    Raises
    ------
    ValueError
    """
    path, last = split_off_svc(estimator)
    # With routing it is scikit-learn that knows what was requested, and names what was not.
    if not is_svc(last) or get_config()["enable_metadata_routing"]:
        return
    steps = [name for name, _ in estimator.steps] if path else []
    for name, value in params.items():
        if not path and name not in ("groups", "sample_weight"):
            raise ValueError(
                f"{owner}.fit got {name!r}; an SVC takes sample_weight, and its folds groups."
            )
        step, _, argument = name.partition("__")
        if name == "groups" or not path:
            continue
        if not argument or step not in steps:
            # It is most likely for the SVC.
            meant = f"{path}__{argument or name}"
            raise ValueError(
                f"{owner}.fit got {name!r}, which the Pipeline passes to no step of {steps}. "
                f"Name the step, as in fit(X, y, {meant}=...)."
            )
        if name == f"{path}__sample_weight":
            check_per_sample(value, n_samples, "sample_weight", f"{owner}, {name},")


def check_refit(refit: Refit, scoring: Scoring, owner: str) -> None:
    """Raise for a `refit` that names no metric, as far as these are known before any is computed.

    Raises
    ------
    ValueError
    """
    if callable(refit) or refit in (False, np.False_):
        return
    if isinstance(scoring.scorer, dict):
        if not isinstance(refit, str) or refit not in scoring.scorer:
            _refuse_refit(refit, owner, "False, a callable or", str(list(scoring.scorer)))
    elif isinstance(refit, str):
        # What a callable computes is only known after it was called.
        if not callable(scoring.scoring) and refit not in (scoring.scoring, "score"):
            _refuse_refit(refit, owner, "True, False, a callable or", repr(scoring.scoring))
    elif refit not in (True, np.True_):
        _refuse_refit(refit, owner, "True, False, a callable or", repr(scoring.scoring))


def check_refit_found(refit: Refit, metrics: list[str], is_multimetric: bool, owner: str) -> None:
    """Raise for a `refit` that names none of the metrics that a callable computed.

    Raises
    ------
    ValueError
    """
    if not is_multimetric and isinstance(refit, str):
        _refuse_refit(refit, owner, "True, False, a callable or", "a callable with a single metric")
    if is_multimetric and not (callable(refit) or refit in (False, *metrics)):
        _refuse_refit(refit, owner, "False, a callable or", f"a callable with {metrics}")


def _refuse_refit(refit: object, owner: str, others: str, scoring: str) -> None:
    raise ValueError(
        f"The 'refit' parameter of {owner} must be {others} the name of a metric in scoring, which "
        f"is {scoring}; got {refit!r}."
    )


def check_names(
    estimator: BaseEstimator, candidates: Sequence[Mapping[str, Any]], owner: str
) -> None:
    """Raise for a parameter that an estimator does not have.

    Raises
    ------
    ValueError
        With the nearest name.
    """
    # Before any fit: a misspelled name in the last of many candidates costs no time.
    valid = set(estimator.get_params())
    for candidate in candidates:
        if set(candidate) <= valid:
            continue
        # A step that a candidate replaces may have others.
        names = set(_replaced(estimator, candidate).get_params())
        if unknown := sorted(set(candidate) - names):
            raise ValueError(_unknown_name(unknown[0], names, estimator, owner))


def _replaced(estimator: BaseEstimator, candidate: Mapping[str, Any]) -> BaseEstimator:
    """Return the estimator with those steps replaced that a candidate replaces."""
    steps = {name: value for name, value in candidate.items() if hasattr(value, "get_params")}
    known = estimator.get_params()
    return with_params(estimator, {name: steps[name] for name in steps if name in known})


def _unknown_name(name: str, valid: set[str], estimator: BaseEstimator, owner: str) -> str:
    path, _ = split_off_svc(estimator)
    last = name.rsplit("__", 1)[-1]
    # A forgotten prefix: rather the SVC's than that of another step.
    near = [f"{path}__{name}"] if f"{path}__{name}" in valid else []
    near += sorted(each for each in valid if each.rsplit("__", 1)[-1] == last)
    near += get_close_matches(name, sorted(valid), n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    if path:
        hint += f" Parameters of a step are written with its name, such as '{path}__C'."
    elif not near:
        hint = f" Valid parameters are {', '.join(sorted(valid))}."
    return (
        f"Invalid parameter {name!r} for the {type(estimator).__name__} that {owner} tunes.{hint}"
    )


def check_probabilities(
    estimator: BaseEstimator,
    candidates: Sequence[Mapping[str, Any]],
    scorers: Scorer | Mapping[str, Scorer],
    owner: str,
) -> None:
    """Raise if scores are to be computed from probabilities, which an SVM does not have.

    Parameters
    ----------
    estimator : classifier
    candidates : list of dict
    scorers : callable, or dict of them
    owner : str
        Name of the search.

    Raises
    ------
    ValueError
    """
    if not is_svc(split_off_svc(estimator)[1]):
        return
    by_name = scorers if isinstance(scorers, Mapping) else {"scoring": scorers}
    needing = [name for name, scorer in by_name.items() if _needs_probabilities(scorer)]
    # A candidate may replace the SVC, or be scikit-learn's with probability=True.
    if not needing or any(
        hasattr(with_params(estimator, candidate), "predict_proba") for candidate in candidates
    ):
        return
    scorer = by_name[needing[0]]
    named = f"{scorer}" if needing == ["scoring"] else f"{needing[0]!r}, {scorer},"
    raise ValueError(
        f"The metric {named} needs probabilities, which an SVM does not have, so {owner} could "
        "not score any setting. Choose by decision values or predictions (scoring='roc_auc', "
        "'accuracy', 'f1_macro'), and calibrate the SVC that is found; or search over "
        "CalibratedClassifierCV(SVC(), ensemble=False), with names such as 'estimator__C': each "
        "fit then takes several times as long."
    )


class _AskedEnoughError(Exception):
    pass


class _Probe(ClassifierMixin, BaseEstimator):
    """A classifier without probabilities; any other question ends the scorer's call."""

    classes_ = np.array([0, 1])  # scorers look for the positive class before they predict

    def fit(self, X: ArrayLike, y: ArrayLike) -> "_Probe":
        return self

    def predict(self, X: ArrayLike) -> NoReturn:
        raise _AskedEnoughError

    def decision_function(self, X: ArrayLike) -> NoReturn:
        raise _AskedEnoughError


def _needs_probabilities(scorer: Scorer) -> bool:
    # Only scikit-learn's own scorers: they ask for predictions before they call the metric, so
    # that no code of a user runs.
    if not isinstance(scorer, _MadeScorer):
        return False
    try:
        scorer(_Probe(), np.zeros((2, 1)), np.array([0, 1]))
    except AttributeError as error:
        return "predict_proba" in str(error)
    except Exception:  # it asked for something else, or has another fault, which is its answer
        return False
    return False
