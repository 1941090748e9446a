"""Pre-trained networks: their softmax, the scale of their inputs, a separate test set."""

import numpy as np
import pytest

from penultimate import compare
from penultimate.comparison.own_softmax import match_outputs
from penultimate.datasets import Dataset
from penultimate.networks import predict_probabilities
from penultimate.networks.probabilities import numbers_classes
from penultimate.provenance.leakage import UnknownProvenanceWarning
from penultimate.provenance.records import record

keras = pytest.importorskip("keras")
CLASSES = 4
OWN = {"methods": ["cnn-softmax", "cnn+logistic"], "seeds": 1}


def bands(n, seed):
    """Images in [0, 1] with one brighter band of rows per class, and their classes."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % CLASSES
    X = rng.random((n, 8, 8, 1), dtype=np.float32) * 0.4
    for k in range(CLASSES):
        X[y == k, 2 * k : 2 * k + 2] += 0.3
    flipped = rng.random(n) < 0.1
    y[flipped] = rng.integers(0, CLASSES, flipped.sum())
    return X, y


def network_of(order=range(CLASSES), *, ending="softmax", gain=1.0):
    """A network that detects the bands; output k stands for class ``order[k]``."""
    inputs = keras.Input((8, 8, 1))
    hidden = keras.layers.Dense(CLASSES, activation="relu")
    outputs = keras.layers.Dense(len(order), activation=ending)
    network = keras.Model(inputs, outputs(hidden(keras.layers.Flatten()(inputs))))
    kernel = np.zeros((8, 8, CLASSES), np.float32)
    for k in range(CLASSES):
        kernel[2 * k : 2 * k + 2, :, k] = gain
    hidden.set_weights([kernel.reshape(64, CLASSES), np.zeros(CLASSES, np.float32)])
    outputs.set_weights([np.eye(CLASSES)[:, list(order)] * 2, np.zeros(len(order))])
    record(network, [])
    return network


@pytest.fixture(scope="module")
def data():
    return bands(240, 0)


def row(result, name):
    return next(m for m in result.to_dict()["methods"] if m["name"] == name)


@pytest.mark.parametrize("ending", ["softmax", "linear", "sigmoid", "tanh"])
def test_the_row_is_the_networks_own_accuracy(data, ending):
    X, y = data
    network = network_of(ending=ending)
    network.layers[-1].set_weights(
        [np.eye(CLASSES) * 0.2, np.float32([0.35, 0, 0, 0])]
    )  # biased to class 0
    result = compare(X, y, network=network, **OWN)
    predicted = np.asarray(network(X[result.test])).argmax(axis=1)
    assert row(result, "cnn-softmax")["accuracy"] == np.mean(predicted == y[result.test])
    assert row(result, "cnn-softmax")["params"] == {"0": {}}
    assert row(result, "cnn+logistic")["vs_softmax"]["baseline"] == "cnn-softmax"
    (check,) = (c for c in result.checks if c["id"] == "frozen-softmax")
    assert "labels are output numbers" in check["message"]


def test_names_are_matched_in_their_order(data):
    X, y = data
    names = np.array(["ant", "bee", "cat", "dog"])
    result = compare(X, names[y], network=network_of(), **OWN)
    assert row(result, "cnn-softmax")["accuracy"] > 0.8
    assert "in the order of their names" in result.checks[0]["message"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["class 1", "class 10", "class 2", "class 3"], "sorted as text"),
        (["dog", "cat", "ant", "bee"], "in the order that fits best"),
    ],
)
def test_another_order_of_names_is_detected(data, names, words):
    X, y = data
    result = compare(X, np.array(names)[y], network=network_of(), **OWN)
    assert row(result, "cnn-softmax")["accuracy"] > 0.8
    assert words in result.checks[0]["message"]
    assert "development samples" in result.checks[0]["message"]


def test_an_order_that_noise_fits_better_is_not_taken():
    """If sorting as text is nearly as good as the best of all orders, it is the explanation."""
    X, y = bands(240, 0)
    network = network_of()
    weights = np.eye(CLASSES) * 2
    weights[[2, 3]] = weights[[2, 3]] * 0.5 + 0.26  # classes 2 and 3 are hardly distinguished
    network.layers[-1].set_weights([weights, np.float32([0, 0, 0.02, -0.02])])
    names = ("class 1", "class 2", "class 3", "class 10")  # as text: 1, 10, 2, 3
    codes = np.array([0, 3, 1, 2])[y]
    matched = match_outputs(network, X, codes, names)
    assert matched.columns.tolist() == [0, 2, 3, 1]
    assert "sorted as text" in matched.message


def test_numeric_labels_are_never_rematched(data):
    X, y = data
    result = compare(X, (y + 1) % CLASSES, network=network_of(), **OWN)
    assert row(result, "cnn-softmax")["accuracy"] < 0.3
    (check,) = (c for c in result.checks if c["id"] == "frozen-softmax")
    assert check["level"] == "warning"
    assert "In another order" in check["message"]


def test_a_poor_network_is_not_matched_by_chance(data):
    X, y = data
    constant = network_of()
    constant.layers[-1].set_weights([np.zeros((CLASSES, CLASSES)), np.float32([0, 3, 0, 0])])
    few_of_0 = (y != 0) | (np.arange(len(y)) % 4 == 0)
    names = np.array(["a", "b", "c", "d"])[y]
    matched = match_outputs(constant, X[few_of_0], y[few_of_0], tuple("abcd"))
    assert matched.columns.tolist() == [0, 1, 2, 3]
    assert row(compare(X, names, network=constant, **OWN), "cnn-softmax")["accuracy"] < 0.4


@pytest.mark.parametrize("ending", ["sigmoid", "linear"])
def test_a_single_output_for_two_classes(data, ending):
    X, _ = data
    network = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3, "relu"),
         keras.layers.Dense(1, ending)]
    )  # fmt: skip
    assert numbers_classes(network, 2)
    own = predict_probabilities(network, X[:5])
    np.testing.assert_allclose(own.sum(axis=1), 1, rtol=1e-6)
    positive = np.asarray(network(X[:5]))[:, 0] > (0.5 if ending == "sigmoid" else 0)
    np.testing.assert_array_equal(own.argmax(axis=1), positive)


def test_outputs_that_do_not_number_the_classes(data):
    X, y = data
    network = network_of([0, 1, 2, 3, 0])
    assert not numbers_classes(network, CLASSES)
    result = compare(X, y, network=network, methods=["cnn+svm-rbf", "cnn+logistic"], seeds=1)
    assert row(result, "cnn+svm-rbf")["vs_softmax"]["baseline"] == "cnn+logistic"
    with pytest.raises(ValueError, match=r"this one has other outputs. Use 'cnn\+logistic'"):
        compare(X, y, network=network, **OWN)


@pytest.mark.parametrize("scale", ["shares", "bytes", "standardized"])
def test_a_dataset_gives_samples_on_their_own_scale(data, scale):
    """The user's own network is fed exactly what was passed, as it is with arrays."""
    X, y = data
    X = {"shares": X, "bytes": np.float32(255) * X, "standardized": (X - X.mean()) / X.std()}[scale]
    network = network_of(ending="linear", gain=0.01 if scale == "bytes" else 1.0)
    expected = compare(X, y, network=network, methods=["cnn+logistic"], seeds=1)
    dataset = Dataset.from_arrays(X, y)
    assert dataset.images.min() >= 0
    assert dataset.images.max() <= 255
    result = compare(dataset, network=network, methods=["cnn+logistic"], seeds=1)
    for part, features in expected.features.items():
        np.testing.assert_allclose(result.features[part], features, rtol=1e-4, atol=1e-4)
    kept = np.arange(0, len(y), 2)
    np.testing.assert_allclose(dataset.take(kept).inputs, X[kept], rtol=1e-5, atol=1e-5)


def test_a_named_network_refuses_standardized_values(data):
    X, y = data
    for samples in ((X - 0.5, y), (Dataset.from_arrays(X - 0.5, y),)):
        with pytest.raises(ValueError, match=r"takes pixels in \[0, 1\] or \[0, 255\]"):
            compare(*samples, seeds=1)


def test_a_test_set_passed_by_the_user(data):
    X, y = data
    X_test, y_test = bands(60, 1)
    result = compare(X, y, test=(X_test, y_test), network=network_of(), **OWN)
    np.testing.assert_array_equal(result.test, np.arange(240, 300))
    own = np.asarray(network_of()(X_test)).argmax(axis=1)
    assert row(result, "cnn-softmax")["accuracy"] == np.mean(own == y_test)
    assert result.protocol["given_split"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda X, y: X, "must be a tuple"),
        (lambda X, y: (X[:, :4], y), "resize them alike"),
        (lambda X, y: ((X * 255).astype(np.uint8), y), "bring both to one scale and type"),
        (lambda X, y: (X * 255, y), "on different scales"),
        (lambda X, y: (X, y[:-1]), "X_test has 60 samples but 59 labels"),
        (lambda X, y: (X[0], y[0]), r"is one image, .*test=\(X_test\[None\], \[y_test\]\)"),
        (lambda X, y: (X[0], y[:1]), r"is one image, .*test=\(X_test\[None\], \[y_test\]\)"),
        (lambda X, y: (X, y.astype(str)), "labels of type"),
        (lambda X, y: (X, np.eye(4)[y]), "one label per sample"),
    ],
)
def test_unusable_test_sets_are_refused(data, make, message):
    with pytest.raises(ValueError, match=message):
        compare(*data, test=make(*bands(60, 1)), network=network_of(), **OWN)
    with pytest.raises(ValueError, match="goes with arrays"):
        compare(Dataset.from_arrays(*data), test=bands(60, 1), network=network_of(), **OWN)


def test_training_samples_are_unknown_until_recorded(data):
    X, y = data
    network = keras.models.clone_model(network_of())  # without its record
    network.layers[-1].set_weights([np.eye(CLASSES) * 1.5, np.full(CLASSES, 0.25)])
    with pytest.warns(UnknownProvenanceWarning, match=r"record\(network, X\)") as caught:
        result = compare(X, y, network=network, methods=["cnn+svm-rbf", "pca+svm-rbf"], seeds=1)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    states = {state["id"]: state["state"] for state in result.check_states}
    for name in (
        "test-samples-seen", "selection-on-training-samples", "other-training-samples"
    ):  # fmt: skip
        assert states[name] == "unknown"
        assert name not in result.protocol["checks_run"]
    (check,) = (c for c in result.checks if c["id"] == "training-samples-unknown")
    assert "provenance.record(network, X)" in check["advice"]
    record(network, [])
    told = compare(X, y, network=network, methods=["cnn+svm-rbf", "pca+svm-rbf"], seeds=1)
    assert {s["state"] for s in told.check_states} == {"passed", "found", "not applicable"}


def test_every_head_selects_its_layer(data):
    X, y = data
    detector = network_of()
    hidden = detector.layers[-2].output
    # What says little comes first: the brightness of an image.
    mean = keras.layers.GlobalAveragePooling2D(name="mean")(detector.inputs[0])
    outputs = keras.layers.Dense(CLASSES, name="end")(keras.layers.Concatenate()([mean, hidden]))
    network = keras.Model(detector.inputs[0], outputs)
    record(network, [])
    layers, names = ["mean", detector.layers[-2].name], ["l2", "standardize"]
    pairs = [(layer, name) for layer in layers for name in names]
    heads = ["cnn+logistic", "cnn+svm-linear"]
    options = {"network": network, "normalization": names, "seeds": 1}
    result = compare(X, y, layer=layers, methods=["cnn-softmax", *heads], **options)
    assert result.protocol["layers"] == layers
    for name in heads:
        (selected,) = result.method(name).fits[None].selected
        scores = {(s["layer"], s["normalization"]): s["score"] for s in selected["scores"]}
        assert list(scores) == pairs
        assert (selected["layer"], selected["normalization"]) == max(pairs, key=scores.get)
    assert selected["layer"] == layers[1]
    for layer in layers:
        alone = compare(X, y, layer=layer, methods=heads[1:], **options)
        (found,) = alone.method(heads[1]).fits[None].selected
        assert [each["score"] for each in found["scores"]] == [scores[layer, n] for n in names]
        if layer == selected["layer"]:
            np.testing.assert_array_equal(
                alone.method(heads[1]).predictions, result.method(heads[1]).predictions
            )
    # The baseline is the network's own softmax, whatever the heads stand on.
    usual = compare(X, y, network=network, methods=["cnn-softmax"], seeds=1)
    np.testing.assert_array_equal(
        usual.method("cnn-softmax").predictions, result.method("cnn-softmax").predictions
    )
    assert result.method("cnn-softmax").fits[None].selected == [None]
    # The maps of the report are of the first layer.
    assert result.features["test"].shape[1] == 1


def test_a_layer_that_does_not_exist_or_is_of_no_use(data):
    X, y = data
    network = network_of()
    with pytest.raises(ValueError, match="'flaten'.*flatten"):
        compare(X, y, network=network, layer=["penultimate", "flaten"], **OWN)
    with pytest.raises(ValueError, match="layer and normalization would do nothing"):
        compare(X, y, network=network, layer="flatten", normalization="l2", methods=["cnn-softmax"])
