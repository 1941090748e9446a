"""A selected head: what it passes on, and what it scores by."""

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from penultimate import SVC
from penultimate.selection.selected import SelectedHead

X, y = [[0.0], [0.1], [0.2], [1.0]], ["a", "a", "a", "b"]


def test_the_score_is_the_metric_of_the_selection():
    # Two samples of class a are predicted wrongly, so that the metrics differ.
    labels = ["b", "b", "a", "b"]
    accuracy = SelectedHead(SVC(C=10)).fit(X, y)
    balanced = SelectedHead(SVC(C=10), "balanced_accuracy").fit(X, y)
    assert accuracy.score(X, labels) == pytest.approx(0.5)
    assert balanced.score(X, labels) == pytest.approx(2 / 3)


@pytest.mark.parametrize("method", ["decision_function", "predict_proba", "class_margins"])
@pytest.mark.parametrize("estimator", [SVC(), LogisticRegression(), GaussianNB()])
def test_it_has_the_methods_of_its_classifier(estimator, method):
    head = SelectedHead(estimator)
    assert hasattr(head, method) == hasattr(estimator, method)
    fitted = head.fit(X, y)
    if hasattr(estimator, method):
        expected = getattr(fitted.best_estimator_, method)(X)
        assert getattr(fitted, method)(X).tolist() == expected.tolist()
    assert not hasattr(estimator, "classes_")
