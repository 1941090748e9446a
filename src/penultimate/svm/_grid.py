"""Every setting, fold and pair of classes as one problem."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import compute_class_weight

from penultimate.svm import _native
from penultimate.svm._pairs import SortedClasses
from penultimate.svm.svc import SVC

# Of the memory limit, for all inner products; the rest is for Gram rows of pairs.
_PRODUCTS_SHARE = 0.8
# All inner products of many samples are a lot of fresh memory, which costs more than making those
# of few features again for each gamma, and only where they are needed.
_FEW_SAMPLES = 8192
_MANY_FEATURES = 256
_FLOAT32_EPS = float(np.finfo(np.float32).eps)
_NORMS_IN_FLOAT32 = 1e-25, 1e25  # where neither products nor their sums leave float32
_KERNEL_ERROR = 1e-3  # of an exponent, by the rounding of a squared distance


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
    winners : ndarray of shape (n_test,), int32
        Indices of the classes that win most pairs.
    decisions : ndarray of shape (n_test, n_pairs) or None
        Positive for the first class of a pair.
    gap : float
        The largest violation of the optimality conditions among the pairs, in float32; infinite
        where float32 cannot tell.
    """

    setting: int
    fold: int
    winners: NDArray[np.int32]
    decisions: NDArray[np.float32] | None
    gap: float


class GridEngine:
    """Solves every setting, fold and pair of classes on shared kernel values.

    Inner products are computed once, where they fit into memory. For each kernel and gamma, a pair
    of classes makes the Gram rows that it needs, once for all its folds and values of `C`: along
    ascending `C` a problem starts where the last one ended, and a fold where the last fold began.
    All in float32: what decides between settings are validation scores.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,)
        Labels.
    folds : list of Fold
    sample_weight : ndarray of shape (n_samples,) or None
    n_jobs : int or None
    memory : int
        Bytes for inner products and Gram rows.
    on_progress : callable, optional
        Hears of the share that is done, from 0 to 1.
    """

    def __init__(
        self,
        X: NDArray[Any],
        y: NDArray[Any],
        folds: list[Fold],
        *,
        sample_weight: NDArray[Any] | None = None,
        n_jobs: int | None = None,
        memory: int,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        self.X, self.y, self.folds = X, y, folds
        self.weights_given = sample_weight is not None
        self.sample_weight = np.ones(len(y)) if sample_weight is None else sample_weight
        self.n_jobs, self.memory, self.on_progress = n_jobs, memory, on_progress
        self.classes, self.codes = np.unique(y, return_inverse=True)
        self.layout = SortedClasses.of(self.codes, len(self.classes))
        self.place = np.empty(len(y), np.int64)
        self.place[self.layout.order] = np.arange(len(y))
        self._samples: _Samples | None = None

    def bytes_of_solutions(self, n_factors: int) -> int:
        """Memory for the coefficients of all folds and so many values of `C`, and their scores."""
        n_classes, n_folds = len(self.classes), len(self.folds)
        n_test = max(len(fold.test) for fold in self.folds)
        return 4 * n_factors * (n_folds * (n_classes - 1) * len(self.y) + n_classes**2 * n_test)

    def run(self, settings: list[Setting], with_decisions: bool = False) -> Iterator[Outcome]:
        """Solve all settings, grouped by what they share.

        Parameters
        ----------
        settings : list of Setting
        with_decisions : bool, default=False
            Whether outcomes have decision values.

        Yields
        ------
        Outcome
            One for each setting and fold.
        """
        groups: dict[tuple[Any, ...], list[tuple[Setting, int]]] = {}
        for setting in settings:
            for number, fold in enumerate(self.folds):
                estimator = setting.estimator
                is_poly = estimator.kernel == "poly"
                key = (
                    estimator.kernel,
                    self._gamma(estimator, fold),
                    estimator.degree if is_poly else 0,
                    estimator.coef0 if is_poly else 0.0,
                    str(estimator.class_weight),
                    estimator.tol,
                )
                groups.setdefault(key, []).append((setting, number))
        with _native.single_threaded_blas():
            for position, key in enumerate(sorted(groups, key=str)):
                yield from self._solve(groups[key], key, position / len(groups), 1 / len(groups),
                                       with_decisions)  # fmt: skip

    def _gamma(self, estimator: SVC, fold: Fold) -> float:
        if estimator.kernel in ("linear", "precomputed"):
            return 0.0
        return estimator._resolve_gamma(
            self.X[fold.train] if estimator.gamma == "scale" else self.X
        )

    def _telling_context(self, begin: float, share: float) -> Any:
        tell = self.on_progress
        if tell is None:
            return self._context()
        return _native.make_context(
            self.n_jobs, lambda done, count: tell(begin + share * done / count)
        )

    def _context(self) -> Any:
        return _native.make_context(self.n_jobs)

    def _solve(
        self,
        members: list[tuple[Setting, int]],
        key: tuple[Any, ...],
        begin: float,
        share: float,
        with_decisions: bool,
    ) -> Iterator[Outcome]:
        kernel, gamma, degree, coef0, _, tol = key
        samples = self._samples_for(kernel)
        core_kernel = _native.make_kernel(kernel, gamma, coef0, degree)
        numbers = sorted({number for _, number in members})
        factors = sorted({float(setting.estimator.C) for setting, _ in members})
        class_weight = members[0][0].estimator.class_weight
        n_classes = len(self.classes)
        coefficients = np.zeros(
            (len(numbers), len(factors), n_classes - 1, len(self.y)), dtype=np.float32
        )
        intercepts = np.zeros((len(numbers), len(factors), n_classes * (n_classes - 1) // 2))
        gaps = np.zeros(intercepts.shape)
        _native.core.solve_grid(
            self._telling_context(begin, share),
            samples.source,
            core_kernel,
            np.stack([self._weights(self.folds[n], class_weight) for n in numbers]),
            self.layout.starts,
            factors,
            tol,
            10_000_000,
            max(0, self.memory - samples.nbytes),
            coefficients,
            intercepts,
            gaps,
        )
        wanted: dict[tuple[int, float], list[int]] = {}  # several, where a grid repeats itself
        for setting, number in members:
            wanted.setdefault((number, float(setting.estimator.C)), []).append(setting.index)
        for row, number in enumerate(numbers):
            test = self.place[self.folds[number].test]
            winners, decisions = self._decide(
                samples, core_kernel, test, coefficients[row], intercepts[row], with_decisions
            )
            for column, factor in enumerate(factors):
                gap = float(gaps[row, column].max()) if samples.resolve(gamma) else np.inf
                for index in wanted.get((number, factor), []):
                    yield Outcome(
                        index,
                        number,
                        winners[column],
                        None if decisions is None else decisions[column],
                        gap,
                    )

    def _decide(
        self,
        samples: "_Samples",
        kernel: Any,
        test: NDArray[np.int64],
        coefficients: NDArray[np.float32],
        intercepts: NDArray[np.float64],
        with_decisions: bool,
    ) -> tuple[NDArray[np.int32], NDArray[np.float32] | None]:
        """Of a fold: what wins, (n_factors, n_test), and decision values where they are wanted."""
        support = np.flatnonzero(coefficients.any(axis=(0, 1)))
        starts = np.searchsorted(support, self.layout.starts).astype(np.int64)
        shape = (len(coefficients), len(test))
        winners = np.empty(shape, np.int32)
        decisions = np.empty((*shape, intercepts.shape[1]), np.float32) if with_decisions else None
        _native.core.decide(
            self._context(),
            kernel,
            *samples.between(test, support),
            starts,
            np.ascontiguousarray(coefficients[:, :, support]),
            intercepts,
            winners,
            decisions,
        )
        return winners, decisions

    def _weights(self, fold: Fold, class_weight: Any) -> NDArray[np.float64]:
        """Weights of the training samples, sorted by class; zero for all others."""
        factors = compute_class_weight(class_weight, classes=self.classes, y=self.y[fold.train])
        upper = np.zeros(len(self.y))
        weights = np.maximum(self.sample_weight[fold.train], 0)
        upper[self.place[fold.train]] = factors[self.codes[fold.train]] * weights
        return upper

    def single_source(self, kernel: str) -> Any:
        """Return the samples for `kernel` as the core has them, if it still has them."""
        if self._samples is None or self._samples.form != _form(kernel):
            return None
        return self._samples.source

    def _samples_for(self, kernel: str) -> "_Samples":
        form = _form(kernel)
        if self._samples is None or self._samples.form != form:
            self._samples = None  # two of them might not fit
            self._samples = _Samples(
                self.X, self.layout.order, form, _PRODUCTS_SHARE * self.memory, self._context()
            )
        return self._samples


def _form(kernel: str) -> str:
    # Neither distances nor linear classifiers change when samples are centred, and float32
    # resolves them better.
    return {"precomputed": "gram", "poly": "plain"}.get(kernel, "centred")


class _Samples:
    """Samples sorted by class, in float32, with all their inner products where these fit."""

    def __init__(
        self, X: NDArray[Any], order: NDArray[np.intp], form: str, memory: float, context: Any
    ) -> None:
        self.form = form
        self.X: NDArray[np.float32] | None = None
        self.products: NDArray[np.float32] | None = None
        self.norms: NDArray[np.float32] | None = None
        if form == "gram":
            self.products = np.ascontiguousarray(X[np.ix_(order, order)], dtype=np.float32)
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                sorted_X = X[order]
                if form == "centred":
                    sorted_X -= X.mean(axis=0, dtype=np.float64).astype(X.dtype)
                self.X = sorted_X.astype(np.float32, copy=False)
                self.norms = np.einsum("ij,ij->i", self.X, self.X)
            self.largest_norm = float(self.norms.max())
            worth_it = len(X) <= _FEW_SAMPLES or X.shape[1] >= _MANY_FEATURES
            if worth_it and 4 * len(X) ** 2 <= memory:
                self.products = np.empty((len(X), len(X)), np.float32)
                _native.core.multiply_all(context, self.X, self.products)
                self.norms = np.diagonal(self.products).copy()
                self.X = None
        self.nbytes = 0 if self.products is None else self.products.nbytes
        self.source = _native.core.SingleSource(self.X, self.products, self.norms)

    def resolve(self, gamma: float) -> bool:
        """Whether float32 resolves kernel values: norms, and distances where they matter."""
        if self.form == "gram":
            return True
        smallest, largest = _NORMS_IN_FLOAT32
        in_range = smallest < self.largest_norm < largest
        return in_range and gamma * self.largest_norm * _FLOAT32_EPS < _KERNEL_ERROR

    def between(self, test: NDArray[np.int64], support: NDArray[np.int64]) -> tuple[Any, ...]:
        """What the core needs for kernel values of `test` with `support`."""
        norms = (None, None) if self.norms is None else (self.norms[test], self.norms[support])
        if self.X is None:
            return None, None, self.products, test, support, *norms
        return self.X[test], self.X[support], None, None, None, *norms


class KnownSVC(SVC):
    """A fitted classifier whose decisions are known already: what a scorer needs of one."""

    @classmethod
    def of(cls, template: SVC, classes: NDArray[Any], outcome: Outcome) -> "KnownSVC":
        """Make one with the parameters of `template`."""
        known = cls(**template.get_params())
        known.classes_, known._outcome = classes, outcome
        return known

    def _decide(self, X: Any, values: bool) -> NDArray[Any]:
        return self._outcome.decisions if values else self._outcome.winners
