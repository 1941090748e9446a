import random
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from penultimate.networks import build_network, make_deterministic
from penultimate.networks.frameworks import backend
from penultimate.networks.frameworks.backend import import_keras, is_keras_model, seeded


@pytest.fixture
def message_without(monkeypatch):
    """What importing Keras says where some packages are not installed."""

    def message(*hidden, chosen=""):
        found = backend.find_spec
        monkeypatch.setattr(
            backend, "find_spec", lambda name: None if name in hidden else found(name)
        )
        monkeypatch.delitem(sys.modules, "keras", raising=False)  # as in a new process
        monkeypatch.setenv("KERAS_BACKEND", chosen)
        with pytest.raises(ImportError) as caught:
            import_keras()
        return str(caught.value)

    return message


def test_missing_keras_names_the_extra(message_without):
    assert "pip install 'penultimate[tensorflow]'" in message_without("keras")


def test_no_backend_names_the_extra(message_without):
    message = message_without("tensorflow", "torch", "jax")
    assert "need Keras and a backend" in message
    assert "penultimate[tensorflow]" in message


def test_chosen_backend_that_is_missing(message_without):
    message = message_without("torch", chosen="torch")
    assert "backend 'torch' (KERAS_BACKEND) is not installed" in message
    assert "penultimate[torch]" in message


def test_keras_model_is_recognized():
    keras = import_keras()
    assert is_keras_model(keras.Sequential())
    assert not is_keras_model("compact")


def test_seeding_leaves_other_generators_alone():
    before = np.random.get_state()[1].copy(), random.getstate()
    with seeded(7):
        random.random()
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert random.getstate() == before[1]


@pytest.mark.parametrize("seed", [0, 1])
def test_seed_fixes_initial_weights(seed):
    keras = import_keras()
    weights = []
    for _ in range(2):
        with seeded(seed):
            layer = keras.layers.Dense(3)
            layer.build((None, 4))
            weights.append(np.asarray(layer.kernel))
    np.testing.assert_array_equal(*weights)


DETERMINISM = """
import os, warnings
warnings.simplefilter("error")
os.environ.pop("TF_NUM_INTEROP_THREADS", None)
from penultimate.networks import make_deterministic
from penultimate.networks.frameworks.backend import seeded
import tensorflow as tf
set_to = []
with seeded(0):
    set_to.append(tf.config.threading.get_inter_op_parallelism_threads())
make_deterministic()
set_to.append(tf.config.threading.get_inter_op_parallelism_threads())
answer(set_to)
"""


def test_determinism_of_tensorflow_can_be_turned_on(run_anew):
    if import_keras().backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow has such a number of threads")
    # One operation at a time is all that training needs; the rest is left to the user.
    assert run_anew(DETERMINISM) == [1, 1]


def test_determinism_of_torch_can_be_turned_on():
    if import_keras().backend.backend() != "torch":
        pytest.skip("only torch has such a setting")
    import torch

    try:
        with seeded(0):
            assert not torch.are_deterministic_algorithms_enabled()
        make_deterministic()
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.fixture
def tensorflow(monkeypatch):
    """TensorFlow after it has started, with its default number of inter-op threads."""
    if import_keras().backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow runs operations side by side")
    import tensorflow as tf

    tf.constant(1.0)
    monkeypatch.delenv("TF_NUM_INTEROP_THREADS")
    monkeypatch.setattr("penultimate.networks.frameworks.backend._warned", False)
    return tf


def test_a_setting_that_comes_too_late_warns_once(tensorflow):
    with pytest.warns(UserWarning, match="TensorFlow was started before") as told:
        build_network("compact", (8, 8, 1), 2)
    build_network("compact", (8, 8, 1), 2)  # without a warning, which would be an error
    assert "set TF_NUM_INTEROP_THREADS=1 in the environment" in str(told[0].message)


@pytest.mark.parametrize("variable", [True, False])
def test_the_users_number_of_threads_is_kept(tensorflow, variable, monkeypatch):
    if variable:
        monkeypatch.setenv("TF_NUM_INTEROP_THREADS", "3")
    else:
        read = "get_inter_op_parallelism_threads"
        monkeypatch.setattr(tensorflow.config.threading, read, lambda: 3)
    monkeypatch.delattr(tensorflow.config.threading, "set_inter_op_parallelism_threads")
    with pytest.warns(UserWarning, match="TensorFlow was set to 3"), seeded(0):
        pass


@pytest.mark.slow
def test_two_threads_build_what_one_builds():
    def weights(seed):
        return build_network("compact", (8, 8, 1), 2, seed=seed).get_weights()

    alone = [weights(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(weights, range(4)))
    for one, two in zip(alone, together, strict=True):
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)
