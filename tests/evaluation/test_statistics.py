import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from penultimate.evaluation import accuracy_interval, compare_accuracies, interval_across_splits


@given(st.integers(1, 4), st.integers(5, 300), st.floats(0.05, 0.95), st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_interval_holds_its_value(n_seeds, n_test, accuracy, seed):
    correct = np.random.default_rng(seed).random((n_seeds, n_test)) < accuracy
    interval = accuracy_interval(correct)
    assert interval.value == pytest.approx(correct.mean())
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_one_seed_agrees_with_the_binomial():
    interval = accuracy_interval(np.arange(2000) >= 200)
    half = 1.96 * np.sqrt(0.9 * 0.1 / 2000)
    assert interval.low == pytest.approx(0.9 - half, abs=0.002)
    assert interval.high == pytest.approx(0.9 + half, abs=0.002)


def test_seeds_that_differ_widen_the_interval():
    steady = np.tile(np.arange(1000) >= 100, (3, 1))
    shaky = np.stack([np.arange(1000) >= limit for limit in (50, 100, 150)])
    widths = [
        (lambda interval: interval.high - interval.low)(accuracy_interval(correct))
        for correct in (steady, shaky)
    ]
    assert widths[1] > 1.5 * widths[0]


def test_pairing_sees_what_separate_intervals_cannot():
    rng = np.random.default_rng(0)
    baseline = rng.random((3, 1000)) < 0.9
    better = baseline | (rng.random((3, 1000)) < 0.1)
    difference = compare_accuracies(better, baseline)
    assert difference.low > 0
    assert difference.p == pytest.approx(2 / 4001)
    separate = accuracy_interval(better).low - accuracy_interval(baseline).high
    assert separate < difference.low


def test_no_difference():
    same = np.random.default_rng(0).random((2, 50)) < 0.8
    interval = compare_accuracies(same, same)
    assert (interval.value, interval.p) == (0, 1)
    # Nothing told them apart in 50 samples; in others, something might.
    assert 0.03 < interval.high == -interval.low < 0.1


def test_sign():
    worse = compare_accuracies(np.zeros((1, 20), bool), np.ones((1, 20), bool))
    assert worse.value == worse.high == -1


def test_all_right_is_not_certainty():
    interval = accuracy_interval(np.ones((3, 20), bool))
    assert interval.high == 1
    assert interval.low == pytest.approx(20 / (20 + 1.96**2), abs=1e-3)  # Wilson's for 20 of 20


def test_groups_are_resampled_whole():
    correct = np.repeat([True] * 6 + [False] * 2, 100)[None, :]
    groups = np.repeat(np.arange(8), 100)
    single, grouped = accuracy_interval(correct), accuracy_interval(correct, groups=groups)
    assert single.value == grouped.value == 0.75
    assert grouped.high - grouped.low > 5 * (single.high - single.low)
    spread = 1.96 * np.sqrt(0.75 * 0.25 / 8)
    assert grouped.high - grouped.low == pytest.approx(2 * spread, rel=0.25)
    difference = compare_accuracies(correct, np.ones_like(correct), groups=groups)
    assert difference.low < -0.4


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"same seeds and test samples.*\(1, 3\) and \(1, 4\)"):
        compare_accuracies(np.ones(3, bool), np.ones(4, bool))


def test_coverage_with_one_seed():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        interval = accuracy_interval(rng.random((1, 400)) < 0.9)
        covered += interval.low <= 0.9 <= interval.high
    assert 0.91 < covered / 300 < 0.985


def test_interval_across_splits_by_hand():
    values = [0.90, 0.92, 0.94]
    interval = interval_across_splits(values, 0.25)
    error = np.sqrt((1 / 3 + 0.25) * 0.02**2)
    assert interval.value == pytest.approx(0.92)
    assert interval.high - interval.value == pytest.approx(4.302653 * error)
    assert interval.value - interval.low == pytest.approx(4.302653 * error)


def test_interval_across_splits_without_correction_is_the_t_interval():
    values = np.random.default_rng(0).normal(0.1, 0.2, 12)
    interval = interval_across_splits(values, 0)
    expected = stats.ttest_1samp(values, 0)
    assert interval.p == pytest.approx(expected.pvalue)
    assert (interval.low, interval.high) == pytest.approx(tuple(expected.confidence_interval()))


def test_interval_across_splits_that_agree():
    assert interval_across_splits([0.0, 0.0], 0.2).p == 1
    assert interval_across_splits([0.1, 0.1], 0.2).p == 0
    assert np.isnan(interval_across_splits([0.5], 0.2).low)
    with pytest.raises(ValueError, match="no values"):
        interval_across_splits([], 0.2)
