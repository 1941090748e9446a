"""The steps of a training, with less overhead between them.

Before each step, Keras's `train_on_batch` resets the metrics one by one, and TensorFlow looks up
the types of a nested batch. For a small network, such as a linear machine, this takes longer than
the step itself. Here both the reset and Keras's own `train_step` are compiled into one function of
arrays, which computes the same bits in about half of the time.
"""

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from penultimate._common.protocols import Network
from penultimate.networks.frameworks.backend import import_keras, is_keras_model

# Mini-batch, targets and weights, to the mean loss.
Step = Callable[[NDArray[Any], NDArray[Any], NDArray[Any] | None], float]

_KEPT = "penultimate_step"


def step_of(model: Network) -> Step:
    """Return the function that takes one training step of a compiled model.

    Parameters
    ----------
    model : keras.Model
        A compiled model.

    Returns
    -------
    callable
        Takes a mini-batch, its targets, and the weights of its samples or None; returns the loss.
    """
    if not _is_plain(model):
        return model.train_on_batch
    # Kept with the optimizer, for the loss that the model was compiled with.
    loss, step = getattr(model.optimizer, _KEPT, (None, None))
    if step is None or loss is not model.loss:
        step = _compiled(model)
        setattr(model.optimizer, _KEPT, (model.loss, step))
    return step


def _is_plain(model: Network) -> bool:
    """Return whether Keras would train the model with its own step, on one device of TensorFlow."""
    if not is_keras_model(model):
        return False
    keras = import_keras()
    if keras.backend.backend() != "tensorflow" or model.run_eagerly:
        return False
    import tensorflow as tf

    own = any(
        name in vars(model) or getattr(type(model), name) is not getattr(keras.Model, name)
        for name in ("train_step", "train_on_batch", "make_train_function")
    )
    usual = tf.distribute.get_strategy()
    return not own and not tf.distribute.has_strategy() and model.distribute_strategy is usual


def _compiled(model: Network) -> Step:
    import tensorflow as tf

    # Traced anew for other shapes of a batch, the second time for all of them.
    @tf.function(autograph=False, reduce_retracing=True, jit_compile=model.jit_compile)
    def step(batch: Any, targets: Any, weight: Any) -> Any:
        model.reset_metrics()
        return model.train_step((batch, targets, weight))["loss"]

    def take(batch: NDArray[Any], targets: NDArray[Any], weight: NDArray[Any] | None) -> float:
        given = None if weight is None else tf.constant(weight)
        return float(step(tf.constant(batch), tf.constant(targets), given))

    return take
