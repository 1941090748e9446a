import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from penultimate import SVC
from penultimate.evaluation.calibration import (
    CALIBRATIONS,
    as_columns,
    calibrate_scores,
    calibrated,
)


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


@pytest.mark.parametrize("method", CALIBRATIONS)
def test_labels_are_not_taken_for_columns(method):
    """scikit-learn reads beyond the scores where the labels of a temperature do not begin at 0."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 5, 400)
    scores = rng.normal(size=(400, 5)) + 2 * np.eye(5)[y]
    from_zero = calibrate_scores(scores, y, method=method)
    later = calibrate_scores(scores, y + 46, method=method)
    assert later.classes_.tolist() == [46, 47, 48, 49, 50]
    assert set(later.predict(as_columns(scores))) == {46, 47, 48, 49, 50}
    expected = from_zero.predict_proba(as_columns(scores))
    np.testing.assert_array_equal(later.predict_proba(as_columns(scores)), expected)


@pytest.mark.parametrize(("n_smallest", "n_folds"), [(2, 2), (3, 3), (5, 5), (30, 5)])
def test_folds_suit_the_smallest_class(n_smallest, n_folds):
    rng = np.random.default_rng(0)
    y = np.array(["many"] * 30 + ["few"] * n_smallest)
    X = rng.normal(size=(len(y), 2)) + 4 * (y == "few")[:, None]
    model = calibrated(SVC(), y).fit(X, y)
    assert model.cv.n_splits == n_folds
    assert len(model.calibrated_classifiers_) == 1
    probabilities = model.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    # Of the one classifier that was fitted on all samples.
    expected = SVC().fit(X, y).decision_function(X)
    order = np.argsort(expected)
    assert (np.diff(probabilities[order, 1]) >= 0).all()


def test_scikit_learns_own_folds_would_raise():
    y = np.array([0] * 30 + [1] * 3)
    with pytest.raises(ValueError, match="less than 5 examples"):
        CalibratedClassifierCV(SVC(), cv=5, ensemble=False).fit(np.arange(33.0)[:, None], y)


def test_a_fitted_classifier_is_only_calibrated(scored):
    scores, y = scored
    X = scores[:, None]
    svc = LogisticRegression().fit(X[:100], y[:100])
    before = svc.coef_.copy()
    model = calibrated(FrozenEstimator(svc), y[100:]).fit(X[100:], y[100:])
    np.testing.assert_array_equal(svc.coef_, before)
    direct = calibrate_scores(svc.decision_function(X[100:]), y[100:])
    expected = direct.predict_proba(as_columns(svc.decision_function(X)))
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("y", "arguments", "message"),
    [
        (["a", "a", "b"], {}, "Class 'b' has 1 sample; calibration needs at least 2"),
        (["a", "a"], {}, "y holds 1 class"),
        ([0, 0, 1, 1], {"method": "platt"}, "must be one of 'sigmoid', 'isotonic', 'temperature'"),
        ([0, 0, 1, 1], {"n_folds": 1}, "'n_folds' parameter of calibrated"),
        ([1, 1, 2, 2], {"method": "temperature"}, r"0, 1, 2 and so on.*got \[1, 2\].*sigmoid"),
    ],
)
def test_bad_labels_and_parameters(y, arguments, message):
    with pytest.raises(ValueError, match=message):
        calibrated(SVC(), y, **arguments)
