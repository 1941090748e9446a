"""Scores of candidates on folds, each of which has a network and thus features of its own.

Hyper-parameters that a default grid derives from the features must be carried over from one network
to another: for the gamma of an RBF kernel not its value, but its ratio to
``1 / (n_features * X.var())``. Networks differ much in that scale, because dead units are constant,
and early in a training half of them may be dead.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.cv_results import make_cv_results

_SAME = 1e-3  # relative tolerance: scales are computed in float32 here, in float64 there


@dataclass
class FoldScores:
    """The score of each candidate for a head in each fold.

    Attributes
    ----------
    params : list of list of dict
        Parameters of the candidates, per fold, in the same order.
    scores : list of dict of str to ndarray of shape (n_candidates,)
        Scores by metric, per fold; the key is ``"score"`` if there is a single metric.
    scales : list of float
        ``1 / (n_features * X.var())`` of the features, per fold.
    """

    params: list[list[dict[str, Any]]] = field(default_factory=list)
    scores: list[dict[str, NDArray[np.float64]]] = field(default_factory=list)
    scales: list[float] = field(default_factory=list)

    def settings(self, scale: float) -> list[dict[str, Any]]:
        """Return the parameters of each candidate for the features of another network.

        Parameters
        ----------
        scale : float
            ``1 / (n_features * X.var())`` of these features.
        """
        # Candidates correspond by position: every fold lists them in the same order.
        return [
            {
                name: _carried_over([fold[index][name] for fold in self.params], self.scales, scale)
                for name in candidate
            }
            for index, candidate in enumerate(self.params[0])
        ]

    def results(self, scale: float) -> dict[str, Any]:
        """Return ``cv_results_`` in the format of `GridSearchCV`, without times."""
        scores = {
            metric: np.stack([fold[metric] for fold in self.scores], axis=1)
            for metric in self.scores[0]
        }
        return make_cv_results(self.settings(scale), scores)


def scale_of(values: NDArray[Any]) -> float:
    """Return ``1 / (n_features * X.var())``, the value of ``SVC(gamma="scale")``."""
    variance = float(np.var(values, dtype=np.float64))
    return 1.0 / (values.shape[1] * variance) if variance else 1.0  # constant features


def _carried_over(values: Sequence[Any], scales: Sequence[float], scale: float) -> Any:
    """Return the value common to all folds, or rescaled by its common ratio to their scales."""
    # Identity first: estimators and NaN need not be equal to themselves.
    if all(value is values[0] or bool(value == values[0]) for value in values):
        return values[0]
    try:
        ratios = np.array(values, dtype=float) / np.array(scales)
    except (TypeError, ValueError):
        ratios = np.array([np.nan])
    if not np.allclose(ratios, ratios[0], rtol=_SAME, atol=0):
        other = next(value for value in values if value != values[0])
        raise ValueError(
            f"The folds' candidates differ, such as {values[0]!r} and {other!r}: set the "
            "random_state of a search that draws them to an integer."
        )
    return float(np.mean(ratios)) * scale
