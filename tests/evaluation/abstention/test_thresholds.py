import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from penultimate.evaluation import certified_threshold, error_free_samples, risk_upper_bound
from penultimate.evaluation.abstention import thresholds
from penultimate.evaluation.abstention.thresholds import clear_of, coverage_threshold


@given(st.integers(1, 200), st.data(), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_the_bound_is_scipys_exact_interval(n, data, level):
    errors = data.draw(st.integers(0, n))
    expected = binomtest(errors, n, alternative="less").proportion_ci(level, method="exact").high
    assert risk_upper_bound(errors, n, level=level) == pytest.approx(expected, rel=1e-6)


def test_so_few_errors_are_improbable_above_the_bound():
    for errors, n in [(0, 10), (3, 50), (40, 1000)]:
        bound = float(risk_upper_bound(errors, n, level=0.95))
        assert binom.cdf(errors, n, bound) == pytest.approx(0.05)
    assert risk_upper_bound([0, 5], [0, 5]).tolist() == [1, 1]


@pytest.mark.parametrize(("errors", "n"), [(3, 2), (-1, 2)])
def test_more_errors_than_samples(errors, n):
    with pytest.raises(ValueError, match="between 0 and n_accepted"):
        risk_upper_bound(errors, n)


@pytest.mark.parametrize("risk", [0.2, 0.05, 0.01, 0.001])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_needed_samples_are_just_enough(risk, level):
    needed = error_free_samples(risk, level=level)
    confidence = np.arange(needed, dtype=float)
    assert certified_threshold(np.ones(needed), confidence, risk, level=level) == -np.inf
    assert needed == math.ceil(math.log((1 - level) / 2) / math.log(1 - risk))
    with pytest.raises(ValueError, match=f"at least {needed:,} held-out.*are {needed - 1:,}"):
        certified_threshold(np.ones(needed - 1), confidence[1:], risk, level=level)


@pytest.mark.parametrize("value", [0, 1, -0.1, 1.5, np.nan])
def test_risks_and_levels_out_of_range(value):
    for arguments in ({"risk": value}, {"risk": 0.1, "level": value}):
        with pytest.raises(ValueError, match=r"must be a number in \(0, 1\)"):
            error_free_samples(**arguments)


def test_what_is_accepted_passes_the_test_by_itself():
    rng = np.random.default_rng(0)
    confidence = rng.random(3000)
    correct = rng.random(3000) < confidence**0.1
    threshold = certified_threshold(correct, confidence, 0.05)
    accepted = confidence > threshold
    assert 0.2 < accepted.mean() < 1
    bound = risk_upper_bound((~correct)[accepted].sum(), accepted.sum(), level=0.975)
    assert bound <= 0.05
    # It is set on the first sample that is refused.
    assert threshold == pytest.approx(confidence[~accepted].max(), abs=1e-5)
    # The next step, a hundredth of the way, fails.
    laxer = np.sort(confidence)[::-1][accepted.sum() + 30]
    further = confidence > laxer
    assert risk_upper_bound((~correct)[further].sum(), further.sum(), level=0.975) > 0.05


def test_one_confident_error_does_not_spoil_the_rest():
    correct = np.ones(2000, dtype=bool)
    correct[-1] = False
    assert certified_threshold(correct, np.arange(2000), 0.01) == -np.inf


def test_nothing_passes():
    rng = np.random.default_rng(0)
    assert certified_threshold(rng.random(1000) < 0.5, rng.random(1000), 0.05) == np.inf


@given(st.integers(1, 5), st.integers(0, 2**20))
def test_tied_samples_are_accepted_together(n_values, seed):
    rng = np.random.default_rng(seed)
    confidence = rng.integers(0, n_values, 200).astype(float)
    correct = rng.random(200) < 0.98
    threshold = certified_threshold(correct, confidence, 0.1)
    accepted = confidence > threshold
    if accepted.any():
        bound = risk_upper_bound((~correct)[accepted].sum(), accepted.sum(), level=0.975)
        assert bound <= 0.1
    if n_values == 1:
        assert threshold in (-np.inf, np.inf)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_sample_of_a_threshold_is_refused_in_float32_too(scale):
    confidence = scale * np.random.default_rng(0).random(400)
    right = np.ones(400, bool)
    right[np.argsort(confidence)[:80]] = False
    for threshold in (
        certified_threshold(right, confidence, 0.1),
        coverage_threshold(confidence, 0.5),
    ):
        accepted = confidence > threshold
        assert 0.4 < accepted.mean() < 1
        for noise in (-1, 1):
            rounded = (confidence + noise * 1e-6 * scale).astype(np.float32)
            np.testing.assert_array_equal(rounded > threshold, accepted)


def test_a_threshold_moves_no_sample_to_the_other_side():
    near = np.array([0.0, 0.5, np.nextafter(0.5, 1), 0.5 + 1e-12, 1.0])
    for threshold in [*near, -np.inf, np.inf]:
        moved = clear_of(threshold, near)
        np.testing.assert_array_equal(near > moved, near > threshold)


RISK, LEVEL, N = 0.05, 0.95, 1000
GRID = np.linspace(0, 1, 20_001)
ERROR_RATES = {  # of a sample, by its confidence, which is uniform from 0 to 1
    "just too high everywhere": lambda c: np.full_like(c, 1.001 * RISK),
    "falling": lambda c: 0.3 * (1 - c) ** 2,
    "a step": lambda c: 0.5 * (c < 0.5),
    "a step to just too high": lambda c: np.where(c > 0.6, RISK, 0.06),
    "overconfident": lambda c: np.where(c > 0.7, 0.052, 0.045),
    "in waves": lambda c: 0.05 + 0.049 * np.sin(25 * c),
}


def true_risks(rate):
    """Risk above each confidence of the grid."""
    return np.cumsum(rate(GRID)[::-1])[::-1] / np.arange(len(GRID), 0, -1)


def fraction_violated(rate, decide, n_experiments, seed=0):
    rng = np.random.default_rng(seed)
    risks, n_violated = true_risks(rate), 0
    for _ in range(n_experiments):
        confidence = rng.random(N)
        threshold = decide(rng.random(N) >= rate(confidence), confidence)
        n_violated += threshold < np.inf and risks[np.searchsorted(GRID, threshold)] > RISK + 1e-6
    return n_violated / n_experiments


def certified(correct, confidence):
    return certified_threshold(correct, confidence, RISK, level=LEVEL)


def naive(correct, confidence):
    """The laxest of all thresholds whose own bound is low enough, as if no other were tried."""
    order = np.argsort(-confidence)
    accepted = np.arange(50, N)
    errors = np.cumsum(~correct[order])[accepted - 1]
    passed = np.flatnonzero(risk_upper_bound(errors, accepted, level=LEVEL) <= RISK)
    return confidence[order][accepted[passed[-1]]] if len(passed) else np.inf


@pytest.fixture
def unchecked(monkeypatch):
    """Take arrays as they are: checking them took half of the time of an experiment."""
    monkeypatch.setattr(thresholds, "check_outcomes", lambda *outcomes: outcomes)


def allowed(n_experiments):
    """What a guarantee that just holds is violated in, but for one simulation in a thousand."""
    return binom.ppf(0.999, n_experiments, 1 - LEVEL) / n_experiments


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", ERROR_RATES)
def test_the_guarantee_holds(name):
    assert fraction_violated(ERROR_RATES[name], certified, 400) <= allowed(400)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", ERROR_RATES)
def test_the_guarantee_holds_in_many_experiments(name):
    assert fraction_violated(ERROR_RATES[name], certified, 2000, seed=1) <= allowed(2000)


def test_without_care_for_the_many_thresholds_it_would_not_hold():
    rate = ERROR_RATES["just too high everywhere"]
    assert fraction_violated(rate, naive, 400) > 2 * allowed(400)
