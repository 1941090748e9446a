"""Training a network: one-cycle schedule, augmentation beside the step, best weights kept."""

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._progress import SILENT, Progress
from penultimate._validation import check_choice, check_number
from penultimate.datasets.splits import Split, split_samples
from penultimate.networks._backend import import_keras, seed_shared_generators, seeded
from penultimate.networks._keras import computing_in_bfloat16, ends_in_logits, forward
from penultimate.networks.architectures import Builder, build_network
from penultimate.networks.augmentation import Augmentation
from penultimate.networks.checkpoints import (
    Checkpoint,
    Course,
    describe_network,
    describe_samples,
)
from penultimate.networks.epochs import epochs, run_epoch

_EVALUATION_BATCH = 256
_WARM_UP = 0.2
_PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Training:
    """How a network is trained.

    AdamW on the cross-entropy of smoothed labels; the learning rate climbs over the first fifth of
    the steps from a tenth of its peak, then follows a cosine down to a thousandth of it. After
    every epoch the network is scored on a slice of the fit part, without augmentation, and the
    weights with the lowest loss there are kept.

    Parameters
    ----------
    epochs : int, default=30
        Passes over the training samples.
    batch_size : int, default=64
        Samples in a step; what is left over of an epoch waits for another epoch's order.
    learning_rate : float, default=3e-3
        The peak.
    weight_decay : float, default=1e-2
        Of AdamW, on weight matrices only.
    label_smoothing : float, default=0.1
        The share of a label that is spread over all classes.
    augmentation : Augmentation or None, default=Augmentation()
        None trains on the samples as they are.
    validation_size : float, default=0.1
        The share of the fit part that only chooses the best weights.
    precision : {"float32", "bfloat16"}, default="float32"
        What the steps are computed in, but for the last layer and the loss. Weights are float32
        either way, and so are the validation and the trained network. A processor without
        instructions for bfloat16 has to emulate it, and is slower for it.

    References
    ----------
    I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR 2019.
    L. N. Smith and N. Topin, "Super-convergence", arXiv:1708.07120, 2017.

    Examples
    --------
    >>> from penultimate import Training
    >>> Training(epochs=5, augmentation=None).batch_size
    64
    """

    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    label_smoothing: float = 0.1
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    validation_size: float = 0.1
    precision: str = "float32"

    def check(self) -> None:
        """Raise ``TypeError`` or ``ValueError`` for a parameter that is out of range."""
        owner = "Training"
        check_number(self.epochs, "epochs", owner, low=1, integer=True)
        check_number(self.batch_size, "batch_size", owner, low=1, integer=True)
        check_number(self.learning_rate, "learning_rate", owner, low=0, open_low=True)
        check_number(self.weight_decay, "weight_decay", owner, low=0)
        for name in ("label_smoothing", "validation_size"):
            check_number(getattr(self, name), name, owner, low=0, high=1, open_high=True)
        if self.augmentation is not None and not isinstance(self.augmentation, Augmentation):
            raise TypeError(
                "The 'augmentation' parameter of Training must be an Augmentation or None; "
                f"got {self.augmentation!r}."
            )
        check_choice(self.precision, "precision", owner, _PRECISIONS)


@dataclass(frozen=True)
class History:
    """The course of a training, an entry an epoch.

    Attributes
    ----------
    loss, validation_loss : list of float
        Mean cross-entropy, of the augmented training samples and of the validation slice.
    validation_accuracy : list of float
        A fraction.
    best_epoch : int
        The epoch, from 0, whose weights were kept.
    seconds : float
        The time that the epochs took; of a training that was interrupted, all its parts.
    """

    loss: list[float]
    validation_loss: list[float]
    validation_accuracy: list[float]
    best_epoch: int
    # Two trainings with the same course are the same, however long they took.
    seconds: float = field(default=0.0, compare=False, repr=False)


def train(
    model: Any,
    X: NDArray[Any],
    codes: NDArray[np.integer],
    validation: tuple[NDArray[Any], NDArray[np.integer]] | None,
    training: Training,
    *,
    seed: int = 0,
    progress: Progress = SILENT,
    checkpoint: str | Path | None = None,
) -> History:
    """Train `model` in place, and leave it with its best weights.

    With a checkpoint, a training that was interrupted at any moment goes on after its last whole
    epoch. With `make_deterministic`, the same versions and number of threads, it ends with the
    same bits as without the interruption, unless layers draw from other random generators than
    their own.

    Parameters
    ----------
    model : keras.Model
        Ends in a softmax, or in linear units (logits), one for each class.
    X : ndarray of shape (n_samples, ...)
        Training samples; cast to float32 batch by batch.
    codes : ndarray of shape (n_samples,), int
        The index of each sample's class.
    validation : (X, codes) or None
        Scored after every epoch; None keeps the last weights.
    training : Training
        The recipe.
    seed : int, default=0
        Of the order, the augmentation and the dropout.
    progress : Progress, optional
        Hears of every step, in epochs.
    checkpoint : str or Path, optional
        A safetensors file, replaced after every epoch. Where it exists, the training goes on from
        it, and the model's own weights are dropped; a finished one returns at once.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If the recipe is out of range, the loss is no longer finite, or the checkpoint is damaged
        or belongs to another network, recipe, seed or other samples.

    Warns
    -----
    RuntimeWarning
        If the checkpoint can't be written, as on a full disk; the last good one survives.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks import Training, build_network, train
    >>> X, codes = np.zeros((8, 8, 8, 1), np.uint8), np.arange(8) % 2
    >>> model = build_network("compact", (8, 8, 1), 2)
    >>> train(model, X, codes, None, Training(epochs=1)).best_epoch
    0
    """
    training.check()
    batch_size = min(training.batch_size, len(X))
    with seeded(seed):
        loss_function = _compile(model, training, len(X) // batch_size)
        file, course = None, Course()
        if checkpoint is not None:
            network = describe_network(model, training, seed)
            file = Checkpoint(checkpoint, network, describe_samples(X, codes, validation))
            course = file.read(model)
        done = len(course.loss)
        progress.update("train network", done, training.epochs)
        start = time.perf_counter()
        for epoch, order, samples in epochs(
            X, training.augmentation, seed=seed, first=done, last=training.epochs
        ):

            def heard(share: float, epoch: int = epoch) -> None:
                progress.update("train network", epoch + share, training.epochs)

            seed_shared_generators(seed, epoch)
            with _computing_in(training.precision, model):
                course.loss.append(run_epoch(model, samples, codes, order, batch_size, heard))
            if not np.isfinite(course.loss[-1]):
                raise ValueError(
                    f"The training loss is {course.loss[-1]} in epoch {epoch + 1}; lower the "
                    f"learning rate (now {training.learning_rate:g}) or scale the inputs."
                )
            if validation is not None:
                _validate(model, validation, loss_function, course)
            now = time.perf_counter()
            course.seconds, start = course.seconds + now - start, now
            if file is not None:
                file.write(model, course)
            progress.update("train network", epoch + 1, training.epochs)
    if course.best_weights is not None:
        model.set_weights(course.best_weights)
    best_epoch = training.epochs - 1 if course.best_epoch is None else course.best_epoch
    return History(
        course.loss, course.validation_loss, course.validation_accuracy, best_epoch, course.seconds
    )


def fit_network(
    network: str | Builder,
    X: NDArray[Any],
    codes: NDArray[np.integer],
    training: Training | None = None,
    *,
    groups: NDArray[Any] | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
    checkpoint: str | Path | None = None,
) -> tuple[Any, History]:
    """Build a network for these samples and train it on all but a validation slice of them.

    Parameters
    ----------
    network : str or callable
        As in `build_network`.
    X : ndarray of shape (n_samples, ...)
        The fit part.
    codes : ndarray of shape (n_samples,), int
        Class indices from 0; every class occurs.
    training : Training, optional
        The recipe; by default ``Training()``, without augmentation where samples are no images.
    groups : ndarray of shape (n_samples,), optional
        No group is in both the slice and the rest.
    seed : int, default=0
        Of initial weights, slice, order, augmentation and dropout.
    progress : Progress, optional
        Hears of every step, in epochs.
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
    if training is None:
        training = Training() if X.ndim == 4 else Training(augmentation=None)
    training.check()
    model = build_network(network, X.shape[1:], int(codes.max()) + 1, seed=seed)
    split = validation_split(codes, groups, training, seed)
    validation = None
    if split is not None:
        validation = (X[split.second], codes[split.second])
        X, codes = X[split.first], codes[split.first]
    history = train(
        model,
        X,
        codes,
        validation,
        training,
        seed=seed,
        progress=progress,
        checkpoint=checkpoint,
    )
    return model, history


def validation_split(
    codes: NDArray[np.integer], groups: NDArray[Any] | None, training: Training, seed: int
) -> Split | None:
    """Split a fit part into what is trained on and the slice that chooses the best weights."""
    if training.validation_size == 0:
        return None
    return split_samples(codes, groups, training.validation_size, seed=seed)


def _compile(model: Any, training: Training, steps_per_epoch: int) -> Any:
    keras = import_keras()
    n_steps = training.epochs * steps_per_epoch
    n_warm_up = round(_WARM_UP * n_steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        training.learning_rate / 10,
        max(1, n_steps - n_warm_up),
        alpha=1e-3,
        warmup_target=training.learning_rate,
        warmup_steps=n_warm_up,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=training.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    loss = keras.losses.CategoricalCrossentropy(
        from_logits=ends_in_logits(model), label_smoothing=training.label_smoothing
    )
    # XLA makes TensorFlow's step slower on a CPU, and several times slower to compile. Without it,
    # JAX would compile nothing.
    jit_compile = False if keras.backend.backend() == "tensorflow" else "auto"
    model.compile(optimizer, loss, jit_compile=jit_compile)
    optimizer.build(model.trainable_variables)
    return loss


def _computing_in(precision: str, model: Any) -> AbstractContextManager[None]:
    return computing_in_bfloat16(model) if precision == "bfloat16" else nullcontext()


def _validate(
    model: Any,
    validation: tuple[NDArray[Any], NDArray[np.integer]],
    loss_function: Any,
    course: Course,
) -> None:
    """Score the network after an epoch, and keep its weights if they are the best so far."""
    X, codes = validation
    outputs = forward(model, X, batch_size=_EVALUATION_BATCH)
    targets = np.eye(outputs.shape[1], dtype=np.float32)[codes]
    loss = float(import_keras().ops.convert_to_numpy(loss_function(targets, outputs)))
    if loss < course.best_loss:
        course.best_epoch, course.best_weights = len(course.validation_loss), model.get_weights()
    course.validation_loss.append(loss)
    course.validation_accuracy.append(float(np.mean(outputs.argmax(axis=1) == codes)))
