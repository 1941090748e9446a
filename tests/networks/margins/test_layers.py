import numpy as np
import pytest
from sklearn.metrics.pairwise import laplacian_kernel, rbf_kernel

from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.margins.layers import RandomFourierFeatures

keras = import_keras()
X = np.random.default_rng(0).normal(size=(30, 12)).astype(np.float32)


def kernel_of(layer):
    features = keras.ops.convert_to_numpy(layer(X))
    return features @ features.T


@pytest.mark.parametrize("orthogonal", [False, True])
@pytest.mark.parametrize("gamma", [0.01, 0.1])
def test_gaussian_kernel_equals_that_of_svc(gamma, orthogonal):
    layer = RandomFourierFeatures(8192, gamma=gamma, orthogonal=orthogonal)
    np.testing.assert_allclose(kernel_of(layer), rbf_kernel(X, gamma=gamma), atol=0.06)


def test_laplacian_kernel():
    layer = RandomFourierFeatures(16384, kernel="laplacian", gamma=0.05)
    np.testing.assert_allclose(kernel_of(layer), laplacian_kernel(X, gamma=0.05), atol=0.06)


def test_error_falls_with_features_and_orthogonality():
    exact = rbf_kernel(X, gamma=0.05)

    def error(n_features, orthogonal):
        errors = [
            np.abs(
                kernel_of(
                    RandomFourierFeatures(n_features, gamma=0.05, orthogonal=orthogonal, seed=seed)
                )
                - exact
            ).mean()
            for seed in range(5)
        ]
        return np.mean(errors)

    few, many = error(64, False), error(4096, False)
    assert 4 < few / many < 16  # eight times by theory
    assert error(64, True) < 0.95 * few


def test_auto_is_one_over_the_number_of_inputs():
    layer = RandomFourierFeatures(16)
    layer(X)
    gamma = np.exp(keras.ops.convert_to_numpy(layer.log_gamma))
    assert gamma == pytest.approx(1 / 12)
    assert layer.trainable_weights == []


@pytest.mark.slow
def test_gamma_is_learned_if_trainable():
    rng = np.random.default_rng(1)
    inputs = rng.uniform(-2, 2, (300, 1)).astype(np.float32)
    targets = np.sin(3 * inputs)

    def loss_with(trainable_gamma):
        layer = RandomFourierFeatures(64, gamma=0.1, trainable_gamma=trainable_gamma, seed=0)
        model = keras.Sequential([keras.layers.Input((1,)), layer, keras.layers.Dense(1)])
        model.compile(keras.optimizers.Adam(0.05), "mse")
        losses = [model.train_on_batch(inputs, targets) for _ in range(300)]
        assert (len(layer.trainable_weights) == 1) == trainable_gamma
        return losses[-1]

    assert loss_with(True) < 0.1 * loss_with(False)


@pytest.mark.slow
def test_saved_and_loaded(tmp_path):
    layer = RandomFourierFeatures(64, kernel="laplacian", gamma=0.2, seed=5)
    model = keras.Sequential([keras.layers.Input((12,)), layer, keras.layers.Dense(2)])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        again.predict_on_batch(X), model.predict_on_batch(X), rtol=1e-5, atol=1e-6
    )


def test_directions_depend_only_on_the_seed():
    one, same, other = (RandomFourierFeatures(64, seed=seed) for seed in (1, 1, 2))
    values = [keras.ops.convert_to_numpy(layer(X)) for layer in (one, same, other)]
    np.testing.assert_array_equal(values[0], values[1])
    assert not np.allclose(values[0], values[2])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_features": 3}, "must be even, for cosines and sines; got 3"),
        ({"n_features": 0}, "'n_features' parameter of RandomFourierFeatures"),
        ({"n_features": 4, "kernel": "rbf"}, "must be one of 'gaussian', 'laplacian'; got 'rbf'"),
        ({"n_features": 4, "gamma": 0}, "'gamma' parameter of RandomFourierFeatures"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        RandomFourierFeatures(**parameters)


@pytest.mark.parametrize("kernel", ["gaussian", "laplacian"])
def test_it_writes_itself_as_onnx(kernel):
    pytest.importorskip("onnxruntime")
    from penultimate.networks import export_whole

    given = keras.Input((5,))
    layer = RandomFourierFeatures(8, kernel=kernel, gamma=0.3)
    # The export is compared with the layer; see `export_whole`.
    graph = export_whole(keras.Model(given, layer(given))).graph
    assert [node.op_type for node in graph.node] == ["MatMul", "Cos", "Sin", "Concat", "Mul"]
