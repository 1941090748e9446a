"""All settings, folds and pairs of classes of a search as one problem.

Settings are grouped into jobs, one per kernel, class weights and tolerance: within a job only `C`
and the fold differ, so that kernel values can be shared and solutions reused as starting points
(``src/core/README.md``). Jobs are solved in batches whose solutions fit into memory, then scored.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import compute_class_weight

from penultimate._common.protocols import ClassWeight
from penultimate._common.threads import single_threaded_blas
from penultimate.svm import _native
from penultimate.svm._kernel import Kernel, resolve_gamma
from penultimate.svm._pairs import SortedClasses
from penultimate.svm._samples import SamplesInFloat32, form_for

_SOLUTIONS_SHARE = 0.25  # of the memory limit, for coefficients of several kernels at once


@dataclass(frozen=True)
class Fold:
    """Training and validation samples of a split."""

    train: NDArray[np.intp]
    test: NDArray[np.intp]


class Parameters(Protocol):
    """An `SVC`, of which only the parameters are read: the engine fits none."""

    C: float
    kernel: str
    degree: int
    gamma: str | float
    coef0: float
    tol: float
    class_weight: ClassWeight
    break_ties: bool

    def get_params(self) -> dict[str, Any]:
        """Return all of them."""


@dataclass(frozen=True)
class Setting:
    """A point of the grid: its index and its classifier, unfitted."""

    index: int
    estimator: Parameters


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
        self.sample_weight = np.ones(len(y)) if sample_weight is None else sample_weight
        self.n_jobs, self.memory, self.on_progress = n_jobs, memory, on_progress
        self.classes, self.codes = np.unique(y, return_inverse=True)
        self.layout = SortedClasses.of(self.codes, len(self.classes))
        self.position_of = np.empty(len(y), np.int64)
        self.position_of[self.layout.order] = np.arange(len(y))
        self._samples: SamplesInFloat32 | None = None
        self._scales: dict[int, float] = {}  # gamma="scale" of each fold

    def bytes_of_solutions(self, n_Cs: int) -> int:
        """Return the bytes that all folds take for `n_Cs` values of `C`, scores included."""
        n_classes, n_folds = len(self.classes), len(self.folds)
        n_test = max(len(fold.test) for fold in self.folds)
        # float32: coefficients of every fold, and at most a value per two classes and validation
        # sample, of one fold at a time.
        return 4 * n_Cs * (n_folds * (n_classes - 1) * len(self.y) + n_classes**2 * n_test)

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
            for fold_id in range(len(self.folds)):
                estimator = setting.estimator
                is_poly = estimator.kernel == "poly"
                key = (
                    estimator.kernel,
                    self._gamma(estimator, fold_id),
                    estimator.degree if is_poly else 0,
                    estimator.coef0 if is_poly else 0.0,
                    str(estimator.class_weight),
                    estimator.tol,
                )
                # What is left out of the key is C, along which solutions are warm-started.
                groups.setdefault(key, []).append((setting, fold_id))
        keys = sorted(groups, key=str)  # as text, since None and a dict do not compare
        jobs = [_Job(self, key, groups[key]) for key in keys]
        done = 0
        while done < len(jobs):
            batch = self._batch(jobs[done:])
            context = self._context_for(done / len(jobs), len(batch) / len(jobs))
            solutions = [job.allocate() for job in batch]
            with single_threaded_blas():
                samples = self._samples_for(batch[0].kernel)
                _native.core.solve_grid(
                    context,
                    samples.source,
                    self.layout.starts,
                    [job.for_core(arrays) for job, arrays in zip(batch, solutions)],
                    _native.UNLIMITED,
                    max(0, self.memory - samples.nbytes),
                )
            # Scored immediately, so that the coefficients can be freed before the next batch.
            for job in batch:
                # Removed from the list, which would keep the arrays alive.
                yield from job.outcomes(solutions.pop(0), samples, with_decisions)
            done += len(batch)

    def _batch(self, jobs: "list[_Job]") -> "list[_Job]":
        """Return the longest run of jobs on the same samples whose solutions fit into memory."""
        batch: list[_Job] = []
        size = 0
        for job in jobs:
            # Always at least one job: it is all or nothing for a single one.
            size += self.bytes_of_solutions(len(job.Cs))
            if batch and (
                size > _SOLUTIONS_SHARE * self.memory
                or form_for(job.kernel) != form_for(batch[0].kernel)
            ):
                break
            batch.append(job)
        return batch

    def _gamma(self, estimator: Parameters, fold_id: int) -> float:
        # Kernels without gamma share one value, so that their settings share a group.
        if estimator.kernel in ("linear", "precomputed"):
            return 0.0
        if estimator.gamma != "scale":
            return resolve_gamma(estimator.gamma, self.X)
        if fold_id not in self._scales:  # the same for all settings
            train = self.folds[fold_id].train
            self._scales[fold_id] = resolve_gamma("scale", self.X[train])
        return self._scales[fold_id]

    def _context_for(self, begin: float, share: float) -> "_native.core.Context":
        """Make a context that reports the progress of a batch: this `share`, from `begin` on."""
        # The core counts from 0 within a batch, of which it knows no others.
        report = self.on_progress
        if report is None:
            return self._context()
        return _native.make_context(
            self.n_jobs, lambda done, count: report(begin + share * done / count)
        )

    def _context(self) -> "_native.core.Context":
        return _native.make_context(self.n_jobs)

    def weights(self, fold: Fold, class_weight: ClassWeight) -> NDArray[np.float64]:
        """Return the weights of the training samples, sorted by class; zero for all others."""
        # Negative weights exclude a sample, as those of zero do: so it is in `SVC.fit`.
        weights = np.maximum(self.sample_weight[fold.train], 0)
        if class_weight is not None:
            y = self.y[fold.train]
            factors = compute_class_weight(class_weight, classes=self.classes, y=y)
            weights *= factors[self.codes[fold.train]]
        # A bound of zero keeps the coefficient of a held-out sample at zero: folds differ only in
        # their bounds, and can share all kernel values.
        weight_of = np.zeros(len(self.y))
        weight_of[self.position_of[fold.train]] = weights
        return weight_of

    def samples_in_f32(self, kernel: str) -> "_native.core.SingleSource | None":
        """Return the core's samples for `kernel`, or None if they are not the ones in memory."""
        if self._samples is None or self._samples.form != form_for(kernel):
            return None
        return self._samples.source

    def _samples_for(self, kernel: str) -> SamplesInFloat32:
        form = form_for(kernel)
        if self._samples is None or self._samples.form != form:
            self._samples = None  # freed first: two of them might not fit
            self._samples = SamplesInFloat32(
                self.X, self.layout, form, self.memory, self._context()
            )
        return self._samples


@dataclass(frozen=True)
class _Solutions:
    """Arrays that the core fills in for a job, by fold and value of `C`."""

    coefficients: NDArray[np.float32]  # (n_folds, n_Cs, n_classes - 1, n_samples)
    intercepts: NDArray[np.float64]  # (n_folds, n_Cs, n_pairs)
    gaps: NDArray[np.float64]


class _Job:
    """Settings that share a kernel, class weights and a tolerance, on some of the folds."""

    def __init__(
        self,
        engine: GridEngine,
        key: tuple[Any, ...],
        setting_folds: list[tuple[Setting, int]],
    ) -> None:
        self.engine, self.setting_folds = engine, setting_folds
        self.kernel, self.gamma, degree, coef0, _, self.tol = key
        self.core_kernel = Kernel(self.kernel, self.gamma, coef0, degree).for_core()
        self.fold_ids = sorted({fold_id for _, fold_id in setting_folds})
        # Ascending, as the core requires: a solution stays feasible when the bounds widen.
        self.Cs = sorted({float(setting.estimator.C) for setting, _ in setting_folds})

    def allocate(self) -> _Solutions:
        """Allocate room for the solutions."""
        engine, shape = self.engine, (len(self.fold_ids), len(self.Cs))
        n_classes = len(engine.classes)
        intercepts, gaps = np.zeros((2, *shape, n_classes * (n_classes - 1) // 2))
        coefficients = np.zeros((*shape, n_classes - 1, len(engine.y)), np.float32)
        return _Solutions(coefficients, intercepts, gaps)

    def for_core(self, solutions: _Solutions) -> "_native.core.GridJob":
        """Return the core's job, which fills in the solutions."""
        engine = self.engine
        class_weight = self.setting_folds[0][0].estimator.class_weight
        weights = [engine.weights(engine.folds[k], class_weight) for k in self.fold_ids]
        outputs = solutions.coefficients, solutions.intercepts, solutions.gaps
        return _native.core.GridJob(
            self.core_kernel, np.stack(weights), self.Cs, self.tol, *outputs
        )

    def outcomes(
        self, solutions: _Solutions, samples: SamplesInFloat32, with_decisions: bool
    ) -> Iterator[Outcome]:
        """Predict the validation samples with each solution."""
        wanted: dict[tuple[int, float], list[int]] = {}  # several if a grid has duplicates
        for setting, fold_id in self.setting_folds:
            wanted.setdefault((fold_id, float(setting.estimator.C)), []).append(setting.index)
        resolved = samples.resolve(self.gamma)
        for row, fold_id in enumerate(self.fold_ids):
            coefficients, intercepts = solutions.coefficients[row], solutions.intercepts[row]
            winners, decisions = self._decide(
                samples, coefficients, intercepts, fold_id, with_decisions
            )
            for column, C in enumerate(self.Cs):
                gap = float(solutions.gaps[row, column].max()) if resolved else np.inf
                for index in wanted.get((fold_id, C), []):
                    values = None if decisions is None else decisions[column]
                    yield Outcome(index, fold_id, winners[column], values, gap)

    def _decide(
        self,
        samples: SamplesInFloat32,
        coefficients: NDArray[np.float32],
        intercepts: NDArray[np.float64],
        fold_id: int,
        with_decisions: bool,
    ) -> tuple[NDArray[np.int32], NDArray[np.float32] | None]:
        """Return the winners on a fold, (n_Cs, n_test), and decision values if requested."""
        engine = self.engine
        test = engine.position_of[engine.folds[fold_id].test]
        # The union over all values of C: the kernel values are computed once for all of them.
        support = np.flatnonzero(coefficients.any(axis=(0, 1)))
        starts = np.searchsorted(support, engine.layout.starts).astype(np.int64)
        shape = len(coefficients), len(test)
        winners = np.empty(shape, np.int32)
        decisions = np.empty((*shape, intercepts.shape[-1]), np.float32) if with_decisions else None
        with single_threaded_blas():
            _native.core.decide(
                _native.make_context(engine.n_jobs),
                self.core_kernel,
                *samples.between(test, support),
                starts,
                np.ascontiguousarray(coefficients[:, :, support]),
                intercepts,
                winners,
                decisions,
            )
        return winners, decisions
