"""The reliability diagram: accuracy by confidence, in bins.

A calibrated classifier lies on the diagonal; below it, it is overconfident. The bars show how many
samples each bin holds, because a bin with few samples can be far from the diagonal by chance.
"""

from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from penultimate._common.protocols import Head
from penultimate.displays._axes import keep_names_literal, new_axes
from penultimate.displays._of_comparison import method_with_probabilities
from penultimate.evaluation.reliability import (
    ReliabilityCurve,
    expected_calibration_error,
    reliability_curve,
)
from penultimate.results.outcome import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLUE, _GREY = "#0072b2", "#bbbbbb"


class ReliabilityDisplay:
    """Accuracy of the most probable class, over the probability that was predicted for it.

    Parameters
    ----------
    curve : ReliabilityCurve
        Returned by `reliability_curve`.
    error : float, optional
        Expected calibration error, shown in the legend.
    name : str, optional
        Name of the classifier, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that `plot` drew on.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from penultimate.displays import ReliabilityDisplay
    >>> display = ReliabilityDisplay.from_predictions(["b", "a"], [[0.1, 0.9], [0.3, 0.7]])
    >>> round(display.error, 2), display.plot().ax_.get_ylabel()
    (0.4, 'accuracy')
    """

    def __init__(
        self, curve: ReliabilityCurve, *, error: float | None = None, name: str | None = None
    ) -> None:
        self.curve = curve
        self.error = error
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Head,
        X: ArrayLike,
        y: ArrayLike,
        *,
        n_bins: int = 10,
        name: str | None = None,
    ) -> Self:
        """Compute the curve from a fitted classifier and samples that it was not fitted on.

        Parameters
        ----------
        estimator : classifier
            Fitted classifier with `predict_proba`.
        X : array-like of shape (n_samples, ...)
            Samples, in the form that the classifier accepts.
        y : array-like of shape (n_samples,)
            True labels.
        n_bins : int, default=10
            Number of bins of equal width.
        name : str, optional
            Name in the legend; by default the classifier's type.

        Returns
        -------
        ReliabilityDisplay

        Raises
        ------
        ValueError
            If the classifier has no `predict_proba`, or if `y` holds an unknown label.
        """
        if not hasattr(estimator, "predict_proba"):
            raise ValueError(
                f"A reliability diagram needs predict_proba, and {estimator!r} has none. Wrap it: "
                "penultimate.evaluation.calibrated(estimator, y)."
            )
        name = type(estimator).__name__ if name is None else name
        probabilities = estimator.predict_proba(X)
        return cls.from_predictions(
            y, probabilities, classes=estimator.classes_, n_bins=n_bins, name=name
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_prob: ArrayLike,
        *,
        classes: ArrayLike | None = None,
        n_bins: int = 10,
        name: str | None = None,
    ) -> Self:
        """Compute the curve from probabilities and true labels.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True labels.
        y_prob : array-like of shape (n_samples, n_classes)
            Predicted probabilities, with one column per class.
        classes : array-like of shape (n_classes,), optional
            The label of each column, sorted; by default the labels that occur.
        n_bins : int, default=10
            Number of bins of equal width.
        name : str, optional
            Name of the classifier.

        Returns
        -------
        ReliabilityDisplay

        Raises
        ------
        ValueError
            If `y_true` holds labels that are not among the classes, or if the number of columns
            differs from the number of classes.
        """
        probabilities, labels = np.asarray(y_prob), np.asarray(y_true)
        known = np.unique(labels) if classes is None else np.asarray(classes)
        if len(unknown := np.setdiff1d(labels, known)):
            raise ValueError(
                f"y_true holds labels that are not among the classes, such as "
                f"{unknown.tolist()[0]!r}; the classes are {known.tolist()[:10]}. Remove "
                "such samples."
            )
        if probabilities.ndim == 2 and probabilities.shape[1] != len(known):
            raise ValueError(
                f"There are {probabilities.shape[1]} columns of probabilities but {len(known)} "
                "classes; pass classes=classifier.classes_."
            )
        codes = np.searchsorted(known, labels)
        curve = reliability_curve(probabilities, codes, n_bins=n_bins)
        error = expected_calibration_error(probabilities, codes, n_bins=n_bins)
        return cls(curve, error=error, name=name)

    @classmethod
    def from_comparison(
        cls, comparison: Outcome, method: str | None = None, *, name: str | None = None
    ) -> Self:
        """Compute the curve of a method of a comparison, over all seeds.

        Parameters
        ----------
        comparison : Comparison
        method : str, optional
            Its method; by default the one that the verdict is about, or the most accurate.
        name : str, optional
            Name in the legend; by default the method's, and whether it is calibrated.

        Returns
        -------
        ReliabilityDisplay

        Raises
        ------
        KeyError
            If the method was not compared.
        ValueError
            If it has no probabilities.
        """
        result = method_with_probabilities(comparison, method)
        assert result.probabilities is not None
        true, n_seeds = comparison.dataset.labels[comparison.test], len(result.probabilities)
        return cls.from_predictions(
            np.tile(true, n_seeds),
            np.concatenate(result.probabilities),
            classes=np.arange(len(comparison.dataset.classes)),
            name=result.title_of_probabilities if name is None else name,
        )

    def plot(self, ax: "Axes | None" = None, *, name: str | None = None) -> Self:
        """Draw the accuracy of each bin with its interval, and the fraction of samples in it.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.
        name : str, optional
            Name in the legend; by default that of the display.

        Returns
        -------
        self
        """
        ax = new_axes(ax)
        curve, name = self.curve, self.name if name is None else name
        error = None if self.error is None else f"calibration error {self.error:.3f}"
        label = ", ".join(part for part in (name, error) if part) or "accuracy"
        widths, shares = np.diff(curve.edges), curve.counts / curve.counts.sum()
        ax.bar(
            curve.edges[:-1], shares, widths, align="edge", color=_GREY, alpha=0.5,
            edgecolor="white", label="fraction of samples",
        )  # fmt: skip
        ax.plot([0, 1], [0, 1], color="black", ls="--", lw=1, label="perfectly calibrated")
        filled = curve.counts > 0
        middle, right = curve.confidence[filled], curve.accuracy[filled]
        # An interval contains its value, except for rounding errors.
        reach = np.maximum([right - curve.low[filled], curve.high[filled] - right], 0)
        ax.errorbar(
            middle, right, reach, fmt="o-", color=_BLUE, ms=5, lw=1.5, capsize=3, label=label
        )
        ax.set(xlabel="confidence (highest probability)", ylabel="accuracy")
        ax.set(xlim=(0, 1), ylim=(0, 1.02))
        ax.grid(alpha=0.3)
        # The legend is above the axes; inside, it would hide intervals.
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize="small", frameon=False)
        keep_names_literal(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self
