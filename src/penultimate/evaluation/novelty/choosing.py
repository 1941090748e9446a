"""Choosing a score without strangers: each class is one in turn.

The samples that the score will be fitted on are divided into folds. For each fold, scores are
fitted on the others, and each class is left out in turn: its samples in the fold are then
strangers, those of the other classes are not, and the area under the ROC curve says how well a
score tells them apart. The single score or the mean of several with the highest average over the
classes is chosen. No sample of the later calibration takes part.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from penultimate.evaluation.novelty.scores import SCORES, Score
from penultimate.splits.parts import Split

# One score, or the mean of several; of equal ones the first wins.
CHOICES = tuple("+".join(names) for n in (1, 2, 3) for names in combinations(SCORES, n))
# For the margin there must be two classes left.
LEAST_CLASSES = 3
# To choose among seven, ten classes say enough; a covariance is estimated anew for each.
_MOST_CLASSES = 10


@dataclass(frozen=True)
class Trial:
    """Scores of samples that were not fitted on, with each class left out in turn.

    Attributes
    ----------
    scales : dict of str to (mean, deviation)
        Of each score's unlikeness, no class left out: what makes scores comparable.
    areas : dict of str to ndarray of shape (n_classes,)
        Area under the ROC curve of each choice, by the class that was left out; NaN for a class
        that was not. Empty for fewer than three classes.
    """

    scales: dict[str, tuple[float, float]]
    areas: dict[str, NDArray[np.float64]]

    def best(self) -> str:
        """Return the choice with the highest mean area."""
        return max(self.areas, key=lambda name: float(np.nanmean(self.areas[name])))


def try_scores(
    X: NDArray[np.floating],
    codes: NDArray[np.integer],
    folds: list[Split],
    names: tuple[str, ...] = tuple(SCORES),
    seed: int = 0,
) -> Trial:
    """Score samples in folds, with each class left out in turn.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Normalized features.
    codes : ndarray of shape (n_samples,), int
        Class indices; every class must be in every fold's part to fit.
    folds : list of Split
    names : tuple of str
        The scores to try.
    seed : int, default=0
        Which classes are left out if there are more than ten.

    Returns
    -------
    Trial
    """
    n_classes = int(codes.max()) + 1
    tried: list[int] = []
    if n_classes >= LEAST_CLASSES:
        tried = sorted(np.random.default_rng(seed).permutation(n_classes)[:_MOST_CLASSES].tolist())
    scored = {
        name: np.concatenate(
            [_score(SCORES[name], X, codes, fold, tried) for fold in folds], axis=1
        )
        for name in names
    }
    labels = np.concatenate([codes[fold.held_out] for fold in folds])
    scales = {name: _scale(values[0]) for name, values in scored.items()}
    scaled = {name: (scored[name] - scales[name][0]) / scales[name][1] for name in names}
    areas = {}
    for choice in CHOICES:
        parts = choice.split("+")
        if tried and set(parts) <= set(names):
            areas[choice] = np.full(n_classes, np.nan)
            totals = np.sum([scaled[name][1:] for name in parts], axis=0)
            areas[choice][tried] = [_area(total, labels == c) for c, total in zip(tried, totals)]
    return Trial(scales, areas)


def _score(
    kind: type[Score],
    X: NDArray[np.floating],
    codes: NDArray[np.integer],
    fold: Split,
    tried: list[int],
) -> NDArray[np.floating]:
    """Return the unlikeness of held-out samples: with no class left out, then with each in turn."""
    rows, labels, new = X[fold.train], codes[fold.train], X[fold.held_out]
    score = kind().fit(rows, labels)
    against = score.against(new)
    found = [score.per_class(against).min(axis=1)]
    for c in tried:
        if score.by_class:
            found.append(score.per_class(against, c).min(axis=1))
        else:
            others = labels != c
            fitted = kind().fit(rows[others], labels[others] - (labels[others] > c))
            found.append(fitted.per_class(fitted.against(new)).min(axis=1))
    return np.stack(found)


def _scale(values: NDArray[np.floating]) -> tuple[float, float]:
    deviation = float(values.std())
    return float(values.mean()), deviation if deviation > 0 else 1.0


def _area(unlikeness: NDArray[np.floating], strange: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve, by ranks; NaN without samples of both kinds."""
    n_strange, n_known = int(strange.sum()), int((~strange).sum())
    if not n_strange or not n_known:
        return float("nan")
    ranks = rankdata(unlikeness)[strange].sum()
    return float((ranks - n_strange * (n_strange + 1) / 2) / (n_strange * n_known))
