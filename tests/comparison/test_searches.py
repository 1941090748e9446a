"""Searches of the controls score every candidate as a plain grid search does, at less cost."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV

from penultimate.comparison import searches
from penultimate.comparison.methods import logistic, nearest_neighbors

RNG = np.random.default_rng(0)
y = np.arange(90) % 3
# As features of few photographs: many more of them than samples, and classes that overlap.
X = (RNG.normal(size=(90, 200)) + RNG.normal(size=(3, 200))[y] * 0.2).astype(np.float32)
X_new = (RNG.normal(size=(60, 200)) + X.mean(axis=0)).astype(np.float32)


def plain(search):
    return GridSearchCV(search.estimator, search.param_grid, cv=3)


@pytest.mark.parametrize("width", [40, 200])
@pytest.mark.parametrize("make", [logistic, nearest_neighbors])
def test_scores_selection_and_predictions_are_those_of_a_plain_search(make, width):
    search = make(None, 0).set_params(cv=3)
    expected = plain(search).fit(X[:, :width], y)
    search.fit(X[:, :width], y)
    # At most one of the 30 samples of one fold may fall to the other side by rounding.
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"],
        expected.cv_results_["mean_test_score"],
        atol=1.01 / 90,
    )
    assert search.best_params_ == expected.best_params_
    assert search.best_index_ == expected.best_index_
    assert len(set(search.cv_results_["mean_test_score"])) > 2  # there was something to choose
    new = X_new[:, :width]
    np.testing.assert_allclose(search.predict_proba(new), expected.predict_proba(new), atol=1e-3)
    assert search.n_features_in_ == width


@pytest.mark.parametrize("make", [logistic, nearest_neighbors])
def test_a_search_keeps_its_parameters(make):
    search = make(None, 0).set_params(cv=3)
    before = repr(clone(search))
    search.fit(X, y)
    assert repr(clone(search)) == before
    assert search.refit_time_ > 0
    assert not hasattr(clone(search).set_params(refit=False).fit(X, y), "best_estimator_")


def test_logistic_candidates_are_fitted_on_no_more_dimensions_than_samples(monkeypatch):
    widths = []
    fit = searches.OneThreadLogisticRegression.fit

    def counted(self, values, *args, **params):
        widths.append(values.shape[1])
        return fit(self, values, *args, **params)

    monkeypatch.setattr(searches.OneThreadLogisticRegression, "fit", counted)
    search = logistic(None, 0).set_params(cv=3).fit(X, y)
    assert set(widths[:-1]) == {90}
    assert widths[-1] == 200  # the refit
    assert search.best_estimator_.coef_.shape == (3, 200)


def test_too_many_samples_for_all_distances(monkeypatch):
    monkeypatch.setattr(searches, "_MOST_DISTANCES", 90**2 - 1)
    search = nearest_neighbors(None, 0).set_params(cv=3).fit(X, y)
    expected = plain(search).fit(X, y)
    for name in ("mean_test_score", "rank_test_score"):
        np.testing.assert_array_equal(search.cv_results_[name], expected.cv_results_[name])


def test_forests_are_scored_with_fewer_trees_than_the_chosen_one_has():
    forest = RandomForestClassifier(60, random_state=0)
    search = searches.ForestSearchCV(forest, {"min_samples_leaf": [1, 3]}, cv=3).fit(X, y)
    few = clone(forest).set_params(n_estimators=50)
    expected = GridSearchCV(few, {"min_samples_leaf": [1, 3]}, cv=3).fit(X, y)
    scores = [each.cv_results_["mean_test_score"] for each in (search, expected)]
    np.testing.assert_array_equal(*scores)
    assert search.estimator.n_estimators == len(search.best_estimator_.estimators_) == 60
    chosen = clone(forest).set_params(**expected.best_params_).fit(X, y)
    np.testing.assert_array_equal(search.predict_proba(X_new), chosen.predict_proba(X_new))
