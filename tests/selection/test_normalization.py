import pickle

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler, normalize

from penultimate import SVC, SVCSearchCV
from penultimate.selection.crossfit import fit_crossfit
from penultimate.selection.heldout import fit_head, fit_layers
from penultimate.selection.normalization import (
    NORMALIZATIONS,
    check_normalizations,
    choices,
    make_normalization,
)
from penultimate.splits import split_development, split_folds

X, y = load_iris(return_X_y=True)
SPLIT = split_development(y)
GRID = SVCSearchCV(param_grid={"C": [1.0, 10.0], "gamma": [0.1]})
LINEAR = SVCSearchCV(SVC(kernel="linear"), {"C": [0.1, 1.0]})


def signed(n=7, n_features=4):
    return np.random.default_rng(0).normal(size=(n, n_features)).astype(np.float32)


def test_each_normalization():
    A = signed()
    expected = {
        "standardize": StandardScaler().fit_transform(A),
        "l2": 2 * normalize(A),
        "sqrt-l2": 2 * normalize(np.sign(A) * np.sqrt(np.abs(A))),
        None: A,
    }
    for name in NORMALIZATIONS:
        made = make_normalization(name).fit(A)
        found = made.transform(A)
        np.testing.assert_allclose(found, expected[name], rtol=1e-6)
        assert found.dtype == np.float32
        assert made.transform(A.astype(float)).dtype == float
        again = pickle.loads(pickle.dumps(clone(made).fit(A)))  # noqa: S301
        np.testing.assert_array_equal(again.transform(A), found)


@pytest.mark.parametrize("name", ["l2", "sqrt-l2"])
def test_a_row_of_zeros_stays_one(name):
    A = signed()
    A[3] = 0
    found = make_normalization(name).fit_transform(A)
    assert not found[3].any()
    assert np.isfinite(found).all()
    np.testing.assert_allclose((found[:3] ** 2).mean(axis=1), 1, rtol=1e-6)


def test_one_sample_means_the_same_as_among_others():
    A = signed()
    for name in NORMALIZATIONS:
        made = make_normalization(name).fit(A)
        np.testing.assert_array_equal(made.transform(A[2:3]), made.transform(A)[2:3])


def test_only_the_direction_of_a_sample_counts_under_l2():
    lengths = np.random.default_rng(0).uniform(0.1, 10, (len(X), 1))
    for name in ("l2", "sqrt-l2"):
        made = make_normalization(name)
        np.testing.assert_allclose(made.fit_transform(lengths * X), made.fit_transform(X))


def test_the_output_is_an_array_whatever_is_configured():
    with config_context(transform_output="pandas"):
        for name in NORMALIZATIONS:
            pipeline = fit_head(SVC(), X, y, SPLIT, preprocessing=make_normalization(name))
            assert isinstance(pipeline["preprocessing"].transform(X), np.ndarray)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("l3", ValueError, "must be one of 'standardize', 'l2', 'sqrt-l2' and None; got 'l3'."),
        ("sqrt_l2", ValueError, "got 'sqrt_l2'. Did you mean 'sqrt-l2'"),
        ("none", ValueError, "and None; got 'none'"),
        (["l2", "standardise"], ValueError, "got 'standardise'. Did you mean 'standardize'"),
        ([], ValueError, "at least one normalization, and each only once; got []"),
        ([None, "l2", None], ValueError, "each only once; got [None, 'l2', None]"),
        (3, TypeError, "must be a name, None or a list of these; got 3"),
        (["l2", StandardScaler()], TypeError, "must be a name, None or a list of these"),
        ({"l2"}, TypeError, "got {'l2'}"),
    ],
)
def test_bad_normalizations(given, error, message):
    with pytest.raises(error) as raised:
        check_normalizations(given, "DeepSVC")
    assert str(raised.value).startswith("The 'normalization' parameter of DeepSVC")
    assert message in str(raised.value)


def test_one_or_several():
    assert check_normalizations("l2", "compare") == ["l2"]
    assert check_normalizations(None, "compare") == [None]
    assert check_normalizations((None, "l2"), "compare") == [None, "l2"]


def longer(values):
    """Samples whose length says nothing: only in their direction are the classes apart."""
    lengths = np.exp(np.random.default_rng(0).normal(0, 2, (len(values), 1)))
    return lengths * (values - X.mean(axis=0))


LAYERS = {"sepals": X[:, :2], "all": longer(X)}
PAIRS = choices(LAYERS, ["standardize", "l2"])


@pytest.mark.parametrize("head", [LINEAR, LogisticRegression()])
@pytest.mark.parametrize("split", [SPLIT, split_folds(y), None])
def test_layer_and_normalization_are_selected_together(head, split):
    chosen = fit_layers(head, LAYERS, y, split, preprocessing=PAIRS)
    assert (chosen.layer, chosen.normalization) == ("all", "l2")
    assert list(chosen.selection_scores) == list(PAIRS)
    assert max(chosen.selection_scores.values()) == chosen.selection_scores["all", "l2"]
    assert chosen.scores == {
        layer: max(chosen.selection_scores[layer, name] for name in ("standardize", "l2"))
        for layer in LAYERS
    }
    alone = fit_head(head, LAYERS["all"], y, split, preprocessing=make_normalization("l2"))
    np.testing.assert_array_equal(
        chosen.pipeline.decision_function(LAYERS["all"]), alone.decision_function(LAYERS["all"])
    )


def test_the_score_of_a_head_without_search_is_that_of_its_own_normalization():
    scores = fit_layers(
        LogisticRegression(), LAYERS, y, SPLIT, preprocessing=PAIRS
    ).selection_scores
    values = 2 * normalize(LAYERS["all"])
    alone = LogisticRegression().fit(values[SPLIT.train], y[SPLIT.train])
    assert scores["all", "l2"] == alone.score(values[SPLIT.held_out], y[SPLIT.held_out])


def test_the_first_of_equal_pairs_wins():
    pairs = {(layer, name): StandardScaler() for layer in ("b", "a") for name in ("y", "x")}
    chosen = fit_layers(GRID, {"a": X, "b": X}, y, SPLIT, preprocessing=pairs)
    assert len(set(chosen.selection_scores.values())) == 1
    assert (chosen.layer, chosen.normalization) == ("b", "y")


def test_with_one_pair_nothing_changes():
    usual = fit_layers(GRID, {"all": X}, y, SPLIT)
    given = fit_layers(GRID, {"all": X}, y, SPLIT, preprocessing=choices(["all"], ["standardize"]))
    assert usual.normalization == given.normalization == "standardize"
    assert type(usual.pipeline["preprocessing"]) is StandardScaler
    np.testing.assert_array_equal(
        usual.pipeline.decision_function(X), given.pipeline.decision_function(X)
    )
    assert given.selection_scores == {("all", "standardize"): usual.scores["all"]}


def test_without_samples_to_select_on_the_first_pair_is_used():
    few, labels = X[[0, 50, 100]], y[[0, 50, 100]]
    pairs = choices(["all"], [None, "l2"])
    for head in (GRID, LogisticRegression()):
        chosen = fit_layers(head, {"all": few}, labels, split_folds(labels), preprocessing=pairs)
        assert (chosen.layer, chosen.normalization, chosen.selection_scores) == ("all", None, {})


@pytest.mark.parametrize("head", [LINEAR, LogisticRegression()])
def test_crossfit_selects_a_pair(head):
    folds = split_folds(y, seed=1)
    chosen = fit_crossfit(
        head, ((fold, LAYERS) for fold in folds), lambda: LAYERS, y, preprocessing=PAIRS
    )
    assert (chosen.layer, chosen.normalization) == ("all", "l2")
    # One network for all folds: that is cross-validation on the same folds. (A scaler, but not a
    # length, is fitted in each of them.)
    same = fit_layers(head, LAYERS, y, folds, preprocessing=PAIRS)
    assert list(chosen.selection_scores) == list(PAIRS)
    for pair in (("sepals", "l2"), ("all", "l2")):
        assert chosen.selection_scores[pair] == pytest.approx(same.selection_scores[pair])
    np.testing.assert_array_equal(
        chosen.pipeline.predict(LAYERS["all"]), same.pipeline.predict(LAYERS["all"])
    )


def test_weights_reach_the_standardization_and_the_head():
    weights = np.linspace(0.1, 2, len(y))
    chosen = fit_layers(GRID, LAYERS, y, SPLIT, preprocessing=PAIRS, sample_weight=weights)
    usual = fit_layers(GRID, LAYERS, y, SPLIT, sample_weight=weights)
    for layer in LAYERS:
        assert chosen.selection_scores[layer, "standardize"] == usual.scores[layer]
    assert chosen.normalization == "l2"
