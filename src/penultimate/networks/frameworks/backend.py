"""Importing Keras with an installed backend, and backend-specific settings.

How a training becomes repeatable bit for bit on a CPU: torch and JAX need only a seed. They run one
operation after another, and split each over their threads in the same way every time. TensorFlow
runs operations concurrently, which then share the threads differently from run to run, and a sum
that is split differently is rounded differently: at 64 x 64 pixels and 3 channels, the gradient of
a convolution differed in one process out of four. TensorFlow's own op determinism does not cover
this. A single inter-op thread does: one operation at a time, each still on all cores, for 0 to 10 %
more time. (`tf.experimental.function_executor_type` would do the same for one thread, at any time.
But it rejects the graphs that TensorFlow's memory optimizer makes for the gradients of large
batches.)
"""

import os
import random
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import TypeGuard

import numpy as np

from penultimate._common.protocols import Network

# In the order of preference where several are installed and the user has chosen none.
BACKENDS = ("tensorflow", "torch", "jax")

# Keras and torch draw initial weights and dropout from process-wide generators: two concurrent
# trainings would consume each other's draws.
_one_training = threading.RLock()


def import_keras() -> ModuleType:
    """Import Keras, with the user's backend or else the first one that is installed.

    Raises
    ------
    ImportError
        If Keras or its backend is missing; the message names the extra that installs it.
    """
    # Its backend is fixed by the first import, whatever the environment says by now.
    if "keras" in sys.modules:
        return sys.modules["keras"]
    installed = [name for name in BACKENDS if find_spec(name) is not None]
    chosen = os.environ.get("KERAS_BACKEND")
    if find_spec("keras") is None or not installed or (chosen and chosen not in installed):
        missing = (
            f"Keras's backend {chosen!r} (KERAS_BACKEND) is not installed."
            if chosen and find_spec("keras") is not None
            else "Networks need Keras and a backend, which are not installed."
        )
        extra = chosen if chosen in BACKENDS else "tensorflow"
        raise ImportError(f"{missing} Install it with: pip install 'penultimate[{extra}]'")
    # Keras's own default is TensorFlow, without which its import would fail.
    if not chosen and "tensorflow" not in installed:
        os.environ["KERAS_BACKEND"] = installed[0]
    import keras

    return keras


def is_keras_model(network: object) -> TypeGuard[Network]:
    """Return whether `network` is a Keras model, without importing Keras.

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
    # Before Keras is imported nothing can be a model of it, and its import takes seconds.
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(network, keras.Model)


def make_deterministic() -> None:
    """Turn on the backend's determinism, permanently for this process.

    The same seed, data, versions and number of threads then give the same bits on a CPU, both in
    networks trained here and in your own code with the backend. TensorFlow's op determinism is
    turned on, and it runs one operation at a time, each on all cores (inter-op threads are set to
    1); torch raises an error for operations that are not deterministic. JAX has no such setting;
    its operations are repeatable on a CPU anyway. There is no guarantee for a GPU.

    Call it before anything else uses TensorFlow, because the number of threads is fixed when
    TensorFlow starts. The command line calls it. When the library itself starts TensorFlow to train
    a network, it does half of this: it runs one operation at a time, unless you have set the number
    of inter-op threads, so that a training is repeatable there, too. Op determinism is left to you,
    because with it TensorFlow rejects all random operations without a seed. As it also chooses
    other implementations, results with and without it differ by rounding.

    Warns
    -----
    UserWarning
        If TensorFlow has already started with more than one inter-op thread.

    Examples
    --------
    >>> from penultimate.networks import make_deterministic
    >>> make_deterministic()  # doctest: +SKIP
    """
    backend = import_keras().backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
        _run_one_operation_at_a_time(overrule=True)
    elif backend == "torch":
        import torch

        torch.use_deterministic_algorithms(True)


@contextmanager
def float_type(name: str) -> Iterator[None]:
    """Let Keras make floats of a type where nothing says which, as of losses; then give it back."""
    config = import_keras().config
    with _one_training:
        floatx = config.floatx()
        try:
            config.set_floatx(name)
            yield
        finally:
            config.set_floatx(floatx)


@contextmanager
def standard_settings() -> Iterator[None]:
    """Build in float32 and with the channels last, whatever Keras is set to; then give it back.

    One thread at a time, as two of these settings belong to the process.
    """
    config = import_keras().config
    with float_type("float32"):
        policy, data_format = config.dtype_policy(), config.image_data_format()
        try:
            config.set_dtype_policy("float32")
            config.set_image_data_format("channels_last")
            yield
        finally:
            config.set_dtype_policy(policy)
            config.set_image_data_format(data_format)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed Keras and its backend, so that building and training repeat bit for bit on a CPU.

    The states of Python's and NumPy's generators are restored at the end. Only one thread at a time
    can be in this context; others wait.

    Warns
    -----
    UserWarning
        Once per process, if TensorFlow cannot be kept from running operations concurrently.
    """
    keras = import_keras()
    with _one_training:
        if keras.backend.backend() == "tensorflow":
            _run_one_operation_at_a_time()
        python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
        try:
            keras.utils.set_random_seed(seed)
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002


_warned = False


def _run_one_operation_at_a_time(*, overrule: bool = False) -> None:
    """Set TensorFlow's inter-op threads to 1; a user's own number only with `overrule`."""
    import tensorflow as tf

    global _warned
    threads = tf.config.threading
    # As in TensorFlow, a number set in Python takes precedence over the variable.
    in_variable = os.environ.get("TF_NUM_INTEROP_THREADS", "")
    in_use = str(threads.get_inter_op_parallelism_threads() or in_variable or 0)
    # On a GPU nothing is guaranteed, so its operations may overlap.
    if in_use == "1" or tf.config.get_visible_devices("GPU"):
        return
    if in_use == "0" or overrule:
        try:
            threads.set_inter_op_parallelism_threads(1)
            return
        except RuntimeError:  # TensorFlow has already started
            pass
    if not _warned:
        _warned = True
        cause = "was started before" if in_use == "0" or overrule else f"was set to {in_use}"
        warnings.warn(
            "Networks trained with the same seed may differ from run to run: TensorFlow "
            f"{cause}, and runs several operations at a time (inter-op threads). Call "
            "penultimate.networks.make_deterministic() before anything else uses TensorFlow, or "
            "set TF_NUM_INTEROP_THREADS=1 in the environment.",
            UserWarning,
            stacklevel=3,
        )


def seed_shared_generators(seed: int, epoch: int) -> None:
    """Seed the generator of dropout for an epoch, if it is not part of the model's state (torch).

    The draws of an epoch are then the same whether or not the training was interrupted before it.
    """
    if import_keras().backend.backend() == "torch":
        import torch

        # Mixed: with `seed + epoch`, two seeds would share most of their epochs.
        torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))
