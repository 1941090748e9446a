"""How `MarginClassifier` is trained: its loss, the recipe of a linear machine, and its stream.

The penalty of a network is built once, for the number of samples n of the first call, as
1 / (2 C n). With a stream of samples n grows; the loss is then scaled up instead, by the factor by
which n has grown.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.networks import Training
from penultimate.networks.margins.losses import LOSSES, BinaryHinge, MarginLoss, OneVsRestHinge

# A linear machine is regularized by C alone: it needs no early stopping, only enough steps to
# converge.
_LINEAR_STEPS, _LINEAR_BATCH, _LINEAR_RATE = 3000, 256, 0.1
_CALIBRATION_SIZE = 0.2


@dataclass
class Stream:
    """What `partial_fit` continues from.

    Attributes
    ----------
    seed : int
        Controls the initial weights, and the order of the samples in each call.
    n_penalized : int
        Number of samples that the penalty of the network was built for.
    n_seen : int
        Number of samples so far.
    n_passes : int
        Number of calls so far; each has another order of its samples.
    """

    seed: int
    n_penalized: int
    n_seen: int
    n_passes: int = 0

    @property
    def growth(self) -> np.float32:
        """The factor of the loss with which C keeps its meaning as samples are added."""
        return np.float32(self.n_seen / self.n_penalized)


def choose_loss(loss: str | MarginLoss, classes: NDArray[Any], *, is_linear: bool) -> MarginLoss:
    """Return the loss for these classes.

    Parameters
    ----------
    loss : str or MarginLoss
        As in `MarginClassifier`.
    classes : ndarray of shape (n_classes,)
        The class labels.
    is_linear : bool
        Whether there are no hidden layers. Two classes then need one machine only.

    Raises
    ------
    ValueError
        If the loss is for two classes, and there are more.
    """
    chosen = loss if isinstance(loss, MarginLoss) else LOSSES[loss]()
    if len(classes) == 2 and is_linear and isinstance(chosen, OneVsRestHinge):
        return BinaryHinge(chosen.margin, chosen.squared, chosen.class_weight, dtype=chosen.dtype)
    if isinstance(chosen, BinaryHinge) and len(classes) > 2:
        raise ValueError(
            f"BinaryHinge is a loss of two classes, and y has {len(classes)}: "
            f"{classes.tolist()[:5]}. Use loss='hinge' or 'squared_hinge' (one-vs-rest), "
            "'crammer_singer' or 'weston_watkins'."
        )
    return chosen


def linear_recipe(n_samples: int, *, calibrates: bool) -> Training:
    """Return the recipe of a linear machine.

    Parameters
    ----------
    n_samples : int
    calibrates : bool
        Whether a slice of the samples is kept for calibration.
    """
    validation_size = _CALIBRATION_SIZE if calibrates else 0.0
    batch_size = min(_LINEAR_BATCH, max(1, int(n_samples * (1 - validation_size))))
    return Training(
        epochs=-(-_LINEAR_STEPS * batch_size // n_samples),  # rounded up
        batch_size=batch_size,
        learning_rate=_LINEAR_RATE,
        augmentation=None,
        validation_size=validation_size,
    )
