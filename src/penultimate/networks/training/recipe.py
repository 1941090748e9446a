"""How a network is trained, and how it went."""

from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from penultimate._common.validation import check_choice, check_number
from penultimate.networks.training.augmentation import Augmentation

_PRECISIONS = ("float32", "bfloat16")
_IMAGES = 4  # dimensions of an array of them


@dataclass(frozen=True)
class Training:
    """How a network is trained.

    AdamW on the cross-entropy of smoothed labels, or on a margin loss; the learning rate climbs
    over the first fifth of the steps from a tenth of its peak, then follows a cosine down to a
    thousandth of it. After every epoch the network is scored on a slice of the fit part, without
    augmentation, and the weights with the lowest loss there are kept. A slice of fewer than 100
    samples is too small to choose by: the last weights are kept, unless `patience` is set.

    Parameters
    ----------
    epochs : int, default=30
        Passes over the training samples.
    batch_size : int, default=64
        Samples in a step; what is left over of an epoch waits for another epoch's order.
    learning_rate : float, default=3e-3
        The peak.
    weight_decay : float, default=1e-2
        Of AdamW, on weight matrices only, and not on one that has a penalty of its own.
    label_smoothing : float, default=0.1
        The share of a label that is spread over all classes; a margin loss does without.
    augmentation : Augmentation or None, default=Augmentation()
        None trains on the samples as they are. Those that are no images always stay so.
    validation_size : float, default=0.1
        The share of the fit part that the network is only scored on, to choose the best weights.
    patience : int, optional
        Stop early: after so many epochs without a lower loss on the validation slice.
    precision : {"float32", "bfloat16"}, default="float32"
        What the steps are computed in, but for the last layer and the loss. Weights are float32
        either way, and so are the validation and the trained network. A processor without
        instructions for bfloat16 has to emulate it, and is slower for it. A function that builds
        layers of another precision is warned of: they are trained as they were built.

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
    patience: int | None = None
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
        if self.patience is not None:
            check_number(self.patience, "patience", owner, low=1, integer=True)
            if self.validation_size == 0:
                raise ValueError(
                    f"Training(patience={self.patience}) stops by the loss on a validation slice, "
                    "and validation_size=0 leaves none. Set a validation_size, or no patience."
                )
        check_choice(self.precision, "precision", owner, _PRECISIONS)


def suited_to(samples: NDArray[Any], training: Training | None) -> Training:
    """Return the recipe, or the default one; without augmentation where samples are no images."""
    training = Training() if training is None else training
    return training if samples.ndim == _IMAGES else replace(training, augmentation=None)


@dataclass(frozen=True)
class History:
    """The course of a training, an entry an epoch.

    Attributes
    ----------
    loss, validation_loss : list of float
        Mean loss, of the augmented training samples (with penalties) and of the validation slice.
    validation_accuracy : list of float
        A fraction.
    best_epoch : int
        The epoch, from 0, whose weights were kept: the last one where nothing chose.
    seconds : float
        The time that the epochs took; of a training that was interrupted, all its parts.
    """

    loss: list[float]
    validation_loss: list[float]
    validation_accuracy: list[float]
    best_epoch: int
    # Two trainings with the same course are the same, however long they took.
    seconds: float = field(default=0.0, compare=False, repr=False)
