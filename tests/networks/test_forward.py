import time

import numpy as np
import pytest

from penultimate import DeepSVC, FeatureExtractor, MarginClassifier, Specialists, Training, compare
from penultimate.comparison.few_samples import learning_curves
from penultimate.evaluation import evaluate
from penultimate.networks import build_network, predict_probabilities
from penultimate.networks._forward import forward, padded_size
from penultimate.networks._inputs import as_inputs
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.frameworks.keras_network import KerasNetwork
from penultimate.networks.training import fit
from penultimate.provenance.records import record
from penultimate.splits import split_test

keras = import_keras()
layers = keras.layers


@pytest.fixture
def sizes(monkeypatch):
    """The sizes of all batches that pass through any network."""
    seen = []
    original = keras.Model.predict_on_batch

    def predict_on_batch(self, x):
        seen.append(len(x))
        return original(self, x)

    monkeypatch.setattr(keras.Model, "predict_on_batch", predict_on_batch)
    return seen


def small():
    return keras.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(4, 3), layers.Flatten()])


@pytest.mark.parametrize(
    ("n_samples", "batch_size", "expected"),
    [
        (1, 256, [2]),
        (1, 1, [1]),
        (3, 256, [4]),
        (257, 256, [256, 2]),
        (20, 16, [16, 4]),
        (9, 10, [10]),
    ],
)
def test_a_batch_is_padded_to_a_power_of_two(sizes, n_samples, batch_size, expected):
    assert len(forward(small(), np.zeros((n_samples, 8, 8, 1)), batch_size=batch_size)) == n_samples
    assert sizes == expected


def test_few_batch_sizes():
    for batch_size in (1, 7, 64, 256):
        counts = range(1, batch_size + 1)
        found = {padded_size(n, batch_size) for n in counts}
        assert max(found) == batch_size
        assert len(found) <= batch_size.bit_length() + 1
        assert all(
            n <= padded_size(n, batch_size) <= max(2, 2 * n - 1) for n in range(1, batch_size + 1)
        )


def test_outputs_do_not_depend_on_other_samples_in_the_batch():
    X = np.random.default_rng(0).random((64, 8, 8, 1), dtype=np.float32)
    model = build_network("compact", (8, 8, 1), 3)
    whole = forward(model, 255 * X, batch_size=64)
    others = np.where(np.arange(64)[:, None, None, None] == 5, 255 * X, 0)
    np.testing.assert_array_equal(forward(model, others, batch_size=64)[5], whole[5])
    # Of another number of samples the rounding may differ, by processor and backend.
    for n in (1, 2, 3, 8, 40):
        part = forward(model, 255 * X[:n], batch_size=64)
        np.testing.assert_allclose(part, whole[:n], rtol=0, atol=1e-6)


def test_padding_is_a_sample_of_the_batch():
    """Not zeros, on which a network may fail, or which may be unlike any sample."""
    seen = []

    class Spy(layers.Layer):
        def call(self, x):
            return x

    model = keras.Sequential([layers.Input((2,)), Spy()])
    original = model.predict_on_batch
    model.predict_on_batch = lambda x: seen.append(np.array(x)) or original(x)
    forward(model, np.array([[1, 2], [3, 4], [5, 6]]), batch_size=8)
    np.testing.assert_array_equal(seen[0], [[1, 2], [3, 4], [5, 6], [5, 6]])


def test_large_integers_are_unchanged():
    tokens = keras.Input((2,), dtype="int32")
    model = keras.Model(tokens, keras.ops.cast(tokens - 2**24, "float32"))
    X = np.array([[2**24 + 1, 2**24 + 3]])
    np.testing.assert_array_equal(
        forward(model, as_inputs(KerasNetwork(model).inputs(), X), batch_size=4), [[1, 3]]
    )


def test_no_samples():
    with pytest.raises(ValueError, match="no samples"):
        forward(small(), np.zeros((0, 8, 8, 1)), batch_size=2)


TRAINING = Training(epochs=1, batch_size=1, augmentation=None, validation_size=0.2)


def everything_that_runs_a_network(X, y):
    frozen = build_network("compact", (*X.shape[1:], 1), 2)
    record(frozen, [])
    subsets = {"one": ["a", "b"], "two": ["c", "d"]}
    y4 = np.where(np.arange(len(y)) % 4 < 2, y, np.where(y == "a", "c", "d"))
    yield "DeepSVC", lambda: DeepSVC(frozen, batch_size=4).fit(X, y).predict(X)
    yield (
        "Specialists",
        lambda: Specialists(subsets=subsets, training=TRAINING, batch_size=4).fit(X, y4).predict(X),
    )
    yield (
        "MarginClassifier",
        lambda: MarginClassifier("compact", training=TRAINING, batch_size=4).fit(X, y).predict(X),
    )
    yield "FeatureExtractor", lambda: FeatureExtractor(frozen, batch_size=4).fit_transform(X)
    yield (
        "compare",
        lambda: compare(
            X, y, methods=["cnn-softmax", "cnn+svm-linear"], network=frozen, seeds=1, batch_size=4
        ),
    )
    yield (
        "learning_curves",
        lambda: learning_curves(
            frozen,
            X,
            y,
            split_test(y),
            sizes=[2],
            methods=["cnn+svm-linear"],
            seeds=1,
            batch_size=4,
        ),
    )


@pytest.mark.slow
@pytest.mark.one_backend
def test_batch_size_is_respected_wherever_a_network_is_run(sizes, shapes, monkeypatch):
    # The steps of a training have a batch size of their own.
    monkeypatch.setattr(fit, "run_epoch", lambda *_: 1.0)
    X, y = shapes[0], np.where(shapes[1] == "lying", "a", "b")
    for name, run in everything_that_runs_a_network(X, y):
        sizes.clear()
        run()
        assert 0 < max(sizes, default=0) <= 4, name


@pytest.mark.parametrize("cls", [DeepSVC, Specialists, MarginClassifier])
def test_bad_batch_size(cls, shapes):
    with pytest.raises(ValueError, match=f"'batch_size' parameter of {cls.__name__}"):
        cls(batch_size=0).fit(*shapes)


def seconds(function):
    function()  # compiles
    times = []
    for _ in range(5):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.mark.slow
@pytest.mark.serial
def test_one_image_takes_the_time_of_one_image():
    X = np.random.default_rng(0).integers(0, 256, (256, 28, 28, 1), dtype=np.uint8)
    y = np.arange(256) % 2
    network = build_network("compact", (28, 28, 1), 2)
    record(network, [])
    model = DeepSVC(network, random_state=0).fit(X[:40], y[:40])
    assert seconds(lambda: model.predict(X[:1])) < 0.2 * seconds(lambda: model.predict(X))


def test_an_output_in_a_dict_or_a_list():
    inputs = keras.Input((6,))
    hidden = layers.Dense(4, activation="relu")(inputs)
    outputs = layers.Dense(2, activation="softmax")(hidden)
    X, y = np.random.default_rng(0).normal(size=(40, 6)), np.arange(40) % 2
    expected = forward(keras.Model(inputs, outputs), X, batch_size=8)
    for form in ({"probs": outputs}, [outputs]):
        model = keras.Model(inputs, form)
        # (In batches of another size than above, which may round otherwise.)
        np.testing.assert_allclose(predict_probabilities(model, X), expected, rtol=1e-5)
        assert FeatureExtractor(model).fit_transform(X).shape == (40, 4)
        record(model, [])
        evaluate(model, X, y, classes=[0, 1])


def test_several_outputs_need_a_choice():
    inputs = keras.Input((6,))
    hidden = layers.Dense(4)(inputs)
    for form in ({"a": hidden, "b": layers.Dense(2)(hidden)}, [hidden, layers.Dense(2)(hidden)]):
        with pytest.raises(ValueError, match=r"2 outputs, and one is needed: .*outputs\[0\]"):
            predict_probabilities(keras.Model(inputs, form), np.zeros((3, 6)))
