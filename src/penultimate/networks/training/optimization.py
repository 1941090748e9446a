"""The loss, the optimizer and the learning-rate schedule of a training."""

from typing import Any

from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.frameworks.keras_models import ends_in_logits
from penultimate.networks.training.recipe import Training

_WARM_UP = 0.2  # share of the steps
# Suffixes of variables without weight decay: biases, and scales and shifts of normalization layers.
_NOT_DECAYED = ("bias", "gamma", "beta")


def default_loss(model: Any, training: Training) -> Any:
    """Return the cross-entropy with smoothed labels, for the logits or probabilities of `model`."""
    return import_keras().losses.CategoricalCrossentropy(
        from_logits=ends_in_logits(model), label_smoothing=training.label_smoothing
    )


def one_cycle(training: Training, steps_per_epoch: int) -> Any:
    """Return the learning-rate schedule: up to the recipe's peak, then down along a cosine."""
    n_steps = training.epochs * steps_per_epoch
    n_warm_up = round(_WARM_UP * n_steps)
    return import_keras().optimizers.schedules.CosineDecay(
        training.learning_rate / 10,
        max(1, n_steps - n_warm_up),
        alpha=1e-3,
        warmup_target=training.learning_rate,
        warmup_steps=n_warm_up,
    )


def compile_network(model: Any, training: Training, loss: Any, learning_rate: Any) -> None:
    """Compile `model` with optimizer and loss; the learning rate is a number or a schedule."""
    keras = import_keras()
    kept = [
        variable
        for variable in model.trainable_variables
        if variable.regularizer is not None or variable.name.endswith(_NOT_DECAYED)
    ]
    if len(kept) < len(model.trainable_variables):
        optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=training.weight_decay)
        optimizer.exclude_from_weight_decay(var_list=kept)
    else:  # nothing to decay: with torch, AdamW fails in this case
        optimizer = keras.optimizers.Adam(learning_rate)
    # XLA makes TensorFlow's step slower on a CPU, and several times slower to compile. Without it,
    # JAX would compile nothing.
    jit_compile = False if keras.backend.backend() == "tensorflow" else "auto"
    model.compile(optimizer, loss, jit_compile=jit_compile)
    optimizer.build(model.trainable_variables)
