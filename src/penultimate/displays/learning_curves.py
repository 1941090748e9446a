"""Plots of learning curves."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from penultimate.displays._axes import keep_names_literal, new_axes
from penultimate.displays.feature_map import MARKERS
from penultimate.results.few_shot import LearningCurves
from penultimate.results.outcome import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class LearningCurvesDisplay:
    """Accuracy over the number of samples, one line per method.

    Parameters
    ----------
    methods : list of str
        Method names, shown in the legend.
    sizes : list of int
        Numbers of samples, ascending.
    accuracies : ndarray of shape (n_methods, n_sizes, n_seeds)
        Accuracies as fractions; NaN for sizes that a method was not fitted on.
    xlabel, ylabel : str
        Axis labels for the sizes and the accuracies.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that `plot` drew on.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.displays import LearningCurvesDisplay
    >>> accuracies = np.array([[[0.8, 0.9], [0.9, 1.0]]])
    >>> display = LearningCurvesDisplay(["cnn+svm-rbf"], [5, 10], accuracies).plot()
    >>> display.ax_.get_xscale()
    'log'
    """

    def __init__(
        self,
        methods: Sequence[str],
        sizes: Sequence[int],
        accuracies: NDArray[np.float64],
        *,
        xlabel: str = "samples per class",
        ylabel: str = "test accuracy, %",
    ) -> None:
        self.methods = methods
        self.sizes = sizes
        self.accuracies = accuracies
        self.xlabel = xlabel
        self.ylabel = ylabel

    @classmethod
    def from_curves(cls, curves: LearningCurves) -> Self:
        """Create the display from the outcome of `learning_curves`.

        Parameters
        ----------
        curves : LearningCurves

        Returns
        -------
        LearningCurvesDisplay
        """
        return cls(curves.methods, curves.sizes, curves.accuracies)

    @classmethod
    def from_comparison(cls, comparison: Outcome) -> Self:
        """Create the display from the learning curves of a comparison's heads.

        Their accuracies are those on the selection part.

        Parameters
        ----------
        comparison : Outcome

        Returns
        -------
        LearningCurvesDisplay

        Raises
        ------
        ValueError
            If the comparison has no learning curves.
        """
        curves = comparison.learning_curves
        if not curves:
            raise ValueError("This comparison has no learning curves: none were computed.")
        sizes = sorted({size for curve in curves for size in curve.n_samples})
        accuracies = np.full((len(curves), len(sizes), 1), np.nan)
        for row, curve in zip(accuracies, curves):
            row[np.searchsorted(sizes, curve.n_samples), 0] = curve.accuracies
        return cls(
            [curve.method for curve in curves],
            sizes,
            accuracies,
            xlabel="samples of the fit part",
            ylabel="selection accuracy, %",
        )

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw for each method the mean over seeds and a band from the worst to the best seed.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.

        Returns
        -------
        self
        """
        ax = new_axes(ax)
        percent = np.asarray(self.accuracies) * 100
        for index, (method, values) in enumerate(zip(self.methods, percent)):
            marker = MARKERS[index % len(MARKERS)]
            line = ax.plot(self.sizes, values.mean(axis=1), marker=marker, ms=5, label=method)[0]
            worst, best = values.min(axis=1), values.max(axis=1)
            ax.fill_between(self.sizes, worst, best, color=line.get_color(), alpha=0.15, lw=0)
        ax.set_xscale("log")
        ax.set_xticks(self.sizes, [str(size) for size in self.sizes])
        ax.minorticks_off()
        ax.set(xlabel=self.xlabel, ylabel=self.ylabel)
        ax.grid(alpha=0.3)
        ax.legend()
        keep_names_literal(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self
