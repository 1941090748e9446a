"""The table of a search, as scikit-learn's searches have it in ``cv_results_``."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.stats import rankdata

Scores = Mapping[str, NDArray[np.float64]]


def make_cv_results(
    candidates: Sequence[Mapping[str, Any]],
    test_scores: Scores,
    train_scores: Scores | None = None,
    columns: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return ``cv_results_`` in the format of `GridSearchCV`.

    Parameters
    ----------
    candidates : list of dict
        Parameters of each candidate.
    test_scores, train_scores : dict of str to ndarray of shape (n_candidates, n_folds)
        Scores by metric; the key is ``"score"`` if there is a single metric.
    columns : dict, optional
        Further columns, such as times.

    Returns
    -------
    dict of str to ndarray
        For each metric: the scores of each fold, their mean and standard deviation, and the rank of
        the mean, from 1; tied candidates all have the best of their ranks, and candidates without a
        score the last.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate._common.cv_results import make_cv_results
    >>> scores = {"score": np.array([[0.5, 0.7], [0.9, 0.7], [0.8, 0.8]])}
    >>> results = make_cv_results([{"C": 1}, {"C": 10}, {"C": 100}], scores)
    >>> results["mean_test_score"].round(2).tolist(), results["rank_test_score"].tolist()
    ([0.6, 0.8, 0.8], [3, 1, 1])
    """
    results: dict[str, Any] = {name: np.asarray(each) for name, each in (columns or {}).items()}
    for name in dict.fromkeys(name for candidate in candidates for name in candidate):
        results[f"param_{name}"] = _param_column(candidates, name)
    results["params"] = list(candidates)
    for metric, scores in test_scores.items():
        _add_scores(results, f"test_{metric}", scores)
        # A mean that is not a number is lower than any other.
        means = results[f"mean_test_{metric}"]
        means = np.where(np.isnan(means), -np.inf, means)
        results[f"rank_test_{metric}"] = rankdata(-means, method="min").astype(np.int32)
        if train_scores is not None:
            _add_scores(results, f"train_{metric}", train_scores[metric])
    return results


def _add_scores(results: dict[str, Any], name: str, scores: NDArray[np.float64]) -> None:
    for fold, of_fold in enumerate(scores.T):
        results[f"split{fold}_{name}"] = of_fold
    results[f"mean_{name}"] = scores.mean(axis=1)
    with np.errstate(invalid="ignore"):  # of infinite scores
        results[f"std_{name}"] = scores.std(axis=1)


def _param_column(candidates: Sequence[Mapping[str, Any]], name: str) -> np.ma.MaskedArray:
    """Return the values of a parameter; masked where a candidate of a list of grids lacks it."""
    given = {row: params[name] for row, params in enumerate(candidates) if name in params}
    dtype: DTypeLike = object
    try:
        values = np.array(list(given.values()))
        # Text stays an object, and a value that is a sequence one entry.
        if values.ndim == 1 and values.dtype.kind != "U":
            dtype = values.dtype
    except ValueError:  # sequences of different lengths
        pass
    column = np.ma.MaskedArray(np.empty(len(candidates), dtype), mask=True)
    for row, value in given.items():
        column[row] = value
    return column
