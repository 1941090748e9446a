"""Searches that the engine could get wrong: each must match scikit-learn's."""

import numpy as np
import pandas as pd
import pytest
from sklearn import svm
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from penultimate import SVC, SVCSearchCV

X, y = load_iris(return_X_y=True)


def scores(samples, labels, grid, **params):
    ours = SVCSearchCV(SVC(**params), grid, cv=3).fit(samples, labels)
    theirs = GridSearchCV(svm.SVC(**params), grid, cv=3).fit(samples, labels)
    return [search.cv_results_["mean_test_score"] for search in (ours, theirs)]


@pytest.mark.parametrize(
    "grid",
    [
        {"C": [1, 1.0, 10]},
        [{"C": [1, 10]}, {"C": [10, 100]}],
        {"gamma": ["auto", 0.25]},  # the same, of four features
        {"kernel": ["linear", "rbf"], "gamma": [0.1, 1.0]},
        {"kernel": ["rbf", "poly"], "degree": [2, 3]},
        {"coef0": [0, 1]},
    ],
)
def test_duplicate_settings_all_get_the_score_of_their_problem(grid):
    ours, theirs = scores(X, y, grid)
    np.testing.assert_allclose(ours, theirs, atol=1 / 150)


@pytest.mark.filterwarnings("ignore::penultimate.PerformanceWarning")
@pytest.mark.parametrize("distance", [1e3, 1e4])
def test_far_clusters(distance):
    """Distances to the mean so large that float32 loses what gamma resolves."""
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(200, 2))
    labels = (samples[:, 0] * samples[:, 1] > 0).astype(int)
    samples += np.where(np.arange(200)[:, None] % 2, distance, -distance)
    ours, theirs = scores(samples, labels, {"C": [1, 10], "gamma": [1.0]})
    np.testing.assert_allclose(ours, theirs, atol=0.01)


def test_features_with_an_offset():
    """An offset does not change a linear classifier; scikit-learn's loses digits."""
    grid = {"C": [0.1, 1]}
    ours = SVCSearchCV(SVC(kernel="linear"), grid, cv=3).fit(X + 1000, y)
    theirs = GridSearchCV(svm.SVC(kernel="linear"), grid, cv=3).fit(X, y)
    for name in ("mean_test_score", "split0_test_score"):
        np.testing.assert_allclose(ours.cv_results_[name], theirs.cv_results_[name])


@pytest.mark.filterwarnings("ignore::penultimate.PerformanceWarning")
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid:RuntimeWarning")
@pytest.mark.parametrize("factor", [1e-30, 1e-20, 1e20, 1e100])
def test_features_beyond_float32(factor):
    ours, theirs = scores(factor * X, y, {"C": [1, 10]})
    np.testing.assert_allclose(ours, theirs, atol=1 / 150)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("scoring", ["roc_auc", "f1"])
def test_scorer_that_fails_follows_error_score(scoring):
    """Three classes, and metrics of two."""
    search = SVCSearchCV(SVC(), {"C": [1, 10]}, scoring=scoring, error_score=0.25, refit=False)
    assert set(search.fit(X, y).cv_results_["mean_test_score"]) == {0.25}


def test_best_classifier_has_the_feature_names():
    frame = pd.DataFrame(X, columns=list("abcd"))
    search = SVCSearchCV(SVC(), {"C": [1, 10]}).fit(frame, y)
    np.testing.assert_array_equal(search.best_estimator_.predict(frame), search.predict(frame))


def test_folds_as_lists():
    cv = [(list(range(0, 150, 2)), list(range(1, 150, 2)))]
    ours, theirs = (
        make(cv=cv).fit(X, y)
        for make in (
            lambda cv: SVCSearchCV(SVC(), {"C": [1]}, cv=cv),
            lambda cv: GridSearchCV(svm.SVC(), {"C": [1]}, cv=cv),
        )
    )
    assert ours.best_score_ == theirs.best_score_


@pytest.mark.parametrize(("params", "grid"), [({"error_score": "x"}, {"C": [1]}), ({}, [])])
def test_invalid_parameters_are_rejected_as_by_grid_search(params, grid):
    with pytest.raises(ValueError, match="error_score|No fits"):
        SVCSearchCV(SVC(), grid, **params).fit(X, y)


@pytest.mark.parametrize(("n_samples", "warns"), [(60, False), (240, True)])
def test_repeated_fits_are_reported_if_they_take_time(n_samples, warns, recwarn):
    rng = np.random.default_rng(0)
    labels = np.arange(n_samples) % 2
    samples = rng.normal(size=(n_samples, 3)) + 3e3 * labels[:, None]
    SVCSearchCV(SVC(), {"C": [1, 10], "gamma": [0.3, 1.0]}, cv=2).fit(samples, labels)
    reported = [w for w in recwarn if "repeated separately" in str(w.message)]
    assert len(reported) == warns
