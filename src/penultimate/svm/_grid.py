"""A whole grid on one Gram matrix: the search as one problem."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import compute_class_weight

from penultimate.svm import _native
from penultimate.svm._pairs import SortedClasses, pair_decisions
from penultimate.svm.svc import SVC


@dataclass(frozen=True)
class Fold:
    """Training and validation samples of a split."""

    train: NDArray[np.intp]
    test: NDArray[np.intp]


@dataclass(frozen=True)
class Setting:
    """A point of the grid: its place in it, and its classifier."""

    index: int
    estimator: SVC


@dataclass(frozen=True)
class Outcome:
    """What a setting did on a fold.

    Attributes
    ----------
    setting : int
    fold : int
    decisions : ndarray of shape (n_test, n_pairs)
        Positive for the first class of a pair.
    gap : float
        The largest violation of the optimality conditions among the pairs, in float32.
    """

    setting: int
    fold: int
    decisions: NDArray[np.float32]
    gap: float


class GridEngine:
    """Solves every setting, fold and pair of classes on shared kernel values.

    Inner products are computed once; for each kernel and gamma they become one Gram matrix, whose
    entries serve every `C`, fold and pair; along ascending `C` each problem starts where the last
    one ended. All in float32: what decides between settings are validation scores.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,)
        Labels.
    folds : list of Fold
    n_threads : int
    """

    def __init__(
        self,
        X: NDArray[Any],
        y: NDArray[Any],
        folds: list[Fold],
        n_threads: int,
    ) -> None:
        self.X, self.y, self.folds = X, y, folds
        self.classes, self.codes = np.unique(y, return_inverse=True)
        self.n_threads = n_threads
        self.layout = SortedClasses.of(self.codes, len(self.classes))
        self.place = np.empty(len(y), np.intp)
        self.place[self.layout.order] = np.arange(len(y))
        self._products: tuple[bool, NDArray[np.float32]] | None = None
        self._buffer: NDArray[np.float32] | None = None

    @staticmethod
    def bytes_needed(n_samples: int) -> int:
        """Memory for the inner products and one Gram matrix."""
        return 2 * 4 * n_samples**2

    def run(self, settings: list[Setting]) -> Iterator[Outcome]:
        """Solve all settings, grouped by what they share.

        Parameters
        ----------
        settings : list of Setting

        Yields
        ------
        Outcome
            One for each setting and fold.
        """
        groups: dict[tuple[Any, ...], list[tuple[Setting, int]]] = {}
        for setting in settings:
            for number, fold in enumerate(self.folds):
                estimator = setting.estimator
                key = (
                    estimator.kernel,
                    self._gamma(estimator, fold),
                    estimator.degree if estimator.kernel == "poly" else 0,
                    estimator.coef0 if estimator.kernel == "poly" else 0.0,
                    str(estimator.class_weight),
                    estimator.tol,
                    estimator.max_iter,
                )
                groups.setdefault(key, []).append((setting, number))
        gram_key = None
        for key in sorted(groups, key=str):
            if key[:4] != gram_key:
                gram, gram_key = self._gram(*key[:4]), key[:4]
            yield from self._solve(gram, groups[key])

    def _gamma(self, estimator: SVC, fold: Fold) -> float:
        if estimator.kernel in ("linear", "precomputed"):
            return 0.0
        return estimator._resolve_gamma(
            self.X[fold.train] if estimator.gamma == "scale" else self.X
        )

    def _gram(self, kernel: str, gamma: float, degree: int, coef0: float) -> NDArray[np.float32]:
        order = self.layout.order
        if kernel == "precomputed":
            return np.ascontiguousarray(self.X[np.ix_(order, order)], dtype=np.float32)
        centre = kernel == "rbf"
        if self._products is None or self._products[0] != centre:
            X = self.X - self.X.mean(axis=0, dtype=np.float64) if centre else self.X
            X32 = np.ascontiguousarray(X[order], dtype=np.float32)
            self._products = (centre, X32 @ X32.T)
        products = self._products[1]
        # One at a time is in use: fresh memory would cost as much as filling it.
        if self._buffer is None:
            self._buffer = np.empty_like(products)
        gram = self._buffer
        core_kernel = _native.make_kernel(kernel, gamma, coef0, degree)
        norms = np.diagonal(products).copy()
        _native.core.fill_gram(products, norms, core_kernel, gram, self.n_threads, _native.VARIANT)
        return gram

    def _solve(
        self, gram: NDArray[np.float32], members: list[tuple[Setting, int]]
    ) -> Iterator[Outcome]:
        numbers = sorted({number for _, number in members})
        factors = sorted({float(setting.estimator.C) for setting, _ in members})
        estimator = members[0][0].estimator
        n_classes, n_samples = len(self.classes), len(self.y)
        n_pairs = n_classes * (n_classes - 1) // 2
        upper = np.stack([self._weights(self.folds[n], estimator.class_weight) for n in numbers])
        coefficients = np.zeros(
            (len(numbers), len(factors), n_classes - 1, n_samples), dtype=np.float32
        )
        intercepts = np.zeros((len(numbers), len(factors), n_pairs))
        gaps = np.zeros(intercepts.shape)
        _native.core.search_pairs(
            gram,
            upper,
            self.layout.starts,
            factors,
            estimator.tol,
            10_000_000 if estimator.max_iter == -1 else estimator.max_iter,
            self.n_threads,
            coefficients,
            intercepts,
            gaps,
            _native.VARIANT,
        )
        wanted = {(number, float(s.estimator.C)): s.index for s, number in members}
        for row, number in enumerate(numbers):
            K = gram[self.place[self.folds[number].test]]
            decisions = pair_decisions(K, coefficients[row], self.layout.starts, intercepts[row])
            for column, factor in enumerate(factors):
                if (number, factor) in wanted:
                    gap = float(gaps[row, column].max())
                    yield Outcome(wanted[number, factor], number, decisions[column], gap)

    def _weights(self, fold: Fold, class_weight: Any) -> NDArray[np.float64]:
        """Weights of the training samples, sorted by class; zero for all others."""
        factors = compute_class_weight(class_weight, classes=self.classes, y=self.y[fold.train])
        upper = np.zeros(len(self.y))
        upper[self.place[fold.train]] = factors[self.codes[fold.train]]
        return upper


class KnownSVC(SVC):
    """A fitted classifier whose decision values are known already: what a scorer needs of one."""

    @classmethod
    def of(cls, template: SVC, classes: NDArray[Any], decisions: NDArray[Any]) -> "KnownSVC":
        """Make one with the parameters of `template`."""
        known = cls(**template.get_params())
        known.classes_, known._known = classes, decisions
        return known

    def _pair_decisions(self, X: Any) -> NDArray[Any]:
        return self._known
