"""Default grids and distributions of the searches, on the scale of the features."""

from typing import Any

from numpy.typing import NDArray
from scipy.stats import loguniform

from penultimate.svm._kernel import resolve_gamma
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
    if not isinstance(estimator, SVC):
        raise ValueError(
            f"Only an SVC has a default {name}; pass one for {type(estimator).__name__}."
        )
    return estimator


def default_grid(estimator: object, X: NDArray[Any]) -> dict[str, list[float]]:
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
    scale = resolve_gamma("scale", X)
    return {"C": list(RBF_C), "gamma": [factor * scale for factor in RBF_GAMMA]}


def default_distributions(estimator: object, X: NDArray[Any]) -> dict[str, Any]:
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
    scale = resolve_gamma("scale", X)
    return {"C": loguniform(0.1, 1000), "gamma": loguniform(0.01 * scale, 10 * scale)}
