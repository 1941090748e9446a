import json

import numpy as np
import pytest

from penultimate import Training
from penultimate._common.progress import Progress
from penultimate.comparison.few_samples import FEW_SAMPLES_METHODS, learning_curves
from penultimate.networks import build_network
from penultimate.results.few_shot import LearningCurves
from penultimate.splits import Split, split_test

HEADS = list(FEW_SAMPLES_METHODS)
QUICK = Training(epochs=10, batch_size=8, validation_size=0)


@pytest.fixture(scope="module")
def network():
    return build_network("compact", (12, 12, 1), 10)


@pytest.fixture(scope="module")
def split(shapes):
    return split_test(shapes[1])


@pytest.fixture(scope="module")
def curves(network, shapes, split):
    return learning_curves(network, *shapes, split, sizes=[None, 2], seeds=2, methods=HEADS)


@pytest.mark.slow
def test_every_head_learns(curves):
    assert curves.methods == HEADS
    assert curves.sizes == [2, 24]
    assert curves.predictions.shape == (5, 2, 2, 12)
    assert curves.accuracies.shape == (5, 2, 2)
    at_all = dict(zip(HEADS, curves.accuracies[:, -1].mean(axis=-1), strict=True))
    assert at_all.pop("cnn+softmax-adam") > 0.6
    assert min(at_all.values()) > 0.8, at_all


def test_rows_say_what_was_selected(curves):
    assert len(curves.rows) == 5 * 2 * 2
    for row in curves.rows:
        on_features = row["method"].startswith("cnn+")
        assert (row["layer"] in ("penultimate", "flatten")) == on_features
        assert (row["params"] is None) == (row["method"] == "cnn+softmax-adam")
        assert row["seconds"] > 0
        line, column = curves.methods.index(row["method"]), curves.sizes.index(row["size"])
        assert row["accuracy"] == curves.accuracies[line, column, row["seed"]]
    plain = json.loads(json.dumps(curves.to_dict()))
    assert plain["rows"] == curves.rows
    assert plain["classes"] == ["lying", "standing"]


def test_intervals_and_paired_differences(curves):
    interval = curves.accuracy("cnn+svm-rbf", 24)
    assert interval.value == curves.accuracies[0, 1].mean()
    assert interval.low <= interval.value <= interval.high
    difference = curves.difference("cnn+svm-rbf", "cnn+softmax-adam", 24)
    other = curves.accuracy("cnn+softmax-adam", 24)
    assert difference.value == pytest.approx(interval.value - other.value)
    with pytest.raises(ValueError, match=r"no size 3; the sizes are \[2, 24\]"):
        curves.accuracy("cnn+svm-rbf", 3)
    with pytest.raises(ValueError, match="must be one of"):
        curves.accuracy("svm", 2)


def test_methods_share_nested_samples_and_folds(network, shapes, split, monkeypatch):
    import penultimate.comparison.few_samples as module

    calls = []
    fit = module._fit
    monkeypatch.setattr(
        module, "_fit", lambda *args: calls.append((args[2], args[3], args[5])) or fit(*args)
    )
    methods = ["cnn+svm-linear", "pca+svm-rbf"]
    learning_curves(network, *shapes, split, sizes=[2, 5], seeds=2, methods=methods)
    of = {(seed, len(few)): [] for few, _, seed in calls}
    for few, folds, seed in calls:
        of[seed, len(few)].append((few, folds))
    assert list(of) == [(0, 4), (0, 10), (1, 4), (1, 10)]
    for (few, folds), (other, other_folds) in of.values():
        np.testing.assert_array_equal(few, other)
        assert folds is other_folds
        assert np.isin(few, split.train).all()
        assert set(np.unique(shapes[1][few], return_counts=True)[1]) == {len(few) // 2}
    for seed in (0, 1):
        assert set(of[seed, 4][0][0]) < set(of[seed, 10][0][0])
    assert set(of[0, 10][0][0]) != set(of[1, 10][0][0])


@pytest.mark.slow
@pytest.mark.usefixtures("solved_steps")
def test_test_labels_change_nothing_that_is_fitted(network, shapes, split):
    X, y = shapes
    turned = y.copy()
    turned[split.held_out] = np.where(y[split.held_out] == "lying", "standing", "lying")
    methods = ["cnn+svm-rbf", "cnn+softmax-adam", "cnn-scratch"]
    short = Training(epochs=1, batch_size=8, validation_size=0)
    parameters = {"sizes": [5], "seeds": 1, "methods": methods, "training": short}
    right = learning_curves(network, X, y, split, **parameters)
    wrong = learning_curves(network, X, turned, split, **parameters)
    np.testing.assert_array_equal(right.predictions, wrong.predictions)
    np.testing.assert_allclose(right.accuracies, 1 - wrong.accuracies)


def test_one_sample_of_a_class(network, shapes, split):
    curves = learning_curves(network, *shapes, split, sizes=[1], seeds=1, methods=HEADS)
    # Nothing can be selected: the first layer.
    assert {row["layer"] for row in curves.rows} == {"penultimate", None}
    assert all(row["params"] is None for row in curves.rows)


@pytest.mark.slow
@pytest.mark.usefixtures("solved_steps")
def test_all_methods_leave_the_network_unchanged(network, shapes, split):
    before = [weights.copy() for weights in network.get_weights()]
    curves = learning_curves(network, *shapes, split, sizes=[10], seeds=1, training=QUICK)
    assert curves.methods == [*HEADS, "cnn-scratch"]
    assert curves.accuracies[-1, 0, 0] > 0.8
    assert (curves.rows[-1]["layer"], curves.rows[-1]["params"]) == (None, None)
    for weights, old in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weights, old)


def test_pixels_in_any_range(network, shapes, split):
    X, y = shapes
    parameters = {"sizes": [5], "seeds": 1, "methods": ["cnn+svm-linear", "pca+svm-rbf"]}
    as_bytes = learning_curves(network, X, y, split, **parameters)
    as_shares = learning_curves(network, X / 255, y, split, **parameters)
    np.testing.assert_array_equal(as_bytes.predictions, as_shares.predictions)


def test_progress(network, shapes, split):
    heard = []

    class Heard(Progress):
        def update(self, step, done, total):
            heard.append((step, done, total))

        def scored(self, method, seed, accuracy):
            heard.append((method, seed, accuracy))

        def tests_on(self, n_samples):
            heard.append(n_samples)

    curves = learning_curves(
        network, *shapes, split, sizes=[5], seeds=2, methods=["cnn+svm-linear"], progress=Heard()
    )
    assert heard == [
        len(split.held_out),
        ("learning curves", 0, 2),
        ("cnn+svm-linear, 5 per class", 0, curves.accuracies[0, 0, 0]),
        ("learning curves", 1, 2),
        ("cnn+svm-linear, 5 per class", 1, curves.accuracies[0, 0, 1]),
        ("learning curves", 2, 2),
    ]


def test_bad_input(network, shapes, split):
    for parameters, error, message in [
        ({"sizes": [5, 25]}, ValueError, "fewer than 25 samples .* 'lying' has 24"),
        ({"sizes": []}, ValueError, "sizes is empty"),
        ({"sizes": [0]}, ValueError, "'sizes' parameter"),
        ({"methods": ["svm"]}, ValueError, "must be one of 'cnn.svm-rbf', .*; got 'svm'"),
        ({"layers": []}, ValueError, "at least one layer"),
        ({"layers": "conv9"}, ValueError, "no layer 'conv9'"),
        ({"seeds": 0}, ValueError, "'seeds' parameter"),
        ({"network": "compact"}, TypeError, "must be a trained network; got 'compact'"),
        ({"split": Split(split.train[:1], split.held_out)}, ValueError, "has 0"),
    ]:
        given = {"network": network, "split": split, "sizes": [5], **parameters}
        with pytest.raises(error, match=message):
            learning_curves(given.pop("network"), *shapes, given.pop("split"), **given)


def test_a_result_of_plain_arrays():
    curves = LearningCurves(
        ["a"], [5], np.array([0, 1]), np.array([0, 1]), np.array([[[[0, 0], [0, 1]]]]), []
    )
    assert curves.accuracies.tolist() == [[[0.5, 1.0]]]
