import numpy as np
import pytest
from scipy import stats

from penultimate.evaluation.intervals.variance import critical_value, p_value, variance_of_mean


def test_variance_is_unbiased():
    """Over many draws the estimate is the variance that the means do have."""
    rng = np.random.default_rng(0)
    n_seeds, n_units, size = 4, 12, 3
    groups = np.repeat(np.arange(n_units), size)
    means, found = [], []
    for _ in range(3000):
        values = 0.5 * rng.standard_normal(n_units)[groups] + 0.2 * rng.standard_normal((4, 1))
        values = values + 0.4 * rng.standard_normal((n_seeds, n_units))[:, groups]
        means.append(values.mean())
        variance = variance_of_mean(values, groups)
        found.append([variance.units - variance.residual, variance.seeds, variance.residual])
    units, seeds, residual = 0.25 / n_units, 0.04 / n_seeds, 0.16 / (n_seeds * n_units)
    assert np.mean(found, axis=0) == pytest.approx([units, seeds + residual, residual], rel=0.05)
    assert np.var(means) == pytest.approx(units + seeds + residual, rel=0.08)


def test_effective_number():
    values = np.zeros((1, 10_000))
    values[0, :5] = 1
    assert variance_of_mean(values, None).n_effective == pytest.approx(5, rel=0.01)
    groups = np.concatenate([np.zeros(3), np.arange(1, 9998)])  # one unit of 3, two of 1
    assert variance_of_mean(values, groups).n_effective == pytest.approx(121 / 83, rel=0.01)


@pytest.mark.parametrize("seed_share", [0, 0.3, 1])
def test_critical_value_has_a_p_of_5_percent(seed_share):
    critical = critical_value(seed_share, 20, 3)
    assert p_value(critical, seed_share, 20, 3) == pytest.approx(0.05)
    assert stats.t.ppf(0.975, 20) - 1e-6 <= critical <= stats.t.ppf(0.975, 2) + 1e-6


@pytest.mark.parametrize(("n_seeds", "satterthwaite"), [(3, 0.92), (5, 0.94)])
def test_mixture_covers_where_satterthwaites_t_does_not(n_seeds, satterthwaite):
    rng = np.random.default_rng(0)
    df = n_seeds - 1
    units, seeds = 0.1, 0.9 * rng.chisquare(df, 20_000) / df
    total = units + seeds
    ratio = np.abs(rng.standard_normal(20_000)) / np.sqrt(total)
    p = [p_value(*of) for of in zip(ratio, seeds / total, [np.inf] * 20_000, [n_seeds] * 20_000)]
    assert np.mean(np.array(p) >= 0.05) == pytest.approx(0.952, abs=0.006)
    one_t = 2 * stats.t.sf(ratio, total**2 / (seeds**2 / df))
    assert np.mean(one_t >= 0.05) == pytest.approx(satterthwaite, abs=0.006)


def test_groups_that_are_none():
    with pytest.raises(ValueError, match="groups holds 1 missing values"):
        variance_of_mean(np.ones((2, 3)), np.array([0, np.nan, 1]))
    with pytest.raises(ValueError, match="groups of the test samples has 2 for 3 samples"):
        variance_of_mean(np.ones((2, 3)), np.array([0, 1]))
