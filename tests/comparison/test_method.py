import json
from importlib.resources import files

import jsonschema
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import LinearSVC

from penultimate import SVC, Protocol, Training, compare
from penultimate.comparison import METHODS, Method
from penultimate.comparison.methods import choose_headline, choose_methods, svm_rbf
from penultimate.report import verdict


def own_methods():
    """Methods as a user adds them, in ways that ours are not: names, heads, router."""
    return {
        "mobilenet+svm": Method("features", svm_rbf, family="svm", inspect=True),
        "Nearest class": Method("features", lambda n_jobs, seed: NearestCentroid()),
        "bayes, routed": Method("features", lambda n_jobs, seed: GaussianNB(), router="head"),
        "svm of pixels": Method("pixels", lambda n_jobs, seed: SVC(), family="svm"),
    }


@pytest.mark.slow
@pytest.mark.one_backend
@pytest.mark.usefixtures("solved_steps", "undrawn")
def test_methods_of_ones_own_are_methods_like_any_other(two_subsets, tmp_path):
    recipe = Training(epochs=1)
    methods = ["cnn-softmax-masked", *own_methods().items()]
    result = compare(two_subsets, methods=methods, seeds=2, training=recipe)
    assert result.names() == ["cnn-softmax-masked", *own_methods()]
    assert result.protocol["headline"] == "mobilenet+svm"
    assert result.hardest
    rows = {row["name"]: row for row in result.to_dict()["methods"] if row["subset"] is None}
    assert rows["svm of pixels"]["uses_network"] is False
    assert rows["bayes, routed"]["router"] == "head"
    assert rows["mobilenet+svm"]["vs_softmax"]["baseline"] == "cnn-softmax-masked"
    assert rows["Nearest class"]["selection_scores"] in ([], [None, None])
    assert "mobilenet+svm" in verdict(result.to_dict())
    page = result.save(tmp_path / "report").read_text()
    for name in own_methods():
        assert name in page
    schema = json.loads(files("penultimate.report").joinpath("results.schema.json").read_text())
    jsonschema.validate(json.loads(result.to_json()), schema)


def test_a_method_of_ones_own_that_has_the_name_of_another():
    both = [("mine", METHODS["cnn+knn"]), ("mine", METHODS["cnn+rf"])]
    with pytest.raises(ValueError, match="Two methods are named 'mine'"):
        choose_methods(both, by_subset=False, frozen=False)
    same = choose_methods(["cnn+rf", "cnn+rf"], by_subset=False, frozen=False)
    assert list(same) == ["cnn+rf"]


@pytest.mark.parametrize(
    ("method", "error", "words"),
    [
        (Method("feature", svm_rbf), ValueError, "'inputs' parameter of the method 'mine'"),
        (Method("features"), ValueError, "The method 'mine' needs make_head"),
        (Method("features", SVC()), TypeError, r"lambda n_jobs, seed: SVC\(\); got SVC\(\)"),
        (Method("features", svm_rbf, router="routed"), ValueError, "'router' parameter"),
        (Method("probabilities", svm_rbf), ValueError, "a make_head that would not be used"),
        (Method("network", router="head"), ValueError, "Use router='network'"),
        (Method("features", svm_rbf, subsets="ignored", router="head"), ValueError, "leave out"),
        (Method("features", svm_rbf, family=None), TypeError, "'family' parameter"),
        (Method("network", loss="hinges"), ValueError, "'loss' parameter"),
        (SVC(), TypeError, "pairs"),
    ],
)
def test_a_method_of_ones_own_that_is_wrong(method, error, words):
    with pytest.raises(error, match=words):
        choose_methods({"mine": method}, by_subset=True, frozen=False)


@pytest.mark.parametrize("order", [1, -1])
def test_the_headline_depends_on_no_order(order):
    names = ["cnn+svm-linear", "cnn+svm-rbf", "cnn+svm-rbf-routed", "pca+svm-rbf", "cnn+logistic"]
    methods = {name: METHODS[name] for name in names[::order]}
    assert choose_headline(methods) == "cnn+svm-rbf"
    del methods["cnn+svm-rbf"]
    assert choose_headline(methods) == "cnn+svm-linear"
    del methods["cnn+svm-linear"]
    assert choose_headline(methods) is None


@pytest.mark.parametrize(
    ("head", "selection", "error", "words"),
    [
        (GaussianNB, "heldout", TypeError, r"must be a function of \(n_jobs, seed\)"),
        (lambda n_jobs, seed: GaussianNB, "heldout", TypeError, "must be a classifier"),
        (
            lambda n_jobs, seed: GridSearchCV(SVC(), {"C": [1]}, refit=False),
            "heldout",
            ValueError,
            "refit=False",
        ),
        (
            lambda n_jobs, seed: make_pipeline(PCA(2), GridSearchCV(SVC(), {"C": [1]})),
            "crossfit",
            ValueError,
            "selection='crossfit' compares",
        ),
    ],
)
def test_a_head_that_cannot_be_used_costs_no_training(
    shapes, monkeypatch, head, selection, error, words
):
    import penultimate.networks.training.fit as training

    monkeypatch.setattr(training, "train", None)
    with pytest.raises(error, match=words):
        compare(
            *shapes,
            methods={"mine": Method("features", head)},
            protocol=Protocol(selection=selection),
        )


def odd_heads():
    """Heads whose parameters, scores or probabilities are of a kind that ours never have."""
    either = Pipeline([("classifier", GaussianNB())])
    grid = {"classifier": [GaussianNB(), KNeighborsClassifier(3)]}
    one = {"var_smoothing": [1]}
    several = {"scoring": ["accuracy", "f1_macro"], "refit": "f1_macro"}
    return {
        "either": lambda n_jobs, seed: GridSearchCV(either, grid),
        "several": lambda n_jobs, seed: GridSearchCV(
            GaussianNB(), {"var_smoothing": [1]}, **several
        ),
        "first": lambda n_jobs, seed: GridSearchCV(GaussianNB(), one, refit=lambda results: 0),
        "some": lambda n_jobs, seed: GaussianNB() if seed else LinearSVC(),
        "later": lambda n_jobs, seed: LinearSVC() if seed else GaussianNB(),
        "many": lambda n_jobs, seed: KNeighborsClassifier(30),
    }


@pytest.mark.one_backend
@pytest.mark.usefixtures("undrawn")
def test_odd_heads_end_in_a_report(shapes, tmp_path):
    methods = {
        name: Method("pixels", head, family="[b]", inspect=True)
        for name, head in odd_heads().items()
    }
    result = compare(*shapes, methods=methods, seeds=[1, 0])
    rows = {row["name"]: row for row in result.to_dict()["methods"]}
    assert "GaussianNB()" in str(rows["either"]["params"])
    assert None not in rows["several"]["selection_scores"]
    assert result.method("some").probabilities is None
    assert result.method("later").probabilities is None
    assert result.method("either").probabilities is not None
    assert [c["message"][:5] for c in result.checks if c["id"] == "diagnostics-failed"] == ["many:"]
    result.save(tmp_path / "report")
    json.loads(result.to_json(), parse_constant=lambda name: pytest.fail(name))


@pytest.mark.slow
@pytest.mark.usefixtures("solved_steps")
def test_a_router_is_no_softmax_and_uses_the_network(two_subsets):
    methods = {
        "a router": Method("features", lambda n, s: GaussianNB(), router="network"),
        "on pixels": Method("pixels", lambda n, s: GaussianNB(), router="network"),
        "cnn-softmax": METHODS["cnn-softmax"],
    }
    recipe = Training(epochs=1, batch_size=16)
    result = compare(two_subsets, methods=methods, seeds=1, training=recipe)
    assert {result.baseline(name) for name in methods} == {"cnn-softmax"}
    assert result.method("on pixels").uses_network
    (trained,) = result.histories
    assert result.method("on pixels").seconds(None)["fit_seconds"] >= trained.seconds
    alone = compare(
        two_subsets, methods={"on pixels": methods["on pixels"]}, seeds=1, training=recipe
    )
    assert len(alone.histories) == 1


@pytest.mark.usefixtures("undrawn")
def test_a_softmax_that_is_sure_of_another_subset_still_has_probabilities(two_subsets, tmp_path):
    def sure(shape, n_classes):
        import keras

        scores = keras.layers.Dense(
            n_classes, kernel_initializer="zeros", bias_initializer=lambda s, dtype: [1e4, 0, 0, 0]
        )
        return keras.Sequential(
            [keras.Input(shape), keras.layers.Flatten(), scores, keras.layers.Softmax()]
        )

    recipe = Training(epochs=1, batch_size=16, learning_rate=1e-6, validation_size=0)
    result = compare(
        two_subsets, methods=["cnn-softmax-masked"], network=sure, seeds=1, training=recipe
    )
    (method,) = result.methods
    np.testing.assert_allclose(method.probabilities.sum(axis=2), 1, rtol=1e-5)
    assert 0.5 in method.probabilities
    result.save(tmp_path / "report")
