"""Forest plots of paired accuracy differences."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penultimate.displays._axes import keep_names_literal, new_axes
from penultimate.evaluation.intervals.accuracy import Interval, compare_accuracies
from penultimate.results.outcome import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class PairedDifferencesDisplay:
    """Accuracy of each method minus that of a baseline, with confidence intervals.

    Parameters
    ----------
    methods : list of str
        Names of the rows, from top to bottom.
    differences : list of Interval
        Accuracy of each method minus that of the baseline, as fractions.
    baseline : str, default="the baseline"
        Name of the baseline, for the axis label.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that `plot` drew on.
    figure_ : matplotlib Figure

    See Also
    --------
    penultimate.evaluation.compare_accuracies : Computes a difference and its interval.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.displays import PairedDifferencesDisplay
    >>> y = np.arange(200) % 2
    >>> predictions = {"softmax": np.where(y + np.arange(200) % 10 == 0, 1, y), "svm": y}
    >>> display = PairedDifferencesDisplay.from_predictions(y, predictions, baseline="softmax")
    >>> display.methods, round(display.differences[0].value, 3)
    (['svm'], 0.1)
    """

    def __init__(
        self,
        methods: Sequence[str],
        differences: Sequence[Interval],
        *,
        baseline: str = "the baseline",
    ) -> None:
        self.methods = methods
        self.differences = differences
        self.baseline = baseline

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        predictions: Mapping[str, ArrayLike],
        *,
        baseline: str,
        groups: NDArray[Any] | None = None,
    ) -> Self:
        """Compare predictions for the same samples.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True labels.
        predictions : dict of str to array-like of shape (n_samples,) or (n_seeds, n_samples)
            Labels predicted by each method. Rows are paired: row i of every method belongs to the
            same seed.
        baseline : str
            Key of `predictions` that the other methods are compared with.
        groups : ndarray of shape (n_samples,), optional
            Group of each sample, such as its writer.

        Returns
        -------
        PairedDifferencesDisplay

        Raises
        ------
        ValueError
            If the baseline is not among the predictions, or their shapes differ.
        """
        if baseline not in predictions:
            raise ValueError(
                f"The baseline {baseline!r} is not among the predictions: {list(predictions)}. "
                "Pass its predictions as well, or choose another baseline."
            )
        true = np.asarray(y_true)
        correct = {}
        for name, labels in predictions.items():
            labels = np.atleast_2d(np.asarray(labels))
            if labels.shape[-1] != len(true):
                raise ValueError(
                    f"{name!r} has predictions for {labels.shape[-1]} samples, y_true has "
                    f"{len(true)}; pass one prediction per sample."
                )
            correct[name] = labels == true
        methods = [name for name in predictions if name != baseline]
        differences = [
            compare_accuracies(correct[name], correct[baseline], groups=groups) for name in methods
        ]
        return cls(methods, differences, baseline=baseline)

    @classmethod
    def from_comparison(cls, comparison: Outcome, subset: str | None = None) -> Self:
        """Create the display from the differences between methods and their softmax baselines.

        The baseline of each method is the softmax with the same information.

        Parameters
        ----------
        comparison : Outcome
        subset : str, optional
            Restrict the accuracies to the samples of this subset.

        Returns
        -------
        PairedDifferencesDisplay

        Raises
        ------
        ValueError
            If no method was compared with a softmax.
        """
        pairs = {name: comparison.vs_softmax(name, subset) for name in comparison.names()}
        known = {name: difference for name, difference in pairs.items() if difference is not None}
        if not known:
            raise ValueError(
                f"None of {comparison.names()} was compared with a softmax; include "
                "'cnn-softmax' in the methods."
            )
        return cls(list(known), list(known.values()), baseline=comparison.reference)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw one row per method: the difference as a dot, with its 95 % confidence interval.

        A dashed line marks zero. A dot is filled if the interval excludes zero.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.

        Returns
        -------
        self
        """
        ax = new_axes(ax)
        for row, difference in enumerate(self.differences):
            clear = difference.low > 0 or difference.high < 0
            ax.plot([100 * difference.low, 100 * difference.high], [row, row], "C0", lw=2)
            face = "C0" if clear else "white"
            ax.plot(100 * difference.value, row, "o", mec="C0", mfc=face, mew=1.5, ms=7)
        ax.axvline(0, color="0.4", lw=1, ls="--")
        ax.set_yticks(range(len(self.methods)), self.methods)
        ax.set_ylim(len(self.methods) - 0.5, -0.5)
        ax.set_xlabel(f"difference from {self.baseline} (percentage points)")
        ax.grid(axis="x", alpha=0.3)
        keep_names_literal(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self
