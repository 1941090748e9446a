"""A fitted `SVC` to which samples are added, with nothing computed twice.

Nearly all the time of a warm start goes into Gram rows of support vectors: once to look at the
start, once to solve, once to certify. Here the residuals of the solution are kept, so the core goes
on from them (``look_at`` in ``pair.cpp``) and computes the rows of those samples alone that move,
once; of these, inner products within a class are kept. Samples are kept as the core takes them,
centered, in an array for each class, and the center stays: classes without a new sample are not
copied, and pairs of them are the problems that were solved, and are not looked at.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import compute_class_weight

from penultimate._common.threads import single_threaded_blas
from penultimate.svm import _native
from penultimate.svm._certified import Solutions
from penultimate.svm._pairs import SortedClasses, pair_indices
from penultimate.svm.svc import SVC

_SLACK = 1e-9  # of a gap that is computed again, in another order
# For inner products within classes. A number, and not a share of the memory that is free: with them
# and without, the last bits differ, and the same lessons have to give the same bits.
_MOST_BYTES = 2**28


@dataclass(frozen=True)
class Extendable:
    """A fitted `SVC` with the samples of its fit. Labels are 0, 1, ... without a gap.

    Attributes
    ----------
    svc : SVC
    X : ndarray of shape (n_samples, n_features)
    codes : ndarray of shape (n_samples,), int64
    residuals : ndarray of shape (n_classes - 1, n_samples)
        Of the solution, for samples sorted by class; laid out as `Solutions.coefficients`.
    centered : tuple of ndarray of shape (n_class, n_features), float64
        The samples of each class as the core takes them.
    norms : ndarray of shape (n_samples,)
        Their squared norms, sorted by class.
    within : tuple of ndarray of shape (n_class, n_class), or None
        Inner products of the samples of each class; None if they take too much memory.
    """

    svc: SVC
    X: NDArray[Any]
    codes: NDArray[np.int64]
    residuals: NDArray[np.float64]
    centered: tuple[NDArray[np.float64], ...]
    norms: NDArray[np.float64]
    within: tuple[NDArray[np.float64], ...] | None

    @classmethod
    def of(
        cls,
        svc: SVC,
        X: NDArray[Any],
        codes: NDArray[np.int64],
        residuals: NDArray[np.float64] | None = None,
    ) -> Self:
        """Prepare a classifier.

        Parameters
        ----------
        svc : SVC
            Fitted on vectors, with equal sample weights.
        X : ndarray of shape (n_samples, n_features)
            All samples of the fit, in their order.
        codes : ndarray of shape (n_samples,), int64
            Positions of their labels in `classes_`.
        residuals : ndarray of shape (n_classes - 1, n_samples), optional
            As `of` has computed them before.

        Returns
        -------
        Extendable

        Raises
        ------
        ValueError
            If these are not the samples of the fit: its certificate does not hold for them.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from penultimate import SVC
        >>> from penultimate.svm.extending import Extendable
        >>> X, y = load_iris(return_X_y=True)
        >>> extendable = Extendable.of(SVC().fit(X, y), X, y)
        >>> extendable.extended(X[:1] + 9, y[:1] + 3).svc.predict(X[:1] + 9)
        array([3])
        """
        layout = SortedClasses.of(codes, len(svc.classes_))
        centered = X[layout.order].astype(np.float64)
        centered -= svc._mean
        norms = np.einsum("ij,ij->i", centered, centered)
        blocks, within = tuple(np.split(centered, layout.starts[1:-1])), None
        if centered.itemsize * (np.diff(layout.starts) ** 2).sum() <= _MOST_BYTES:
            with np.errstate(over="ignore", invalid="ignore"):
                within = tuple(block @ block.T for block in blocks)
        if residuals is None:
            given = cls(svc, X, codes, np.empty((0, 0)), blocks, norms, within)
            residuals = given._certified(layout)
        return cls(svc, X, codes, residuals, blocks, norms, within)

    def extended(self, X: NDArray[Any], codes: NDArray[np.int64]) -> Self:
        """Return the classifier of all samples and these, which follow, certified as any other.

        Parameters
        ----------
        X : ndarray of shape (n_new, n_features)
            Of the type of the others.
        codes : ndarray of shape (n_new,), int64
            Labels; new classes follow the others, without a gap.

        Returns
        -------
        Extendable

        Warns
        -----
        ConvergenceWarning
            As in `SVC.fit`.
        """
        svc, n_known = self.svc, len(self.codes)
        everything = np.concatenate([self.codes, codes])
        n_before, n_classes = len(svc.classes_), int(everything.max()) + 1
        classes = np.arange(n_classes)
        layout = SortedClasses.of(everything, n_classes)
        is_new = layout.order >= n_known
        kernel = svc._fitted_kernel()
        rows = X.astype(np.float64) - svc._mean
        blocks = [rows[codes == code] for code in range(n_classes)]
        norms = np.empty(len(everything))
        norms[~is_new] = self.norms
        with np.errstate(over="ignore", invalid="ignore"):  # the range is checked below
            norms[is_new] = np.concatenate([np.einsum("ij,ij->i", each, each) for each in blocks])
            with single_threaded_blas():  # threads that BLAS has woken would spin beside the core's
                centered, within = self._joined(blocks)
        kernel.check_fit(X, float(norms.max()))
        start = Solutions.empty(n_classes, len(everything))
        start.coefficients[: n_before - 1, ~is_new] = self._coefficients()
        residuals = np.full_like(start.coefficients, np.nan)
        residuals[: n_before - 1, ~is_new] = self.residuals
        weights = compute_class_weight(svc.class_weight, classes=classes, y=everything)
        same = weights[:n_before] == svc.class_weight_
        same[codes[codes < n_before]] = False
        unchanged = np.zeros(len(start.gaps), np.int64)
        first, second = pair_indices(n_classes)
        old = second < n_before
        stays = same[first[old]] & same[second[old]] & (svc.status_ == "converged")
        unchanged[old] = stays
        start.intercepts[old], start.gaps[old] = svc._intercepts, svc.optimality_gap_
        source = _native.core.DoubleSource.of_classes(centered, norms, within)
        self._solve(source, svc.C * weights, layout, start, unchanged, residuals, svc.tol)
        new = clone(svc)
        new.classes_, new.class_weight_, new._prints = classes, weights, None
        new._mean, new._gamma, new.n_features_in_ = svc._mean, svc._gamma, svc.n_features_in_
        together = np.concatenate([self.X, X])
        new._store(together, layout, start)
        return type(self)(new, together, everything, residuals, centered, norms, within)

    def _joined(
        self, new: list[NDArray[np.float64]]
    ) -> tuple[tuple[NDArray[np.float64], ...], tuple[NDArray[np.float64], ...] | None]:
        """Return samples, and products within classes, with those of new samples.

        Parameters
        ----------
        new : list of ndarray of shape (n_new, n_features)
            Those of each class, which follow its others.
        """
        none = np.empty((0, self.X.shape[1]))
        known = [*self.centered, *[none] * (len(new) - len(self.centered))]
        blocks = tuple(
            np.concatenate(pair) if len(pair[1]) else pair[0] for pair in zip(known, new)
        )
        if self.within is None:
            return blocks, None
        products = []
        for code, (block, added) in enumerate(zip(blocks, new)):
            if not len(added):
                products.append(self.within[code])
                continue
            n = len(known[code])
            square = np.empty((len(block), len(block)))
            square[n:] = added @ block.T
            square[:, n:] = square[n:].T
            if n:
                square[:n, :n] = self.within[code]
            products.append(square)
        return blocks, tuple(products)

    def _coefficients(self) -> NDArray[np.float64]:
        """Return the coefficients of all samples, sorted by class."""
        full = np.zeros((len(self.svc._coefficients), len(self.codes)))
        place_of = np.empty(len(self.codes), np.int64)
        place_of[np.argsort(self.codes, kind="stable")] = np.arange(len(self.codes))
        full[:, place_of[self.svc.support_]] = self.svc._coefficients
        return full

    def _certified(self, layout: SortedClasses) -> NDArray[np.float64]:
        """Return the residuals, computed from scratch; raise unless the certificate holds."""
        svc = self.svc
        found = Solutions.empty(len(svc.classes_), len(self.codes))
        found.coefficients[:] = self._coefficients()
        residuals = np.full_like(found.coefficients, np.nan)
        every = np.zeros(len(found.gaps), np.int64)
        bounds = svc.C * svc.class_weight_
        # With any gap being small enough, nothing is solved.
        source = _native.core.DoubleSource.of_classes(self.centered, self.norms)
        self._solve(source, bounds, layout, found, every, residuals, np.inf)
        allowed = np.maximum(svc.optimality_gap_, svc.tol)
        is_same = np.array_equal(found.coefficients, self._coefficients())
        if not is_same or not (found.gaps <= allowed * (1 + _SLACK)).all():
            raise ValueError(
                f"The {len(self.codes):,} samples are not those that the classifier was fitted on, "
                "or were weighted in its fit: its solution is not one for them."
            )
        return residuals

    def _solve(
        self,
        source: "_native.core.DoubleSource",
        bounds: NDArray[np.float64],
        layout: SortedClasses,
        start: Solutions,
        unchanged: NDArray[np.int64],
        residuals: NDArray[np.float64],
        tol: float,
    ) -> None:
        svc = self.svc
        counts = np.diff(layout.starts)
        with single_threaded_blas():
            _native.core.solve_pairs(
                _native.make_context(svc.n_jobs),
                None,  # in float64 alone: float32 rows would be computed as well, not instead
                source,
                svc._fitted_kernel().for_core(),
                np.repeat(bounds, counts),
                layout.starts,
                tol,
                _native.UNLIMITED if svc.max_iter == -1 else svc.max_iter,
                _native.memory_in_bytes(svc.memory_limit),
                *(array[np.newaxis] for array in vars(start).values()),
                unchanged,
                residuals,
            )
