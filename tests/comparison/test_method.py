import json
from importlib.resources import files

import jsonschema
import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import NearestCentroid

from penultimate import SVC, Training, compare
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


def test_methods_of_ones_own_are_methods_like_any_other(two_subsets, tmp_path):
    recipe = Training(epochs=2, batch_size=16)
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
