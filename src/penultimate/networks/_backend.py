"""Importing Keras with a backend that is installed, and the settings that only a backend has."""

import os
import random
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np

BACKENDS = ("tensorflow", "torch", "jax")


def import_keras() -> Any:
    """Import Keras, on the user's backend or else on the first one that is installed.

    Raises
    ------
    ImportError
        If Keras or its backend is missing; the message names the extra that installs it.
    """
    if "keras" in sys.modules:
        return sys.modules["keras"]
    installed = [name for name in BACKENDS if find_spec(name) is not None]
    chosen = os.environ.get("KERAS_BACKEND")
    if find_spec("keras") is None or not installed or (chosen and chosen not in installed):
        missing = (
            f"Keras's backend {chosen!r} (KERAS_BACKEND) is not installed."
            if chosen and find_spec("keras") is not None
            else "Networks need Keras and a backend, and they are not installed."
        )
        extra = chosen if chosen in BACKENDS else "tensorflow"
        raise ImportError(f"{missing} Install it with: pip install 'penultimate[{extra}]'")
    if not chosen and "tensorflow" not in installed:
        os.environ["KERAS_BACKEND"] = installed[0]
    import keras

    return keras


def is_keras_model(network: Any) -> bool:
    """Say whether `network` is a Keras model, without importing Keras to find out.

    Parameters
    ----------
    network : object

    Returns
    -------
    bool

    Examples
    --------
    >>> from penultimate.networks import is_keras_model
    >>> is_keras_model("compact")
    False
    """
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(network, keras.Model)


def make_deterministic() -> None:
    """Turn on the backend's determinism, for this process and for good.

    The same seed, data, versions and number of threads then give the same bits on a CPU. The
    command line does this; the library only on request.

    Examples
    --------
    >>> from penultimate.networks import make_deterministic
    >>> make_deterministic()  # doctest: +SKIP
    """
    import_keras()
    backend = sys.modules["keras"].backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    elif backend == "torch":
        import torch

        torch.use_deterministic_algorithms(True)


# The generators are the process's: of two trainings at once each would draw what is the other's.
_drawing = threading.RLock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed Keras and its backend; give Python's and NumPy's generators back as they were.

    One thread at a time: what others would train meanwhile waits.
    """
    keras = import_keras()
    with _drawing:
        python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
        try:
            keras.utils.set_random_seed(seed)
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002


def seed_shared_generators(seed: int, epoch: int) -> None:
    """Seed what dropout draws from where that is no state of the model: with torch.

    An epoch then draws the same, whether or not the training was interrupted before it.
    """
    if import_keras().backend.backend() == "torch":
        import torch

        torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))
