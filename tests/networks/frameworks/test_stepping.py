import numpy as np
import pytest

from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.frameworks.stepping import step_of

keras = import_keras()
tf = pytest.importorskip("tensorflow")
layers = keras.layers
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="other backends take Keras's steps"
)
RNG = np.random.default_rng(0)
X, T = (
    RNG.normal(size=(5, 8, 4)).astype(np.float32),
    np.eye(2, dtype=np.float32)[RNG.integers(2, size=(5, 8))],
)
WEIGHT = RNG.uniform(size=(5, 8)).astype(np.float32)


def network(kind=keras.Sequential):
    """With batch statistics, a penalty, and a layer that draws."""
    model = kind(
        [
            layers.Input((4,)),
            layers.Dense(3, kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.Dropout(0.5, seed=0),
            layers.Dense(2, activation="softmax"),
        ]
    )
    keras.utils.set_random_seed(0)
    for weight in model.trainable_variables:
        weight.assign(keras.random.normal(weight.shape, seed=1))
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    model.compile(keras.optimizers.AdamW(schedule), "categorical_crossentropy")
    return model


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
def test_steps_and_losses_are_those_of_keras_to_the_bit(weighted):
    ours, theirs = network(), network()
    take = step_of(ours)
    for batch, targets, weight in zip(X, T, WEIGHT):
        given = weight if weighted else None
        assert take(batch, targets, given) == theirs.train_on_batch(batch, targets, given)
    for one, other in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_array_equal(one, other)
    assert int(ours.optimizer.iterations) == 5
    assert step_of(ours) is take  # which is traced once


def test_a_compilation_ends_the_steps_of_the_one_before():
    model = network()
    before = step_of(model)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    kept = model.get_weights()[0]
    assert step_of(model) is not before
    step_of(model)(X[0], T[0], None)
    np.testing.assert_array_equal(model.get_weights()[0], kept)


def test_networks_with_steps_of_their_own_keep_them():
    class Own(keras.Sequential):
        def train_step(self, data):
            return {"error": 7.0}

    assert step_of(Own([layers.Input((4,)), layers.Dense(2)])).__name__ == "train_on_batch"

    class Counted(keras.Sequential):
        def train_on_batch(self, *args, **kwargs):
            return 7.0

    assert step_of(Counted([layers.Input((4,)), layers.Dense(2)]))(X[0], T[0], None) == 7.0
    model = network()
    model.run_eagerly = True
    assert step_of(model) == model.train_on_batch
    model = network()
    model.train_step = lambda data: {"error": 7.0}
    assert step_of(model) == model.train_on_batch


def test_within_a_strategy_steps_are_those_of_keras():
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        model = network()
        assert step_of(model) == model.train_on_batch
    assert step_of(model) == model.train_on_batch


def test_another_loss_with_the_same_optimizer_is_minimized():
    model = network()
    before = step_of(model)
    model.compile(model.optimizer, "mse")
    assert step_of(model) is not before
