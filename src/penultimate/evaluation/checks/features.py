"""Checks of features and of how they were computed."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.preprocessing import StandardScaler

from penultimate._common.images import uneven_scales
from penultimate.evaluation.checks._check import Check


def check_features(features: ArrayLike, *, standardized: bool = False) -> list[Check]:
    """Look for probabilities used as features, and for features with very different scales.

    Parameters
    ----------
    features : array-like of shape (n_samples, n_features)
    standardized : bool, default=False
        Whether a later step standardizes the features.

    Returns
    -------
    list of Check

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.special import softmax
    >>> from penultimate.evaluation.checks import check_features
    >>> scores = np.random.default_rng(0).normal(size=(50, 10))
    >>> [check.id for check in check_features(softmax(scores, axis=1), standardized=True)]
    ['probabilities-as-features']
    """
    values = np.asarray(features, float)
    found = []
    if (
        values.shape[1] > 1
        and (values >= 0).all()
        and np.allclose(values.sum(axis=1), 1, atol=1e-3)
    ):
        found.append(
            Check(
                "probabilities-as-features",
                f"The {values.shape[1]} features of each sample are non-negative and sum to 1.",
            )
        )
    if not standardized and (spread := uneven_scales(values)) is not None:
        found.append(
            Check(
                "unscaled-features",
                f"The features' standard deviations range from {spread[0]:.3g} to {spread[1]:.3g}.",
            )
        )
    return found


def check_scaler(
    X_train: ArrayLike, X_test: ArrayLike, scaler: StandardScaler | None = None
) -> Check | None:
    """Look for a scaling that was fitted on the test samples, too.

    Parameters
    ----------
    X_train, X_test : array-like of shape (n_samples, n_features)
        Input of the scaler or, without a scaler, its output.
    scaler : StandardScaler, optional
        Fitted scaler.

    Returns
    -------
    Check or None

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> from penultimate.evaluation.checks import check_scaler
    >>> X = np.random.default_rng(0).normal(5, 2, (100, 3))
    >>> check_scaler(X[:80], X[80:], StandardScaler().fit(X)).id
    'scaler-fitted-on-test'
    >>> check_scaler(X[:80], X[80:], StandardScaler().fit(X[:80]))
    """
    train, test = np.asarray(X_train, float), np.asarray(X_test, float)
    train, test = train.reshape(len(train), -1), test.reshape(len(test), -1)
    both = np.concatenate([train, test])
    if scaler is None:
        means, deviations = np.zeros(both.shape[1]), np.ones(both.shape[1])
    else:
        means, deviations = scaler.mean_, np.sqrt(scaler.var_)

    def fits(part: NDArray[np.float64]) -> bool:
        # Constant features have no scale to compare, such as units that never fire.
        varies = part.std(axis=0) > 0
        return bool(
            varies.any()
            and np.allclose(part.mean(axis=0)[varies], means[varies], rtol=1e-4, atol=1e-4)
            and np.allclose(part.std(axis=0)[varies], deviations[varies], rtol=1e-4)
        )

    # Statistics that also fit the training samples alone prove nothing.
    if not len(test) or not fits(both) or fits(train):
        return None
    return Check(
        "scaler-fitted-on-test",
        f"Means and standard deviations are those of all {len(both):,} samples, including the "
        f"{len(test):,} test samples.",
    )


def check_stable(transform: Callable[[Any], ArrayLike], X: ArrayLike) -> Check | None:
    """Look for features that change from call to call, as with dropout left on.

    Parameters
    ----------
    transform : callable
        Function that computes features of samples.
    X : array-like
        A few samples.

    Returns
    -------
    Check or None

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.evaluation.checks import check_stable
    >>> draw = np.random.default_rng(0)
    >>> check_stable(lambda X: X * (draw.random(X.shape) > 0.5), np.ones((4, 8))).id
    'unstable-features'
    """
    first, second = np.asarray(transform(X), float), np.asarray(transform(X), float)
    if np.allclose(first, second, rtol=1e-3, atol=1e-4 * (np.abs(first).max() or 1)):
        return None
    share = np.mean(~np.isclose(first, second, rtol=1e-3))
    return Check(
        "unstable-features", f"{100 * share:.0f} % of the values differ between two calls."
    )
