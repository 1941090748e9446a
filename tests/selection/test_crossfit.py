import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from penultimate import SVC, SVCHalvingSearchCV, SVCRandomizedSearchCV, SVCSearchCV
from penultimate.selection.crossfit import fit_crossfit
from penultimate.splits import split_folds

X, y = load_iris(return_X_y=True)
FOLDS = split_folds(y, seed=1)


def fit(head, by_layer=None):
    by_layer = {"all": X} if by_layer is None else by_layer
    return fit_crossfit(head, ((fold, by_layer) for fold in FOLDS), lambda: by_layer, y)


def same_folds():
    number = np.empty(len(y), int)
    for k, fold in enumerate(FOLDS):
        number[fold.held_out] = k
    return PredefinedSplit(number)


@pytest.mark.parametrize(
    ("search", "estimator", "grid"),
    [
        (SVCSearchCV, SVC, {"C": [0.1, 1, 10], "gamma": [0.01, 0.1]}),
        (GridSearchCV, LogisticRegression, {"C": [0.01, 0.1, 1]}),
        (GridSearchCV, KNeighborsClassifier, {"n_neighbors": [1, 3], "weights": ["uniform"]}),
    ],
)
def test_with_one_network_for_all_folds_it_is_cross_validation(search, estimator, grid):
    chosen = fit(search(estimator(), grid))
    name = estimator.__name__.lower()
    pipeline = make_pipeline(StandardScaler(), estimator())
    reference = GridSearchCV(
        pipeline, {f"{name}__{key}": values for key, values in grid.items()}, cv=same_folds()
    ).fit(X, y)
    found = chosen.pipeline["head"]
    for column in ("mean_test_score", "std_test_score", "rank_test_score", "split3_test_score"):
        assert_allclose(found.cv_results_[column], reference.cv_results_[column], rtol=1e-12)
    assert {f"{name}__{k}": v for k, v in found.best_params_.items()} == reference.best_params_
    assert found.best_score_ == pytest.approx(reference.best_score_)
    assert chosen.scores == {"all": pytest.approx(reference.best_score_)}
    np.testing.assert_array_equal(chosen.pipeline.predict(X), reference.predict(X))
    assert chosen.pipeline.score(X, y) == reference.score(X, y)
    np.testing.assert_array_equal(chosen.pipeline.classes_, reference.classes_)


def test_features_of_two_networks_are_not_mixed():
    """Each network rotates its features differently: mixed, they would be meaningless."""
    rng = np.random.default_rng(0)
    turns = [np.linalg.qr(rng.normal(size=(4, 4)))[0] for _ in FOLDS]
    networks = ((fold, {"all": X @ turn}) for fold, turn in zip(FOLDS, turns))
    chosen = fit_crossfit(SVCSearchCV(), networks, lambda: {"all": X}, y)
    assert chosen.scores["all"] > 0.93
    assert chosen.pipeline.score(X, y) > 0.93


@pytest.mark.parametrize("head", [SVCSearchCV(), SVCRandomizedSearchCV(n_iter=6, random_state=0)])
def test_default_gammas_follow_the_features_of_each_network(head):
    """Dead units are constant: a network with few live ones has a different scale."""
    rng = np.random.default_rng(0)

    def features(n_dead):
        turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
        return {"all": np.c_[X @ turn, np.zeros((len(X), n_dead))]}

    by_fold = [(fold, features(dead)) for fold, dead in zip(FOLDS, (0, 1, 5, 40, 200))]
    last = features(12)
    chosen = fit_crossfit(head, by_fold, lambda: last, y)
    assert chosen.scores["all"] > 0.9
    params = chosen.pipeline["head"].cv_results_["params"]
    # As the search would have derived them from the last network's features.
    Z = chosen.pipeline["preprocessing"].transform(last["all"])
    direct = clone(head).fit(Z, y).cv_results_["params"]
    for found, expected in zip(params, direct, strict=True):
        assert found["C"] == expected["C"]
        assert found["gamma"] == pytest.approx(expected["gamma"])


def test_one_fold_of_dead_units_alone():
    by_fold = [(fold, {"all": X}) for fold in FOLDS[1:]]
    by_fold.append((FOLDS[0], {"all": np.ones((len(X), 7))}))
    chosen = fit_crossfit(SVCSearchCV(), by_fold, lambda: {"all": X}, y)
    assert 0.7 < chosen.scores["all"] < 0.9  # chance level in one of the five folds
    assert chosen.pipeline.score(X, y) > 0.9


def test_layer_and_single_candidates():
    chosen = fit(SVC(), {"sepals": X[:, :2], "petals": X[:, 2:]})
    assert chosen.layer == "petals"
    assert chosen.scores["petals"] > chosen.scores["sepals"]
    assert isinstance(chosen.pipeline["head"], SVC)


def test_random_candidates_must_be_the_same_in_all_folds():
    assert fit(SVCRandomizedSearchCV(n_iter=5, random_state=0)).scores["all"] > 0.9
    with pytest.raises(ValueError, match="set its random_state to an integer"):
        fit(SVCRandomizedSearchCV(n_iter=5))


def test_searches_that_drop_candidates_are_refused():
    with pytest.raises(ValueError, match="SVCHalvingSearchCV drops some during the search"):
        fit(SVCHalvingSearchCV(random_state=0))
