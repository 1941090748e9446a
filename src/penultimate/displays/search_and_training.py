"""Plots of a hyper-parameter search and of the training of networks, as scikit-learn Displays."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penultimate._common.protocols import Search
from penultimate.displays._axes import new_axes
from penultimate.displays._of_comparison import chosen_method
from penultimate.networks import History
from penultimate.results.outcome import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_VALUES_UP_TO = 64  # cells; in larger grids the numbers would overlap


class SearchHeatmapDisplay:
    """Selection scores over C and gamma.

    Parameters
    ----------
    C, gamma : ndarray of shape (n_C,) and (n_gamma,)
        Grid values, ascending.
    scores : ndarray of shape (n_gamma, n_C)
        Mean selection score, as a fraction; NaN for settings that were not tried.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that `plot` drew on.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from penultimate import SVCSearchCV
    >>> from penultimate.displays import SearchHeatmapDisplay
    >>> search = SVCSearchCV(param_grid={"C": [1, 10], "gamma": [0.1, 0.2]})
    >>> display = SearchHeatmapDisplay.from_estimator(search.fit(*load_iris(return_X_y=True)))
    >>> display.scores.shape
    (2, 2)
    """

    def __init__(self, C: NDArray[Any], gamma: NDArray[Any], scores: NDArray[Any]) -> None:
        self.C = C
        self.gamma = gamma
        self.scores = scores

    @classmethod
    def from_estimator(cls, search: Search) -> Self:
        """Create the display from a fitted search over C and gamma.

        Parameters
        ----------
        search : SVCSearchCV
            Fitted search, or any object with such ``cv_results_``.

        Returns
        -------
        SearchHeatmapDisplay
        """
        results = search.cv_results_
        return cls.from_scores(results["params"], results["mean_test_score"])

    @classmethod
    def from_scores(cls, params: Sequence[dict[str, Any]], scores: ArrayLike) -> Self:
        """Arrange a list of settings and their scores in a grid.

        Parameters
        ----------
        params : list of dict
            Settings, each with ``C`` and a numeric ``gamma``.
        scores : array-like of shape (n_settings,)

        Returns
        -------
        SearchHeatmapDisplay

        Raises
        ------
        ValueError
            If a setting lacks ``C`` or a numeric ``gamma``.
        """
        try:
            points = np.array([(p["C"], p["gamma"]) for p in params], dtype=float)
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"The heat map needs numbers for C and gamma in each setting; got {params[0]}."
            ) from error
        C, column = np.unique(points[:, 0], return_inverse=True)
        gamma, row = np.unique(points[:, 1], return_inverse=True)
        grid = np.full((len(gamma), len(C)), np.nan)
        grid[row, column] = scores
        return cls(C, gamma, grid)

    @classmethod
    def from_comparison(
        cls, comparison: Outcome, method: str | None = None, *, subset: str | None = None
    ) -> Self:
        """Create the display from the search of a method of a comparison.

        Scores are averaged over seeds, at the values of C and gamma of the first seed.

        Parameters
        ----------
        comparison : Comparison
        method : str, optional
            Its method; by default the one that the verdict is about, or the most accurate.
        subset : str, optional
            Subset of the classifier, if the method has one per subset.

        Returns
        -------
        SearchHeatmapDisplay

        Raises
        ------
        KeyError
            If the method was not compared.
        ValueError
            If the method searched something other than C and gamma.
        """
        result = chosen_method(comparison, method)
        log = result.choices(subset)
        if log is None:
            names = [name for name in result.fits if name is not None]
            raise ValueError(f"{result.name!r} has a search per subset; pass subset=, of {names}.")
        found = log.mean_grid_scores()
        if found is None:
            others = [
                m.name
                for m in comparison.methods
                if any(log.mean_grid_scores() for log in m.fits.values())
            ]
            way_out = f"the methods that did are {others}." if others else "no method here did."
            raise ValueError(f"{result.name!r} did not search C and gamma; {way_out}")
        return cls.from_scores(*found)

    def plot(self, ax: "Axes | None" = None, *, cmap: str = "viridis") -> Self:
        """Draw the heat map, with a frame around its best cell.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.
        cmap : str, default="viridis"

        Returns
        -------
        self
        """
        from matplotlib.patches import Rectangle

        ax = new_axes(ax)
        low, high = np.nanmin(self.scores), np.nanmax(self.scores)
        # Equal scores: without a range, the color scale would be undefined.
        if low == high:
            low = max(0.0, high - 0.01)
        image = ax.imshow(
            self.scores, cmap=cmap, origin="lower", aspect="auto", vmin=low, vmax=high
        )
        ax.set_xticks(range(len(self.C)), [f"{value:.3g}" for value in self.C])
        ax.set_yticks(range(len(self.gamma)), [f"{value:.2g}" for value in self.gamma])
        ax.set(xlabel="C", ylabel="gamma")
        if self.scores.size <= _VALUES_UP_TO:
            middle = (low + high) / 2
            for (row, column), score in np.ndenumerate(self.scores):
                color = "white" if score < middle else "black"
                ax.text(column, row, f"{100 * score:.2f} %", ha="center", va="center", color=color)
        row, column = np.unravel_index(np.nanargmax(self.scores), self.scores.shape)
        ax.add_patch(
            Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="crimson", lw=2.5)
        )
        bar = ax.figure.colorbar(image, ax=ax, label="selection accuracy")
        bar.ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.2f} %")
        self.ax_, self.figure_ = ax, ax.figure
        return self


class TrainingCurvesDisplay:
    """Loss and validation accuracy per epoch, for each seed.

    Parameters
    ----------
    histories : list of History
        Histories of one or more training runs.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that `plot` drew on; its twin shows the accuracy.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from penultimate.networks import History
    >>> from penultimate.displays import TrainingCurvesDisplay
    >>> history = History([2.0, 1.0], [1.5, 0.9], [0.6, 0.8], 1)
    >>> display = TrainingCurvesDisplay.from_histories([history]).plot()
    >>> display.ax_.get_ylabel()
    'cross-entropy'
    """

    def __init__(self, histories: Sequence[History]) -> None:
        self.histories = list(histories)

    @classmethod
    def from_histories(cls, histories: Sequence[History]) -> Self:
        """Create the display from the histories of training runs.

        Parameters
        ----------
        histories : list of History

        Returns
        -------
        TrainingCurvesDisplay
        """
        return cls(histories)

    @classmethod
    def from_comparison(cls, comparison: Outcome) -> Self:
        """Create the display from the training of a comparison's networks, one per seed.

        Parameters
        ----------
        comparison : Comparison

        Returns
        -------
        TrainingCurvesDisplay

        Raises
        ------
        ValueError
            If no network was trained.
        """
        if not comparison.histories:
            raise ValueError(
                "This comparison trained no network: it was frozen, or no method used one."
            )
        return cls.from_histories(comparison.histories)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw losses on the left axis and validation accuracy on the right one.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.

        Returns
        -------
        self
        """
        ax = new_axes(ax)
        twin = ax.twinx()
        for index, history in enumerate(self.histories):
            epochs = np.arange(1, len(history.loss) + 1)
            first = index == 0
            marker = "." if len(epochs) == 1 else None
            ax.plot(
                epochs, history.loss, "C0", alpha=0.8, lw=1, marker=marker, label="training" * first
            )
            if history.validation_loss:
                best = history.best_epoch
                accuracy = np.asarray(history.validation_accuracy) * 100
                ax.plot(
                    epochs, history.validation_loss, "C1", alpha=0.8, label="validation" * first
                )
                ax.plot(epochs[best], history.validation_loss[best], "C1o", ms=5)
                twin.plot(epochs, accuracy, "C2", alpha=0.6, ls="--")
                twin.set_ylim(max(0, min(*accuracy, 90) - 1), 100)
        twin.plot([], [], "C2--", label="validation accuracy")
        ax.set(xlabel="epoch", ylabel="cross-entropy")
        twin.set_ylabel("validation accuracy, %")
        handles = [line for a in (ax, twin) for line in a.get_lines()]
        handles = [line for line in handles if not str(line.get_label()).startswith("_")]
        ax.figure.legend(
            handles=[h for h in handles if h.get_label()], loc="outside upper center", ncols=3
        )
        self.ax_, self.figure_ = ax, ax.figure
        return self
