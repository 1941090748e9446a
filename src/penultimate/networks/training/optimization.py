"""The loss, the optimizer and the learning-rate schedule of a training."""

import warnings

from penultimate._common.frames import level_outside
from penultimate._common.protocols import Loss, Network
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.frameworks.keras_models import ends_in_logits, leaves
from penultimate.networks.training.recipe import Training

# Share of the steps in which the learning rate rises, from a tenth of its peak. This, the end at a
# thousandth and the peak of 3e-3 are the schedule of the recipe that was tried (see `Training`).
_WARM_UP = 0.2
# What layers may be built to compute in, for a recipe's precision.
_MEANT = {"float32": ("float32",), "bfloat16": ("float32", "bfloat16")}
# How the names of variables end that weight decay leaves alone: it is meant for matrices, and would
# pull the scales of a normalization toward zero.
_NOT_DECAYED = ("bias", "gamma", "beta")


def default_loss(model: Network, training: Training) -> Loss:
    """Return the cross-entropy with smoothed labels, for the logits or probabilities of `model`."""
    return import_keras().losses.CategoricalCrossentropy(
        from_logits=ends_in_logits(model), label_smoothing=training.label_smoothing
    )


def warn_of_other_precision(model: Network, training: Training) -> None:
    """Warn of layers that were built to compute in another precision than the recipe says."""
    others = [
        layer
        for layer in leaves(model)
        if layer.weights
        and (
            layer.variable_dtype != "float32"
            or layer.compute_dtype not in _MEANT[training.precision]
        )
    ]
    if others:
        first = others[0]
        warnings.warn(
            f"The network {model.name!r} has {len(others)} layers that do not compute in "
            f"Training(precision={training.precision!r}), such as {first.name!r}, which computes "
            f"in {first.compute_dtype} on weights in {first.variable_dtype}: they were built so, "
            "and are trained so. Build them with dtype='float32', or under "
            "keras.config.set_dtype_policy('float32').",
            UserWarning,
            stacklevel=level_outside(),
        )


def one_cycle(training: Training, steps_per_epoch: int) -> object:
    """Return the learning-rate schedule: up to the recipe's peak, then down along a cosine."""
    n_steps = training.epochs * steps_per_epoch
    n_warm_up = round(_WARM_UP * n_steps)
    return import_keras().optimizers.schedules.CosineDecay(
        training.learning_rate / 10,
        # The schedule divides by this number.
        max(1, n_steps - n_warm_up),
        alpha=1e-3,
        warmup_target=training.learning_rate,
        warmup_steps=n_warm_up,
    )


def compile_network(model: Network, training: Training, loss: Loss, learning_rate: object) -> None:
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
    # Now, and not at the first step: a checkpoint is read into its variables.
    optimizer.build(model.trainable_variables)
