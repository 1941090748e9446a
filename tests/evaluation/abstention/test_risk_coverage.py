import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import svm
from sklearn.datasets import load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from penultimate import SVC
from penultimate.evaluation import (
    area_under_risk_coverage,
    confidence_scores,
    risk_coverage_curve,
)

OUTCOMES = st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=1, max_size=30)


@settings(deadline=None)
@given(OUTCOMES)
def test_each_point_is_what_counting_gives(outcomes):
    correct, confidence = (np.array(column) for column in zip(*outcomes))
    coverage, risk, thresholds = risk_coverage_curve(correct, confidence)
    assert thresholds.tolist() == sorted(set(confidence.tolist()), reverse=True)
    for share, errors, threshold in zip(coverage, risk, thresholds, strict=True):
        accepted = confidence >= threshold
        assert share == accepted.mean()
        assert errors == pytest.approx((~correct[accepted]).mean())
    # The area is the mean, over samples, of the risk at each one's own confidence.
    own = [(~correct[confidence >= value]).mean() for value in confidence]
    assert area_under_risk_coverage(correct, confidence) == pytest.approx(np.mean(own))


@settings(deadline=None)
@given(OUTCOMES)
def test_order_of_samples_and_scale_of_confidence_do_not_matter(outcomes):
    correct, confidence = (np.array(column) for column in zip(*outcomes))
    curve = risk_coverage_curve(correct, confidence)
    other = risk_coverage_curve(correct[::-1], 3.0 * confidence[::-1] + 1)
    np.testing.assert_array_equal(curve[0], other[0])
    np.testing.assert_array_equal(curve[1], other[1])
    np.testing.assert_array_equal(3 * curve[2] + 1, other[2])


def test_the_best_order_has_the_least_area():
    correct = np.arange(100) >= 10
    areas = [area_under_risk_coverage(correct, c) for c in (correct, np.zeros(100), ~correct)]
    assert areas[0] == pytest.approx(0.1 * 0.1)  # the risk of the last tenth, at full coverage
    assert areas[1] == pytest.approx(0.1)
    assert areas[2] > areas[1] > areas[0]


@pytest.mark.parametrize(
    ("correct", "confidence", "message"),
    [
        ([True], [0.1, 0.2], "inconsistent numbers of samples"),
        ([], [], "There are no samples"),
        ([True, False], [0.1, np.nan], "NaN or infinity, for 1 of 2"),
        ([True, False], [0.1, np.inf], "NaN or infinity, for 1 of 2"),
        ([2, 0], [0.1, 0.2], r"Pass y == classifier.predict\(X\)"),
    ],
)
def test_bad_input(correct, confidence, message):
    with pytest.raises(ValueError, match=message):
        risk_coverage_curve(correct, confidence)


def test_margin_of_several_classes_is_the_first_less_the_second():
    X, y = load_iris(return_X_y=True)
    linear = LogisticRegression(max_iter=500).fit(X, y)
    ordered = np.sort(linear.decision_function(X), axis=1)
    np.testing.assert_array_equal(confidence_scores(linear, X), ordered[:, -1] - ordered[:, -2])


def test_margin_of_an_svm_is_the_least_decision_value_of_its_best_class():
    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), SVC()).fit(X, y)
    expected = pipeline[1].class_margins(pipeline[0].transform(X)).max(axis=1)
    for form in (pipeline, FrozenEstimator(pipeline)):
        np.testing.assert_array_equal(confidence_scores(form, X), expected)
    np.testing.assert_array_equal(
        confidence_scores(pipeline[1], pipeline[0].transform(X)), expected
    )
    scaled = pipeline[0].transform(X)
    np.testing.assert_array_equal(confidence_scores(pipeline[1:], scaled), expected)
    assert expected[pipeline.predict(X) == y].mean() > expected[pipeline.predict(X) != y].mean()


def test_margin_of_two_classes_is_the_size_of_the_score():
    X, y = load_iris(return_X_y=True)
    svc = SVC().fit(X[:100], y[:100])
    np.testing.assert_array_equal(
        confidence_scores(svc, X, criterion="margin"), np.abs(svc.decision_function(X))
    )


def test_probability_is_the_highest_one():
    X, y = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(X, y)
    expected = model.predict_proba(X).max(axis=1)
    np.testing.assert_array_equal(confidence_scores(model, X, criterion="probability"), expected)
    assert (confidence_scores(model, X) != expected).any()  # which is the margin


def test_a_classifier_without_the_method_or_with_other_columns():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="needs a classifier with predict_proba.*'margin'"):
        confidence_scores(SVC().fit(X, y), X, criterion="probability")
    four = np.append(y, 3), np.append(X, X[:1] + 9, axis=0)
    pairs = svm.SVC(decision_function_shape="ovo").fit(four[1], four[0])
    with pytest.raises(ValueError, match="6 values per sample for 4 classes"):
        confidence_scores(pairs, X)
    with pytest.raises(ValueError, match="must be one of 'auto', 'margin', 'probability'"):
        confidence_scores(pairs, X, criterion="entropy")


def test_scores_that_are_not_finite():
    class Broken:
        classes_ = np.arange(2)

        def decision_function(self, X):
            return np.full(len(X), np.nan)

    with pytest.raises(ValueError, match="NaN or infinity, for 3 of 3 samples"):
        confidence_scores(Broken(), np.zeros((3, 1)))
