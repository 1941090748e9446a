"""Default grids and distributions of the searches, on the scale of the features."""

from contextlib import suppress
from typing import Any

import numpy as np
from scipy.sparse import sparray, spmatrix
from scipy.stats import loguniform

from penultimate._common.protocols import PerSample
from penultimate.svm._kernel import resolve_gamma
from penultimate.svm._pipelines import as_ours, is_svc, split_off_svc
from penultimate.svm._problem import NotJointError
from penultimate.svm.svc import SVC

# Default grids, mostly in half decades; those of gamma are factors of ``gamma="scale"``. The RBF's
# are those that served digits (98 %) and Devanagari characters (97 to 100 %) in the first
# experiments, with one larger gamma. A linear kernel on d standardized features has values of about
# d, an RBF of at most 1: hence the smaller C. A best value at an edge of the grid is reported
# (`check_grid`).
RBF_C = (1.0, 3.0, 10.0, 30.0)
RBF_GAMMA = (0.03, 0.1, 0.3, 1.0, 3.0)
LINEAR_C = (0.001, 0.003, 0.01, 0.03, 0.1, 1.0)


def _with_default(estimator: object, name: str) -> SVC:
    if is_svc(estimator):
        # scikit-learn's may have a kernel that ours has not, and so no default.
        with suppress(NotJointError):
            return as_ours(estimator)
    if isinstance(estimator, SVC):
        return estimator
    path, _ = split_off_svc(estimator)
    example = f", such as {{'{path}__C': [1, 10]}}" if path else ""
    raise ValueError(
        f"Only an SVC has a default {name}; pass one for {type(estimator).__name__}{example}."
    )


def _scale(X: PerSample) -> float:
    """Return the gamma of ``"scale"``, also on sparse samples, which scikit-learn's SVC takes."""
    if not isinstance(X, (spmatrix, sparray)):
        return resolve_gamma("scale", np.asarray(X))
    variance = float(X.multiply(X).mean() - X.mean() ** 2)
    return 1.0 / (X.shape[1] * variance) if variance > 0 else 1.0


def default_grid(estimator: object, X: PerSample) -> dict[str, list[float]]:
    """Return the values that a grid search tries by default.

    Raises
    ------
    ValueError
        If the classifier is not an `SVC`.
    """
    kernel = _with_default(estimator, "param_grid").kernel
    if kernel == "linear":
        return {"C": list(LINEAR_C)}
    if kernel == "precomputed":
        return {"C": list(RBF_C)}
    scale = _scale(X)
    return {"C": list(RBF_C), "gamma": [factor * scale for factor in RBF_GAMMA]}


def default_distributions(estimator: object, X: PerSample) -> dict[str, Any]:
    """Return the distributions that a random search draws from by default.

    Raises
    ------
    ValueError
        If the classifier is not an `SVC`.
    """
    kernel = _with_default(estimator, "param_distributions").kernel
    if kernel == "linear":
        # Wider than the grids: a random search costs the same whatever the range.
        return {"C": loguniform(1e-4, 10)}
    if kernel == "precomputed":
        return {"C": loguniform(0.1, 1000)}
    scale = _scale(X)
    return {"C": loguniform(0.1, 1000), "gamma": loguniform(0.01 * scale, 10 * scale)}
