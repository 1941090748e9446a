import keras
import numpy as np
import pytest

from penultimate import FeatureExtractor
from penultimate.networks.frameworks import keras_network

X = np.random.default_rng(0).uniform(size=(6, 4)).astype(np.float32)
rng = np.random.default_rng(1)


class Counter:
    """A function with a state."""

    def __init__(self):
        self.calls = 0

    def __call__(self, batch):
        self.calls += 1
        return batch + self.calls


@pytest.mark.parametrize(
    "function",
    [
        lambda batch: batch - batch.mean(axis=0),
        lambda batch: batch + rng.normal(size=batch.shape),
        Counter(),
    ],
)
def test_features_that_are_not_of_the_sample_alone(function):
    with pytest.raises(ValueError, match="depend on the other samples in its batch, or change"):
        FeatureExtractor(function).fit(X).transform(X)


def test_a_little_of_it_is_said():
    scale = lambda batch: np.round(batch / batch.max() * 127) * batch.max() / 127  # noqa: E731
    with pytest.warns(UserWarning, match="quantized by batch"):
        features = FeatureExtractor(scale).fit(X).transform(X)
    np.testing.assert_allclose(features, X, atol=0.01)


def test_it_is_asked_once_with_as_many_samples_as_it_takes():
    sizes = []
    extractor = FeatureExtractor(lambda batch: sizes.append(len(batch)) or batch).fit(X)
    copies = np.repeat(X[:1], 3, axis=0)
    for batch in (X[:1], X[:2], copies, X, X):
        extractor.transform(batch)
    assert sizes == [1, 2, 3, 6, 2, 2, 6]


class Centered(keras.layers.Layer):
    def call(self, x):
        return x - keras.ops.mean(x, axis=0, keepdims=True)


def test_code_of_a_users_own_in_keras():
    layers = keras.layers
    network = keras.Sequential([keras.Input((4,)), Centered(), layers.Dense(5), layers.Dense(3)])
    with pytest.raises(ValueError, match="depend on the other samples in its batch"):
        FeatureExtractor(network).fit(X).transform(X)


def test_layers_of_keras_are_not_asked():
    layers = keras.layers
    own = [layers.Dropout(0.5), layers.BatchNormalization(), layers.Dense(3)]
    assert not keras_network.KerasNetwork(
        keras.Sequential([keras.Input((4,)), *own])
    ).may_mix_samples


def test_torch_modules():
    torch = pytest.importorskip("torch")

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.scores = torch.nn.Linear(4, 5), torch.nn.Linear(5, 3)

        def forward(self, x):
            return self.scores(self.hidden(x - x.mean(0, keepdim=True)))

    with pytest.raises(ValueError, match="depend on the other samples in its batch"):
        FeatureExtractor(Module()).fit(X).transform(X)


@pytest.mark.parametrize("odd", [np.nan, np.inf, 1e300])
def test_features_that_are_not_finite(odd):
    def function(batch):
        features = batch.astype(np.float64)
        features[batch[:, 0] == X[3, 0]] *= odd
        return features

    message = r"NaN or infinity at .* 1 sample of 2, .* number 3\."
    with np.errstate(all="raise"), pytest.raises(ValueError, match=message):
        FeatureExtractor(function, batch_size=2).fit(X).transform(X)


def test_a_function_that_fails_is_named():
    def build():
        return keras.Sequential()

    with pytest.raises(ValueError, match="'build' failed .* it builds a network, pass what"):
        FeatureExtractor(build).fit(X).transform(X)
    with pytest.raises(ValueError, match=r"failed on a batch of shape \(6, 4\): ZeroDivisionError"):
        FeatureExtractor(lambda batch: 1 / 0).fit(X).transform(X)


def test_what_a_backend_says_is_told_without_its_traceback(monkeypatch):
    said = "Graph execution error:\n\n  File 'x.py'\n\nOnly NHWC is there.\n\t [[{{node a}}]]"

    def fail(batch):
        raise RuntimeError(said)

    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], name="mine")
    extractor = FeatureExtractor(network).fit(X)
    monkeypatch.setattr(extractor._network.cuts[0].model, "predict_on_batch", fail)
    with pytest.raises(ValueError, match=r"of shape \(8, 4\): RuntimeError: Only NHWC is there.$"):
        extractor.transform(X)
