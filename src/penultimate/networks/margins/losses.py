"""Margin losses for Keras 3, on every backend: multiclass, one-vs-rest, and binary.

All are written with ``keras.ops`` on one-hot rows (``targets.py``). A target that is no class makes
the loss NaN, because a compiled step cannot raise an error that depends on values.

Importing this module imports Keras.
"""

from collections.abc import Callable, Sequence
from typing import Any

from penultimate._common.protocols import Tensor
from penultimate._common.validation import check_number
from penultimate.networks.frameworks.backend import import_keras
from penultimate.networks.margins.targets import class_indicator, signs

keras = import_keras()
ops = keras.ops


class MarginLoss(keras.losses.Loss):  # type: ignore[name-defined]
    """Base class of the margin losses; not for direct use.

    Parameters
    ----------
    margin : float, default=1.0
        Distance by which a score must be on the right side for a loss of zero.
    squared : bool, default=False
        Whether to square the violation of the margin.
    class_weight : sequence of float, optional
        Factor of the losses of each class, in the order of the class indices.
    reduction, name, dtype
        As in ``keras.losses.Loss``.
    """

    def __init__(
        self,
        margin: float = 1.0,
        squared: bool = False,
        class_weight: Sequence[float] | None = None,
        # The mean, as in Keras's own losses; C is accounted for by the penalty (``builders.py``).
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: object = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        owner = type(self).__name__
        check_number(margin, "margin", owner, low=0, open_low=True)
        for weight in () if class_weight is None else class_weight:
            check_number(weight, "class_weight", owner, low=0)
        self.margin = margin
        self.squared = squared
        self.class_weight = class_weight

    def get_config(self) -> dict[str, Any]:
        """Return the configuration to recreate the loss from."""
        # Plain floats: a configuration is stored as JSON.
        weights = None if self.class_weight is None else [float(w) for w in self.class_weight]
        return {
            **super().get_config(),
            "margin": self.margin,
            "squared": self.squared,
            "class_weight": weights,
        }

    def _power(self, violation: Tensor) -> Tensor:
        return ops.square(violation) if self.squared else violation

    def _weighted(self, losses: Tensor, indicator: Tensor) -> Tensor:
        """Weight losses by class; a sample with no class, or with several, gets NaN."""
        if self.class_weight is not None:
            if len(self.class_weight) != indicator.shape[-1]:
                raise ValueError(
                    f"The 'class_weight' parameter of {type(self).__name__} must have a weight for "
                    f"each of the {indicator.shape[-1]} classes; got {len(self.class_weight)}."
                )
            weights = ops.convert_to_tensor(list(self.class_weight), dtype=losses.dtype)
            losses = losses * ops.sum(indicator * weights, axis=-1)
        # Without this, an index out of range would be a row of zeros, and train silently.
        one_class = ops.equal(ops.sum(indicator, axis=-1), 1)
        return ops.where(one_class, losses, ops.full_like(losses, float("nan")))


# Registered, so that a model that was compiled with the loss loads without `custom_objects`.
@keras.saving.register_keras_serializable("penultimate")
class CrammerSinger(MarginLoss):
    r"""Crammer and Singer's multiclass hinge loss.

    For scores :math:`s` and the true class :math:`y`

    .. math:: \max_j \left(\delta\,[j \ne y] + s_j - s_y\right)

    with the margin :math:`\delta`: the amount by which the true class's score falls short of being
    that much above all others. Keras's own ``CategoricalHinge`` is a different function: there the
    true class enters the maximum with a score of zero, so that a perfect prediction with negative
    scores has a positive loss.

    Parameters
    ----------
    margin, squared, class_weight, reduction, name, dtype
        As in `MarginLoss`.

    References
    ----------
    K. Crammer and Y. Singer, "On the algorithmic implementation of multiclass kernel-based vector
    machines", Journal of Machine Learning Research 2, 2001.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks.margins.losses import CrammerSinger
    >>> scores = np.array([[-3.0, -5.0, -7.0], [0.0, 0.5, 0.0]])
    >>> float(CrammerSinger()(np.array([0, 0]), scores))
    0.75
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Compute the loss of each sample.

        Parameters
        ----------
        y_true : tensor of shape (n,), (n, 1) or (n, n_classes)
            Class indices, or one-hot rows (of 0 and 1, or -1 and 1).
        y_pred : tensor of shape (n, n_classes)
            Scores, one per class.

        Returns
        -------
        tensor of shape (n,)
        """
        indicator = class_indicator(y_true, y_pred, type(self).__name__)
        true_score = ops.sum(indicator * y_pred, axis=-1, keepdims=True)
        # The true class enters the maximum with s_y - s_y = 0, so that no relu is needed.
        violation = ops.max(self.margin * (1 - indicator) + y_pred - true_score, axis=-1)
        return self._weighted(self._power(violation), indicator)


@keras.saving.register_keras_serializable("penultimate")
class WestonWatkins(MarginLoss):
    r"""Weston and Watkins' multiclass hinge loss.

    For scores :math:`s` and the true class :math:`y`

    .. math:: \sum_{j \ne y} \max\left(0, \delta + s_j - s_y\right)

    with the margin :math:`\delta`; each term squared if `squared`.

    Parameters
    ----------
    margin, squared, class_weight, reduction, name, dtype
        As in `MarginLoss`.

    References
    ----------
    J. Weston and C. Watkins, "Support vector machines for multi-class pattern recognition",
    ESANN 1999.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks.margins.losses import WestonWatkins
    >>> float(WestonWatkins()(np.array([0]), np.array([[0.0, 0.5, 0.0]])))
    2.5
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Compute the loss of each sample.

        Parameters
        ----------
        y_true : tensor of shape (n,), (n, 1) or (n, n_classes)
            As in `CrammerSinger`.
        y_pred : tensor of shape (n, n_classes)
            Scores, one per class.

        Returns
        -------
        tensor of shape (n,)
        """
        indicator = class_indicator(y_true, y_pred, type(self).__name__)
        true_score = ops.sum(indicator * y_pred, axis=-1, keepdims=True)
        # The true class's own term would be the margin itself; the indicator removes it.
        violation = ops.relu(self.margin + y_pred - true_score) * (1 - indicator)
        return self._weighted(ops.sum(self._power(violation), axis=-1), indicator)


@keras.saving.register_keras_serializable("penultimate")
class OneVsRestHinge(MarginLoss):
    r"""The one-vs-rest hinge loss, summed over the classes.

    For scores :math:`s` and signs :math:`t_j = 1` for the true class and -1 for the others

    .. math:: \sum_j \max\left(0, \delta - t_j s_j\right)

    with the margin :math:`\delta`; each term squared if `squared`, which is the L2-SVM of Tang.

    Parameters
    ----------
    margin, squared, class_weight, reduction, name, dtype
        As in `MarginLoss`.

    References
    ----------
    Y. Tang, "Deep learning using linear support vector machines", ICML workshop on challenges in
    representation learning, 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks.margins.losses import OneVsRestHinge
    >>> float(OneVsRestHinge(squared=True)(np.array([0]), np.array([[0.5, -2.0, 1.0]])))
    4.25
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Compute the loss of each sample.

        Parameters
        ----------
        y_true : tensor of shape (n,), (n, 1) or (n, n_classes)
            As in `CrammerSinger`.
        y_pred : tensor of shape (n, n_classes)
            Scores, one per class.

        Returns
        -------
        tensor of shape (n,)
        """
        indicator = class_indicator(y_true, y_pred, type(self).__name__)
        violation = ops.relu(self.margin - (2 * indicator - 1) * y_pred)
        return self._weighted(ops.sum(self._power(violation), axis=-1), indicator)


@keras.saving.register_keras_serializable("penultimate")
class BinaryHinge(MarginLoss):
    r"""The hinge loss for two classes.

    For a score :math:`s` and the sign :math:`t`, 1 for the second class and -1 for the first,

    .. math:: \max\left(0, \delta - t s\right)

    with the margin :math:`\delta`; squared if `squared`.

    Parameters
    ----------
    margin, squared, class_weight, reduction, name, dtype
        As in `MarginLoss`.

    References
    ----------
    C. Cortes and V. Vapnik, "Support-vector networks", Machine Learning 20, 1995.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks.margins.losses import BinaryHinge
    >>> float(BinaryHinge()(np.array([0, 1]), np.array([[-2.0], [0.5]])))
    0.25
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Compute the loss of each sample.

        Parameters
        ----------
        y_true : tensor of shape (n,), (n, 1) or (n, 2)
            0 and 1, or -1 and 1, or one-hot rows.
        y_pred : tensor of shape (n,) or (n, 1)
            Scores, positive for the second class.

        Returns
        -------
        tensor of shape (n,)
        """
        sign, score, indicator = signs(y_true, y_pred, type(self).__name__)
        violation = ops.relu(self.margin - sign * score)
        return self._weighted(self._power(violation), indicator)


# In float32, whatever Keras is set to, as the networks with names are.
LOSSES: dict[str, Callable[[], MarginLoss]] = {
    "hinge": lambda: OneVsRestHinge(dtype="float32"),
    "squared_hinge": lambda: OneVsRestHinge(squared=True, dtype="float32"),
    "crammer_singer": lambda: CrammerSinger(dtype="float32"),
    "squared_crammer_singer": lambda: CrammerSinger(squared=True, dtype="float32"),
    "weston_watkins": lambda: WestonWatkins(dtype="float32"),
    "squared_weston_watkins": lambda: WestonWatkins(squared=True, dtype="float32"),
}
