import numpy as np
import pytest

from penultimate import Protocol, compare
from penultimate.results.across_splits import split_table
from penultimate.splits import Holdout


@pytest.fixture(scope="module")
def comparisons(two_subsets):
    holdout = [Holdout(by_group=True, seed=seed) for seed in range(3)] + [Holdout(by_group=False)]
    result = compare(two_subsets, methods=["pca+svm-rbf"], protocol=Protocol(holdout), seeds=1)
    return [result, *result.others]


def test_splits_by_group_stand_apart(comparisons):
    random, grouped = split_table(comparisons)
    assert (random["by_group"], random["split_seeds"]) == (False, [0])
    assert (grouped["by_group"], grouped["split_seeds"]) == (True, [0, 1, 2])
    assert [row["subset"] for row in grouped["methods"]] == [None, "bright", "dark"]


def test_means_over_splits(comparisons):
    _, grouped = split_table(comparisons)
    for row in grouped["methods"]:
        expected = [c.correct("pca+svm-rbf", row["subset"])[0].mean() for c in comparisons[:3]]
        assert row["accuracies"] == pytest.approx(expected)
        assert row["accuracy"] == pytest.approx(np.mean(expected))
        assert row["ci95"][0] <= row["accuracy"] <= row["ci95"][1]
        assert row["vs_softmax"] is None


def test_one_split_has_no_interval(comparisons):
    random, _ = split_table(comparisons)
    assert random["methods"][0]["ci95"] is None
