import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from penultimate.evaluation import compare_accuracies, holm, mcnemar, samples_needed


def pair(better, worse, n_test):
    """Two classifiers, one right on `better` samples where the other is wrong, and so on."""
    correct, baseline = np.ones((2, n_test), bool)
    baseline[:better] = False
    correct[better : better + worse] = False
    return correct, baseline


def test_mcnemar_by_hand():
    # 1 of 9, on either side: 2 (1 + 9) / 2^9.
    assert mcnemar(*pair(8, 1, 50)) == pytest.approx(2 * 10 / 512)
    assert mcnemar(*pair(1, 8, 5000)) == pytest.approx(2 * 10 / 512)
    assert mcnemar(*pair(0, 0, 50)) == 1


def test_mcnemar_is_for_one_seed():
    with pytest.raises(ValueError, match="one seed; got 3"):
        mcnemar(np.ones((3, 10), bool), np.ones((3, 10), bool))
    with pytest.raises(ValueError, match="same seeds and test samples"):
        mcnemar(np.ones(3, bool), np.ones(4, bool))


@pytest.mark.parametrize(("better", "worse"), [(6, 0), (5, 0), (8, 1), (10, 3), (60, 30)])
def test_verdict_of_one_seed_is_mcnemars(better, worse):
    p = compare_accuracies(*pair(better, worse, 1000)).p
    exact = mcnemar(*pair(better, worse, 1000))
    assert (p < 0.05) == (exact < 0.05)
    assert p == pytest.approx(exact, abs=0.025)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]).tolist() == [1, 1]
    assert holm([]).size == 0
    with pytest.raises(ValueError, match=r"between 0 and 1; got 1\.5"):
        holm([0.2, 1.5])
    with pytest.raises(ValueError, match="got nan"):
        holm([np.nan, 0.2])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.randoms())
def test_holm_between_none_and_bonferroni(p_values, random):
    p = np.array(p_values)
    adjusted = holm(p)
    assert (p <= adjusted).all()
    assert (adjusted <= np.minimum(1, len(p) * p)).all()
    order = random.sample(range(len(p)), len(p))
    assert (holm(p[order]) == adjusted[order]).all()


def test_samples_needed_by_connors_formula():
    correct, baseline = pair(140, 100, 10_000)
    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.9)
    expected = z**2 * (0.024 - 0.004**2) / 0.004**2
    needed = samples_needed(correct, baseline, power=0.9)
    assert needed == pytest.approx(expected, rel=0.01)
    assert samples_needed(baseline, correct, power=0.9) == needed


def test_samples_needed_is_none_if_no_number_is_enough():
    assert samples_needed(*pair(5, 5, 100)) is None
    # Seeds disagree about which is better.
    a = np.stack([np.arange(1000) >= n for n in (100, 10, 40)])
    assert samples_needed(a, np.stack([np.arange(1000) >= 45] * 3)) is None


@pytest.mark.parametrize("power", [0.2, 1, 80])
def test_power_out_of_range(power):
    with pytest.raises(ValueError, match=f"below 1; got {power}"):
        samples_needed(*pair(3, 1, 100), power=power)


def test_groups_need_more():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(50), 20)
    correct = rng.random(1000) < np.repeat(rng.beta(4, 1, 50), 20)
    baseline = rng.random(1000) < 0.7
    single, grouped = (samples_needed(correct, baseline, groups=g) for g in (None, groups))
    assert grouped > 1.3 * single


@pytest.mark.parametrize("n_seeds", [1, 3])
def test_as_many_samples_have_the_power(n_seeds):
    """80 % of experiments show it with as many test samples as are said to be needed."""
    rng = np.random.default_rng(0)
    # Where the two differ, in 4 and 2 % of samples, seeds agree.
    kinds, shares = np.array([1, -1, 0]), [0.04, 0.02, 0.94]

    def experiment(n_test):
        kind = np.tile(rng.choice(kinds, n_test, p=shares), (n_seeds, 1))
        return kind >= 0, kind <= 0

    exact = np.repeat(kinds, [400, 200, 9400])
    exact = np.tile(exact, (n_seeds, 1))
    needed = samples_needed(exact >= 0, exact <= 0)
    found = np.mean([compare_accuracies(*experiment(needed)).p < 0.05 for _ in range(1000)])
    assert 0.76 <= found <= 0.84
