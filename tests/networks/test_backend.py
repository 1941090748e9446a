import os
import random
import subprocess
import sys

import numpy as np
import pytest

from penultimate.networks._backend import import_keras, is_keras_model, seeded

HIDE = """
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name in {hidden!r} else find(name, *a)
from penultimate.networks._backend import import_keras
try:
    print(import_keras().backend.backend())
except ImportError as error:
    print(error)
"""


def run_without(*hidden, backend=""):
    """Import Keras in a fresh process in which some packages seem not to be installed."""
    environment = {**os.environ, "KERAS_BACKEND": backend}
    code = HIDE.format(hidden=set(hidden))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    return done.stdout


def test_missing_keras_names_the_extra():
    assert "pip install 'penultimate[tensorflow]'" in run_without("keras")


def test_no_backend_names_the_extra():
    message = run_without("tensorflow", "torch", "jax")
    assert "need Keras and a backend" in message
    assert "penultimate[tensorflow]" in message


def test_chosen_backend_that_is_missing():
    message = run_without("torch", backend="torch")
    assert "backend 'torch' (KERAS_BACKEND) is not installed" in message
    assert "penultimate[torch]" in message


def test_keras_model_is_recognised():
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


def test_determinism_can_be_turned_on():
    is_on = {
        "tensorflow": "tensorflow.python.framework.config, is_op_determinism_enabled",
        "torch": "torch, are_deterministic_algorithms_enabled",
    }
    backend = import_keras().backend.backend()
    if backend not in is_on:
        pytest.skip(f"{backend} has no such setting")
    module, function = is_on[backend].split(", ")
    code = (
        "from importlib import import_module\n"
        "from penultimate.networks import make_deterministic\n"
        "make_deterministic()\n"
        f"print(import_module({module!r}).{function}())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
