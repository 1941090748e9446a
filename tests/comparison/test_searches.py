"""Searches of the controls score every candidate as a plain grid search does, at less cost."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier

from penultimate.comparison import searches
from penultimate.comparison.methods import logistic, nearest_neighbors, random_forest
from penultimate.selection.heldout import fit_layers
from penultimate.splits import split_development

RNG = np.random.default_rng(0)
y = np.arange(90) % 3
# As features of few photographs: many more of them than samples, and classes that overlap.
X = (RNG.normal(size=(90, 200)) + RNG.normal(size=(3, 200))[y] * 0.2).astype(np.float32)
X_new = (RNG.normal(size=(60, 200)) + X.mean(axis=0)).astype(np.float32)

MAKERS = [logistic, nearest_neighbors, random_forest]


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


@pytest.mark.parametrize("make", MAKERS)
def test_names_of_columns_are_kept(make):
    frame = pd.DataFrame(X[:, :5], columns=list("abcde"))
    search = make(None, 0).set_params(cv=2).fit(frame, y)
    assert search.feature_names_in_.tolist() == list("abcde")


def test_on_many_values_the_solver_is_the_one_that_was_asked_for(monkeypatch):
    solvers, fit = [], searches.OneThreadLogisticRegression.fit

    def recorded(head, *args):
        solvers.append(head.solver)
        return fit(head, *args)

    monkeypatch.setattr(searches.OneThreadLogisticRegression, "fit", recorded)
    for most, solver in ((0, "lbfgs"), (X.size, "newton-cg")):
        monkeypatch.setattr(searches, "_FEW_VALUES", most)
        solvers.clear()
        logistic(1, 0).set_params(cv=2, refit=False).fit(X, y)
        assert set(solvers) == {solver}


def test_logistic_candidates_are_fitted_on_no_more_dimensions_than_samples(monkeypatch):
    widths = []
    fit = searches.OneThreadLogisticRegression.fit

    def counted(self, values, *args, **params):
        widths.append(values.shape[1])
        return fit(self, values, *args, **params)

    monkeypatch.setattr(searches.OneThreadLogisticRegression, "fit", counted)
    search = logistic(1, 0).set_params(cv=3).fit(X, y)
    assert set(widths[:-1]) == {90}
    assert widths[-1] == 200  # the refit
    assert search.best_estimator_.coef_.shape == (3, 200)


@pytest.mark.parametrize("make", MAKERS)
def test_number_of_threads_changes_nothing(make, monkeypatch):
    monkeypatch.setattr(searches, "_SCORED_TREES", 5)
    found = [make(n_jobs, 0).set_params(cv=3, refit=False).fit(X, y) for n_jobs in (1, 2, 20)]
    for each in found[1:]:
        scores = (search.cv_results_["mean_test_score"] for search in (found[0], each))
        np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize("make", MAKERS)
def test_the_best_candidate_can_be_fitted_later(make, monkeypatch):
    monkeypatch.setattr(searches, "_SCORED_TREES", 5)
    whole, later = make(1, 0).set_params(cv=3), make(1, 0).set_params(cv=3, refit=False)
    assert not hasattr(later.fit(X, y), "best_estimator_")
    later.refit_best(X, y)
    np.testing.assert_array_equal(later.predict(X_new), whole.fit(X, y).predict(X_new))
    assert repr(later) == repr(whole)
    assert later.refit_time_ > 0


@pytest.mark.parametrize("make", MAKERS)
def test_it_is_fitted_for_the_chosen_layer_alone(make, monkeypatch):
    monkeypatch.setattr(searches, "_SCORED_TREES", 5)
    refitted = []
    refit_best = searches._SharingSearchCV.refit_best

    def counted(self, values, *args, **params):
        refitted.append(values.shape[1])
        return refit_best(self, values, *args, **params)

    monkeypatch.setattr(searches._SharingSearchCV, "refit_best", counted)
    layers = {"few": X[:, :5], "all": X}
    fitted = fit_layers(make(1, 0), layers, y, split_development(y))
    assert refitted == [layers[fitted.layer].shape[1]]
    assert len(fitted.pipeline.predict(layers[fitted.layer])) == len(y)


def keep_first(results):
    return 0


# What a search does with these is that of a plain one.
SETTINGS = [
    {"scoring": "accuracy"},
    {"return_train_score": True},
    {"refit": keep_first},
    {"error_score": 0.0},
    {"refit": False, "scoring": ["accuracy", "balanced_accuracy"]},
]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: next(iter(setting)))
def test_other_settings_are_those_of_a_plain_search(make, setting):
    search = small(make).set_params(cv=2, **setting)
    expected = GridSearchCV(search.estimator, search.param_grid, cv=2, **setting).fit(X, y)
    search.fit(X, y)
    for name in (name for name in expected.cv_results_ if name[:9] == "mean_test"):
        np.testing.assert_array_equal(search.cv_results_[name], expected.cv_results_[name])
    assert getattr(search, "best_index_", None) == getattr(expected, "best_index_", None)
    assert search.get_params(deep=False)["refit"] == setting.get("refit", True)


def small(make):
    search = make(1, 0)
    if make is random_forest:
        search.estimator.set_params(n_estimators=3)
    return search


@pytest.mark.parametrize("make", [logistic, random_forest])
def test_weights_are_those_of_a_plain_search(make):
    weights = np.random.default_rng(1).uniform(0, 2, len(y))
    search = small(make).set_params(cv=3, refit=False).fit(X, y, sample_weight=weights)
    expected = plain(search).fit(X, y, sample_weight=weights)
    for name in ("mean_test_score", "rank_test_score"):
        np.testing.assert_array_equal(search.cv_results_[name], expected.cv_results_[name])


OTHERS = {
    "penalty": (
        logistic,
        LogisticRegression(solver="saga", l1_ratio=1, max_iter=9, random_state=0),
        {"C": [0.1]},
    ),
    "grid": (logistic, LogisticRegression(), {"C": [0.1], "class_weight": [None, "balanced"]}),
    "other head": (nearest_neighbors, LogisticRegression(), {"C": [0.1, 1]}),
    "metric": (nearest_neighbors, KNeighborsClassifier(metric="cosine"), None),
    "one number": (nearest_neighbors, KNeighborsClassifier(), {"n_neighbors": [1, 3]}),
    "trees": (random_forest, RandomForestClassifier(random_state=0), {"n_estimators": [1, 60]}),
}


@pytest.mark.filterwarnings("ignore:The max_iter was reached")
@pytest.mark.parametrize("case", OTHERS)
def test_estimators_and_grids_that_share_nothing_are_searched_plainly(case):
    make, estimator, grid = OTHERS[case]
    search = make(1, 0).set_params(cv=2, estimator=estimator, refit=False)
    if grid is not None:
        search.set_params(param_grid=grid)
    expected = GridSearchCV(estimator, search.param_grid, cv=2, refit=False).fit(X, y)
    np.testing.assert_array_equal(
        search.fit(X, y).cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )


@pytest.mark.parametrize("make", MAKERS)
def test_folds_may_be_an_iterator_and_lack_a_class(make, monkeypatch):
    monkeypatch.setattr(searches, "_SCORED_TREES", 3)
    folds = [(np.flatnonzero(y > 0), np.flatnonzero(y == 0)), (np.arange(60), np.arange(60, 90))]
    search = small(make).set_params(cv=iter(folds), refit=False)
    expected = GridSearchCV(search.estimator, search.param_grid, cv=folds, refit=False).fit(X, y)
    np.testing.assert_allclose(
        search.fit(X, y).cv_results_["split1_test_score"],
        expected.cv_results_["split1_test_score"],
        atol=1.01 / 30,
    )
    assert not search.cv_results_["split0_test_score"].any()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_fold_of_one_class_has_no_score():
    folds = iter(
        [(np.flatnonzero(y == 0), np.flatnonzero(y > 0)), (np.arange(60), np.arange(60, 90))]
    )
    search = logistic(1, 0).set_params(cv=folds, refit=False).fit(X, y)
    assert np.isnan(search.cv_results_["split0_test_score"]).all()
    assert np.isfinite(search.cv_results_["split1_test_score"]).all()


def test_copies_of_a_sample_are_asked_alone_if_distance_counts():
    """As scikit-learn's head: a label at no distance outweighs all others."""
    samples = np.repeat(X[:30], 3, axis=0)
    labels = np.random.default_rng(2).integers(3, size=90)
    search = nearest_neighbors(1, 0).set_params(cv=3, refit=False)
    search.set_params(param_grid={"n_neighbors": [5, 9], "weights": ["distance"]})
    expected = plain(search).fit(samples, labels)
    np.testing.assert_allclose(
        search.fit(samples, labels).cv_results_["mean_test_score"],
        expected.cv_results_["mean_test_score"],
        atol=1.01 / 90,
    )


def test_the_order_of_a_grid_changes_nothing():
    values = [1.0, 0.001, 0.1]
    search = logistic(1, 0).set_params(cv=3, refit=False, param_grid={"C": values}).fit(X, y)
    expected = clone(search).set_params(param_grid={"C": sorted(values)}).fit(X, y)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"],
        expected.cv_results_["mean_test_score"][np.argsort(np.argsort(values))],
    )


def test_more_neighbors_than_samples_are_not_chosen():
    search = nearest_neighbors(1, 0).set_params(cv=2).fit(X[:18], y[:18])
    scores = search.cv_results_["mean_test_score"]
    asked = [each["n_neighbors"] for each in search.cv_results_["params"]]
    assert [k for k, score in zip(asked, scores) if np.isnan(score)] == [15, 15]
    assert search.best_params_["n_neighbors"] < 15
    assert len(search.predict(X_new)) == len(X_new)


def test_too_many_samples_for_all_distances(monkeypatch):
    monkeypatch.setattr(searches, "_MOST_DISTANCES", 90**2 - 1)
    search = nearest_neighbors(None, 0).set_params(cv=3).fit(X, y)
    expected = plain(search).fit(X, y)
    for name in ("mean_test_score", "rank_test_score"):
        np.testing.assert_array_equal(search.cv_results_[name], expected.cv_results_[name])


def test_forests_are_scored_with_fewer_trees_than_the_chosen_one_has(monkeypatch):
    monkeypatch.setattr(searches, "_SCORED_TREES", 6)
    forest = RandomForestClassifier(8, random_state=0)
    search = searches.ForestSearchCV(forest, {"min_samples_leaf": [1, 3]}, cv=3).fit(X, y)
    few = clone(forest).set_params(n_estimators=6)
    expected = GridSearchCV(few, {"min_samples_leaf": [1, 3]}, cv=3).fit(X, y)
    scores = [each.cv_results_["mean_test_score"] for each in (search, expected)]
    np.testing.assert_array_equal(*scores)
    assert search.estimator.n_estimators == len(search.best_estimator_.estimators_) == 8
    chosen = clone(forest).set_params(**expected.best_params_).fit(X, y)
    np.testing.assert_array_equal(search.predict_proba(X_new), chosen.predict_proba(X_new))
