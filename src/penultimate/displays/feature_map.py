"""The feature map: samples in the plane, colored by class."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penultimate._common.labels import check_labels
from penultimate._common.protocols import Transformer
from penultimate._common.validation import check_choice
from penultimate.datasets import natural_order
from penultimate.displays._axes import keep_names_literal, new_axes
from penultimate.displays.projections import project_features
from penultimate.results.outcome import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette, which color-blind readers can tell apart, with a softer black and a
# darker yellow that is visible on white. Neighboring classes differ in color and in marker.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#333333", "#56B4E9", "#A8A000")
MARKERS = "os^DvP*X"
_LEGEND_UP_TO = 10
_LEAST_DISTANCE = 0.04  # between two names, as a fraction of each axis, so that they do not overlap


class FeatureMapDisplay:
    """Features of samples in the plane, colored by class.

    Parameters
    ----------
    points : ndarray of shape (n_samples, 2)
    labels : ndarray of shape (n_samples,), int
        Indices into `classes`.
    classes : list of str
        Class names.
    subsets : dict of str to tuple of int, optional
        Named groups of classes, by their indices, that can be drawn alone.
    title : str, default=""
        Title of the plot, by default the projection.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that `plot` drew on.
    figure_ : matplotlib Figure

    See Also
    --------
    penultimate.displays.project_features : Computes the points from features.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from penultimate.displays import FeatureMapDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> display = FeatureMapDisplay.from_features(
    ...     X[1000:], y[1000:], development=(X[:1000], y[:1000]), projection="lda")
    >>> display.points.shape
    (797, 2)
    >>> display.plot().ax_.get_title()
    'LDA'
    """

    def __init__(
        self,
        points: NDArray[Any],
        labels: NDArray[Any],
        classes: Sequence[str],
        *,
        subsets: Mapping[str, Sequence[int]] | None = None,
        title: str = "",
    ) -> None:
        self.points = points
        self.labels = labels
        self.classes = classes
        self.subsets = subsets
        self.title = title

    @classmethod
    def from_estimator(
        cls,
        extractor: Transformer,
        X: ArrayLike,
        y: ArrayLike,
        *,
        development: tuple[Any, ArrayLike] | None = None,
        projection: str | None = "pca",
        subsets: Mapping[str, Sequence[int]] | None = None,
        random_state: int = 0,
    ) -> Self:
        """Extract features and project them.

        Parameters
        ----------
        extractor : transformer
            A fitted `FeatureExtractor`, or any other fitted transformer.
        X : array-like of shape (n_samples, ...)
            Samples to show, in the form that `extractor` accepts.
        y : array-like of shape (n_samples,)
            Labels of these samples, of any type.
        development : tuple of (X, y), optional
            The samples that the projection is fitted on, and their labels. Needed for all
            projections except ``"identity"``.
        projection : {"pca", "lda", "umap", "identity"} or None, default="pca"
            See `project_features`.
        subsets : dict of str to tuple of int, optional
            Named groups of classes, by their indices in the natural order of the labels' names.
        random_state : int, default=0
            See `project_features`.

        Returns
        -------
        FeatureMapDisplay

        Raises
        ------
        ValueError
            If `development` is missing, or shapes do not match.
        """
        if development is not None:
            development = extractor.transform(development[0]), development[1]
        return cls.from_features(
            extractor.transform(X),
            y,
            development=development,
            projection=projection,
            subsets=subsets,
            random_state=random_state,
        )

    @classmethod
    def from_features(
        cls,
        features: ArrayLike,
        y: ArrayLike,
        *,
        development: tuple[ArrayLike, ArrayLike] | None = None,
        projection: str | None = "pca",
        subsets: Mapping[str, Sequence[int]] | None = None,
        random_state: int = 0,
    ) -> Self:
        """Project features.

        Parameters
        ----------
        features : array-like of shape (n_samples, n_features)
            Features of the samples to show.
        y : array-like of shape (n_samples,)
            Labels of these samples, of any type.
        development : tuple of (features, y), optional
            Features and labels that the projection is fitted on. Needed for all projections
            except ``"identity"``.
        projection : {"pca", "lda", "umap", "identity"} or None, default="pca"
            See `project_features`.
        subsets : dict of str to tuple of int, optional
            Named groups of classes, by their indices in the natural order of the labels' names.
        random_state : int, default=0
            See `project_features`.

        Returns
        -------
        FeatureMapDisplay

        Raises
        ------
        ValueError
            If `development` is missing, or shapes do not match.
        """
        if development is None and projection not in ("identity", None):
            raise ValueError(
                f"development is missing: {projection!r} is fitted on (features, labels) of other "
                "samples than those that it shows."
            )
        features = np.asarray(features)
        fitted_on, labels = (features, y) if development is None else development
        points = project_features(
            features, fitted_on, labels, projection=projection, random_state=random_state
        )
        names = check_labels(y, len(points)).astype(str).tolist()
        # Classes without a shown sample are kept, because subsets refer to classes by index.
        classes = natural_order([*names, *np.asarray(labels, dtype=str).ravel().tolist()])
        position = {name: index for index, name in enumerate(classes)}
        codes = np.array([position[name] for name in names])
        return cls(points, codes, classes, subsets=subsets, title=title_of(projection))

    @classmethod
    def from_comparison(
        cls, comparison: Outcome, *, projection: str | None = "pca", random_state: int = 0
    ) -> Self:
        """Project the test samples of a comparison as the network of its first seed sees them.

        Parameters
        ----------
        comparison : Comparison
        projection : {"pca", "lda", "umap", "identity"} or None, default="pca"
            See `project_features`; it is fitted on development.
        random_state : int, default=0
            See `project_features`.

        Returns
        -------
        FeatureMapDisplay

        Raises
        ------
        ValueError
            If no method used a network's features, or they do not suit the projection.
        """
        data, features = comparison.dataset, comparison.features
        if features is None:
            raise ValueError("This comparison has no features: none of its methods used a network.")
        points = project_features(
            features["test"],
            features["development"],
            np.delete(data.labels, comparison.test),
            projection=projection,
            random_state=random_state,
        )
        labels = data.labels[comparison.test]
        title = title_of(projection)
        return cls(points, labels, data.classes, subsets=data.subsets, title=title)

    def plot(
        self, ax: "Axes | None" = None, *, subset: str | None = None, size: float = 16
    ) -> Self:
        """Draw the points, with a legend for up to ten classes, else with names at their medians.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure. The legend is placed to the right,
            where a figure with ``layout="constrained"`` makes room for it.
        subset : str, optional
            Subset whose classes are drawn; by default all classes. The projection is the same.
        size : float, default=16
            Marker area, in square points.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there is no such subset.
        """
        subsets = self.subsets or {}
        members: Sequence[int] = range(len(self.classes))
        if subset is not None:
            check_choice(subset, "subset", "FeatureMapDisplay.plot", subsets)
            members = subsets[subset]
        names, key = short_names(self.classes, subsets, subset)
        ax = new_axes(ax)
        for label in members:
            color, marker = look_of(label)
            x, y = self.points[self.labels == label].T
            ax.scatter(x, y, s=size, c=color, marker=marker, label=names[label], alpha=0.6, lw=0)
        if len(members) <= _LEGEND_UP_TO:
            ax.legend(loc="upper left", bbox_to_anchor=(1, 1), markerscale=1.5, frameon=False)
        else:
            self._write_names(ax, names, members)
        title = " of ".join(filter(None, [self.title, subset]))
        ax.set(title=title, xlabel=key, xticks=[], yticks=[])
        keep_names_literal(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _write_names(self, ax: "Axes", names: Sequence[str], members: Sequence[int]) -> None:
        from matplotlib.patheffects import withStroke

        shown = np.isin(self.labels, members)
        for label, place in name_places(self.points[shown], self.labels[shown]).items():
            ax.annotate(
                names[label],
                (place[0], place[1]),
                color=look_of(label)[0],
                path_effects=[withStroke(linewidth=3, foreground="white")],
                ha="center",
                va="center",
                weight="bold",
            )


def look_of(label: int) -> tuple[str, str]:
    """Return a class's color and marker; the pair is unique among 64 classes."""
    # The markers shift by one with each round of colors, so that all 8 x 8 pairs are used.
    marker = MARKERS[(label + label // len(COLORS)) % len(MARKERS)]
    return COLORS[label % len(COLORS)], marker


def name_places(points: NDArray[Any], labels: NDArray[Any]) -> dict[int, NDArray[Any]]:
    """Find a position for each class's name.

    Parameters
    ----------
    points : ndarray of shape (n_samples, 2)
    labels : ndarray of shape (n_samples,), int

    Returns
    -------
    dict of int to ndarray of shape (2,)
        For each label, the point of the sample of this class that is nearest to the median of the
        class and not too close to another name.
    """
    extent = np.ptp(points, axis=0)
    scaled = points / np.where(extent == 0, 1, extent)
    places: dict[int, int] = {}
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        # The most central sample that is far enough from all names placed so far.
        from_median = np.linalg.norm(scaled[own] - np.median(scaled[own], axis=0), axis=1)
        own = own[np.argsort(from_median, kind="stable")]
        gaps = np.abs(scaled[own][:, None] - scaled[list(places.values())][None]).max(axis=2)
        free = own[(gaps > _LEAST_DISTANCE).all(axis=1)]
        places[int(label)] = int(free[0] if len(free) else own[0])
    return {label: points[sample] for label, sample in places.items()}


def short_names(
    classes: Sequence[str], subsets: Mapping[str, Sequence[int]], subset: str | None = None
) -> tuple[list[str], str]:
    """Shorten class names that begin with the name of their subset.

    Parameters
    ----------
    classes : list of str
    subsets : dict of str to tuple of int
    subset : str, optional
        The subset that is shown, if not all classes are.

    Returns
    -------
    names : list of str
        Class names without the name of `subset`; for all classes, with the initial of their
        subset instead of its name, if the initials differ.
    key : str
        Explanation of the initials; empty if there are none.
    """
    names = list(classes)
    initials = {name: name[:1] for name in subsets}
    if subset is None and len(set(initials.values())) < len(initials):
        return names, ""
    for name, members in subsets.items():
        for label in members:
            rest = names[label].removeprefix(f"{name}/")
            if rest != names[label]:
                names[label] = rest if name == subset else initials[name] + rest
    key = ", ".join(f"{initial}: {name}" for name, initial in initials.items())
    return names, "" if subset or names == list(classes) else key


def title_of(projection: str | None) -> str:
    """Return the display name of a projection."""
    return "The layer's two units" if projection in ("identity", None) else projection.upper()
