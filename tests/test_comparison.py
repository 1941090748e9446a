import dataclasses

import numpy as np
import pytest

from penultimate import Training, compare
from penultimate._progress import Progress
from penultimate._run import Run
from penultimate.datasets import Dataset, split_test
from penultimate.heads import METHODS
from penultimate.networks import build_network

QUICK = Training(epochs=6, batch_size=8)


@pytest.fixture(scope="module")
def comparison(shapes):
    return compare(*shapes, seeds=2, training=QUICK)


def test_every_method_on_the_same_test_part(comparison, shapes):
    assert [method.name for method in comparison.methods] == list(METHODS)
    assert comparison.seeds == [0, 1]
    _, y = shapes
    np.testing.assert_array_equal(comparison.test, split_test((y == "standing") * 1).second)
    for method in comparison.methods:
        assert method.predictions.shape == (2, 12)
        assert len(method.fit_seconds) == len(method.params) == 2
    assert comparison.accuracy("cnn+svm-rbf").value > 0.8
    assert len(comparison.histories) == 2


def test_features_are_those_of_the_first_network(comparison, shapes):
    alone = compare(*shapes, methods=["cnn-softmax"], seeds=[0], training=QUICK)
    for part, n_samples in (("development", 48), ("test", 12)):
        assert comparison.features[part].shape == (n_samples, 128)
        np.testing.assert_allclose(comparison.features[part], alone.features[part], atol=1e-3)


def test_text(comparison):
    lines = str(comparison).splitlines()
    assert len(lines) == 7
    assert "cnn+svm-rbf" in lines[2]
    assert "%" in lines[2]


def test_dictionary(comparison):
    results = comparison.to_dict()
    softmax, logistic, *_ = results["methods"]
    assert softmax["vs_softmax"] is None
    assert logistic["control"]
    assert set(logistic["vs_softmax"]) == {"difference", "ci95", "p"}
    assert results["protocol"]["test_uses"] == 1
    assert results["dataset"]["n_development"] == 48
    for method in results["methods"]:
        assert method["accuracy"] == pytest.approx(np.mean(method["per_seed"]))
        assert method["fit_seconds"] >= method["head_seconds"]


def test_network_and_heads_never_see_test_samples(shapes, monkeypatch):
    """With the test labels turned round, everything that is fitted stays as it was."""
    X, y = shapes
    chosen = ["cnn-softmax", "cnn+svm-rbf", "pca+svm-rbf"]
    test = split_test((y == "standing") * 1).second
    turned = y.copy()
    turned[test] = np.where(y[test] == "lying", "standing", "lying")
    is_test = np.isin(np.arange(60), test)
    data = [Dataset.from_arrays(X, labels, is_test=is_test) for labels in (y, turned)]
    right, wrong = (compare(d, methods=chosen, seeds=1, training=QUICK) for d in data)
    for one, two in zip(right.methods, wrong.methods):
        assert one.selection_scores == two.selection_scores
        np.testing.assert_array_equal(one.predictions, two.predictions)
    assert wrong.accuracy("cnn+svm-rbf").value == pytest.approx(
        1 - right.accuracy("cnn+svm-rbf").value
    )


def test_one_network_a_seed(shapes, monkeypatch):
    trained = []
    import penultimate._run as run

    def spy(*args, seed, **kwargs):
        trained.append(seed)
        return real(*args, seed=seed, **kwargs)

    real = run.fit_network
    monkeypatch.setattr(run, "fit_network", spy)
    compare(*shapes, methods=["cnn-softmax", "cnn+knn", "cnn+rf"], seeds=[4, 9], training=QUICK)
    assert trained == [4, 9]
    compare(*shapes, methods=["pca+svm-rbf"], seeds=1)
    assert trained == [4, 9]


def test_frozen_network_gets_a_logistic_head_for_its_softmax(shapes):
    X, y = shapes
    network = build_network("compact", (12, 12, 1), 5)
    result = compare(
        X[..., None], y, network=network, methods=["cnn-softmax", "cnn+svm-linear"], seeds=1
    )
    assert result.protocol["frozen"]
    assert result.protocol["epochs"] is None
    assert set(result.methods[0].params[0]) == {"C"}
    assert result.histories == []
    assert [check["id"] for check in result.checks] == ["frozen-softmax"]


def test_split_that_a_later_seed_needs_fails_before_training(shapes, monkeypatch):
    import penultimate._run as run

    monkeypatch.setattr(run, "fit_network", None)
    X, y = shapes
    # Three groups: one is for testing, one for selection, and none is left for validation.
    with pytest.raises(ValueError, match="There is 1 group to split"):
        compare(X, y, groups=np.arange(60) % 3, seeds=3)


def test_groups_are_kept_whole(shapes):
    X, y = shapes
    groups = np.arange(60) % 15
    result = compare(X, y, groups=groups, methods=["pca+svm-rbf"], seeds=1)
    development = np.setdiff1d(np.arange(60), result.test)
    assert not set(groups[result.test]) & set(groups[development])
    assert result.protocol["groups"]


def test_groups_given_beside_a_dataset(shapes):
    data = Dataset.from_arrays(*shapes, name="bars")
    result = compare(data, groups=np.arange(60) % 15, methods=["pca+svm-rbf"], seeds=1)
    assert (result.dataset.name, result.protocol["groups"]) == ("bars", True)


def test_path(shapes, tmp_path):
    X, y = shapes
    np.savez(tmp_path / "bars.npz", X=X, y=y)
    result = compare(tmp_path / "bars.npz", methods=["pca+svm-rbf"], seeds=1)
    assert result.dataset.name == "bars"


def test_no_softmax_no_difference(shapes):
    result = compare(*shapes, methods=["pca+svm-rbf"], seeds=1)
    assert result.vs_softmax("pca+svm-rbf") is None
    assert result.features is None


def test_warnings_of_heads_become_checks(shapes, monkeypatch):
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    def hasty(n_jobs, seed):
        return GridSearchCV(LogisticRegression(max_iter=1), {"C": [1, 10]})

    monkeypatch.setitem(
        METHODS, "hasty", dataclasses.replace(METHODS["pca+svm-rbf"], make_head=hasty)
    )
    result = compare(*shapes, methods=["hasty"], seeds=2)
    (check,) = result.checks
    assert check["level"] == "warning"
    assert "hasty: lbfgs failed to converge" in check["message"]


def test_progress(shapes):
    heard, scores = [], []

    class Listener(Progress):
        def update(self, step, done, total):
            heard.append(step)

        def scored(self, method, seed, accuracy):
            scores.append((method, seed))

    compare(
        *shapes,
        methods=["cnn-softmax", "cnn+knn"],
        seeds=1,
        training=QUICK,
        progress=Listener(),
    )
    assert list(dict.fromkeys(heard)) == ["train network", "extract features", "fit cnn+knn"]
    assert scores == [("cnn-softmax", 0), ("cnn+knn", 0)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"methods": ["cnn+svm"]}, "'methods' parameter of compare must be one of 'cnn-softmax'"),
        ({"methods": []}, "methods is empty"),
        ({"seeds": 0}, "'seeds' parameter of compare"),
        ({"n_jobs": 0}, "'n_jobs' parameter of compare"),
        ({"seeds": [1, 1]}, "different integers"),
        ({"seeds": [-1]}, "'seeds' parameter"),
        ({"test_size": 1.0}, "'test_size' parameter of compare"),
        ({"network": "vgg"}, "'network' parameter"),
        ({"groups": [1, 2]}, "one entry a sample"),
        ({"training": Training(epochs=0)}, "'epochs' parameter of Training"),
    ],
)
def test_bad_parameters_fail_before_anything_is_trained(shapes, monkeypatch, arguments, message):
    monkeypatch.setattr(Run, "fit_and_predict", None)
    with pytest.raises(ValueError, match=message):
        compare(*shapes, **arguments)


def test_bad_data(shapes, tmp_path):
    X, y = shapes
    with pytest.raises(ValueError, match="y is missing"):
        compare(X)
    with pytest.raises(ValueError, match="y must be None where X is a path"):
        compare(tmp_path, y)
    few = np.array(["lying"] * 59 + ["standing"])
    with pytest.raises(ValueError, match="class 'standing' has 1 image; at least 5"):
        compare(X, few)
