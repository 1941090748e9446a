"""Metrics that go with margin losses, on scores instead of probabilities.

Importing this module imports Keras.
"""

from typing import Any

from penultimate._common.validation import check_number
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.margins.targets import class_indicator, signs

keras = import_keras()
ops = keras.ops


def margins(y_true: Any, y_pred: Any, owner: str) -> Any:
    """Compute by how much each sample's score is on the right side.

    Parameters
    ----------
    y_true : tensor
        As the losses take it.
    y_pred : tensor of shape (n, n_classes), or (n, 1) or (n,) for two classes
        Scores.
    owner : str
        Whom a message names.

    Returns
    -------
    tensor of shape (n,)
        The true class's score less the highest of the others; for two classes the score, with the
        sign of the true one.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype)
    if tuple(y_pred.shape)[1:] in ((), (1,)):
        sign, score, _ = signs(y_true, y_pred, owner)
        return sign * score
    indicator = class_indicator(y_true, y_pred, owner)
    lowest = ops.min(y_pred) - 1
    others = ops.max(ops.where(indicator > 0, lowest, y_pred), axis=-1)
    return ops.sum(indicator * y_pred, axis=-1) - others


class _MeanOverSamples(keras.metrics.Mean):  # type: ignore[name-defined]
    """The mean of what `of_margins` makes of each sample's margin."""

    default_name = ""

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name=name or self.default_name, dtype=dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of targets and scores."""
        values = self.of_margins(margins(y_true, y_pred, type(self).__name__))
        super().update_state(ops.cast(values, self.dtype), sample_weight)

    def of_margins(self, values: Any) -> Any:
        """Compute what is averaged; by default the margins themselves."""
        return values


@keras.saving.register_keras_serializable("penultimate")
class SignAccuracy(_MeanOverSamples):
    """The share of samples whose score is on the right side of zero.

    For two classes that is the score's sign; for more, the true class's score above all others. At
    zero a sample is wrong. Keras's ``BinaryAccuracy`` compares scores of -1 and 1 with targets of
    -1 and 1 by a threshold of .5, and finds half of a perfect prediction wrong.

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

    def of_margins(self, values: Any) -> Any:
        """Tell which samples are on the right side."""
        return values > 0


@keras.saving.register_keras_serializable("penultimate")
class MarginViolationRate(_MeanOverSamples):
    """The share of samples that are on the wrong side, or nearer to it than the margin.

    These are the samples that a hinge loss is not zero for: the support vectors of its solution.

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

    def __init__(self, margin: float = 1.0, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        check_number(margin, "margin", type(self).__name__, low=0, open_low=True)
        self.margin = margin

    def of_margins(self, values: Any) -> Any:
        """Tell which samples lack some of the margin."""
        return values < self.margin

    def get_config(self) -> dict[str, Any]:
        """Return what the metric is made from again."""
        return {**super().get_config(), "margin": self.margin}


@keras.saving.register_keras_serializable("penultimate")
class MeanMargin(_MeanOverSamples):
    """The mean of what the true class's score has over the others, or of the signed score.

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
