"""All settings, folds and pairs of classes of a search as one problem.

Settings are grouped into jobs, one per kernel, class weights and tolerance: within a job only `C`
and the fold differ, so that kernel values can be shared and solutions reused as starting points
(``src/core/README.md``). Jobs are solved in batches whose solutions fit into memory, then scored.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import compute_class_weight

from penultimate._common.threads import single_threaded_blas
from penultimate.svm import _native
from penultimate.svm._kernel import Kernel
from penultimate.svm._pairs import SortedClasses
from penultimate.svm._samples import SingleSamples, form_for
from penultimate.svm.svc import SVC

_SOLUTIONS_SHARE = 0.25  # of the memory limit, for coefficients of several kernels at once


@dataclass(frozen=True)
class Fold:
    """Training and validation samples of a split."""

    train: NDArray[np.intp]
    test: NDArray[np.intp]


@dataclass(frozen=True)
class Setting:
    """A point of the grid: its index and its classifier."""

    index: int
    estimator: SVC


@dataclass(frozen=True)
class Outcome:
    """Result of a setting on a fold.

    Attributes
    ----------
    setting : int
    fold : int
    winners : ndarray of shape (n_test,), int32
        Index of the class that wins the most pairs, per sample.
    decisions : ndarray of shape (n_test, n_pairs) or None
        Positive for the first class of a pair.
    gap : float
        Largest violation of the optimality conditions over all pairs, with float32 kernel values;
        infinite where float32 does not resolve these.
    """

    setting: int
    fold: int
    winners: NDArray[np.int32]
    decisions: NDArray[np.float32] | None
    gap: float


class GridEngine:
    """Solves every setting, fold and pair of classes on shared kernel values.

    For a pair of classes, inner products are computed once for all values of gamma, and Gram rows
    once for all folds and values of `C`. Along ascending `C`, a problem starts from the solution
    of the previous one; a fold starts from the previous fold's solution at the smallest `C`. Where
    it pays, all inner products are computed beforehand, once for all pairs.
    Everything is in float32, since only validation scores decide between settings.

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
        Called with the completed fraction, in [0, 1].
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
        self._samples: SingleSamples | None = None

    def bytes_of_solutions(self, n_factors: int) -> int:
        """Return the bytes that all folds take for `n_factors` values of `C`, scores included."""
        n_classes, n_folds = len(self.classes), len(self.folds)
        n_test = max(len(fold.test) for fold in self.folds)
        return 4 * n_factors * (n_folds * (n_classes - 1) * len(self.y) + n_classes**2 * n_test)

    def run(self, settings: list[Setting], with_decisions: bool = False) -> Iterator[Outcome]:
        """Solve all settings, grouped by the kernel values that they share.

        Parameters
        ----------
        settings : list of Setting
        with_decisions : bool, default=False
            Whether outcomes have decision values.

        Yields
        ------
        Outcome
            One per setting and fold.
        """
        # gamma="scale" depends on the fold, so the folds of a setting may end up in different jobs.
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
        jobs = [_Job(self, key, members) for key, members in sorted(groups.items(), key=str)]
        done = 0
        while done < len(jobs):
            batch = self._batch(jobs[done:])
            context = self._telling_context(done / len(jobs), len(batch) / len(jobs))
            with single_threaded_blas():
                samples = self._samples_for(batch[0].kernel)
                _native.core.solve_grid(
                    context,
                    samples.source,
                    self.layout.starts,
                    [job.make() for job in batch],
                    _native.UNLIMITED,
                    max(0, self.memory - samples.nbytes),
                )
            # Scored immediately, so that the coefficients can be freed before the next batch.
            for job in batch:
                yield from job.outcomes(samples, with_decisions)
                job.forget()
            done += len(batch)

    def _batch(self, jobs: "list[_Job]") -> "list[_Job]":
        """Return the longest run of jobs on the same samples whose solutions fit into memory."""
        batch: list[_Job] = []
        size = 0
        for job in jobs:
            size += self.bytes_of_solutions(len(job.factors))
            if batch and (
                size > _SOLUTIONS_SHARE * self.memory
                or form_for(job.kernel) != form_for(batch[0].kernel)
            ):
                break
            batch.append(job)
        return batch

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

    def weights(self, fold: Fold, class_weight: Any) -> NDArray[np.float64]:
        """Return the weights of the training samples, sorted by class; zero for all others."""
        weights = np.maximum(self.sample_weight[fold.train], 0)
        if class_weight is not None:
            y = self.y[fold.train]
            factors = compute_class_weight(class_weight, classes=self.classes, y=y)
            weights *= factors[self.codes[fold.train]]
        # A bound of zero keeps the coefficient of a held-out sample at zero: folds differ only in
        # their bounds, and can share all kernel values.
        upper = np.zeros(len(self.y))
        upper[self.place[fold.train]] = weights
        return upper

    def single_source(self, kernel: str) -> Any:
        """Return the core's samples for `kernel`, or None if they are not the ones in memory."""
        if self._samples is None or self._samples.form != form_for(kernel):
            return None
        return self._samples.source

    def _samples_for(self, kernel: str) -> SingleSamples:
        form = form_for(kernel)
        if self._samples is None or self._samples.form != form:
            self._samples = None  # freed first: two of them might not fit
            self._samples = SingleSamples(self.X, self.layout, form, self.memory, self._context())
        return self._samples


class _Job:
    """Settings that share a kernel, class weights and a tolerance, on some of the folds."""

    def __init__(
        self, engine: GridEngine, key: tuple[Any, ...], members: list[tuple[Setting, int]]
    ) -> None:
        self.engine, self.members = engine, members
        self.kernel, self.gamma, degree, coef0, _, self.tol = key
        self.core_kernel = Kernel(self.kernel, self.gamma, coef0, degree).for_core()
        self.numbers = sorted({number for _, number in members})  # indices of folds
        # Ascending, as the core requires: a solution stays feasible when the bounds widen.
        self.factors = sorted({float(setting.estimator.C) for setting, _ in members})

    def make(self) -> Any:
        """Return the core's job, and allocate the arrays for its solutions."""
        engine = self.engine
        class_weight = self.members[0][0].estimator.class_weight
        upper = np.stack([engine.weights(engine.folds[n], class_weight) for n in self.numbers])
        n_classes, shape = len(engine.classes), (len(self.numbers), len(self.factors))
        self.coefficients = np.zeros((*shape, n_classes - 1, len(engine.y)), np.float32)
        self.intercepts = np.zeros((*shape, n_classes * (n_classes - 1) // 2))
        self.gaps = np.zeros(self.intercepts.shape)
        outputs = self.coefficients, self.intercepts, self.gaps
        return _native.core.GridJob(self.core_kernel, upper, self.factors, self.tol, *outputs)

    def forget(self) -> None:
        """Free the solutions."""
        del self.coefficients, self.intercepts, self.gaps

    def outcomes(self, samples: SingleSamples, with_decisions: bool) -> Iterator[Outcome]:
        """Score the solutions."""
        wanted: dict[tuple[int, float], list[int]] = {}  # several if a grid has duplicates
        for setting, number in self.members:
            wanted.setdefault((number, float(setting.estimator.C)), []).append(setting.index)
        resolved = samples.resolve(self.gamma)
        for row, number in enumerate(self.numbers):
            winners, decisions = self._decide(samples, row, number, with_decisions)
            for column, factor in enumerate(self.factors):
                gap = float(self.gaps[row, column].max()) if resolved else np.inf
                for index in wanted.get((number, factor), []):
                    values = None if decisions is None else decisions[column]
                    yield Outcome(index, number, winners[column], values, gap)

    def _decide(
        self, samples: SingleSamples, row: int, number: int, with_decisions: bool
    ) -> tuple[NDArray[np.int32], NDArray[np.float32] | None]:
        """Return the winners on a fold, (n_factors, n_test), and decision values if requested."""
        engine, coefficients = self.engine, self.coefficients[row]
        test = engine.place[engine.folds[number].test]
        # The union over all values of C: the kernel values are computed once for all of them.
        support = np.flatnonzero(coefficients.any(axis=(0, 1)))
        starts = np.searchsorted(support, engine.layout.starts).astype(np.int64)
        shape = (len(coefficients), len(test))
        winners = np.empty(shape, np.int32)
        n_pairs = self.intercepts.shape[-1]
        decisions = np.empty((*shape, n_pairs), np.float32) if with_decisions else None
        with single_threaded_blas():
            _native.core.decide(
                _native.make_context(engine.n_jobs),
                self.core_kernel,
                *samples.between(test, support),
                starts,
                np.ascontiguousarray(coefficients[:, :, support]),
                self.intercepts[row],
                winners,
                decisions,
            )
        return winners, decisions
