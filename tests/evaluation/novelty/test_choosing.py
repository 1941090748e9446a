import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from penultimate.evaluation.novelty.choosing import CHOICES, _area, try_scores
from penultimate.splits import split_folds


def test_the_area_is_that_of_the_roc_curve():
    rng = np.random.default_rng(0)
    values, strange = rng.integers(0, 20, 100).astype(float), rng.random(100) < 0.3
    assert _area(values, strange) == pytest.approx(roc_auc_score(strange, values))
    assert np.isnan(_area(values, np.zeros(100, bool)))


@pytest.fixture(scope="module")
def stretched():
    """Classes far apart in one direction, and wide in the others, which misleads distances."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(4), 60)
    X = rng.normal(0, [1] + [5] * 8, (240, 9))
    X[:, 0] += 12 * codes
    return X, codes


def test_the_score_that_tells_left_out_classes_best_is_chosen(stretched):
    trial = try_scores(*stretched, split_folds(stretched[1], n_folds=3))
    assert set(trial.areas) == set(CHOICES)
    assert trial.best() == "mahalanobis"
    inner = trial.areas["mahalanobis"][1:3]  # the classes between others
    assert inner.min() > trial.areas["nearest"].max()


def test_of_many_classes_ten_are_left_out():
    codes = np.tile(np.arange(12), 4)
    X = np.eye(12)[codes] + np.random.default_rng(0).normal(0, 0.1, (48, 12))
    areas = [
        try_scores(X, codes, split_folds(codes, n_folds=2), ("nearest",), seed).areas["nearest"]
        for seed in (0, 1)
    ]
    assert [int(np.isfinite(each).sum()) for each in areas] == [10, 10]
    assert (np.isnan(areas[0]) != np.isnan(areas[1])).any()


def test_of_two_classes_none_is_left_out(stretched):
    X, codes = stretched
    two = codes < 2
    trial = try_scores(X[two], codes[two], split_folds(codes[two], n_folds=2))
    assert trial.areas == {}
    assert trial.scales["margin"][1] > 0
