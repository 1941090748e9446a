"""Two-dimensional projections of features, fitted on development and applied to other samples.

A projection that uses labels has to be fitted on samples other than those it shows: with many
features and few samples, LDA separates the classes of its own training samples even where the
features carry no information about them.
"""

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
from penultimate._common.protocols import Transformer
from penultimate._common.threads import quiet_blas
from penultimate._common.validation import check_choice

PROJECTIONS = ("pca", "lda", "umap", "identity")
_UMAP_SAMPLES = 2000  # most samples to fit UMAP on, which is by far the slowest projection


def project_features(
    features: ArrayLike,
    development: ArrayLike,
    y_development: ArrayLike | None = None,
    *,
    projection: str | None = "pca",
    signed_log: bool = True,
    random_state: int = 0,
) -> NDArray[np.float64]:
    """Project features to two dimensions, for plots.

    Everything is fitted on development features and only applied to the others: the features are
    standardized, projected, and the two axes are standardized in turn. Fitted on the very samples
    that are shown, LDA would be misleading: with many features and classes it separates classes by
    chance patterns of these samples.

    Parameters
    ----------
    features : array-like of shape (n_samples, n_features)
        Features of the samples to show, such as the test set.
    development : array-like of shape (n_development, n_features)
        Features that the projection is fitted on.
    y_development : array-like of shape (n_development,), optional
        Labels of `development`. Needed by ``"lda"`` only, with at least three classes.
    projection : {"pca", "lda", "umap", "identity"} or None, default="pca"
        ``"lda"`` estimates the class covariances with Ledoit-Wolf shrinkage, because units that
        never fire make them singular. ``"umap"`` needs the extra ``umap`` and is fitted on at most
        2,000 random development samples, because it takes seconds where the others take
        hundredths. ``"identity"``, or None, uses features with two columns unchanged.
    signed_log : bool, default=True
        Whether to compress the outer range of each axis: sign(x) log(1 + abs(x)), where x is in
        standard deviations from the mean of development.
    random_state : int, default=0
        Seed of ``"umap"``, and of ``"pca"`` if it uses a randomized solver.

    Returns
    -------
    ndarray of shape (n_samples, 2)

    Raises
    ------
    ImportError
        If ``"umap"`` is requested and umap-learn is not installed.
    ValueError
        If the shapes of the features do not match each other or the projection, or if ``"lda"``
        has no labels or fewer than three classes.

    References
    ----------
    O. Ledoit and M. Wolf, "Honey, I shrunk the sample covariance matrix", The Journal of Portfolio
    Management, 2004.
    L. McInnes, J. Healy and J. Melville, "UMAP: Uniform manifold approximation and projection for
    dimension reduction", arXiv:1802.03426, 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from penultimate.displays import project_features
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
            "both must come from the same layer."
        )
    labels = _check_labels(y_development, len(fitted_on)) if projection == "lda" else None
    if projection == "umap" and len(fitted_on) > _UMAP_SAMPLES:
        rng = np.random.default_rng(random_state)
        fitted_on = rng.choice(fitted_on, _UMAP_SAMPLES, replace=False)
    scaler = StandardScaler().fit(fitted_on)
    standardized = scaler.transform(fitted_on)
    projector = _make_projector(projection, len(fitted_on), shown.shape[1], random_state)
    with quiet_blas(standardized):
        projector.fit(standardized, labels)
        # Both axes in standard deviations, which is the unit of the signed logarithm.
        axes = StandardScaler().fit(projector.transform(standardized))
        points = axes.transform(projector.transform(scaler.transform(shown)))
    return np.sign(points) * np.log1p(np.abs(points)) if signed_log else points


def _check_labels(y: ArrayLike | None, n_samples: int) -> NDArray[Any]:
    if y is None:
        raise ValueError("y_development is missing: 'lda' needs the labels of development.")
    labels = check_labels(y, n_samples)
    n_classes = len(np.unique(labels))
    if n_classes < 3:
        raise ValueError(
            f"'lda' with {n_classes} classes has a single axis; use projection='pca' or "
            "add classes."
        )
    return labels


def _make_projector(
    projection: str, n_samples: int, n_features: int, random_state: int
) -> Transformer:
    """Return an unfitted transformer to two columns."""
    if projection == "identity":
        if n_features != 2:
            raise ValueError(
                f"'identity' needs features with 2 columns; got {n_features}. Use projection='pca'."
            )
        return FunctionTransformer()
    if n_features < 2:
        raise ValueError(f"{projection!r} needs features of at least 2 columns; got {n_features}.")
    if projection == "pca":
        return PCA(2, random_state=random_state)
    if projection == "lda":
        return LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto", n_components=2)
    # With a seed, UMAP runs on one thread, and warns unless n_jobs=1 is explicit.
    return import_optional("umap", "umap").UMAP(
        n_neighbors=min(15, n_samples - 1), n_jobs=1, random_state=random_state
    )


def possible_projections(n_features: int, n_classes: int) -> list[str]:
    """List the projections that are possible with these features and the installed packages.

    Parameters
    ----------
    n_features : int
    n_classes : int

    Returns
    -------
    list of str
        Names as in `project_features`; empty for a single feature. Two features are shown
        unchanged.

    Examples
    --------
    >>> from penultimate.displays import possible_projections
    >>> possible_projections(2, 10)
    ['identity']
    """
    if n_features < 3:
        return ["identity"] if n_features == 2 else []
    names = ["pca", "lda"] if n_classes > 2 else ["pca"]
    return [*names, "umap"] if find_spec("umap") else names
