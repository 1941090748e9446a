"""Plots of the risk-coverage curve."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penultimate._common.labels import right_answers
from penultimate._common.protocols import Head
from penultimate.classifiers import AbstainingClassifier
from penultimate.displays._axes import keep_names_literal, new_axes
from penultimate.displays._of_comparison import method_with_probabilities
from penultimate.evaluation.abstention.risk_coverage import (
    area_under_risk_coverage,
    confidence_scores,
    risk_coverage_curve,
)
from penultimate.results.outcome import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class RiskCoverageDisplay:
    """Error rate of the accepted samples, over the fraction that is accepted.

    Parameters
    ----------
    coverage, risk : ndarray of shape (n_thresholds,)
        Returned by `risk_coverage_curve`.
    area : float, optional
        Area under the curve, shown in the legend.
    chosen : (float, float), optional
        Coverage and risk at a threshold that was fixed beforehand.
    name : str, optional
        Name of the classifier, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that `plot` drew on.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from penultimate.displays import RiskCoverageDisplay
    >>> display = RiskCoverageDisplay.from_predictions([True, True, False], [0.9, 0.8, 0.1])
    >>> display.plot().ax_.get_ylabel()
    'errors among accepted samples, %'
    """

    def __init__(
        self,
        coverage: NDArray[np.float64],
        risk: NDArray[np.float64],
        *,
        area: float | None = None,
        chosen: tuple[float, float] | None = None,
        name: str | None = None,
    ) -> None:
        self.coverage = coverage
        self.risk = risk
        self.area = area
        self.chosen = chosen
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Head,
        X: ArrayLike,
        y: ArrayLike,
        *,
        criterion: str = "auto",
        name: str | None = None,
    ) -> Self:
        """Compute the curve from a fitted classifier and samples that it was not fitted on.

        Parameters
        ----------
        estimator : classifier
            Fitted classifier. The threshold of an `AbstainingClassifier` is marked, and its own
            criterion is used.
        X : array-like of shape (n_samples, ...)
            Samples, in the form that the classifier accepts.
        y : array-like of shape (n_samples,)
            True labels.
        criterion : {"auto", "margin", "probability"}, default="auto"
            Confidence criterion, as in `confidence_scores`.
        name : str, optional
            Name in the legend; by default the classifier's type.

        Returns
        -------
        RiskCoverageDisplay
        """
        threshold, classifier = None, estimator
        if isinstance(estimator, AbstainingClassifier):
            threshold, criterion = estimator.threshold_, estimator.criterion
            classifier = estimator.estimator_
        correct = right_answers(classifier.predict(X), y)
        confidence = confidence_scores(classifier, X, criterion=criterion)
        name = type(classifier).__name__ if name is None else name
        return cls.from_predictions(correct, confidence, threshold=threshold, name=name)

    @classmethod
    def from_predictions(
        cls,
        correct: ArrayLike,
        confidence: ArrayLike,
        *,
        threshold: float | None = None,
        name: str | None = None,
    ) -> Self:
        """Compute the curve from the outcome and the confidence of each sample.

        Parameters
        ----------
        correct : array-like of shape (n_samples,), bool
            Whether each sample is classified correctly.
        confidence : array-like of shape (n_samples,)
            Confidence of each prediction; higher is more confident.
        threshold : float, optional
            Threshold to mark, if any sample has a confidence above it.
        name : str, optional
            Name of the classifier.

        Returns
        -------
        RiskCoverageDisplay
        """
        coverage, risk, values = risk_coverage_curve(correct, confidence)
        area = area_under_risk_coverage(correct, confidence)
        chosen = None
        if threshold is not None and threshold < values[0]:
            last = np.flatnonzero(values > threshold)[-1]
            chosen = float(coverage[last]), float(risk[last])
        return cls(coverage, risk, area=area, chosen=chosen, name=name)

    @classmethod
    def from_comparison(cls, comparison: Outcome, method: str | None = None) -> Self:
        """Compute the curve of a method of a comparison, for the first seed.

        Its confidence is the highest probability.

        Parameters
        ----------
        comparison : Comparison
        method : str, optional
            Its method; by default the one that the verdict is about, or the most accurate.

        Returns
        -------
        RiskCoverageDisplay

        Raises
        ------
        KeyError
            If the method was not compared.
        ValueError
            If it has no probabilities.
        """
        result = method_with_probabilities(comparison, method)
        assert result.probabilities is not None
        correct, confidence = comparison.correct(result.name), result.probabilities.max(axis=-1)
        return cls.from_predictions(correct[0], confidence[0], name=result.name)

    def plot(self, ax: "Axes | None" = None, *, name: str | None = None, **line: Any) -> Self:
        """Draw the curve; several curves can share the same axes.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.
        name : str, optional
            Name in the legend; by default that of the display.
        **line : dict
            Passed to matplotlib's `plot`, such as ``color`` and ``linestyle``.

        Returns
        -------
        self
        """
        ax = new_axes(ax)
        name = self.name if name is None else name
        area = None if self.area is None else f"area {self.area:.2g}"
        label = ", ".join(part for part in (name, area) if part)
        # Drawn as steps, which is how the area is computed: up to each coverage, the risk there.
        coverage, risk = (
            np.append(0, self.coverage) * 100,
            np.append(self.risk[:1], self.risk) * 100,
        )
        style: dict[str, Any] = {
            "lw": 1.8,
            "drawstyle": "steps-pre",
            "label": label or None,
            **line,
        }
        drawn = ax.plot(coverage, risk, **style)[0]
        if self.chosen is not None:
            x, y = 100 * self.chosen[0], 100 * self.chosen[1]
            mark = f"its threshold: {x:.1f} % accepted, {y:.2g} % errors"
            ax.plot(
                x, y, "o", ms=8, mfc="white", mew=2, color=drawn.get_color(), zorder=3, label=mark
            )
        ax.set(xlabel="coverage, %", ylabel="errors among accepted samples, %", xlim=(0, 101))
        ax.set_ylim(bottom=0, auto=None)  # the upper limit still adapts to further curves
        ax.grid(alpha=0.3)
        if ax.get_legend_handles_labels()[1]:
            ax.legend()
        keep_names_literal(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self
