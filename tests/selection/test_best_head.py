import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier

from penultimate import SVC, SVCSearchCV
from penultimate.selection.best_head import HeadSearchCV
from penultimate.selection.heldout import fit_head, fit_layers
from penultimate.splits import split_development, split_folds

X, y = load_iris(return_X_y=True)
POOR = SVCSearchCV(param_grid={"C": [1e-4], "gamma": [1e-6]})
GOOD = SVCSearchCV(param_grid={"C": [1.0, 10.0], "gamma": [0.1]})


def test_the_best_head_is_used_with_its_own_best_parameters():
    search = HeadSearchCV([("poor", POOR), ("good", GOOD)]).fit(X, y)
    alone = clone(GOOD).set_params(cv=5).fit(X, y)
    assert search.best_name_ == "good"
    assert search.best_params_ == {"head": "good", **alone.best_params_}
    assert search.best_score_ == search.scores_["good"] == pytest.approx(alone.best_score_)
    assert len(search.cv_results_["params"]) == len(search.cv_results_["mean_test_score"]) == 3
    np.testing.assert_array_equal(search.predict(X), alone.predict(X))
    np.testing.assert_allclose(search.class_margins(X), alone.class_margins(X))
    assert not hasattr(search, "predict_proba")


def test_plain_classifiers_are_one_candidate_each_on_the_same_folds():
    plain = HeadSearchCV([("knn", KNeighborsClassifier())], cv=5).fit(X, y)
    searched = GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [5]}, cv=5).fit(X, y)
    assert plain.best_score_ == pytest.approx(searched.best_score_)
    assert plain.predict_proba(X).shape == (150, 3)
    assert not hasattr(plain, "decision_function")


def test_ties_go_to_the_first():
    assert HeadSearchCV([("b", GOOD), ("a", GOOD)]).fit(X, y).best_name_ == "b"


@pytest.mark.parametrize("split", [split_development(y), split_folds(y)])
def test_it_is_given_the_split_like_any_search(split):
    search = HeadSearchCV([("poor", POOR), ("good", GOOD)])
    chosen = fit_head(search, X, y, split)["head"]
    assert chosen.scores_["good"] == fit_head(GOOD, X, y, split)["head"].best_score_
    layers = {"sepals": X[:, :2], "petals": X[:, 2:]}
    assert fit_layers(search, layers, y, split).layer == "petals"


def test_without_samples_to_select_on_the_first_is_used():
    pipeline = fit_head(HeadSearchCV([("first", GOOD), ("other", POOR)]), X, y, [])
    assert isinstance(pipeline["head"], SVC)


def test_weights_reach_every_head():
    weights = np.where(y == 0, 1.0, 1e-6)
    heads = [("svm", GOOD), ("logistic", LogisticRegression())]
    search = fit_head(HeadSearchCV(heads), X, y, split_development(y), sample_weight=weights)
    expected = fit_head(GOOD, X, y, split_development(y), sample_weight=weights)
    assert search["head"].scores_["svm"] == expected["head"].best_score_


@pytest.mark.parametrize(
    ("heads", "error", "message"),
    [
        ([], TypeError, r"list of pairs.*got \[\]"),
        (GOOD, TypeError, "list of pairs"),
        ([("a", GOOD), ("a", POOR)], ValueError, "different names"),
        ([("a", "svm")], TypeError, "must be a classifier"),
    ],
)
def test_wrong_heads_are_refused(heads, error, message):
    with pytest.raises(error, match=message):
        HeadSearchCV(heads).fit(X, y)
