"""Newton's method for squared hinge losses, on samples that are read in passes.

Each problem is ``|w|^2 / 2 + sum_i c_i max(0, 1 - s_i w.x_i)^2``, with signs s_i. It is piecewise
quadratic, so that Newton's method with a line search ends after few steps (Keerthi and DeCoste,
JMLR 6, 2005; Mangasarian, 2002). A pass evaluates one point for each problem: its value, gradient
and Hessian at once. The Hessian may be taken from a random part of the rows: it only decides how
many passes are needed, and the solution is that of the exact gradient.

A pass also bounds the distance from the optimum. The slacks xi_i give a dual solution,
``alpha_i = 2 c_i xi_i``; for v = sum_i alpha_i s_i x_i, its best multiple has the dual value
``(sum alpha)^2 / (2 |v|^2 + 4 sum c xi^2)``, which no value of the problem is below.
"""

from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve

from penultimate._common.threads import single_threaded_blas
from penultimate.svm._streams import Stream

# Rows from which a Hessian is made, at least, and per feature. With a fifth of them inside the
# margin, a step of a sampled Hessian leaves a tenth to a third of the gradient.
_HESSIAN_ROWS = 100_000
_HESSIAN_ROWS_PER_FEATURE = 32
_SUFFICIENT = 1e-4  # share of the predicted decrease that a step has to reach (Armijo)
_SHORTEST_STEP = 1e-6  # below it, rounding keeps the value from decreasing
# Products of a block are rounded; added to a Hessian, this keeps it positive definite.
_ROUNDING = 8.0


@dataclass
class Problems:
    """One-vs-rest problems on the same samples, and what is known about each.

    Attributes
    ----------
    codes : ndarray of shape (n_samples,)
        Class index of each sample.
    positives : ndarray of shape (n_problems,)
        Class index for which the sign is positive.
    costs : ndarray of shape (n_samples,)
        The factors c_i.
    weights : ndarray of shape (n_problems, n_features)
        The best point so far, from zero on.
    values, bounds : ndarray of shape (n_problems,)
        Value of the problem at `weights`, and a lower bound of its optimum.
    """

    codes: NDArray[np.intp]
    positives: NDArray[np.intp]
    costs: NDArray[np.float64]
    weights: NDArray[np.float64]
    values: NDArray[np.float64]
    bounds: NDArray[np.float64]

    @classmethod
    def starting(
        cls,
        codes: NDArray[np.intp],
        positives: NDArray[np.intp],
        costs: NDArray[np.float64],
        n_features: int,
    ) -> "Problems":
        """Return problems at zero, before the first pass."""
        n_problems = len(positives)
        return cls(
            codes,
            positives,
            costs,
            np.zeros((n_problems, n_features)),
            np.full(n_problems, np.inf),
            np.zeros(n_problems),
        )

    @property
    def gaps(self) -> NDArray[np.float64]:
        """How far each value is above its optimum, at most, as a share of the value."""
        # By rounding a bound may be above its value.
        return np.maximum(1 - self.bounds / self.values, 0)


@dataclass
class _Evaluation:
    """Results of a pass, by problem; one Hessian if it is the same for all of them."""

    values: NDArray[np.float64]
    bounds: NDArray[np.float64]
    gradients: NDArray[np.float64]
    hessians: NDArray[np.float64]


def bytes_per_problem(n_features: int) -> int:
    """Return the bytes that a problem takes: its Hessian."""
    return 8 * n_features**2


def minimize(
    problems: Problems, stream: Stream, *, tol: float, max_passes: int, n_threads: int
) -> int:
    """Solve the problems together, and return the number of passes.

    Parameters
    ----------
    problems : Problems
        Changed in place.
    stream : callable
        Returns an iterator over all samples, as pairs of a slice and a block of rows.
    tol : float
        A problem is solved when its gap is at most this.
    max_passes : int
    n_threads : int
        Threads for the Hessians.

    Returns
    -------
    int
    """
    # BLAS has one thread in each: its own gain little on blocks, and on a busy machine they spin
    # while they wait for one another (six times the processor time, measured on two cores).
    with single_threaded_blas(), ThreadPoolExecutor(n_threads) as threads:
        return _minimize(problems, stream, tol, max_passes, threads)


def _minimize(
    problems: Problems, stream: Stream, tol: float, max_passes: int, threads: Executor
) -> int:
    trial = problems.weights.copy()
    directions, slopes, steps = np.zeros_like(trial), np.zeros(len(trial)), np.zeros(len(trial))
    open_ = np.arange(len(trial))
    for number in range(max_passes):
        found = _evaluate(problems, stream, trial[open_], open_, number, threads)
        still_open = []
        for k, problem in enumerate(open_):
            value, before = found.values[k], problems.values[problem]
            problems.bounds[problem] = max(problems.bounds[problem], found.bounds[k])
            noise = np.finfo(np.float32).eps * value
            wanted = _SUFFICIENT * steps[problem] * slopes[problem]
            if number == 0 or value <= before + wanted + noise:
                problems.weights[problem], problems.values[problem] = trial[problem], value
                steps[problem] = 1.0
                hessian = found.hessians[k % len(found.hessians)]
                gradient = found.gradients[k]
                directions[problem] = -solve(hessian, gradient, assume_a="pos")
                slopes[problem] = gradient @ directions[problem]
            else:
                # To the minimum of the parabola through both values, with the slope at the first.
                length, slope = steps[problem], slopes[problem]
                best = -slope * length**2 / (2 * (value - before - slope * length))
                steps[problem] = np.clip(best, 0.1 * length, 0.5 * length)
            gap = 1 - problems.bounds[problem] / problems.values[problem]
            if gap > tol and steps[problem] > _SHORTEST_STEP:
                still_open.append(problem)
        if not still_open:
            return number + 1
        open_ = np.array(still_open)
        trial[open_] = problems.weights[open_] + steps[open_, None] * directions[open_]
    return max_passes


def _evaluate(
    problems: Problems,
    stream: Stream,
    weights: NDArray[np.float64],
    which: NDArray[np.intp],
    number: int,
    threads: Executor,
) -> _Evaluation:
    """Evaluate some of the problems, each at its own weights, in one pass."""
    n_problems, n_features = weights.shape
    positives, costs = problems.positives[which], problems.costs
    losses, slacks = np.zeros(n_problems), np.zeros(n_problems)
    pulls = np.zeros((n_features, n_problems))  # v of each problem
    # At zero every sample is inside the margin of every problem.
    shared = number == 0
    hessians = np.zeros((1 if shared else n_problems, n_features, n_features))
    n_rows = max(_HESSIAN_ROWS, _HESSIAN_ROWS_PER_FEATURE * n_features)
    share = min(1.0, n_rows / len(costs))
    # Other rows in each pass, drawn within blocks: files are often sorted by class. The same
    # numbers in each fit, since they do not change what is found.
    rng = np.random.default_rng(number)
    for where, block in stream():
        cost = costs[where].astype(block.dtype)
        is_positive = problems.codes[where, None] == positives
        signs = np.where(is_positive, block.dtype.type(1), block.dtype.type(-1))
        slack = np.maximum(1 - signs * (block @ weights.T.astype(block.dtype)), 0)
        weighted = cost[:, None] * slack
        losses += np.einsum("ij,ij->j", weighted, slack, dtype=np.float64)
        slacks += weighted.sum(axis=0, dtype=np.float64)
        pulls += 2 * (block.T @ (signs * weighted))
        used = (weighted > 0) & (rng.random((len(block), 1)) < share)
        add = partial(_add_products, hessians, block, used, np.sqrt(2 / share * cost))
        list(threads.map(add, range(len(hessians))))
    precision = _ROUNDING * np.finfo(block.dtype).eps
    for hessian in hessians:
        hessian.flat[:: n_features + 1] += 1 + precision * np.trace(hessian) / n_features
    v = pulls.T
    with np.errstate(invalid="ignore"):
        bounds = (2 * slacks) ** 2 / (2 * (v**2).sum(axis=1) + 4 * losses)
    return _Evaluation(
        losses + 0.5 * (weights**2).sum(axis=1), np.nan_to_num(bounds), weights - v, hessians
    )


def _add_products(
    hessians: NDArray[np.float64],
    block: NDArray[Any],
    used: NDArray[np.bool_],
    factors: NDArray[Any],
    k: int,
) -> None:
    """Add to one Hessian the products of the rows that it uses with themselves."""
    rows = used[:, k]
    # The root of the cost on both sides keeps this a product of a matrix with its own transpose, of
    # which BLAS computes one half.
    part = block[rows] * factors[rows, None]
    hessians[k] += part.T @ part
