import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from penultimate import SVC, SVCSearchCV
from penultimate._common import threads
from penultimate.comparison.head_diagnostics import (
    calibrate,
    hard_cases,
    learning_curve,
    probabilities_of,
)
from penultimate.comparison.methods import METHODS
from penultimate.selection.heldout import fit_head
from penultimate.splits import split_development

X, y = load_iris(return_X_y=True)
GRID = {"C": [1.0, 10.0], "gamma": [0.1]}
SPLIT = split_development(y)


@pytest.mark.parametrize("search", [SVCSearchCV(param_grid=GRID), GridSearchCV(SVC(), GRID)])
def test_svms_of_any_search_are_calibrated_by_their_margins(search):
    """Scikit-learn's search does not forward `class_margins`; its estimator has it."""
    pipeline = fit_head(search, X, y, SPLIT)
    calibrator = calibrate(pipeline, [(SPLIT, X)], y)
    probabilities = probabilities_of(pipeline, calibrator, X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert np.mean(probabilities.argmax(axis=1) == y) > 0.9
    cases = hard_cases(pipeline, X, y, np.arange(len(y)))
    margins = pipeline["head"].best_estimator_.class_margins(pipeline["preprocessing"].transform(X))
    assert cases
    assert [case.margin for case in cases] == sorted(case.margin for case in cases)
    for case in cases:
        assert case.margin == margins[case.sample, y[case.sample]]


def test_only_svms_have_hard_cases_and_are_calibrated():
    pipeline = fit_head(LogisticRegression(), X, y, SPLIT)
    assert hard_cases(pipeline, X, y, np.arange(len(y))) == []
    assert calibrate(pipeline, [(SPLIT, X)], y) is None
    np.testing.assert_array_equal(probabilities_of(pipeline, None, X), pipeline.predict_proba(X))


def test_the_logistic_head_is_fitted_on_one_thread_in_its_learning_curve_too(monkeypatch):
    """On a busy machine, it takes ten times as long on two."""
    limits = []

    def fit(self, *arguments):
        limits.append(threads._limit._depth)
        return original(self, *arguments)

    original = LogisticRegression.fit
    monkeypatch.setattr(LogisticRegression, "fit", fit)
    pipeline = fit_head(METHODS["cnn+logistic"].make_head(None, 0), X, y, SPLIT)
    n_searched = len(limits)
    assert len(learning_curve("any", pipeline, X, y, SPLIT, seed=0).accuracies) > 1
    assert len(limits) > n_searched > 1
    assert set(limits) == {1}
