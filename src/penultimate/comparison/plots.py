"""The pictures of a comparison: each is a Display, as in scikit-learn."""

from typing import TYPE_CHECKING

from penultimate.displays import (
    ConfusedPairsDisplay,
    FeatureMapDisplay,
    LearningCurvesDisplay,
    PairedDifferencesDisplay,
    ReliabilityDisplay,
    RiskCoverageDisplay,
    SearchHeatmapDisplay,
    TrainingCurvesDisplay,
)
from penultimate.displays._axes import keep_names_literal, new_axes
from penultimate.results.answer import shown_method
from penultimate.results.outcome import Outcome

# For the annotations alone: matplotlib is loaded when the first picture is drawn.
if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.metrics import ConfusionMatrixDisplay

_VALUES_UP_TO = 20  # classes; in a larger matrix the numbers would overlap


class Plots(Outcome):
    """An outcome in pictures; a part of `Comparison`.

    Every method draws on `ax`, or on the axes of a new figure, and returns the Display, whose
    `figure_` can be saved.
    """

    def plot_differences(
        self, *, subset: str | None = None, ax: "Axes | None" = None
    ) -> PairedDifferencesDisplay:
        """Draw the difference of each method from the softmax, with 95 % intervals.

        Parameters
        ----------
        subset : str, optional
            Only the samples of this subset; by default all.
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.

        Returns
        -------
        PairedDifferencesDisplay

        Raises
        ------
        ValueError
            If no method was compared with a softmax.

        Examples
        --------
        >>> from penultimate import compare
        >>> result = compare("photos/")  # doctest: +SKIP
        >>> result.plot_differences().figure_.savefig("differences.png")  # doctest: +SKIP
        """
        return PairedDifferencesDisplay.from_comparison(self, subset).plot(ax)

    def plot_confusion(
        self, method: str | None = None, *, ax: "Axes | None" = None
    ) -> "ConfusionMatrixDisplay":
        """Draw the confusion matrix of a method: counts over all seeds.

        It is scikit-learn's `ConfusionMatrixDisplay`; numbers are left out above 20 classes.

        Parameters
        ----------
        method : str, optional
            By default the one that the verdict is about, or the most accurate.
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.

        Returns
        -------
        ConfusionMatrixDisplay

        Raises
        ------
        KeyError
            If the method was not compared.

        Examples
        --------
        >>> import numpy as np
        >>> from penultimate import Training, compare
        >>> X = np.random.default_rng(0).integers(0, 100, (60, 8, 8), dtype=np.uint8)
        >>> X[30:] += 100
        >>> y = np.repeat(["cat", "dog"], 30)
        >>> result = compare(X, y, methods=["pca+svm-rbf"], seeds=1, verbose=0)
        >>> result.plot_confusion().confusion_matrix.tolist()
        [[6, 0], [0, 6]]
        """
        from sklearn.metrics import ConfusionMatrixDisplay

        name, classes = shown_method(self) if method is None else method, self.dataset.classes
        display = ConfusionMatrixDisplay(self.confusion(name), display_labels=classes)
        few = len(classes) <= _VALUES_UP_TO
        display.plot(
            ax=new_axes(ax),
            # A color says what a number would, where there is no room for numbers.
            include_values=few,
            colorbar=not few,
            values_format="d",
            xticks_rotation="vertical",
        )
        display.ax_.set_title(name)
        keep_names_literal(display.ax_)
        return display

    def plot_confused_pairs(
        self, method: str | None = None, *, ax: "Axes | None" = None
    ) -> ConfusedPairsDisplay:
        """Draw the pairs of classes that a method confuses most, over all seeds.

        Parameters
        ----------
        method : str, optional
            By default the one that the verdict is about, or the most accurate.
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.

        Returns
        -------
        ConfusedPairsDisplay

        Raises
        ------
        KeyError
            If the method was not compared.

        Examples
        --------
        >>> import numpy as np
        >>> from penultimate import Training, compare
        >>> X = np.random.default_rng(0).integers(0, 100, (60, 8, 8), dtype=np.uint8)
        >>> X[30:] += 100
        >>> y = np.repeat(["cat", "dog"], 30)
        >>> result = compare(X, y, methods=["pca+svm-rbf"], seeds=1, verbose=0)
        >>> result.plot_confused_pairs().classes
        ('cat', 'dog')
        """
        return ConfusedPairsDisplay.from_comparison(self, method).plot(ax)

    def plot_reliability(
        self, method: str | None = None, *, ax: "Axes | None" = None
    ) -> ReliabilityDisplay:
        """Draw accuracy by confidence: on the diagonal, probabilities are calibrated.

        Parameters
        ----------
        method : str, optional
            By default the one that the verdict is about, or the most accurate.
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.

        Returns
        -------
        ReliabilityDisplay

        Raises
        ------
        KeyError
            If the method was not compared.
        ValueError
            If it has no probabilities.

        Examples
        --------
        >>> import numpy as np
        >>> from penultimate import compare
        >>> X = np.random.default_rng(0).integers(0, 100, (60, 8, 8), dtype=np.uint8)
        >>> X[30:] += 100
        >>> y = np.repeat(["cat", "dog"], 30)
        >>> result = compare(X, y, methods=["pca+svm-rbf"], seeds=1, verbose=0)
        >>> result.plot_reliability().name
        'pca+svm-rbf'
        """
        return ReliabilityDisplay.from_comparison(self, method).plot(ax)

    def plot_risk_coverage(
        self, method: str | None = None, *, ax: "Axes | None" = None
    ) -> RiskCoverageDisplay:
        """Draw the error rate among the most confident answers, by how many are accepted.

        For the first seed. Draw another method on the `ax_` of the first to compare the two.

        Parameters
        ----------
        method : str, optional
            By default the one that the verdict is about, or the most accurate.
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.

        Returns
        -------
        RiskCoverageDisplay

        Raises
        ------
        KeyError
            If the method was not compared.
        ValueError
            If it has no probabilities.

        Examples
        --------
        >>> import numpy as np
        >>> from penultimate import compare
        >>> X = np.random.default_rng(0).integers(0, 100, (60, 8, 8), dtype=np.uint8)
        >>> X[30:] += 100
        >>> y = np.repeat(["cat", "dog"], 30)
        >>> result = compare(X, y, methods=["pca+svm-rbf"], seeds=1, verbose=0)
        >>> result.plot_risk_coverage().risk.max()
        np.float64(0.0)
        """
        return RiskCoverageDisplay.from_comparison(self, method).plot(ax)

    def plot_learning_curves(self, *, ax: "Axes | None" = None) -> LearningCurvesDisplay:
        """Draw the accuracy of the heads when fitted on fewer samples of the fit part.

        On the selection part, for the first seed. A curve that still rises suggests that more
        samples would help.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.

        Returns
        -------
        LearningCurvesDisplay

        Raises
        ------
        ValueError
            If there are none, because there are too few samples or no method has a head.

        Examples
        --------
        >>> import numpy as np
        >>> from penultimate import compare
        >>> X = np.random.default_rng(0).integers(0, 100, (60, 8, 8), dtype=np.uint8)
        >>> X[30:] += 100
        >>> y = np.repeat(["cat", "dog"], 30)
        >>> result = compare(X, y, methods=["pca+svm-rbf"], seeds=1, verbose=0)
        >>> display = result.plot_learning_curves()
        >>> display.ax_.get_ylabel()
        'selection accuracy, %'
        """
        return LearningCurvesDisplay.from_comparison(self).plot(ax)

    def plot_training(self, *, ax: "Axes | None" = None) -> TrainingCurvesDisplay:
        """Draw loss and validation accuracy of the networks, one per seed, by epoch.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.

        Returns
        -------
        TrainingCurvesDisplay

        Raises
        ------
        ValueError
            If no network was trained.

        Examples
        --------
        >>> from penultimate import compare
        >>> result = compare("photos/")  # doctest: +SKIP
        >>> result.plot_training().figure_.savefig("training.png")  # doctest: +SKIP
        """
        return TrainingCurvesDisplay.from_comparison(self).plot(ax)

    def plot_search(
        self,
        method: str | None = None,
        *,
        subset: str | None = None,
        ax: "Axes | None" = None,
    ) -> SearchHeatmapDisplay:
        """Draw the selection scores over C and gamma, averaged over seeds.

        Parameters
        ----------
        method : str, optional
            By default the one that the verdict is about, or the most accurate.
        subset : str, optional
            Subset of the classifier, if the method has one per subset.
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.

        Returns
        -------
        SearchHeatmapDisplay

        Raises
        ------
        KeyError
            If the method was not compared.
        ValueError
            If the method searched something other than C and gamma.

        Examples
        --------
        >>> import numpy as np
        >>> from penultimate import Training, compare
        >>> X = np.random.default_rng(0).integers(0, 100, (60, 8, 8), dtype=np.uint8)
        >>> X[30:] += 100
        >>> y = np.repeat(["cat", "dog"], 30)
        >>> result = compare(X, y, methods=["pca+svm-rbf"], seeds=1, verbose=0)
        >>> result.plot_search().ax_.get_xlabel()
        'C'
        """
        return SearchHeatmapDisplay.from_comparison(self, method, subset=subset).plot(ax)

    def plot_feature_map(
        self, *, projection: str | None = "pca", subset: str | None = None, ax: "Axes | None" = None
    ) -> FeatureMapDisplay:
        """Draw the test samples as the network sees them, in the plane, colored by class.

        Parameters
        ----------
        projection : {"pca", "lda", "umap", "identity"} or None, default="pca"
            Fitted on development, as in `penultimate.displays.project_features`.
        subset : str, optional
            Only the classes of this subset; by default all.
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.

        Returns
        -------
        FeatureMapDisplay

        Raises
        ------
        ValueError
            If no method used a network's features, or they do not suit the projection.

        Examples
        --------
        >>> from penultimate import compare
        >>> result = compare("photos/")  # doctest: +SKIP
        >>> result.plot_feature_map(projection="lda")  # doctest: +SKIP
        """
        display = FeatureMapDisplay.from_comparison(self, projection=projection)
        return display.plot(ax, subset=subset)
