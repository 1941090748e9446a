import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score

from penultimate.evaluation import wilson_interval
from penultimate.evaluation.intervals.ratios import ratio_interval


def test_of_one_seed_it_is_wilsons():
    chosen = np.arange(200) < 50
    right = np.arange(200) < 40
    interval, expected = ratio_interval([right], [chosen]), wilson_interval(40, 50)
    assert interval.value == 0.8
    # The pseudo-count of agreeing errors moves the ends by less than a thousandth.
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-3)


def test_groups_of_one_are_none():
    a = np.arange(60)[None] % 3 == 0
    alone, grouped = (ratio_interval(a, np.ones((1, 60)), groups=g) for g in (None, np.arange(60)))
    assert (alone.low, alone.high) == pytest.approx((grouped.low, grouped.high))


def test_seeds_that_agree_add_nothing():
    a, b = np.arange(90) < 30, np.arange(90) < 60
    once, thrice = (ratio_interval(np.tile(a, (n, 1)), np.tile(b, (n, 1))) for n in (1, 3))
    assert thrice.high - thrice.low == pytest.approx(once.high - once.low, rel=0.1)
    all_right = ratio_interval(np.tile(b, (3, 1)), np.tile(b, (3, 1)))
    assert (all_right.low, all_right.high) == (wilson_interval(60, 60).low, 1)


@pytest.mark.parametrize("n_seeds", [1, 3])
def test_it_covers_the_truth(n_seeds):
    """Precision and F1 of the first of three classes, in 400 repetitions of an experiment."""
    rng = np.random.default_rng(0)
    confusion = np.array([[0.7, 0.2, 0.1], [0.15, 0.75, 0.1], [0.1, 0.1, 0.8]])
    precision = 0.7 / confusion[:, 0].sum()
    f1 = 2 * 0.7 / (1 + confusion[:, 0].sum())
    held = []
    for _ in range(400):
        true = rng.integers(0, 3, 300)
        hard = rng.random(300)  # shared by the seeds: a hard image is hard for each
        draws = np.where(rng.random((n_seeds, 300)) < 0.5, hard, rng.random((n_seeds, 300)))
        answers = (draws[..., None] > confusion[true].cumsum(axis=1)).sum(axis=2)
        is_first, said = true == 0, answers == 0
        for expected, interval in (
            (precision, ratio_interval(said & is_first, said)),
            (f1, ratio_interval(2 * (said & is_first), said.astype(int) + is_first)),
        ):
            held.append(interval.low <= expected <= interval.high)
    assert np.reshape(held, (-1, 2)).mean(axis=0) == pytest.approx(0.95, abs=0.035)


def test_values_are_scikit_learns():
    rng = np.random.default_rng(1)
    true, answers = rng.integers(0, 2, (2, 80))
    said, is_first = answers == 1, true == 1
    hits = said & is_first
    assert ratio_interval([hits], [said]).value == pytest.approx(precision_score(true, answers))
    f1 = ratio_interval([2 * hits], [said.astype(int) + is_first]).value
    assert f1 == pytest.approx(f1_score(true, answers))


def test_nothing_to_divide_by():
    assert ratio_interval([[0, 0]], [[0, 0]]) is None


@pytest.mark.parametrize("numerator", [[[2, 0]], [[-1, 0]], [[1, 0, 0]]])
def test_impossible_counts(numerator):
    with pytest.raises(ValueError, match="between 0 and its denominator"):
        ratio_interval(numerator, [[1, 1]])
