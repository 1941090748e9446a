"""Training a network: one-cycle schedule, augmentation in the background, best weights kept.

`train` runs the epochs on a given model, with checkpoints; `fit_network` also builds the model and
holds out the validation slice; `train_further` is one epoch at a constant rate, for `partial_fit`.
"""

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.progress import SILENT, Progress
from penultimate._common.protocols import Loss, Network
from penultimate.networks._forward import forward
from penultimate.networks.architectures import Builder
from penultimate.networks.building import build_network
from penultimate.networks.frameworks.backend import (
    float_type,
    import_keras,
    seed_shared_generators,
    seeded,
)
from penultimate.networks.frameworks.keras_models import (
    computing_in_bfloat16,
    giving_scores,
    predicted_codes,
)
from penultimate.networks.training.checkpoints import (
    Checkpoint,
    TrainingState,
    describe_network,
    describe_samples,
)
from penultimate.networks.training.divergence import explaining_divergence
from penultimate.networks.training.epochs import epochs, one_hot, run_epoch
from penultimate.networks.training.foresight import foresee_epoch
from penultimate.networks.training.optimization import (
    compile_network,
    default_loss,
    one_cycle,
    warn_of_other_precision,
)
from penultimate.networks.training.recipe import History, Training, suited_to
from penultimate.provenance.records import record
from penultimate.splits.draw import split_samples
from penultimate.splits.parts import Split

Validation = (
    tuple[NDArray[Any], NDArray[np.integer]]
    | tuple[NDArray[Any], NDArray[np.integer], NDArray[np.floating]]
)

_EVALUATION_BATCH = 256
# Minimum size of a validation slice that selects an epoch. With fewer samples, one or two confident
# errors dominate the loss: while the network is still learning, it may stay above that of guessing
# (log 6 = 1.79 for six classes), so that the lowest loss may belong to the first epochs, which
# guess. On 269 photos of six classes at 64 x 64 pixels, with 27 in the slice, the loss rose to
# between 2 and 3.7 before it fell, and with one of six seeds its lowest value was 1.76. The
# one-cycle schedule needs no such selection, because its last steps are so small that the weights
# have settled: over these seeds, the last weights were as good as the selected ones (58.6 % against
# 58.4 % of 67 further photos).
_FEWEST_TO_CHOOSE_BY = 100


def train(
    model: Network,
    X: NDArray[Any],
    codes: NDArray[np.integer],
    validation: Validation | None,
    training: Training,
    *,
    loss: Loss | None = None,
    sample_weight: NDArray[np.floating] | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
    checkpoint: str | Path | None = None,
) -> History:
    """Train `model` in place; it ends with its best weights, or its last.

    With a checkpoint, a training that was interrupted at any moment resumes after its last complete
    epoch. With `make_deterministic` and the same versions and number of threads, it ends with the
    same bits as without the interruption, unless layers draw from random generators that are not
    their own.

    Parameters
    ----------
    model : keras.Model
        Model that ends in a softmax or in linear units (logits), one per class; for a two-class
        loss, in one linear unit.
    X : ndarray of shape (n_samples, ...)
        Training samples; cast to float32 batch by batch.
    codes : ndarray of shape (n_samples,), int
        Class index of each sample.
    validation : (X, codes), (X, codes, sample_weight) or None
        Samples that are scored after every epoch, to keep the weights with the lowest loss. The
        last weights are kept with None, and with fewer than 100 samples unless the recipe has a
        `patience`: the loss of so few samples is too noisy for the selection.
    training : Training
        The recipe.
    loss : keras.losses.Loss, optional
        Loss on one-hot targets; by default the cross-entropy.
    sample_weight : ndarray of shape (n_samples,), optional
        Factor of each sample's loss.
    seed : int, default=0
        Controls the order, the augmentation and the dropout.
    progress : Progress, optional
        Observer of every step, counted in epochs.
    checkpoint : str or Path, optional
        A safetensors file, replaced after every epoch. If it exists, the training resumes from it,
        and the model's own weights are discarded; a finished training returns immediately.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If the recipe is out of range, the loss becomes NaN or infinite, or the checkpoint is
        damaged or belongs to another network, recipe, seed or set of samples.

    Warns
    -----
    RuntimeWarning
        If the checkpoint cannot be written, as on a full disk; the last good one is kept.
    UserWarning
        If layers of the model compute in a precision other than the recipe's.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks import Training, build_network, train
    >>> from penultimate.networks.margins.builders import linear
    >>> X, codes = np.zeros((8, 8, 8, 1), np.uint8), np.arange(8) % 2
    >>> model = build_network(linear, (8, 8, 1), 2)
    >>> train(model, X, codes, None, Training(epochs=1)).best_epoch
    0
    """
    training.check()
    # Incomplete batches are dropped, so fewer samples than one batch have to be one.
    batch_size = min(training.batch_size, len(X))
    warn_of_other_precision(model, training)
    with seeded(seed), _floats_of(model):
        loss = default_loss(model, training) if loss is None else loss
        compile_network(model, training, loss, one_cycle(training, len(X) // batch_size))
        file, state = None, TrainingState()
        if checkpoint is not None:
            network = describe_network(model, training, loss, seed)
            file = Checkpoint(
                checkpoint, network, describe_samples(X, codes, sample_weight, validation)
            )
            state = file.read(model)
        # A training that early stopping ended is complete, even though epochs are missing.
        done = training.epochs if _is_over(state, training) else len(state.loss)
        progress.update("train network", done, training.epochs)
        if done < training.epochs:
            foresee_epoch(model, X, batch_size, progress)
        start = time.perf_counter()
        for epoch, order, samples in epochs(
            X, training.augmentation, seed=seed, first=done, last=training.epochs
        ):

            def on_progress(share: float, epoch: int = epoch) -> None:
                progress.update("train network", epoch + share, training.epochs)

            seed_shared_generators(seed, epoch)
            hint = f"The checkpoint is still that of epoch {epoch}." if file and epoch else ""
            with (
                explaining_divergence(epoch, model, X, training, hint),
                _computing_in(training.precision, model),
            ):
                state.loss.append(
                    run_epoch(model, samples, codes, sample_weight, order, batch_size, on_progress)
                )
            # Outside the context of the precision: validation is always in float32.
            if validation is not None:
                _validate(model, validation, loss, state, training)
            now = time.perf_counter()
            state.seconds, start = state.seconds + now - start, now
            if file is not None:
                file.write(model, state)
            # After early stopping the work is complete, and is reported so, although epochs are
            # missing.
            over = _is_over(state, training)
            progress.update(
                "train network", training.epochs if over else epoch + 1, training.epochs
            )
            if over:
                break
    if state.best_weights is not None:
        model.set_weights(state.best_weights)
    # The provenance lets later steps warn about samples that the network has seen.
    record(model, X)
    if validation is not None:
        record(model, validation[0], role="selected")
    best_epoch = len(state.loss) - 1 if state.best_epoch is None else state.best_epoch
    return History(
        state.loss, state.validation_loss, state.validation_accuracy, best_epoch, state.seconds
    )


def fit_network(
    network: str | Builder,
    X: NDArray[Any],
    codes: NDArray[np.integer],
    training: Training | None = None,
    *,
    loss: Loss | None = None,
    groups: NDArray[Any] | None = None,
    fingerprints: NDArray[np.uint64] | None = None,
    sample_weight: NDArray[np.floating] | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
    checkpoint: str | Path | None = None,
) -> tuple[Network, History]:
    """Build a network for these samples, and train it on all but a validation slice.

    Parameters
    ----------
    network : str or callable
        As in `build_network`.
    X : ndarray of shape (n_samples, ...)
        Samples of the fit part.
    codes : ndarray of shape (n_samples,), int
        Class indices from 0; every class must occur.
    training : Training, optional
        The recipe; by default ``Training()``. Only images are augmented.
    loss : keras.losses.Loss, optional
        A margin loss, for which the softmax is removed so that the network outputs scores; by
        default the cross-entropy.
    groups : ndarray of shape (n_samples,), optional
        Groups; none is in both the validation slice and the rest.
    fingerprints : ndarray of shape (n_samples,), uint64, optional
        Fingerprints; samples that share one are exact copies, and are kept on one side.
    sample_weight : ndarray of shape (n_samples,), optional
        Factor of each sample's loss, in the validation slice, too.
    seed : int, default=0
        Controls the initial weights, the slice, the order, the augmentation and the dropout.
    progress : Progress, optional
        Observer of every step, counted in epochs.
    checkpoint : str or Path, optional
        As in `train`.

    Returns
    -------
    model : keras.Model
    history : History

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks import Training, fit_network
    >>> X, codes = np.zeros((40, 8, 8, 1), np.uint8), np.arange(40) % 2
    >>> model, history = fit_network("compact", X, codes, Training(epochs=1))
    >>> len(history.loss)
    1
    """
    training = suited_to(X, training)
    training.check()
    # Codes number the classes from 0, so that the largest one counts them.
    model = build_network(network, X.shape[1:], int(codes.max()) + 1, seed=seed)
    if loss is not None:
        # A margin is a distance between scores; after a softmax there is none.
        model = giving_scores(model)
    split = validation_split(codes, groups, training, seed, fingerprints)
    validation: Validation | None = None
    if split is not None:
        validation = (X[split.held_out], codes[split.held_out])
        if sample_weight is not None:
            validation = (*validation, sample_weight[split.held_out])
            sample_weight = sample_weight[split.train]
        X, codes = X[split.train], codes[split.train]
    history = train(
        model,
        X,
        codes,
        validation,
        training,
        loss=loss,
        sample_weight=sample_weight,
        seed=seed,
        progress=progress,
        checkpoint=checkpoint,
    )
    return model, history


def validation_split(
    codes: NDArray[np.integer],
    groups: NDArray[Any] | None,
    training: Training,
    seed: int,
    fingerprints: NDArray[np.uint64] | None = None,
) -> Split | None:
    """Split a fit part into training samples and the slice that selects the best weights."""
    if training.validation_size == 0:
        return None
    try:
        return split_samples(
            codes, groups, training.validation_size, fingerprints=fingerprints, seed=seed
        )
    except ValueError as error:
        raise ValueError(
            f"No validation slice can be made (validation_size={training.validation_size:g}). "
            f"{error} Or train without one: Training(validation_size=0)."
        ) from error


def train_further(
    model: Network,
    X: NDArray[Any],
    codes: NDArray[np.integer],
    training: Training,
    *,
    loss: Loss,
    sample_weight: NDArray[np.floating] | None = None,
    seed: int = 0,
    epoch: int = 0,
) -> float:
    """Train `model` for one epoch on `X`, at `training.learning_rate`.

    Parameters
    ----------
    model : keras.Model
        As in `train`. The state of its optimizer is kept from call to call.
    X : ndarray of shape (n_samples, ...)
        As in `train`.
    codes : ndarray of shape (n_samples,), int
        As in `train`.
    training : Training
        The recipe.
    loss : keras.losses.Loss
        As in `train`.
    sample_weight : ndarray of shape (n_samples,), optional
        Factor of each sample's loss.
    seed : int, default=0
        As in `train`.
    epoch : int, default=0
        Number of earlier calls, on which order, augmentation and dropout depend. The first call
        compiles the model.

    Returns
    -------
    float
        Mean loss, including penalties.

    Raises
    ------
    ValueError
        If the loss becomes NaN or infinite.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks import Training, build_network
    >>> from penultimate.networks.margins.builders import linear
    >>> from penultimate.networks.margins.losses import CrammerSinger
    >>> from penultimate.networks.training.fit import train_further
    >>> X, codes = np.zeros((8, 8, 8, 1), np.uint8), np.arange(8) % 2
    >>> model = build_network(linear, (8, 8, 1), 2)
    >>> train_further(model, X, codes, Training(), loss=CrammerSinger()) > 0
    True
    """
    if epoch == 0:
        warn_of_other_precision(model, training)
    with seeded(seed), _floats_of(model):
        if epoch == 0:
            compile_network(model, training, loss, training.learning_rate)
        seed_shared_generators(seed, epoch)
        passes = epochs(X, training.augmentation, seed=seed, first=epoch, last=epoch + 1)
        _, order, samples = next(passes)
        batch_size = min(training.batch_size, len(X))
        # These samples may not come again, so none is left out: the last batch is filled up with
        # the first ones of the order.
        order = np.resize(order, -(-len(X) // batch_size) * batch_size)
        so_far = replace(training, epochs=epoch + 1)
        with (
            explaining_divergence(epoch, model, X, so_far),
            _computing_in(training.precision, model),
        ):
            mean_loss = run_epoch(model, samples, codes, sample_weight, order, batch_size)
    record(model, X)
    return mean_loss


def _is_over(state: TrainingState, training: Training) -> bool:
    """Return whether early stopping ends the training: no better epoch within `patience`."""
    if training.patience is None or state.best_epoch is None:
        return False
    return len(state.loss) - 1 - state.best_epoch >= training.patience


def _floats_of(model: Network) -> AbstractContextManager[None]:
    """Let losses and learning rates be float32 where the weights are, whatever Keras is set to."""
    types = {str(variable.dtype) for variable in model.trainable_variables}
    return float_type("float32") if types == {"float32"} else nullcontext()


def _computing_in(precision: str, model: Network) -> AbstractContextManager[None]:
    return computing_in_bfloat16(model) if precision == "bfloat16" else nullcontext()


def _validate(
    model: Network, validation: Validation, loss: Loss, state: TrainingState, training: Training
) -> None:
    """Score the network after an epoch, and keep its weights if they are the best so far."""
    X, codes, *weights = validation
    # A forward pass keeps no activations for a backward pass, so the batch may be larger.
    batch_size = min(_EVALUATION_BATCH, 4 * training.batch_size)
    outputs = forward(model, X, batch_size=batch_size)
    value = loss(one_hot(codes, outputs.shape[1]), outputs, *weights)
    value = float(import_keras().ops.convert_to_numpy(value))
    chooses = len(X) >= _FEWEST_TO_CHOOSE_BY or training.patience is not None
    # If the slice does not select, every epoch replaces the one before: the last is kept.
    if value < state.best_loss or not chooses:
        state.best_epoch, state.best_weights = len(state.validation_loss), model.get_weights()
    state.validation_loss.append(value)
    state.validation_accuracy.append(float(np.mean(predicted_codes(outputs) == codes)))
