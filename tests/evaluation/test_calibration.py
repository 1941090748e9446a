import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from penultimate.evaluation.calibration import CALIBRATIONS, as_columns, calibrate_scores


@pytest.fixture(scope="module")
def scored():
    """Scores of two classes, whose true probability is a sigmoid of them."""
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 2, 4000)
    return scores, (rng.random(4000) < 1 / (1 + np.exp(-1.5 * scores + 1))).astype(int)


@pytest.mark.parametrize("method", CALIBRATIONS)
def test_probabilities_are_shares(scored, method):
    scores, y = scored
    probabilities = calibrate_scores(scores, y, method=method).predict_proba(as_columns(scores))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    for low in (0.1, 0.4, 0.7):
        chosen = (probabilities[:, 1] > low) & (probabilities[:, 1] < low + 0.2)
        tolerance = 0.25 if method == "temperature" else 0.06  # which can't move the middle
        assert y[chosen].mean() == pytest.approx(probabilities[chosen, 1].mean(), abs=tolerance)


def test_sigmoid_is_a_logistic_regression_of_the_score(scored):
    scores, y = scored
    expected = LogisticRegression(C=np.inf).fit(scores[:, None], y).predict_proba(scores[:, None])
    probabilities = calibrate_scores(scores, y).predict_proba(as_columns(scores))
    np.testing.assert_allclose(probabilities, expected, atol=5e-3)


def test_weights_count(scored):
    scores, y = scored
    weights = np.where(y == 1, 5.0, 1.0)
    many = calibrate_scores(scores, y, sample_weight=weights).predict_proba(np.zeros((1, 1)))
    few = calibrate_scores(scores, y).predict_proba(np.zeros((1, 1)))
    odds = [p[0, 1] / p[0, 0] for p in (many, few)]
    assert odds[0] == pytest.approx(5 * odds[1], rel=0.1)


def test_labels_of_any_type_and_several_classes():
    rng = np.random.default_rng(0)
    y = np.array(["a", "b", "c"])[rng.integers(0, 3, 300)]
    scores = rng.normal(size=(300, 3)) + 3 * (y[:, None] == ["a", "b", "c"])
    calibrated = calibrate_scores(scores.astype(np.float32), y)
    assert calibrated.classes_.tolist() == ["a", "b", "c"]
    assert np.mean(calibrated.predict(as_columns(scores)) == y) > 0.9
