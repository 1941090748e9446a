"""The risk-coverage curve as a picture."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penultimate.classifiers import AbstainingClassifier
from penultimate.displays._axes import new_axes
from penultimate.evaluation import area_under_risk_coverage, confidence_scores, risk_coverage_curve


class RiskCoverageDisplay:
    """Error rate among answers, over the share of samples that get one.

    Parameters
    ----------
    coverage, risk : ndarray of shape (n_thresholds,)
        As from `risk_coverage_curve`.
    area : float, optional
        Under the curve.
    chosen : (float, float), optional
        Coverage and risk at a threshold that was set beforehand.
    name : str, optional
        Of the classifier, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where `plot` drew.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from penultimate.report import RiskCoverageDisplay
    >>> display = RiskCoverageDisplay.from_predictions([True, True, False], [0.9, 0.8, 0.1])
    >>> display.plot().ax_.get_ylabel()
    'errors among answers, %'
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
        cls, estimator: Any, X: Any, y: Any, *, criterion: str = "auto", name: str | None = None
    ) -> Self:
        """Score samples that a fitted classifier has not seen.

        Parameters
        ----------
        estimator : classifier
            Of an `AbstainingClassifier`, which has a criterion of its own, the threshold is marked.
        X : array-like of shape (n_samples, ...)
            What it takes.
        y : array-like of shape (n_samples,)
            True labels.
        criterion : {"auto", "margin", "probability"}, default="auto"
            As in `confidence_scores`.
        name : str, optional
            By default the class's name.

        Returns
        -------
        RiskCoverageDisplay
        """
        threshold, classifier = None, estimator
        if isinstance(estimator, AbstainingClassifier):
            threshold, criterion = estimator.threshold_, estimator.criterion
            classifier = estimator.estimator_
        correct = np.asarray(classifier.predict(X)) == np.asarray(y)
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
        """Take what is known of samples.

        Parameters
        ----------
        correct : array-like of shape (n_samples,), bool
            Whether each is classified rightly.
        confidence : array-like of shape (n_samples,)
            The surer, the higher.
        threshold : float, optional
            Marked, if samples have a confidence above it.
        name : str, optional
            Of the classifier.

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

    def plot(self, ax: Any = None, *, name: str | None = None, **line: Any) -> Self:
        """Draw the curve; several on the same axes can be compared.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            By default of a new figure.
        name : str, optional
            Instead of that of the display.
        **line : dict
            For matplotlib's `plot`, such as ``color`` and ``linestyle``.

        Returns
        -------
        self
        """
        ax = new_axes(ax)
        name = self.name if name is None else name
        area = None if self.area is None else f"area {self.area:.2g}"
        label = ", ".join(part for part in (name, area) if part)
        # Steps, as the area counts them: up to each coverage, the risk there.
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
            mark = f"its threshold: {x:.1f} % answered, {y:.2g} % errors"
            ax.plot(
                x, y, "o", ms=8, mfc="white", mew=2, color=drawn.get_color(), zorder=3, label=mark
            )
        ax.set(xlabel="answered samples, %", ylabel="errors among answers, %", xlim=(0, 101))
        ax.set_ylim(bottom=0, auto=None)  # the top stays free for further curves
        ax.grid(alpha=0.3)
        if ax.get_legend_handles_labels()[1]:
            ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
