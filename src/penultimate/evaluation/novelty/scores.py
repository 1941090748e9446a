"""Scores of unlikeness: how little a sample is like any class.

Each score compares a sample with every class, and its unlikeness is that to the class that it is
least unlike. What was computed against the classes is kept apart from the unlikeness, so that a
class can be left out afterwards, where that gives what a fit without it gives. That makes a score's
skill with strangers cheap to estimate (`choosing`).
"""

from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from sklearn.covariance import ledoit_wolf

from penultimate.svm._pairs import pair_indices, worst_margin
from penultimate.svm.svc import SVC

_BLOCK = 1 << 22  # products held at a time: 32 MiB of float64
_ROUNDING = 1e-12  # relative, of a squared distance: below it, two samples are the same


class Score(Protocol):
    """A score of unlikeness; higher is less like the classes that it was fitted on.

    Attributes
    ----------
    by_class : bool
        Whether leaving a class out of `per_class` gives what a fit without it gives.
    """

    by_class: ClassVar[bool]

    def fit(self, X: NDArray[Any], codes: NDArray[np.integer]) -> Self:
        """Fit it to features and the index of each sample's class."""

    def against(self, X: NDArray[Any]) -> NDArray[Any]:
        """Compare samples with the classes; what the columns are is the score's own affair."""

    def per_class(self, against: NDArray[Any], left_out: int | None = None) -> NDArray[Any]:
        """Return the unlikeness to each class, (n_samples, n_classes), as if one did not exist."""


class Nearest:
    """Distance to the nearest sample of each class."""

    by_class: ClassVar[bool] = True

    def fit(self, X: NDArray[Any], codes: NDArray[np.integer]) -> Self:
        """Keep the samples, centered, sorted by class."""
        order = np.argsort(codes, kind="stable")
        # In float64 and centered: a distance is the small difference of large products.
        self.mean_ = X.mean(axis=0, dtype=np.float64)
        self.samples_ = X[order] - self.mean_
        self.starts_ = np.flatnonzero(np.diff(codes[order], prepend=-1))
        self.norms_ = np.einsum("ij,ij->i", self.samples_, self.samples_)
        return self

    def against(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return the distance to the nearest sample of each class."""
        closest = np.empty((len(X), len(self.starts_)))
        step = max(1, _BLOCK // len(self.samples_))
        for start in range(0, len(X), step):
            block = slice(start, start + step)
            rows = X[block] - self.mean_
            squares = self.norms_ - 2 * (rows @ self.samples_.T)
            norms = np.einsum("ij,ij->i", rows, rows)[:, np.newaxis]
            nearest = np.minimum.reduceat(squares, self.starts_, axis=1) + norms
            closest[block] = np.where(nearest > _ROUNDING * norms, nearest, 0)
        return np.sqrt(closest)

    def per_class(self, against: NDArray[Any], left_out: int | None = None) -> NDArray[Any]:
        """Return the distances to the other classes."""
        return _without(against, left_out)


class Mahalanobis:
    """Mahalanobis distance to the mean of each class, with one shrunk covariance for all.

    The covariance is also that of a class whose mean is left out afterwards. On features of MNIST
    this makes its samples look much more like the others than they are.
    """

    by_class: ClassVar[bool] = False

    def fit(self, X: NDArray[Any], codes: NDArray[np.integer]) -> Self:
        """Estimate the means, and the covariance within classes (Ledoit and Wolf)."""
        counts = np.bincount(codes)
        means = np.zeros((len(counts), X.shape[1]))
        np.add.at(means, codes, X)
        means /= counts[:, np.newaxis]
        covariance, _ = ledoit_wolf(X - means[codes], assume_centered=True)
        # Shrinkage leaves no direction without variance, unless no feature varies within a class.
        diagonal = np.diagonal(covariance).mean()
        covariance.flat[:: len(covariance) + 1] += 1e-9 * diagonal if diagonal > 0 else 1.0
        root = cholesky(covariance, lower=True)
        self.whitening_ = solve_triangular(root, np.eye(len(root)), lower=True).T
        self.means_ = means @ self.whitening_
        return self

    def against(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return the distance to each mean."""
        rows = X @ self.whitening_
        return np.stack([np.linalg.norm(rows - mean, axis=1) for mean in self.means_], axis=1)

    def per_class(self, against: NDArray[Any], left_out: int | None = None) -> NDArray[Any]:
        """Return the distances to the other means."""
        return _without(against, left_out)


class Margin:
    """The class margins of an SVM, negated: unlikeness is low where one class wins clearly.

    Its pairs of classes are separate problems, so a class can be left out with its pairs.
    """

    by_class: ClassVar[bool] = True

    def fit(self, X: NDArray[Any], codes: NDArray[np.integer]) -> Self:
        """Fit the SVM."""
        # C as for features of trained networks everywhere in this library's benchmarks; `gamma`
        # by the variance of the features.
        self.svc_ = SVC(C=10, decision_function_shape="ovo").fit(X, codes)
        self.n_classes_ = len(self.svc_.classes_)
        return self

    def against(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return the decision of each pair, positive for its first class."""
        decisions = self.svc_.decision_function(X)
        return -decisions[:, np.newaxis] if decisions.ndim == 1 else decisions

    def per_class(self, against: NDArray[Any], left_out: int | None = None) -> NDArray[Any]:
        """Return the negated margins of the other classes."""
        first, second = pair_indices(self.n_classes_)
        kept = (first != left_out) & (second != left_out)
        return -worst_margin(against[:, kept], self.n_classes_ - (left_out is not None))


SCORES: dict[str, type[Score]] = {"nearest": Nearest, "margin": Margin, "mahalanobis": Mahalanobis}


def _without(columns: NDArray[Any], left_out: int | None) -> NDArray[Any]:
    return columns if left_out is None else np.delete(columns, left_out, axis=1)
