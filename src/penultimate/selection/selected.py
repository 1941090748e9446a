"""A head that was selected elsewhere, with the interface of the search that selected it."""

from typing import Any, Self

from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.metrics import check_scoring
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from penultimate._common.protocols import Head


class SelectedHead(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """A head selected by cross-fitting, with the methods and attributes of a search.

    Parameters
    ----------
    estimator : classifier
        The classifier with the selected hyper-parameters.
    scoring : str, callable or None, default=None
        The metric of `score`, and of the selection.

    Attributes
    ----------
    best_estimator_ : classifier
        The classifier, fitted on all samples.
    best_params_ : dict
        The selected hyper-parameters.
    best_index_ : int
        Index of the selected candidate in `cv_results_`.
    best_score_ : float
        Mean score over folds; absent if a callable `refit` chose the candidate.
    cv_results_ : dict of ndarrays
        Results in the format of `GridSearchCV`, without times.
    n_splits_ : int
        Number of folds.
    scorer_ : callable
        The scorer used by `score`.

    Examples
    --------
    >>> from penultimate import SVC
    >>> from penultimate.selection.crossfit import SelectedHead
    >>> head = SelectedHead(SVC(C=10)).fit([[0.0], [1.0]], ["a", "b"])
    >>> head.predict([[0.9]]).tolist(), head.best_estimator_.C
    (['b'], 10)
    """

    def __init__(self, estimator: Head, scoring: object = None) -> None:
        self.estimator = estimator
        self.scoring = scoring

    def fit(self, X: ArrayLike, y: ArrayLike, **params: object) -> Self:
        """Fit the selected classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        **params : dict
            Parameters of its `fit`.

        Returns
        -------
        self
        """
        self.scorer_ = check_scoring(self.estimator, self.scoring)
        self.best_estimator_ = clone(self.estimator).fit(X, y, **params)
        return self

    @property
    def classes_(self) -> NDArray[Any]:
        """The class labels of the selected classifier."""
        return self._best().classes_

    @property
    def n_features_in_(self) -> int:
        """The number of features."""
        return self._best().n_features_in_

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict the class of each sample."""
        return self._best().predict(X)

    @available_if(lambda self: _chosen_has(self, "decision_function"))
    def decision_function(self, X: ArrayLike) -> NDArray[Any]:
        """Compute the decision values of the selected classifier."""
        return self._best().decision_function(X)

    @available_if(lambda self: _chosen_has(self, "predict_proba"))
    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Compute the probabilities of the selected classifier."""
        return self._best().predict_proba(X)

    @available_if(lambda self: _chosen_has(self, "class_margins"))
    def class_margins(self, X: ArrayLike) -> NDArray[Any]:
        """Compute the smallest decision value of each class, like `SVC.class_margins`."""
        return self._best().class_margins(X)

    def score(self, X: ArrayLike, y: ArrayLike) -> float:
        """Score the selected classifier with the metric of its selection."""
        best = self._best()
        return float(self.scorer_(best, X, y))

    def _best(self) -> Any:
        check_is_fitted(self, "best_estimator_")
        return self.best_estimator_


def _chosen_has(head: SelectedHead, method: str) -> bool:
    return hasattr(getattr(head, "best_estimator_", head.estimator), method)
