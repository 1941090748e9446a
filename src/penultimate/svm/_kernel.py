"""Kernel functions, and which samples they can take."""

from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.svm import _native


@dataclass(frozen=True)
class Kernel:
    """A kernel function, its parameters resolved.

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

    def for_core(self) -> Any:
        """Return the core's own description."""
        return _native.make_kernel(self.name, self.gamma, self.coef0, self.degree)

    def check_fit(self, X: NDArray[Any], largest_norm: float) -> None:
        """Refuse samples, of squared norms up to `largest_norm`, whose kernel values overflow.

        Raises
        ------
        ValueError
        """
        with np.errstate(over="ignore"):
            largest = self._of_product(4 * largest_norm)
        if not (np.isfinite(largest) and (self.name == "linear" or np.isfinite(self.gamma))):
            raise ValueError(
                f"The kernel values overflow float64: entries of X go up to {np.abs(X).max():g}, "
                f"and gamma is {self.gamma:g}. Scale the features, as StandardScaler does."
            )

    def check_prediction(self, X: Any, X_norms: Any, support: Any, largest_norm: float) -> None:
        """Refuse samples whose kernel values with `support` overflow; an RBF's are zero there.

        Such samples are changed in place, so that products with them stay numbers.

        Raises
        ------
        ValueError
        """
        if self.name == "rbf":
            far = ~np.isfinite(X_norms)
            if far.any():
                X[far], X_norms[far] = 0.0, np.inf
            return
        # With Python's own numbers: for a single row NumPy's would take as long as the products.
        product = sqrt(X_norms.max()) * sqrt(largest_norm)
        if not isfinite(product):
            with np.errstate(over="ignore", invalid="ignore"):
                product = X.shape[1] * np.abs(X).max() * np.abs(support).max(initial=0.0)
        if not np.isfinite(self._of_product(product)):
            raise ValueError(
                f"The kernel values of X, with entries up to {np.abs(X).max():g}, overflow "
                "float64. Scale the features as those that the classifier was fitted on."
            )

    def _of_product(self, product: float) -> float:
        """About the largest kernel value, by the largest inner product."""
        if self.name != "poly":
            return product
        try:
            return float(self.gamma * product + abs(self.coef0)) ** self.degree
        except OverflowError:
            return inf
