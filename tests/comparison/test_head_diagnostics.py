import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from penultimate import SVC, SVCSearchCV
from penultimate._common import threads
from penultimate.comparison.head_diagnostics import (
    hard_cases,
    learning_curve,
)
from penultimate.comparison.methods import METHODS
from penultimate.selection.heldout import fit_head
from penultimate.splits import split_development

X, y = load_iris(return_X_y=True)
GRID = {"C": [1.0, 10.0], "gamma": [0.1]}
SPLIT = split_development(y)


@pytest.mark.parametrize("search", [SVCSearchCV(param_grid=GRID), GridSearchCV(SVC(), GRID)])
def test_support_vectors_at_their_bound_are_hard_cases(search):
    """Scikit-learn's search does not forward `class_margins`; its estimator has it."""
    pipeline = fit_head(search, X, y, SPLIT)
    cases = hard_cases(pipeline, X, y, np.arange(len(y)))
    margins = pipeline["head"].best_estimator_.class_margins(pipeline["preprocessing"].transform(X))
    assert cases
    assert [case.margin for case in cases] == sorted(case.margin for case in cases)
    for case in cases:
        assert case.margin == margins[case.sample, y[case.sample]]


def test_only_svms_have_hard_cases():
    pipeline = fit_head(LogisticRegression(), X, y, SPLIT)
    assert hard_cases(pipeline, X, y, np.arange(len(y))) == []


def test_the_logistic_head_is_fitted_on_one_thread_in_its_learning_curve_too(monkeypatch):
    """On a busy machine, two threads take ten times as long."""
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
    assert min(limits) > 0
