"""Conformal p-values: the ranks of a brute-force count, exactly uniform, in constant memory."""

import numpy as np
import pytest
from scipy.stats import kstest

from penultimate.evaluation.exchangeability.bag import Bag


def by_brute_force(calibration, stream, rng):
    """Rank each score among all before it, tie by tie."""
    shares = rng.random(len(stream))
    seen, found = list(calibration), []
    for score, share in zip(stream, shares, strict=True):
        seen.append(score)
        above = sum(each > score for each in seen)
        tied = sum(each == score for each in seen)
        found.append((above + (1 - share) * tied) / len(seen))
    return np.array(found)


# Numbers of nine bits fall into bins of their own.
GRID = np.concatenate([-(2.0 ** np.arange(-5, 5)), [0.0], np.arange(1, 512) / 8, [np.inf, -np.inf]])


@pytest.mark.parametrize("n_calibration", [1, 2, 77])
def test_ranks_are_those_of_brute_force(n_calibration):
    rng = np.random.default_rng(n_calibration)
    calibration, stream = rng.choice(GRID, n_calibration), rng.choice(GRID, 300)
    found = Bag(calibration, np.random.default_rng(5)).p_values(stream)
    np.testing.assert_allclose(
        found, by_brute_force(calibration, stream, np.random.default_rng(5)), rtol=1e-12
    )


def test_in_parts_as_at_once():
    rng = np.random.default_rng(0)
    stream = rng.normal(size=1000)
    once = Bag(stream[:5], np.random.default_rng(1)).p_values(stream)
    bag = Bag(stream[:5], np.random.default_rng(1))
    parts = [bag.p_values(part) for part in np.array_split(stream, [1, 2, 2, 900])]
    np.testing.assert_array_equal(np.concatenate(parts), once)
    assert len(bag) == 1005


@pytest.mark.parametrize("draw", [
    lambda rng, n: rng.normal(size=n),
    lambda rng, n: rng.integers(0, 2, n),  # nearly all are tied
    lambda rng, n: 1 + 1e-6 * rng.normal(size=n),  # all in one bin
])  # fmt: skip
def test_p_values_are_uniform_and_independent(draw):
    """With one sample of calibration, too: nothing is asymptotic."""
    rng = np.random.default_rng(3)
    found = np.array([Bag(draw(rng, 1), rng).p_values(draw(rng, 4)) for _ in range(1500)])
    for column in found.T:
        assert kstest(column, "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(found.T) - np.eye(4)).max() < 0.1
    assert found.min() > 0


def test_nan_is_above_everything_and_zeros_are_one():
    bag = Bag(np.array([1.0, np.inf]), np.random.default_rng(0))
    negative_nan = np.array([0xFFC00000], np.uint32).view(np.float32)[0]
    first, second = bag.p_values(np.array([np.nan, negative_nan]))
    assert first <= 1 / 3
    assert second <= 2 / 4
    both = Bag(np.array([-0.0] * 50), np.random.default_rng(0)).p_values(np.array([0.0] * 50))
    assert 0.3 < both.mean() < 0.7
