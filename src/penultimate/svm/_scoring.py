"""The metrics of a search, on precomputed decisions or any other fitted classifier.

Scorers are called as scikit-learn's searches call them: one that fails, or does not return a
number, has the same consequences. Whether a scorer takes weights cannot be asked of it; it is given
them once, and if that is what it fails on, never again.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from numbers import Number
from traceback import format_exc
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.metrics import check_scoring, get_scorer
from sklearn.utils.metadata_routing import process_routing

from penultimate._common.frames import level_outside
from penultimate._common.protocols import Head, Metrics, Scorer

_SEVERAL = (list, tuple, set, dict)


@dataclass(frozen=True)
class ScoreTable:
    """Scores of candidates on folds.

    Attributes
    ----------
    test, train : dict of str to ndarray of shape (n_candidates, n_folds)
        Scores by metric; `train` is None unless training scores were requested.
    times : dict of str to ndarray of shape (n_candidates,)
        The columns ``mean_fit_time`` and so on, in seconds.
    is_multimetric : bool
    """

    test: dict[str, NDArray[np.float64]]
    train: dict[str, NDArray[np.float64]] | None
    times: dict[str, NDArray[np.float64]]
    is_multimetric: bool

    @classmethod
    def joined(cls, tables: "Sequence[ScoreTable]") -> "ScoreTable":
        """Append the candidates of several tables of the same metrics."""
        first = tables[0]

        def join(name: str) -> dict[str, NDArray[np.float64]]:
            parts = [getattr(table, name) for table in tables]
            return parts[0] and {key: np.concatenate([p[key] for p in parts]) for key in parts[0]}

        return cls(join("test"), join("train"), join("times"), first.is_multimetric)


def make_scorer_of(estimator: Head, scoring: Metrics) -> Scorer | dict[str, Scorer]:
    """Return the ``scorer_`` of a search: one scorer, or a dict of them by metric.

    Raises
    ------
    ValueError, TypeError
        If `scoring` is invalid.
    """
    if callable(scoring):
        return scoring
    if scoring is None or isinstance(scoring, str):
        return check_scoring(estimator, scoring=scoring)
    if not isinstance(scoring, _SEVERAL):
        raise ValueError(
            "The 'scoring' parameter must be None, the name of a metric, a callable, or a list or "
            f"dict of them; got {scoring!r}."
        )
    check_scoring(estimator, scoring=scoring)  # its errors say what is wrong with a list or dict
    # A list names its metrics by themselves.
    named = scoring.items() if isinstance(scoring, dict) else ((name, name) for name in scoring)
    return {name: get_scorer(scorer) for name, scorer in named}


class Scoring:
    """The metrics of a search, computed for one fitted classifier at a time.

    Parameters
    ----------
    estimator : classifier
        The classifier that is tuned.
    scoring : str, callable, list, tuple, dict or None
        As in `GridSearchCV`.
    error_score : "raise" or float
        Score of a classifier on which a scorer fails.
    params : dict
        Keyword arguments of the scorers: ``sample_weight``, or whatever metadata was routed.
    """

    def __init__(
        self,
        estimator: Head,
        scoring: Metrics,
        error_score: float | str,
        params: dict[str, Any],
    ) -> None:
        self.estimator, self.scoring, self.error_score = estimator, scoring, error_score
        # One scorer at a time, also of several: with precomputed decisions there is nothing to gain
        # from scikit-learn's scorer of several metrics, which predicts once for all of them.
        self.scorer = make_scorer_of(estimator, scoring)
        self.params = params
        self.is_multimetric = isinstance(self.scorer, dict)  # a callable shows it by its result
        self._without_weights: set[str] = set()
        self._by_metric = self.scorer if isinstance(self.scorer, dict) else {"score": self.scorer}

    @property
    def is_accuracy(self) -> bool:
        """Whether the only metric is the accuracy, for which the predictions are enough."""
        return self.scoring in (None, "accuracy") and set(self.params) <= {"sample_weight"}

    def failed(self) -> dict[str, float]:
        """Return the scores of a setting that could not be fitted."""
        return dict.fromkeys(self._by_metric, float(self.error_score))

    def __call__(
        self, fitted: Head, X: ArrayLike, y: ArrayLike, params: dict[str, Any]
    ) -> dict[str, float]:
        """Return the scores of a fitted classifier by metric; ``"score"`` if there is only one.

        Parameters
        ----------
        fitted : classifier
        X, y
            Samples and labels.
        params : dict
            Those of `params` that belong to these samples.
        """
        scores: dict[str, float] = {}
        routed = self._route(params)
        for metric, scorer in self._by_metric.items():
            try:
                score = self._call(metric, scorer, fitted, X, y, routed[metric])
            except Exception:
                if self.error_score == "raise":
                    raise
                warnings.warn(
                    "Scoring failed. The score on this train-test partition for these parameters "
                    f"will be set to {self.error_score}. Details: \n{format_exc()}",
                    UserWarning,
                    stacklevel=level_outside(),
                )
                score = self.error_score
            if isinstance(score, dict):  # a callable that computes several metrics
                self.is_multimetric = True
                scores.update({name: _number(each, name) for name, each in score.items()})
            else:
                scores[metric] = _number(score, scorer)
        return scores

    def _route(self, params: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the keyword arguments of each scorer."""
        if params and isinstance(self.scorer, dict) and get_config()["enable_metadata_routing"]:
            # scikit-learn's scorer of several metrics knows which of them requested what.
            together = check_scoring(self.estimator, scoring=self.scoring)
            routed = process_routing(together, "score", **params)
            return {metric: routed[metric]["score"] for metric in self._by_metric}
        return dict.fromkeys(self._by_metric, params)

    def _call(
        self,
        metric: str,
        scorer: Scorer,
        fitted: Head,
        X: ArrayLike,
        y: ArrayLike,
        params: dict[str, Any],
    ) -> object:
        if "sample_weight" not in params or get_config()["enable_metadata_routing"]:
            return scorer(fitted, X, y, **params)
        others = {name: value for name, value in params.items() if name != "sample_weight"}
        # It was tried: once is enough, and one warning, too.
        if metric in self._without_weights:
            return scorer(fitted, X, y, **others)
        # Without `scoring` it is the classifier's own `score`, whose signature the scorer hides.
        if self.scoring is None or "sample_weight" in signature(scorer).parameters:
            try:
                return scorer(fitted, X, y, **params)
            except TypeError:
                # Of a metric that takes no weights, or for another reason: then it fails again.
                score = scorer(fitted, X, y, **others)
        else:
            score = scorer(fitted, X, y, **others)
        self._without_weights.add(metric)
        warnings.warn(
            f"The scoring {metric}={scorer} does not support sample_weight, so the scores that "
            "choose between settings are not weighted. Pass a metric that takes weights, or no "
            "weights.",
            UserWarning,
            stacklevel=level_outside(),
        )
        return score


def _number(score: object, scorer: object) -> float:
    # NumPy's numbers, and arrays of one, become Python's.
    if isinstance(score, (np.generic, np.ndarray)) and score.size == 1:
        score = score.item()
    if not isinstance(score, Number):
        raise ValueError(
            f"scoring must return a number, got {score} ({type(score)}) instead. (scorer={scorer})"
        )
    return score  # type: ignore[return-value]
