import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from penultimate.evaluation.intervals.areas import area_interval


def test_area_with_ties():
    rng = np.random.default_rng(0)
    positives, negatives = rng.integers(2, 8, 40), rng.integers(0, 6, 60)
    interval = area_interval(positives, negatives)
    truth = np.repeat([1, 0], [40, 60])
    expected = roc_auc_score(truth, np.concatenate([positives, negatives]))
    assert interval.value == pytest.approx(expected)
    assert interval.low < expected < interval.high


def test_a_perfect_area_has_an_interval():
    few = area_interval(np.arange(5) + 100, np.arange(50))
    many = area_interval(np.arange(100) + 100, np.arange(50))
    assert few.value == few.high == 1
    assert few.low < many.low < 1
    mirrored = area_interval(np.arange(50), np.arange(5) + 100)
    assert (mirrored.value, mirrored.low) == (0, 0)
    assert mirrored.high == pytest.approx(1 - few.low)


@pytest.mark.parametrize("shift", [0, 1, 2.5])
def test_coverage(shift):
    from scipy.stats import norm

    rng = np.random.default_rng(1)
    true = norm.cdf(shift / 2**0.5)
    found = [area_interval(rng.normal(shift, 1, 30), rng.normal(0, 1, 100)) for _ in range(400)]
    covered = np.mean([each.low <= true <= each.high for each in found])
    assert 0.92 <= covered <= 0.99


def test_groups_widen_it():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(10), 20)
    effects = rng.normal(0, 1, 10)[groups]
    positives, negatives = effects + rng.normal(1, 0.2, 200), rng.normal(0, 1, 200)
    alone = area_interval(positives, negatives)
    grouped = area_interval(positives, negatives, groups=(groups, np.arange(200)))
    assert grouped.value == alone.value
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


def test_both_kinds_are_needed():
    with pytest.raises(ValueError, match="0 positives and 3 negatives"):
        area_interval(np.empty(0), np.arange(3))
