"""The best of several heads: one search over searches.

Which classifier suits the features is one more hyper-parameter. Every head is searched on the same
folds, and the one with the best selection score is used; so it goes wherever a search goes, into a
`DeepSVC` as well, where the layer and the normalization are chosen by the same score.
"""

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from penultimate._common.per_sample import take_rows
from penultimate._common.protocols import Head, Metrics
from penultimate.selection.heads import check_head, is_search


def _best_has(method: str) -> Callable[["HeadSearchCV"], bool]:
    """Return a check for ``available_if``: whether the best head, or every one so far, has it."""

    def check(self: "HeadSearchCV") -> bool:
        fitted = getattr(self, "best_estimator_", None)
        asked = [head for _, head in self.estimators] if fitted is None else [fitted]
        return all(hasattr(head, method) for head in asked)

    return check


class HeadSearchCV(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """The best of several classifiers, each of them searched, by cross-validation.

    Parameters
    ----------
    estimators : list of (str, classifier)
        Names and classifiers: searches, such as `SVCSearchCV`, whose `cv` is replaced; or plain
        classifiers, which are one candidate each. In case of ties the first one is used.
    cv : int, cross-validation generator, iterable or None, default=None
        The folds, the same for all of them; None stands for 5 stratified ones.
    scoring : str, callable or None, default=None
        The score; None is that of each classifier, the accuracy.

    Attributes
    ----------
    best_name_ : str
        Name of the best classifier.
    best_estimator_ : classifier
        It, with its best parameters, refitted on all samples.
    best_params_ : dict
        Its best parameters, and its name as ``"head"``.
    best_score_ : float
        Its mean score.
    scores_ : dict of str to float
        The best mean score of each classifier.
    cv_results_ : dict
        ``"params"`` and ``"mean_test_score"`` of all candidates.
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from penultimate import SVCSearchCV
    >>> from penultimate.selection.best_head import HeadSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> logistic = LogisticRegression(max_iter=1000)
    >>> search = HeadSearchCV([("svm", SVCSearchCV()), ("logistic", logistic)]).fit(X, y)
    >>> sorted(search.scores_), search.best_name_ in search.scores_
    (['logistic', 'svm'], True)
    """

    def __init__(
        self,
        estimators: Sequence[tuple[str, Head]],
        *,
        cv: object = None,
        scoring: Metrics = None,
    ) -> None:
        self.estimators = estimators
        self.cv = cv
        self.scoring = scoring

    def fit(self, X: ArrayLike, y: ArrayLike, **params: object) -> Self:
        """Search each classifier, and keep the best.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        **params : dict
            Parameters of every classifier's `fit`, such as ``sample_weight``.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If `estimators` is not a list of different names with classifiers.
        """
        self._check()
        samples, labels = np.asarray(X), np.asarray(y)
        folds = list(check_cv(self.cv, labels, classifier=True).split(samples, labels))
        fitted, self.scores_ = {}, {}
        candidates: list[dict[str, Any]] = []
        means: list[float] = []
        for name, head in self.estimators:
            head = clone(head)
            if is_search(head):
                head.set_params(cv=folds)
                if self.scoring is not None:
                    head.set_params(scoring=self.scoring)
                head.fit(samples, labels, **params)
                found = head.cv_results_
                candidates += [{"head": name, **each} for each in found["params"]]
                means += np.asarray(found["mean_test_score"], float).tolist()
                self.scores_[name] = float(head.best_score_)
            else:
                self.scores_[name] = self._score(head, samples, labels, folds, params)
                head.fit(samples, labels, **params)
                candidates.append({"head": name})
                means.append(self.scores_[name])
            fitted[name] = head
        self.best_name_ = max(self.scores_, key=self.scores_.__getitem__)  # the first of ties
        best = fitted[self.best_name_]
        self.best_score_ = self.scores_[self.best_name_]
        self.best_params_ = {"head": self.best_name_, **getattr(best, "best_params_", {})}
        self.cv_results_ = {"params": candidates, "mean_test_score": np.array(means)}
        self.classes_, self.n_features_in_ = best.classes_, samples.shape[1]
        self.best_estimator_ = getattr(best, "best_estimator_", best)
        return self

    def _check(self) -> None:
        given = self.estimators
        pairs = isinstance(given, (list, tuple)) and all(
            isinstance(each, tuple) and len(each) == 2 and isinstance(each[0], str)
            for each in given
        )
        if not pairs or not given:
            raise TypeError(
                "The 'estimators' parameter of HeadSearchCV must be a list of pairs (name, "
                f"classifier); got {given!r}."
            )
        names = [name for name, _ in given]
        if len(set(names)) < len(names):
            raise ValueError(
                "The 'estimators' parameter of HeadSearchCV must have different names; got "
                f"{names}."
            )
        for _, head in given:
            check_head(head, "HeadSearchCV")

    def _score(
        self,
        head: Head,
        X: NDArray[Any],
        y: NDArray[Any],
        folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
        params: dict[str, Any],
    ) -> float:
        """Return the mean score of a classifier that is not a search."""
        scores = []
        for train, held_out in folds:
            candidate = clone(head).fit(X[train], y[train], **take_rows(params, train, len(y)))
            scorer = check_scoring(candidate, self.scoring)
            scores.append(scorer(candidate, X[held_out], y[held_out]))
        return float(np.mean(scores))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict the class of each sample with the best classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self._ask("predict", X)

    @available_if(_best_has("decision_function"))
    def decision_function(self, X: ArrayLike) -> NDArray[Any]:
        """Compute its decision values.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        return self._ask("decision_function", X)

    @available_if(_best_has("predict_proba"))
    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Compute its probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return self._ask("predict_proba", X)

    @available_if(_best_has("class_margins"))
    def class_margins(self, X: ArrayLike) -> NDArray[Any]:
        """Compute its class margins, as `SVC.class_margins`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return self._ask("class_margins", X)

    def _ask(self, method: str, X: ArrayLike) -> NDArray[Any]:
        check_is_fitted(self)
        return getattr(self.best_estimator_, method)(X)

    def get_metadata_routing(self) -> MetadataRouter:
        """Return how metadata is routed: see scikit-learn's user guide on metadata routing.

        Returns
        -------
        MetadataRouter
            Every classifier receives what it requests.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=self)
        return router.add(**dict(self.estimators), method_mapping=mapping)
