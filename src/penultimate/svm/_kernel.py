"""Kernel functions, and the range of samples for which their values are finite.

Kernel values that overflow would leave the solver with NaN. So samples are checked beforehand, by
their largest norm, which bounds all inner products and distances.
"""

from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.svm import _native


@dataclass(frozen=True)
class Kernel:
    """A kernel function with resolved parameters.

    Attributes
    ----------
    name : {"rbf", "linear", "poly", "precomputed"}
    gamma : float
    coef0 : float
    degree : int
    """

    name: str
    gamma: float
    coef0: float
    degree: int

    def for_core(self) -> "_native.core.Kernel":
        """Return the core's description of the kernel."""
        return _native.make_kernel(self.name, self.gamma, self.coef0, self.degree)

    def check_fit(self, X: NDArray[Any], largest_norm: float) -> None:
        """Raise if kernel values of samples with squared norms up to `largest_norm` overflow.

        Raises
        ------
        ValueError
        """
        with np.errstate(over="ignore"):
            # A squared distance is at most four times the largest squared norm.
            largest = self._of_product(4 * largest_norm)
        # ``gamma="scale"`` divides by the variance, and overflows itself for nearly constant
        # features.
        if not (np.isfinite(largest) and (self.name == "linear" or np.isfinite(self.gamma))):
            raise ValueError(
                f"The kernel values overflow float64: entries of X go up to {np.abs(X).max():g}, "
                f"and gamma is {self.gamma:g}. Scale the features, as StandardScaler does."
            )

    def check_prediction(
        self,
        X: NDArray[np.float64],
        X_norms: NDArray[np.float64],
        support: NDArray[np.float64],
        largest_norm: float,
    ) -> None:
        """Raise if kernel values of `X` with `support` overflow; those of an RBF become zero.

        For an RBF such samples are changed in place, so that products with them stay finite.

        Raises
        ------
        ValueError
        """
        if self.name == "rbf":
            far = ~np.isfinite(X_norms)
            if far.any():
                X[far], X_norms[far] = 0.0, np.inf
            return
        # With Python floats: for a single row, NumPy would take as long as the products themselves.
        product = sqrt(X_norms.max()) * sqrt(largest_norm)
        # The norms may overflow where the products do not; then a bound by entries decides.
        if not isfinite(product):
            with np.errstate(over="ignore", invalid="ignore"):
                product = X.shape[1] * np.abs(X).max() * np.abs(support).max(initial=0.0)
        if not np.isfinite(self._of_product(product)):
            raise ValueError(
                f"The kernel values of X, with entries up to {np.abs(X).max():g}, overflow "
                "float64. Scale the features as those used for fitting."
            )

    def _of_product(self, product: float) -> float:
        """Bound the largest kernel value, given the largest inner product."""
        if self.name != "poly":
            return product
        # A power of Python's floats raises where NumPy's would return infinity.
        try:
            return float(self.gamma * product + abs(self.coef0)) ** self.degree
        except OverflowError:
            return inf


def resolve_gamma(gamma: str | float, X: NDArray[np.floating]) -> float:
    """Return the number that gamma stands for on these samples."""
    if gamma == "scale":
        # Where all features are constant, every gamma gives the same kernel; scikit-learn takes 1,
        # too.
        variance = float(X.var(dtype=np.float64))
        return 1.0 / (X.shape[1] * variance) if variance > 0 else 1.0
    return 1.0 / X.shape[1] if gamma == "auto" else float(gamma)
