import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from penultimate import SVC, SVCSearchCV
from penultimate.selection.heldout import check_layers, fit_head, fit_layers
from penultimate.splits import Split, split_development, split_folds


def test_the_scaler_is_fitted_on_the_fit_part_only():
    X, y = load_iris(return_X_y=True)
    split = split_development(y)
    pipeline = fit_head(SVCSearchCV(), X, y, split)
    expected = StandardScaler().fit(X[split.train])
    np.testing.assert_allclose(pipeline["preprocessing"].mean_, expected.mean_)


def test_selection_is_on_the_selection_part_and_refit_on_all():
    X, y = load_iris(return_X_y=True)
    split = split_development(y)
    pipeline = fit_head(SVCSearchCV(param_grid={"C": [1.0], "gamma": [0.1]}), X, y, split)
    Z = pipeline["preprocessing"].transform(X)
    alone = SVC(gamma=0.1).fit(Z[split.train], y[split.train])
    assert pipeline["head"].best_score_ == alone.score(Z[split.held_out], y[split.held_out])
    whole = SVC(gamma=0.1).fit(Z, y)
    np.testing.assert_allclose(
        pipeline["head"].decision_function(Z), whole.decision_function(Z), rtol=1e-6
    )


def test_selection_does_not_use_held_out_labels_for_fitting():
    """Wrong labels in the selection part do not change the fitted candidates."""
    X, y = load_iris(return_X_y=True)
    split = Split(np.arange(0, 150, 2), np.arange(1, 150, 2))
    wrong = y.copy()
    wrong[split.held_out] = (y[split.held_out] + 1) % 3
    search = SVCSearchCV(param_grid={"C": [1.0], "gamma": [0.1]})
    right = fit_head(search, X, y, split)["head"].best_score_
    assert fit_head(search, X, wrong, split)["head"].best_score_ < 0.1 < 0.9 < right


X, y = load_iris(return_X_y=True)
LAYERS = {"sepals": X[:, :2], "petals": X[:, 2:]}
GRID = SVCSearchCV(param_grid={"C": [1.0, 10.0], "gamma": [0.1]})


@pytest.mark.parametrize("head", [GRID, LogisticRegression()])
@pytest.mark.parametrize("split", [split_development(y), split_folds(y), None])
def test_best_layer_wins_and_is_refitted_on_all(head, split):
    chosen = fit_layers(head, LAYERS, y, split)
    assert chosen.layer == "petals"
    assert list(chosen.scores) == ["sepals", "petals"]
    assert chosen.scores["sepals"] < 0.9 < chosen.scores["petals"]
    expected = fit_head(head, LAYERS["petals"], y, split)
    np.testing.assert_array_equal(
        chosen.pipeline.decision_function(X[:, 2:]), expected.decision_function(X[:, 2:])
    )


def test_the_first_of_equal_layers_wins():
    same = {"b": X, "a": X, "c": X}
    assert fit_layers(GRID, same, y, split_development(y)).layer == "b"


def test_layer_score_of_a_head_without_search_is_that_of_the_selection_part():
    split = split_development(y)
    scores = fit_layers(LogisticRegression(), LAYERS, y, split).scores
    petals = StandardScaler().fit(X[split.train, 2:]).transform(X[:, 2:])
    alone = LogisticRegression().fit(petals[split.train], y[split.train])
    assert scores["petals"] == alone.score(petals[split.held_out], y[split.held_out])


def test_layers_are_not_chosen_on_the_samples_fitted_on():
    """A layer that has only memorized the fit part loses."""
    split = split_development(y)
    memorized = np.random.default_rng(0).normal(size=(150, 3))
    memorized[split.train] = np.eye(3)[y[split.train]] * 10
    for head in (GRID, LogisticRegression()):
        layers = {"memorized": memorized, "petals": LAYERS["petals"]}
        assert fit_layers(head, layers, y, split).layer == "petals"


def test_one_layer_and_nothing_to_search():
    chosen = fit_layers(LogisticRegression(), {"petals": X[:, 2:]}, y, split_development(y))
    assert (chosen.layer, chosen.scores) == ("petals", {})


def test_nothing_to_select_on():
    few, labels = X[[0, 50, 100]], y[[0, 50, 100]]
    for head in (GRID, SVCSearchCV(SVC(C=7)), LogisticRegression(C=7)):
        chosen = fit_layers(head, {"first": few, "second": few}, labels, split_folds(labels))
        assert (chosen.layer, chosen.scores) == ("first", {})
        assert chosen.pipeline.predict(few).tolist() == [0, 1, 2]
        assert (1 if head is GRID else 7) == chosen.pipeline["head"].C


def test_folds_are_the_given_ones():
    folds = split_folds(y, n_folds=3)
    search = fit_head(GRID, X, y, folds)["head"]
    assert search.n_splits_ == 3
    Z = StandardScaler().fit_transform(X)
    alone = SVC(gamma=0.1).fit(Z[folds[1].train], y[folds[1].train])
    expected = alone.score(Z[folds[1].held_out], y[folds[1].held_out])
    assert search.cv_results_["split1_test_score"][0] == expected


def test_bad_layers():
    assert check_layers("flatten", "DeepSVC") == ["flatten"]
    for layer in (None, 3, ["flatten", 3], {"flatten"}):
        with pytest.raises(TypeError, match="must be a layer's name or a list of names; got"):
            check_layers(layer, "DeepSVC")
    for layer in ([], ["flatten", "flatten"]):
        with pytest.raises(ValueError, match="at least one layer, and each only once; got"):
            check_layers(layer, "DeepSVC")
