"""Methods that a meta-estimator forwards to the classifier that it fitted."""

from collections.abc import Callable
from typing import Any

from numpy.typing import ArrayLike, NDArray
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from penultimate._common.protocols import Head


def _has(method: str) -> Callable[[Any], bool]:
    """Return a check for ``available_if``: whether the classifier has a method."""
    return lambda self: hasattr(getattr(self, "estimator_", self.estimator), method)


class ForwardsScores:
    """Mixin for classifiers whose scores are those of `estimator_`."""

    estimator: Head
    estimator_: Any

    @available_if(_has("decision_function"))
    def decision_function(self, X: ArrayLike) -> NDArray[Any]:
        """Compute the decision values of the fitted classifier for every sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    @available_if(_has("predict_proba"))
    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Compute the probabilities of the fitted classifier for every sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(_has("class_margins"))
    def class_margins(self, X: ArrayLike) -> NDArray[Any]:
        """Compute `SVC.class_margins` of the fitted classifier for every sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        check_is_fitted(self)
        return self.estimator_.class_margins(X)
