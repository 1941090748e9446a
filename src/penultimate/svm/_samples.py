"""Samples of a search: sorted by class, in float32, with shared inner products.

All kernels but the precomputed one are functions of inner products (an RBF also of squared norms),
so these are computed once and serve every value of gamma and `C`, and every fold. Which of them are
computed beforehand depends on the number of features and the memory; the core computes the others
itself.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.svm import _native
from penultimate.svm._pairs import SortedClasses

# Share of the memory limit for inner products; the rest is for Gram rows of pairs.
_PRODUCTS_SHARE = 0.8
# Inner products of all samples take much fresh memory, which costs more than computing those of few
# features again for each pair, and only where they are needed. From this many features on they pay.
_MANY_FEATURES = 256
_FLOAT32_EPS = float(np.finfo(np.float32).eps)
_NORMS_IN_FLOAT32 = 1e-25, 1e25  # in between, neither products nor their sums leave float32
_KERNEL_ERROR = 1e-3  # largest error of an RBF's exponent by the rounding of a squared distance


def form_for(kernel: str) -> str:
    """Return the form of the samples that a kernel needs: "gram", "plain" or "centered".

    Centering changes neither distances nor linear classifiers, and float32 resolves centered
    samples better.
    """
    return {"precomputed": "gram", "poly": "plain"}.get(kernel, "centered")


class SamplesInFloat32:
    """Samples in float32, with all inner products or those within classes, if these fit.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    layout : SortedClasses
    form : {"gram", "plain", "centered"}
    memory : int
        Bytes available to the whole search.
    context : core.Context
    """

    def __init__(
        self,
        X: NDArray[Any],
        layout: SortedClasses,
        form: str,
        memory: int,
        context: "_native.core.Context",
    ) -> None:
        self.form = form
        self.X: NDArray[np.float32] | None = None
        self.products: NDArray[np.float32] | None = None
        self.norms: NDArray[np.float32] | None = None
        self.within: NDArray[np.float32] | None = None
        order = layout.order
        if form == "gram":
            self.products = np.ascontiguousarray(X[np.ix_(order, order)], dtype=np.float32)
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                sorted_X = X[order]
                if form == "centered":
                    sorted_X -= X.mean(axis=0, dtype=np.float64).astype(X.dtype)
                self.X = sorted_X.astype(np.float32, copy=False)
                self.norms = np.einsum("ij,ij->i", self.X, self.X)
            self.largest_norm = float(self.norms.max())
            # With constant features every distance is 0, which float32 represents exactly.
            self.is_constant = self.largest_norm == 0 and not np.ptp(X, axis=0).any()
            self._multiply(layout, _PRODUCTS_SHARE * memory, context)
        kept = (self.products, self.within)
        self.nbytes = sum(array.nbytes for array in kept if array is not None)
        self.source = _native.core.SingleSource(
            self.X, self.products, self.norms, self.within, layout.starts
        )

    def _multiply(
        self, layout: SortedClasses, memory: float, context: "_native.core.Context"
    ) -> None:
        X = self.X
        assert X is not None
        n_within = int((np.diff(layout.starts) ** 2).sum())
        if X.shape[1] >= _MANY_FEATURES and 4 * len(X) ** 2 <= memory:
            self.products = np.empty((len(X), len(X)), np.float32)
            _native.core.multiply_all(context, X, self.products)
            self.norms = np.diagonal(self.products).copy()
            self.X = None  # not needed any more: the products replace them
        # With two classes there is one pair, which computes them itself.
        elif layout.n_classes > 2 and 4 * n_within <= memory:
            self.within = np.empty(n_within, np.float32)
            _native.core.multiply_within(context, X, layout.starts, self.within)

    def resolve(self, gamma: float) -> bool:
        """Return whether float32 resolves the kernel values: norms in range, distances accurate."""
        if self.form == "gram":
            return True
        smallest, largest = _NORMS_IN_FLOAT32
        in_range = self.is_constant or smallest < self.largest_norm < largest
        return in_range and gamma * self.largest_norm * _FLOAT32_EPS < _KERNEL_ERROR

    def between(self, test: NDArray[np.int64], support: NDArray[np.int64]) -> tuple[Any, ...]:
        """Return the arguments of `decide` for kernel values of `test` with `support`."""
        norms = (None, None) if self.norms is None else (self.norms[test], self.norms[support])
        if self.X is None:
            return None, None, self.products, test, support, *norms
        return self.X[test], self.X[support], None, None, None, *norms
