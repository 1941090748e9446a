"""Bets at fair odds."""

import numpy as np
import pytest

from penultimate.evaluation.exchangeability.bets import Bettor, odds_of


def test_odds_are_fair():
    grid = ((np.arange(20_000) + 0.5) / 20_000).tolist()
    mean = np.mean([odds_of(p) for p in grid], axis=0)
    # The steepest power has some hundredths of its mean below the first step.
    np.testing.assert_allclose(mean, 1, atol=0.08)
    assert (mean <= 1 + 1e-6).all()


def test_capital_of_uniform_p_values_is_a_martingale():
    rng = np.random.default_rng(0)
    ends = []
    for _ in range(3000):
        bettor = Bettor()
        ends.append([bettor.bet(p) for p in rng.uniform(1e-9, 1, 3).tolist()][-1])
    # Its mean stays 1: three steps, as the tail of more takes more than a test can draw.
    assert np.mean(ends) == pytest.approx(1, abs=0.05)


def test_while_nothing_happens_the_stake_is_kept():
    rng = np.random.default_rng(0)
    bettor = Bettor()
    path = [bettor.bet(p) for p in rng.uniform(1e-9, 1, 20_000).tolist()]
    assert min(path) > 0.15
    assert max(path) < 100
    late = [bettor.bet(p) for p in rng.uniform(1e-9, 0.5, 60).tolist()]
    assert max(late) > 100


@pytest.mark.parametrize("p_value", [1e-30, 1.0])
def test_capital_stays_a_number(p_value):
    bettor = Bettor()
    for _ in range(2000):
        assert np.isfinite(bettor.bet(p_value))
    assert bettor.capital > 1e99
