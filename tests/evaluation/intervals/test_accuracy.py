import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from penultimate.evaluation import (
    accuracy_interval,
    compare_accuracies,
    interval_across_splits,
    wilson_interval,
)
from tests.evaluation.experiments import Setting


@given(st.integers(1, 4), st.integers(5, 300), st.floats(0.05, 0.95), st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_interval_holds_its_value(n_seeds, n_test, accuracy, seed):
    correct = np.random.default_rng(seed).random((n_seeds, n_test)) < accuracy
    interval = accuracy_interval(correct)
    assert interval.value == pytest.approx(correct.mean())
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


@given(st.integers(1, 3), st.integers(2, 200), st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_verdict_and_interval_agree(n_seeds, n_test, seed):
    rng = np.random.default_rng(seed)
    correct = rng.random((n_seeds, n_test)) < rng.random()
    baseline = correct ^ (rng.random((n_seeds, n_test)) < rng.random() ** 3)
    difference = compare_accuracies(correct, baseline)
    assert -1 <= difference.low <= difference.value <= difference.high <= 1
    assert (difference.p < 0.05) == (not difference.low <= 0 <= difference.high)
    reverse = compare_accuracies(baseline, correct)
    assert (reverse.low, reverse.p) == pytest.approx((-difference.high, difference.p))


@given(st.integers(1, 3), st.integers(2, 100), st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_groups_of_one_are_none(n_seeds, n_test, seed):
    rng = np.random.default_rng(seed)
    correct, baseline = rng.random((2, n_seeds, n_test)) < 0.8
    groups = rng.permutation(n_test)
    for interval in (
        lambda **how: accuracy_interval(correct, **how),
        lambda **how: compare_accuracies(correct, baseline, **how),
    ):
        with_groups, without = interval(groups=groups), interval()
        assert with_groups.low == pytest.approx(without.low)
        assert with_groups.high == pytest.approx(without.high)
        assert with_groups.p == pytest.approx(without.p)


@pytest.mark.parametrize(("n_correct", "n"), [(0, 5), (3, 7), (980, 1000), (20, 20)])
def test_wilson_is_that_of_scipy(n_correct, n):
    interval = wilson_interval(n_correct, n)
    expected = stats.binomtest(n_correct, n).proportion_ci(method="wilson")
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("n_correct", "n"), [(5, 4), (-1, 4), (0, 0)])
def test_wilson_of_impossible_counts(n_correct, n):
    with pytest.raises(ValueError, match=f"n = {n} test samples, n_correct = {n_correct} can't"):
        wilson_interval(n_correct, n)


def test_one_seed_is_wilson():
    interval, wilson = accuracy_interval(np.arange(300) >= 11), wilson_interval(289, 300)
    assert (interval.low, interval.high) == pytest.approx((wilson.low, wilson.high))


def test_seeds_that_agree_are_one_seed():
    correct = np.arange(300) >= 11
    three, one = accuracy_interval(np.tile(correct, (3, 1))), accuracy_interval(correct)
    assert (three.low, three.high) == pytest.approx((one.low, one.high))


def test_seeds_alone_give_the_t_interval():
    # No sample is harder than another by more than chance: what is known comes from the seeds.
    n_wrong = np.array([50, 80, 110])
    rng = np.random.default_rng(0)
    right = np.stack([rng.permutation(2000) >= n for n in n_wrong])
    difference = compare_accuracies(right, np.ones_like(right))
    expected = stats.ttest_1samp(-n_wrong / 2000, 0)
    low, high = expected.confidence_interval()
    assert (difference.low, difference.high) == pytest.approx((low, high), rel=0.1)
    assert difference.p == pytest.approx(expected.pvalue, rel=0.1)


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
    assert difference.p < 0.05
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
    # On other samples it might not be all.
    assert worse.value == worse.low == -1 < worse.high < -0.8
    assert worse.p < 0.001


def test_one_group_gives_no_information():
    correct = np.arange(20)[None] >= 4
    groups = np.zeros(20)
    interval = accuracy_interval(correct, groups=groups)
    assert interval.high - interval.low > 0.7
    difference = compare_accuracies(correct, np.ones_like(correct), groups=groups)
    assert (difference.low, difference.high) == (-1, 1)
    assert difference.p > 0.5


def test_no_samples():
    with pytest.raises(ValueError, match="no test samples"):
        accuracy_interval(np.ones((2, 0), bool))


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


def rates(setting, n_experiments):
    """Share of experiments in which accuracy and difference are covered, and of false alarms."""
    rng = np.random.default_rng(0)
    covered = covered_difference = alarms = 0
    for _ in range(n_experiments):
        correct, truth, groups = setting.simulate(rng)
        interval = accuracy_interval(correct[0], groups=groups)
        covered += interval.low <= truth[0] <= interval.high
        alarms += compare_accuracies(correct[1], correct[0], groups=groups).p < 0.05
        difference = compare_accuracies(correct[2], correct[0], groups=groups)
        covered_difference += difference.low <= truth[2] - truth[0] <= difference.high
    return np.array([covered, covered_difference, alarms]) / n_experiments


STEADY, SHAKY = (0.1, 0.03), (0.3, 0.1)  # at 98 % accuracy, seeds differ by 0.2 and 0.7 points


@pytest.mark.parametrize(
    "setting",
    [
        Setting(400, 1, 0.9),
        Setting(400, 3, 0.9, STEADY),
        Setting(400, 3, 0.9, (0.6, 0.2)),  # a bootstrap over samples and seeds: 0.86
        Setting(400, 3, 0.9, STEADY, n_groups=40),
    ],
)
def test_coverage_in_brief(setting):
    covered, covered_difference, alarms = rates(setting, 400)
    # Three standard errors of 400 experiments are 3.3 points.
    assert 0.917 <= covered <= 0.99
    assert covered_difference >= 0.917
    assert alarms <= 0.083


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting",
    [
        Setting(200, 1, 0.8),
        Setting(200, 3, 0.95, STEADY),
        Setting(200, 5, 0.8, SHAKY),
        Setting(1000, 1, 0.95, SHAKY),
        Setting(1000, 3, 0.8, STEADY),
        Setting(1000, 3, 0.95, SHAKY),
        Setting(1000, 5, 0.98, STEADY),
        Setting(1000, 3, 0.9, STEADY, n_groups=40),
        Setting(1000, 3, 0.9, SHAKY, n_groups=100),
    ],
)
def test_coverage(setting):
    covered, covered_difference, alarms = rates(setting, 1000)
    # One point for the simulation, whose standard error is 0.7.
    assert 0.93 <= covered <= 0.97 + 0.01
    assert 0.93 <= covered_difference <= 0.97 + 0.02
    assert alarms <= 0.05 + 0.01


@pytest.mark.slow
@pytest.mark.parametrize("n_seeds", [1, 3, 5])
def test_coverage_with_few_errors(n_seeds):
    # One error in 200: what can be found is discrete, and covers more or less than 95 %.
    covered, covered_difference, alarms = rates(Setting(200, n_seeds, 0.995, STEADY), 1000)
    assert 0.91 <= covered <= 0.99
    assert covered_difference >= 0.93
    assert alarms <= 0.05


@pytest.mark.parametrize("n_different", range(3, 11))
def test_few_samples_that_differ(n_different):
    """False alarms are as rare as those of the exact test, however the samples fall."""
    alarms = 0.0
    for better in range(n_different + 1):
        correct, baseline = np.ones((2, 500), bool)
        correct[better:n_different] = False
        baseline[:better] = False
        chance = stats.binom.pmf(better, n_different, 0.5)
        alarms += chance * (compare_accuracies(correct, baseline).p < 0.05)
    assert alarms <= 0.05


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
