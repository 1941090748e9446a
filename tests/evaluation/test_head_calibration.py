import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from penultimate import SVC, SVCSearchCV
from penultimate.evaluation.head_calibration import calibrate_head, probabilities_of
from penultimate.selection.heldout import fit_head
from penultimate.splits import split_development

X, y = load_iris(return_X_y=True)
GRID = {"C": [1.0, 10.0], "gamma": [0.1]}
SPLIT = split_development(y)


@pytest.mark.parametrize("search", [SVCSearchCV(param_grid=GRID), GridSearchCV(SVC(), GRID)])
def test_svms_of_any_search_are_calibrated_by_their_margins(search):
    """Scikit-learn's search does not forward `class_margins`; its estimator has it."""
    pipeline = fit_head(search, X, y, SPLIT)
    probabilities = probabilities_of(pipeline, calibrate_head(pipeline, [(SPLIT, X)], y), X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert np.mean(probabilities.argmax(axis=1) == y) > 0.9


def test_other_heads_are_not_calibrated():
    pipeline = fit_head(LogisticRegression(), X, y, SPLIT)
    assert calibrate_head(pipeline, [(SPLIT, X)], y) is None
    np.testing.assert_array_equal(probabilities_of(pipeline, None, X), pipeline.predict_proba(X))


def test_weights_count_in_the_calibration():
    """Only held-out samples with weight say how sure to be: those of a wrong label, not at all."""
    wrong = y.copy()
    odd = SPLIT.held_out[::2]
    wrong[odd] = (y[odd] + 1) % 3
    weights = np.ones(len(y))
    weights[odd] = 1e-6
    pipeline = fit_head(SVCSearchCV(param_grid=GRID), X, y, SPLIT)
    unsure = calibrate_head(pipeline, [(SPLIT, X)], wrong)
    sure = calibrate_head(pipeline, [(SPLIT, X)], wrong, weights)
    means = [probabilities_of(pipeline, each, X).max(axis=1).mean() for each in (unsure, sure)]
    assert means[0] < 0.8 < 0.9 < means[1]
