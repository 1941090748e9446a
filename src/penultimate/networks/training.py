"""Training a network: one-cycle schedule, augmentation beside the step, best weights kept."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._progress import SILENT, Progress
from penultimate._validation import check_number
from penultimate.datasets.splits import Split, split_samples
from penultimate.networks._backend import import_keras, seeded
from penultimate.networks._keras import ends_in_logits, forward
from penultimate.networks.architectures import Builder, build_network
from penultimate.networks.augmentation import Augmentation

_EVALUATION_BATCH = 256
_WARM_UP = 0.2


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
    """

    loss: list[float]
    validation_loss: list[float]
    validation_accuracy: list[float]
    best_epoch: int


def train(
    model: Any,
    X: NDArray[Any],
    codes: NDArray[np.integer],
    validation: tuple[NDArray[Any], NDArray[np.integer]] | None,
    training: Training,
    *,
    seed: int = 0,
    progress: Progress = SILENT,
) -> History:
    """Train `model` in place, and leave it with its best weights.

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
        Hears of every epoch.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If the recipe is out of range, or the loss is no longer finite.

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
    keras = import_keras()
    batch_size = min(training.batch_size, len(X))
    targets = np.eye(model.output_shape[-1], dtype=np.float32)
    losses, validation_losses, accuracies = [], [], []
    progress.update("train network", 0, training.epochs)
    best_loss, best_epoch, best_weights = np.inf, training.epochs - 1, None
    with seeded(seed):
        loss_function = _compile(model, training, len(X) // batch_size)
        for epoch, (order, images) in enumerate(_epochs(X, training, seed)):
            losses.append(_run_epoch(model, images, codes, order, batch_size))
            if not np.isfinite(losses[-1]):
                raise ValueError(
                    f"The training loss is {losses[-1]} in epoch {epoch + 1}; lower the learning "
                    f"rate (now {training.learning_rate:g}) or scale the inputs."
                )
            if validation is not None:
                outputs = forward(model, validation[0], batch_size=_EVALUATION_BATCH)
                loss = float(
                    keras.ops.convert_to_numpy(loss_function(targets[validation[1]], outputs))
                )
                validation_losses.append(loss)
                accuracies.append(float(np.mean(outputs.argmax(axis=1) == validation[1])))
                if loss < best_loss:
                    best_loss, best_epoch, best_weights = loss, epoch, model.get_weights()
            progress.update("train network", epoch + 1, training.epochs)
    if best_weights is not None:
        model.set_weights(best_weights)
    return History(losses, validation_losses, accuracies, best_epoch)


def fit_network(
    network: str | Builder,
    X: NDArray[Any],
    codes: NDArray[np.integer],
    training: Training | None = None,
    *,
    groups: NDArray[Any] | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
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
        Hears of every epoch.

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
    if split is None:
        return model, train(model, X, codes, None, training, seed=seed, progress=progress)
    first, second = split.first, split.second
    validation = (X[second], codes[second])
    return model, train(
        model, X[first], codes[first], validation, training, seed=seed, progress=progress
    )


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
    # XLA makes the step slower on a CPU, and several times slower to compile.
    model.compile(optimizer, loss, jit_compile=False)
    return loss


def _run_epoch(
    model: Any,
    X: NDArray[Any],
    codes: NDArray[np.integer],
    order: NDArray[np.int64],
    batch_size: int,
) -> float:
    """Take a step for each full batch, and return their mean loss."""
    targets = np.eye(model.output_shape[-1], dtype=np.float32)
    losses = []
    for start in range(0, len(X) - batch_size + 1, batch_size):
        chosen = order[start : start + batch_size]
        losses.append(model.train_on_batch(X[chosen].astype(np.float32), targets[codes[chosen]]))
    return float(np.mean(losses))


def _epochs(
    X: NDArray[Any], training: Training, seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[Any]]]:
    """Yield the order and the samples of each epoch, warping the next beside the training."""

    def prepare(epoch: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
        order = np.random.default_rng([seed, epoch, 1]).permutation(len(X))
        if training.augmentation is None:
            return order, X
        return order, training.augmentation.warp(X, seed=seed, epoch=epoch)

    with ThreadPoolExecutor(1) as pool:
        upcoming = pool.submit(prepare, 0)
        for epoch in range(training.epochs):
            current = upcoming.result()
            if epoch + 1 < training.epochs:
                upcoming = pool.submit(prepare, epoch + 1)
            yield current
