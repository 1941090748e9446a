import warnings

import numpy as np
import pytest

from penultimate.networks import Training, build_network, fit_network, train
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.frameworks.keras_models import classifying_layer, giving_scores
from penultimate.networks.margins.losses import CrammerSinger
from penultimate.networks.training.optimization import (
    compile_network,
    default_loss,
    one_cycle,
    warn_of_other_precision,
)

keras = import_keras()


@pytest.fixture
def samples(shapes):
    images, labels = shapes
    return images[..., None], (labels == "standing").astype(int)


def test_the_learning_rate_rises_for_a_fifth_of_the_steps_then_falls():
    schedule = one_cycle(Training(epochs=5, learning_rate=0.02), steps_per_epoch=20)
    rates = [float(schedule(step)) for step in range(101)]
    assert rates[0] == pytest.approx(0.002)
    assert rates[20] == max(rates) == pytest.approx(0.02)
    assert rates[60] == pytest.approx(0.02 * (1 + 1e-3) / 2)
    assert rates[100] == min(rates) == pytest.approx(0.02 / 1000)


@pytest.mark.parametrize("network", ["compact", "logits"])
def test_the_loss_is_the_cross_entropy_with_smoothed_labels(network):
    model = build_network("compact", (8, 8, 1), 3)
    outputs = np.array([[0.7, 0.2, 0.1]], np.float32)
    if network == "logits":
        model, outputs = giving_scores(model), np.log(outputs)
    loss = default_loss(model, Training(label_smoothing=0.3))
    target = np.array([[0, 1, 0]], np.float32)
    expected = -(0.1 * np.log(0.7) + 0.8 * np.log(0.2) + 0.1 * np.log(0.1))
    value = import_keras().ops.convert_to_numpy(loss(target, outputs))
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_xla_compiles_the_steps_where_nothing_else_would():
    model = build_network("compact", (8, 8, 1), 2)
    compile_network(model, Training(), default_loss(model, Training()), 0.1)
    assert model.jit_compile == (import_keras().backend.backend() == "jax")


@pytest.mark.slow
def test_weights_with_a_penalty_do_not_decay(samples):
    X, codes = samples
    model = giving_scores(build_network("compact", X.shape[1:], 2))
    kernel = classifying_layer(model).kernel
    kernel.regularizer = import_keras().regularizers.L2(0.0)
    before = import_keras().ops.convert_to_numpy(kernel).copy()
    norms = [np.linalg.norm(w) for w in model.get_weights() if w.ndim > 1]
    weightless = np.full(len(X), 1e-30, np.float32)
    recipe = Training(3, 16, 0.1, weight_decay=0.5, augmentation=None, validation_size=0)
    train(model, X, codes, None, recipe, loss=CrammerSinger(), sample_weight=weightless)
    np.testing.assert_allclose(import_keras().ops.convert_to_numpy(kernel), before, rtol=1e-4)
    after = [np.linalg.norm(w) for w in model.get_weights() if w.ndim > 1]
    assert all(new < 0.9 * old for new, old in zip(after[:-1], norms[:-1], strict=True))


@pytest.mark.parametrize(
    ("policy", "precision", "warned"),
    [
        ("float32", "float32", False),
        ("float32", "bfloat16", False),
        ("mixed_bfloat16", "bfloat16", False),
        ("mixed_bfloat16", "float32", True),
        ("mixed_float16", "float32", True),
        ("mixed_float16", "bfloat16", True),
        ("bfloat16", "bfloat16", True),  # its weights are bfloat16, too
    ],
)
def test_layers_of_another_precision_than_the_recipes_are_told(policy, precision, warned):
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((4,)), layers.Dense(3, dtype=policy, name="first"), layers.Dense(2)]
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_other_precision(model, Training(precision=precision))
    assert len(caught) == warned
    if warned:
        assert f"do not compute in Training(precision='{precision}'), such as 'first'" in str(
            caught[0].message
        )


def test_a_builder_that_follows_the_users_setting_is_trained_as_it_was_built():
    def builder(shape, n_classes):
        inputs = keras.Input(shape)
        return keras.Model(inputs, keras.layers.Dense(n_classes, activation="softmax")(inputs))

    X, codes = np.random.default_rng(0).normal(size=(16, 4)), np.arange(16) % 2
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        with pytest.warns(UserWarning, match="1 layers that do not compute in") as caught:
            model, _ = fit_network(builder, X, codes, Training(epochs=1, batch_size=8))
    finally:
        keras.config.set_dtype_policy(before)
    assert caught[0].filename == __file__
    assert model.layers[-1].compute_dtype == "bfloat16"
