import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from penultimate.evaluation import (
    brier_score,
    expected_calibration_error,
    log_loss,
    reliability_curve,
)

FUNCTIONS = [brier_score, log_loss, expected_calibration_error, reliability_curve]


def draw(n_samples, n_classes, seed):
    """Probabilities that are right: classes are drawn with them."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(n_classes, 0.5), n_samples)
    codes = (probabilities.cumsum(axis=1) < rng.random((n_samples, 1))).sum(axis=1)
    return probabilities, np.minimum(codes, n_classes - 1)


@given(st.integers(1, 40), st.integers(2, 5), st.integers(1, 12), st.integers(0, 2**20))
def test_bins_are_what_counting_gives(n_samples, n_classes, n_bins, seed):
    probabilities, codes = draw(n_samples, n_classes, seed)
    curve = reliability_curve(probabilities, codes, n_bins=n_bins)
    assert curve.counts.sum() == n_samples
    highest, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == codes
    error = 0
    for k, count in enumerate(curve.counts):
        inside = (highest >= curve.edges[k]) & (highest < curve.edges[k + 1])
        if k == n_bins - 1:
            inside |= highest == 1
        assert count == inside.sum()
        if not count:
            assert np.isnan([curve.accuracy[k], curve.confidence[k], curve.low[k]]).all()
            continue
        assert curve.accuracy[k] == pytest.approx(right[inside].mean())
        assert curve.confidence[k] == pytest.approx(highest[inside].mean())
        wilson = binomtest(int(right[inside].sum()), int(count)).proportion_ci(method="wilson")
        assert (curve.low[k], curve.high[k]) == pytest.approx((wilson.low, wilson.high))
        error += count / n_samples * abs(curve.accuracy[k] - curve.confidence[k])
    assert expected_calibration_error(probabilities, codes, n_bins=n_bins) == pytest.approx(error)


def test_filled_bins_are_those_of_scikit_learn():
    probabilities, codes = draw(500, 3, 0)
    right = probabilities.argmax(axis=1) == codes
    expected = calibration_curve(right, probabilities.max(axis=1), n_bins=10)
    curve = reliability_curve(probabilities, codes)
    filled = curve.counts > 0
    np.testing.assert_allclose([curve.accuracy[filled], curve.confidence[filled]], expected)


def test_right_probabilities_have_a_small_error_and_wrong_ones_a_large():
    probabilities, codes = draw(20_000, 4, 0)
    assert expected_calibration_error(probabilities, codes) < 0.02
    curve = reliability_curve(probabilities, codes)
    inside = (curve.low <= curve.confidence) & (curve.confidence <= curve.high)
    assert inside[curve.counts > 0].mean() > 0.7
    sharpened = probabilities**4 / (probabilities**4).sum(axis=1, keepdims=True)
    assert expected_calibration_error(sharpened, codes) > 0.1
    assert log_loss(sharpened, codes) > log_loss(probabilities, codes)
    assert brier_score(sharpened, codes) > brier_score(probabilities, codes)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_scores_are_the_formulas(n_classes):
    probabilities, codes = draw(300, n_classes, 1)
    hits = np.eye(n_classes)[codes]
    assert brier_score(probabilities, codes) == pytest.approx(
        ((probabilities - hits) ** 2).sum(axis=1).mean()
    )
    own = probabilities[np.arange(300), codes]
    assert log_loss(probabilities, codes) == pytest.approx(-np.log(own).mean())
    if n_classes == 2:
        half = metrics.brier_score_loss(codes, probabilities[:, 1])
        assert brier_score(probabilities, codes) == pytest.approx(2 * half)


def test_classes_that_do_not_occur_and_float32():
    probabilities, codes = draw(50, 3, 2)
    only = np.zeros_like(codes)
    rounded = probabilities.astype(np.float32)
    for function in (brier_score, log_loss, expected_calibration_error):
        assert function(rounded, only) == pytest.approx(function(probabilities, only), rel=1e-4)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("probabilities", "codes", "message"),
    [
        ([[0.5, 0.5], [2.0, -1.0]], [0, 1], "row 1 is .*not scores"),
        ([[0.5, 0.4]], [0], "sum to 1"),
        ([[0.5, np.nan]], [0], "NaN"),
        ([[1.0], [1.0]], [0, 0], "pass both columns"),
        ([[0.5, 0.5]], [2], "integers from 0 to 1; got .2, 2.*searchsorted"),
        ([[0.5, 0.5]], ["a"], "integers from 0 to 1; got .'a'"),
        ([[0.5, 0.5]], [0, 1], "inconsistent"),
    ],
)
def test_bad_input(function, probabilities, codes, message):
    with pytest.raises(ValueError, match=message):
        function(probabilities, codes)
