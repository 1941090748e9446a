"""The recipe of a training, and its history."""

from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from penultimate._common.validation import check_choice, check_number
from penultimate.networks.training.augmentation import Augmentation

_PRECISIONS = ("float32", "bfloat16")
_IMAGES = 4  # dimensions of an array of images


@dataclass(frozen=True)
class Training:
    """The recipe for training a network.

    AdamW on the cross-entropy with smoothed labels, or on a margin loss. The learning rate rises
    over the first fifth of the steps from a tenth of its peak, then follows a cosine down to a
    thousandth of it. After every epoch the network is scored on a validation slice of the fit part,
    without augmentation, and the weights with the lowest loss are kept. A slice of fewer than 100
    samples is too small for that: the last weights are kept, unless `patience` is set.

    Parameters
    ----------
    epochs : int, default=30
        Passes over the training samples.
    batch_size : int, default=64
        Mini-batch size; an incomplete last batch is dropped.
    learning_rate : float, default=3e-3
        Peak of the learning rate.
    weight_decay : float, default=1e-2
        AdamW weight decay, applied to weight matrices without a regularizer of their own.
    label_smoothing : float, default=0.1
        Share of a label that is spread over all classes; not used with a margin loss.
    augmentation : Augmentation or None, default=Augmentation()
        Random warps of the images; None trains on the samples unchanged. Only images are
        augmented.
    validation_size : float, default=0.1
        Share of the fit part that is held out to select the best weights.
    patience : int, optional
        Early stopping: number of epochs without a lower validation loss after which training ends.
    precision : {"float32", "bfloat16"}, default="float32"
        Precision of the training steps, except for the last layer and the loss. Weights, validation
        and the trained network are float32 in any case. A processor without bfloat16 instructions
        has to emulate them, which is slower. Layers that your own function builds in another
        precision are trained in it, with a warning.

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

    # Chosen on validation samples of digits (3,000 of them, batches of 64, 20 epochs) and
    # Devanagari characters (58 classes, batches of 128, 36 epochs, of which about 20 come close).
    # There network and augmentation were worth 2 points of accuracy; differences between heads were
    # smaller than 1,000 test samples can show.
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
    """Return the recipe or the default one, without augmentation unless samples are images."""
    training = Training() if training is None else training
    return training if samples.ndim == _IMAGES else replace(training, augmentation=None)


@dataclass(frozen=True)
class History:
    """The history of a training, with one entry per epoch.

    Attributes
    ----------
    loss, validation_loss : list of float
        Mean loss on the augmented training samples (with penalties) and on the validation slice.
    validation_accuracy : list of float
        Accuracy on the validation slice, as a fraction.
    best_epoch : int
        Index, from 0, of the epoch whose weights were kept; the last one if none was selected.
    seconds : float
        Time that the epochs took, over all parts of an interrupted training.
    """

    loss: list[float]
    validation_loss: list[float]
    validation_accuracy: list[float]
    best_epoch: int
    # Histories are equal if their trainings went the same, however long they took.
    seconds: float = field(default=0.0, compare=False, repr=False)
