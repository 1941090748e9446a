"""Features in the plane: projections fitted on development, and applied to other samples."""

from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import check_array

from penultimate._common.imports import import_optional
from penultimate._common.labels import check_labels
from penultimate._common.validation import check_choice

PROJECTIONS = ("pca", "lda", "umap", "identity")
_UMAP_SAMPLES = 2000


def project_features(
    features: ArrayLike,
    development: ArrayLike,
    y_development: ArrayLike | None = None,
    *,
    projection: str | None = "pca",
    signed_log: bool = True,
    random_state: int = 0,
) -> NDArray[np.float64]:
    """Project features to two dimensions, to be looked at.

    Everything is fitted on development features and only applied to the others: the features are
    standardised, projected, and the two axes standardised in their turn. Fitted on the very
    samples that are shown, LDA would flatter: with many features and classes it pulls classes
    apart by what is chance in these samples.

    Parameters
    ----------
    features : array-like of shape (n_samples, n_features)
        Of the samples to show, such as the test part.
    development : array-like of shape (n_development, n_features)
        What the projection is fitted on.
    y_development : array-like of shape (n_development,), optional
        Their labels. Only ``"lda"`` needs them, and at least three classes.
    projection : {"pca", "lda", "umap", "identity"} or None, default="pca"
        ``"lda"`` estimates the covariance of each class with the shrinkage of Ledoit and Wolf, as
        units that never fire make it singular. ``"umap"`` needs the extra ``umap``, and is fitted
        on at most 2,000 development samples, drawn at random, as it takes seconds where the others
        take hundredths. ``"identity"``, or None, takes features of two columns as they are.
    signed_log : bool, default=True
        Whether to squeeze far points of each axis: sign(x) log(1 + abs(x)), where x is in standard
        deviations from the mean of development.
    random_state : int, default=0
        Of ``"umap"``, and of the solver of ``"pca"`` where it is a random one.

    Returns
    -------
    ndarray of shape (n_samples, 2)

    Raises
    ------
    ImportError
        If ``"umap"`` is asked for and umap-learn is not installed.
    ValueError
        If the features do not fit each other or the projection, or ``"lda"`` has no labels or
        fewer than three classes.

    References
    ----------
    O. Ledoit and M. Wolf, "Honey, I shrunk the sample covariance matrix", The Journal of Portfolio
    Management, 2004.
    L. McInnes, J. Healy and J. Melville, "UMAP: Uniform manifold approximation and projection for
    dimension reduction", arXiv:1802.03426, 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from penultimate.evaluation import project_features
    >>> X, y = load_digits(return_X_y=True)
    >>> project_features(X[1000:], X[:1000], y[:1000], projection="lda").shape
    (797, 2)
    """
    projection = "identity" if projection is None else projection
    check_choice(projection, "projection", "project_features", PROJECTIONS)
    fitted_on = check_array(development, input_name="development", ensure_min_samples=2)
    shown = check_array(features, input_name="features")
    if shown.shape[1] != fitted_on.shape[1]:
        raise ValueError(
            f"features has {shown.shape[1]} columns, but development has {fitted_on.shape[1]}; "
            "both must be of the same layer."
        )
    labels = _check_labels(y_development, len(fitted_on)) if projection == "lda" else None
    if projection == "umap" and len(fitted_on) > _UMAP_SAMPLES:
        rng = np.random.default_rng(random_state)
        fitted_on = rng.choice(fitted_on, _UMAP_SAMPLES, replace=False)
    scaler = StandardScaler().fit(fitted_on)
    standardised = scaler.transform(fitted_on)
    projector = _make_projector(projection, len(fitted_on), shown.shape[1], random_state)
    projector.fit(standardised, labels)
    axes = StandardScaler().fit(projector.transform(standardised))
    points = axes.transform(projector.transform(scaler.transform(shown)))
    return np.sign(points) * np.log1p(np.abs(points)) if signed_log else points


def _check_labels(y: ArrayLike | None, n_samples: int) -> NDArray[Any]:
    if y is None:
        raise ValueError("y_development is missing: 'lda' needs the labels of development.")
    labels = check_labels(y, n_samples)
    n_classes = len(np.unique(labels))
    if n_classes < 3:
        raise ValueError(
            f"'lda' of {n_classes} classes has a single axis; use projection='pca', or add classes."
        )
    return labels


def _make_projector(projection: str, n_samples: int, n_features: int, random_state: int) -> Any:
    """Return an unfitted transformer to two columns."""
    if projection == "identity":
        if n_features != 2:
            raise ValueError(
                f"'identity' needs features of 2 columns; got {n_features}. Use projection='pca'."
            )
        return FunctionTransformer()
    if n_features < 2:
        raise ValueError(f"{projection!r} needs features of at least 2 columns; got {n_features}.")
    if projection == "pca":
        return PCA(2, random_state=random_state)
    if projection == "lda":
        return LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto", n_components=2)
    # A seed allows UMAP one thread; it warns unless that is said.
    return import_optional("umap", "umap").UMAP(
        n_neighbors=min(15, n_samples - 1), n_jobs=1, random_state=random_state
    )


def possible_projections(n_features: int, n_classes: int) -> list[str]:
    """Name the projections that features allow, and the installed packages.

    Parameters
    ----------
    n_features : int
    n_classes : int

    Returns
    -------
    list of str
        Of `project_features`; empty for a single feature. Two features are shown as they are.

    Examples
    --------
    >>> from penultimate.evaluation import possible_projections
    >>> possible_projections(2, 10)
    ['identity']
    """
    if n_features < 3:
        return ["identity"] if n_features == 2 else []
    names = ["pca", "lda"] if n_classes > 2 else ["pca"]
    return [*names, "umap"] if find_spec("umap") else names
