"""Metrics for margin losses, computed from scores instead of probabilities.

Importing this module imports Keras.
"""

from typing import Any

from penultimate._common.protocols import Tensor
from penultimate._common.validation import check_number
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.margins.targets import class_indicator, signs

keras = import_keras()
ops = keras.ops


def margins(y_true: Tensor, y_pred: Tensor, owner: str) -> Tensor:
    """Compute the margin of each sample, positive if it is classified correctly.

    Parameters
    ----------
    y_true : tensor
        Targets, as in the losses.
    y_pred : tensor of shape (n, n_classes), or (n, 1) or (n,) for two classes
        Scores.
    owner : str
        Name for error messages.

    Returns
    -------
    tensor of shape (n,)
        The score of the true class minus the highest of the others; for a single score, the score
        times the sign of the true class.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    # TensorFlow multiplies no integers with floats.
    y_true = ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype)
    if tuple(y_pred.shape)[1:] in ((), (1,)):
        sign, score, _ = signs(y_true, y_pred, owner)
        return sign * score
    indicator = class_indicator(y_true, y_pred, owner)
    # Replaces the true class's score: below all others, and finite on every backend.
    lowest = ops.min(y_pred) - 1
    others = ops.max(ops.where(indicator > 0, lowest, y_pred), axis=-1)
    return ops.sum(indicator * y_pred, axis=-1) - others


class _MeanOverSamples(keras.metrics.Mean):  # type: ignore[name-defined]
    """The mean of `of_margins` over all samples."""

    default_name = ""

    def __init__(self, name: str | None = None, dtype: object = None) -> None:
        super().__init__(name=name or self.default_name, dtype=dtype)

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Add a batch of targets and scores."""
        # Keras's `Mean` averages values that it is given; as a metric of a model it gets these two.
        values = self.of_margins(margins(y_true, y_pred, type(self).__name__))
        super().update_state(ops.cast(values, self.dtype), sample_weight)

    def of_margins(self, values: Tensor) -> Tensor:
        """Compute the values to average from the margins; by default the margins themselves."""
        return values


@keras.saving.register_keras_serializable("penultimate")
class SignAccuracy(_MeanOverSamples):
    """The share of samples with a positive margin.

    For two classes, the score has the sign of the true class; for more, the true class has the
    highest score. A margin of zero counts as wrong. Keras's ``BinaryAccuracy`` compares scores and
    targets of -1 and 1 by a threshold of 0.5, and counts half of a perfect prediction as wrong.

    Parameters
    ----------
    name, dtype
        As in ``keras.metrics.Mean``.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks.margins.metrics import SignAccuracy
    >>> scores = np.array([-0.2, 3.0, -1.0])
    >>> round(float(SignAccuracy()(np.array([-1, 1, 1]), scores)), 2)
    0.67
    """

    default_name = "sign_accuracy"

    def of_margins(self, values: Tensor) -> Tensor:
        """Return which samples are on the right side."""
        # Strictly: a tie at zero says nothing about the class.
        return values > 0


@keras.saving.register_keras_serializable("penultimate")
class MarginViolationRate(_MeanOverSamples):
    """The share of samples that are on the wrong side, or closer to it than the margin.

    These are the samples with a nonzero hinge loss: the support vectors of its solution.

    Parameters
    ----------
    margin : float, default=1.0
    name, dtype
        As in ``keras.metrics.Mean``.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks.margins.metrics import MarginViolationRate
    >>> float(MarginViolationRate()(np.array([0, 1]), np.array([[3.0, 1.0], [0.0, 0.5]])))
    0.5
    """

    default_name = "margin_violation_rate"

    def __init__(self, margin: float = 1.0, name: str | None = None, dtype: object = None) -> None:
        super().__init__(name=name, dtype=dtype)
        check_number(margin, "margin", type(self).__name__, low=0, open_low=True)
        self.margin = margin

    def of_margins(self, values: Tensor) -> Tensor:
        """Return which samples violate the margin."""
        return values < self.margin

    def get_config(self) -> dict[str, Any]:
        """Return the configuration to recreate the metric from."""
        return {**super().get_config(), "margin": self.margin}


@keras.saving.register_keras_serializable("penultimate")
class MeanMargin(_MeanOverSamples):
    """The mean margin: the true class's score minus the highest other, or the signed score.

    Parameters
    ----------
    name, dtype
        As in ``keras.metrics.Mean``.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks.margins.metrics import MeanMargin
    >>> float(MeanMargin()(np.array([0, 1]), np.array([[3.0, 1.0], [0.0, 0.5]])))
    1.25
    """

    default_name = "mean_margin"
