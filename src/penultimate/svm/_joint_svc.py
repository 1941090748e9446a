"""The stand-in classifier that scikit-learn's search fits and scores in a joint search.

The search clones, fits and scores it like any estimator. Its `X` are positions of samples, one
integer column; fitting records the training positions, and predictions are looked up in `Problem`.
"""

from inspect import signature
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from penultimate.svm._grid_engine import Outcome
from penultimate.svm._problem import Problem
from penultimate.svm.svc import SVC


class JointSVC(SVC):
    """A setting on a fold: fitted on positions, it predicts with the solution of the problem.

    Anything beyond that (other samples, support vectors) is answered by a real `SVC`, which is
    fitted when it is first needed.
    """

    _problem: Problem
    _train: NDArray[Any]  # positions
    _test: NDArray[Any]
    _asked: Any  # the samples at _test, or these positions; recognized by identity
    _alone: Any  # the real SVC, once fitted

    @classmethod
    def of(cls, estimator: SVC, problem: Problem) -> Self:
        """Make one with the parameters and metadata requests of `estimator`."""
        made = cls()
        made.__dict__.update(vars(clone(estimator)), _problem=problem)
        return made

    def __sklearn_clone__(self) -> Self:
        made = type(self)()
        fitted = ("classes_", "_train", "_test", "_asked", "_alone")
        made.__dict__.update((name, v) for name, v in vars(self).items() if name not in fitted)
        return made

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = False  # positions are not a Gram matrix
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Record the positions of the training samples."""
        self._train, self._asked, self._alone = X[:, 0], None, None
        self.classes_ = self._problem.classes
        return self

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy on samples, or on positions if no scorer requested samples."""
        if self._asked is None:
            self._test, self._asked = X[:, 0], X
        if X is not self._asked:
            return super().score(X, y, sample_weight)
        right = self._winners(X) == self._problem.codes[self._test]
        return float(np.average(right, weights=sample_weight))

    def samples(self, positions: NDArray[Any]) -> NDArray[Any]:
        """Return the samples at positions; predictions for this very array will be looked up."""
        self._test, pairwise = positions[:, 0], self.kernel == "precomputed"
        self._asked = self._problem.samples(self._train, self._test, pairwise)
        return self._asked

    def _known(self, X: Any) -> Outcome | None:
        if X is not self._asked:
            return None
        return self._problem.outcome(self, self._train, self._test)

    def _real(self, X: Any) -> Any:
        """Return samples; positions, which alone are integers here, are replaced by theirs."""
        return self.samples(X) if X is self._asked and X.dtype.kind == "i" else X

    def _winners(self, X: Any) -> NDArray[np.int32]:
        known = self._known(X)
        if known is None:
            return self._fitted_alone()._winners(self._real(X))
        return known.winners

    def _decisions(self, X: Any) -> NDArray[Any]:
        known = self._known(X)
        if known is None or known.decisions is None:
            return self._fitted_alone()._decisions(self._real(X))
        return known.decisions

    def _fitted_alone(self) -> SVC:
        if self._alone is None:
            problem, train = self._problem, self._train
            X = (
                problem.X[np.ix_(train, train)]
                if self.kernel == "precomputed"
                else problem.X[train]
            )
            weights = None if problem.sample_weight is None else problem.sample_weight[train]
            self._alone = SVC(**self.get_params()).fit(X, problem.y[train], sample_weight=weights)
            if self._problem.outcome(self, train, self._test) is not None:
                problem.n_asked_more += 1
        return self._alone

    def __getattr__(self, name: str) -> Any:
        if name in _ONLY_ALONE and "_train" in vars(self):
            return getattr(self._fitted_alone(), name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


JointSVC.__name__ = JointSVC.__qualname__ = "SVC"  # for the error messages of scorers

# Fitted attributes that the joint solution lacks; `__getattr__` takes them from the real SVC.
_ONLY_ALONE = (
    "support_",
    "support_vectors_",
    "n_support_",
    "dual_coef_",
    "intercept_",
    "n_iter_",
    "optimality_gap_",
    "status_",
    "fit_status_",
    "shape_fit_",
    "class_weight_",
    "n_features_in_",
)


class OnSamples:
    """A user's scorer, called with samples where the search has only their positions.

    Parameters
    ----------
    scorer : callable
    """

    def __init__(self, scorer: Any) -> None:
        self._scorer = scorer
        self.__signature__ = signature(scorer)

    def __call__(self, estimator: JointSVC, X: Any, y: Any, **params: Any) -> Any:
        """Score with the wrapped scorer."""
        return self._scorer(estimator, estimator.samples(X), y, **params)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scorer, name)  # its metadata requests, for example

    def __repr__(self) -> str:
        return repr(self._scorer)
