"""The reliability diagram."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from penultimate.displays._axes import new_axes
from penultimate.evaluation import (
    ReliabilityCurve,
    expected_calibration_error,
    reliability_curve,
)

_BLUE, _GREY = "#0072b2", "#bbbbbb"


class ReliabilityDisplay:
    """How often the likeliest class is right, over the probability that it was given.

    Parameters
    ----------
    curve : ReliabilityCurve
        As from `reliability_curve`.
    error : float, optional
        The expected calibration error.
    name : str, optional
        Of the classifier, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where `plot` drew.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from penultimate.report import ReliabilityDisplay
    >>> display = ReliabilityDisplay.from_predictions(["b", "a"], [[0.1, 0.9], [0.3, 0.7]])
    >>> round(display.error, 2), display.plot().ax_.get_ylabel()
    (0.4, 'share that is right')
    """

    def __init__(
        self, curve: ReliabilityCurve, *, error: float | None = None, name: str | None = None
    ) -> None:
        self.curve = curve
        self.error = error
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, n_bins: int = 10, name: str | None = None
    ) -> Self:
        """Score samples that a fitted classifier has not seen.

        Parameters
        ----------
        estimator : classifier
            With `predict_proba`.
        X : array-like of shape (n_samples, ...)
            What it takes.
        y : array-like of shape (n_samples,)
            True labels.
        n_bins : int, default=10
            Bins of equal width.
        name : str, optional
            By default the class's name.

        Returns
        -------
        ReliabilityDisplay

        Raises
        ------
        ValueError
            If the classifier gives no probabilities, or does not know a label.
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
        """Take probabilities and true labels.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True labels.
        y_prob : array-like of shape (n_samples, n_classes)
            Probabilities, a column for each class.
        classes : array-like of shape (n_classes,), optional
            The label of each column, sorted; by default the labels that occur.
        n_bins : int, default=10
            Bins of equal width.
        name : str, optional
            Of the classifier.

        Returns
        -------
        ReliabilityDisplay

        Raises
        ------
        ValueError
            If `y_true` holds labels that are none of the classes, or the probabilities do not fit
            these.
        """
        probabilities, labels = np.asarray(y_prob), np.asarray(y_true)
        known = np.unique(labels) if classes is None else np.asarray(classes)
        if len(unknown := np.setdiff1d(labels, known)):
            raise ValueError(
                f"y_true holds labels that are none of the classes, such as "
                f"{unknown.tolist()[0]!r}; these are {known.tolist()[:10]}. Leave such samples out."
            )
        if probabilities.ndim == 2 and probabilities.shape[1] != len(known):
            raise ValueError(
                f"There are {probabilities.shape[1]} columns of probabilities, and {len(known)} "
                "classes; pass classes=classifier.classes_."
            )
        codes = np.searchsorted(known, labels)
        curve = reliability_curve(probabilities, codes, n_bins=n_bins)
        error = expected_calibration_error(probabilities, codes, n_bins=n_bins)
        return cls(curve, error=error, name=name)

    def plot(self, ax: Any = None, *, name: str | None = None) -> Self:
        """Draw accuracy with its interval for each bin, and how many samples are in it.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            By default of a new figure.
        name : str, optional
            Instead of that of the display.

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
            edgecolor="white", label="share of samples",
        )  # fmt: skip
        ax.plot([0, 1], [0, 1], color="black", ls="--", lw=1, label="perfectly calibrated")
        filled = curve.counts > 0
        middle, right = curve.confidence[filled], curve.accuracy[filled]
        # An interval holds its value but for rounding.
        reach = np.maximum([right - curve.low[filled], curve.high[filled] - right], 0)
        ax.errorbar(
            middle, right, reach, fmt="o-", color=_BLUE, ms=5, lw=1.5, capsize=3, label=label
        )
        ax.set(xlabel="highest probability", ylabel="share that is right")
        ax.set(xlim=(0, 1), ylim=(0, 1.02))
        ax.grid(alpha=0.3)
        # Above: inside, it would hide intervals.
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize="small", frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self
