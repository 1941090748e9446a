from itertools import permutations

import numpy as np
import pytest

from penultimate.evaluation.novelty.conformal import Calibration, pool_classes, samples_for_rate

ONE = np.zeros(1, np.int64)


def calibrate(values):
    return Calibration.of(np.asarray(values, float), np.zeros(len(values), np.int64), ONE)


@pytest.mark.parametrize("rate", [0.2, 0.25, 0.4, 0.5])
@pytest.mark.parametrize("values", [[0, 1, 2, 3, 4], [0, 1, 1, 1, 2], [3, 3, 3, 3, 3]])
def test_over_all_orders_no_more_alarms_than_promised(values, rate):
    alarms = [
        order[-1] > calibrate(order[:-1]).thresholds(rate)[0] for order in permutations(values)
    ]
    allowed = np.floor(rate * 5) / 5
    assert np.mean(alarms) <= allowed
    if len(set(values)) == len(values):  # without ties it is exact
        assert np.mean(alarms) == pytest.approx(allowed)


def test_p_values_and_thresholds_agree():
    rng = np.random.default_rng(0)
    calibration = calibrate(rng.normal(size=99))
    new = np.append(rng.normal(size=500), calibration.values[0])
    p = calibration.p_values(new, np.zeros(len(new), np.int64))
    for rate in (0.01, 0.05, 0.3):
        alarms = new > calibration.thresholds(rate)[0]
        np.testing.assert_array_equal(alarms, p <= rate + 1e-12)


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.05, 0.01, 1 / 3, 0.07])
def test_as_few_samples_as_said_suffice(rate):
    n = samples_for_rate(rate)
    assert np.isfinite(calibrate(np.arange(n)).thresholds(rate)).all()
    assert np.isinf(calibrate(np.arange(n - 1)).thresholds(rate)).all()


def test_classes_that_are_alike_enough_alone_have_their_own_thresholds():
    groups = np.array([0, 1])
    rng = np.random.default_rng(0)
    most_like = np.repeat([0, 1], 200)
    calibration = Calibration.of(rng.random(400) + 5 * most_like, most_like, groups)
    low, high = calibration.thresholds(0.05)
    assert 0.9 < low < 1
    assert 5.9 < high < 6
    p_low, p_high = calibration.p_values(np.array([2.0, 2.0]), np.array([0, 1]))
    assert p_low == 1 / 201
    assert p_high == 1


def test_a_sample_on_the_threshold_is_no_alarm_however_it_was_rounded():
    values = np.linspace(0, 1, 19)
    calibration = calibrate(values)
    assert values[-1] * (1 + 1e-12) < calibration.thresholds(0.05)[0]


@pytest.mark.parametrize(
    ("n_fitted", "n_heldout", "expected"),
    [
        ([300, 300], 120, [0, 1]),  # 60 each
        ([300, 300], 100, [0, 0]),  # 50 each are too few alone, and too few for one alone
        ([1000, 20, 20], 300, [0, 0, 0]),  # two small ones need a large one
        ([1000, 1000, 100, 100, 100], 600, [1, 2, 0, 0, 0]),
        ([5], 30, [0]),
    ],
)
def test_small_classes_are_calibrated_together(n_fitted, n_heldout, expected):
    assert pool_classes(np.array(n_fitted), n_heldout, 0.05).tolist() == expected
