"""The coefficients of a fitted `SVC` as scikit-learn has them.

The core, and libsvm, store a coefficient per sample and other class, and count a positive decision
as a vote for the first class of a pair. scikit-learn shows the same, but for two classes with the
opposite sign; and for a linear kernel also the weights of the features.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from penultimate.svm._pairs import pair_indices


class CoefficientsMixin:
    """Mixin of `SVC`: the properties that are computed from its coefficients."""

    kernel: str
    classes_: NDArray[Any]
    n_support_: NDArray[np.int32]
    support_vectors_: NDArray[Any]
    _coefficients: NDArray[np.float64]
    _intercepts: NDArray[np.float64]

    @property
    def dual_coef_(self) -> NDArray[Any]:
        """Signed coefficients of the support vectors, laid out as in libsvm."""
        return self._public_sign(self._coefficients)

    @dual_coef_.setter
    def dual_coef_(self, value: NDArray[Any]) -> None:
        self._coefficients = self._public_sign(value)

    @property
    def intercept_(self) -> NDArray[Any]:
        """The intercept of each pair."""
        return self._public_sign(self._intercepts)

    @intercept_.setter
    def intercept_(self, value: NDArray[Any]) -> None:
        self._intercepts = self._public_sign(value)

    def _public_sign(self, values: NDArray[Any]) -> NDArray[Any]:
        """Convert from the sign of libsvm to that of scikit-learn, or back.

        With two classes, a positive decision means the second one in scikit-learn, and the first
        one in libsvm.
        """
        if len(self.classes_) > 2:
            return values
        values = -values
        values.flags.writeable = False  # changing it would not change any prediction
        return values

    @property
    def coef_(self) -> NDArray[Any]:
        """Primal weights of each pair, (n_pairs, n_features); for the linear kernel only."""
        if self.kernel != "linear":
            raise AttributeError("coef_ is only available when using a linear kernel")
        check_is_fitted(self)
        starts = np.concatenate([[0], np.cumsum(self.n_support_)])
        blocks = [slice(starts[c], starts[c + 1]) for c in range(len(self.n_support_))]
        dual_coef = self.dual_coef_
        # Of a pair (i, j), row j - 1 holds the coefficients of class i and row i those of class j:
        # libsvm's layout leaves out a class's row against itself.
        weights = np.stack(
            [
                dual_coef[j - 1, blocks[i]] @ self.support_vectors_[blocks[i]]
                + dual_coef[i, blocks[j]] @ self.support_vectors_[blocks[j]]
                for i, j in zip(*pair_indices(len(self.n_support_)))
            ]
        )
        weights.flags.writeable = False  # changing it would not change any prediction
        return weights
