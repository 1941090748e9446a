"""What an exact fit on many samples will cost, said before it begins.

The memory follows from the shape of the samples. The time is measured: an even part of the samples
is fitted first, and time grows with a power of their number between 1.5 and 2 (measured from 4,000
to 200,000 samples, linear kernel; each support vector needs a row as long as its pair of classes).
"""

import time
import warnings

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from penultimate._common.frames import level_outside
from penultimate._common.per_sample import is_sliceable, take
from penultimate._common.protocols import Sliceable
from penultimate._common.warnings import PerformanceWarning
from penultimate.svm import _native

# With fewer samples a fit is a matter of seconds, and is not worth a trial.
_MANY_SAMPLES = 100_000
_TRIAL_SAMPLES = 4_000  # from here on the powers were measured
_LONG = 60.0  # seconds of a fit that are worth a warning
_POWERS = 1.5, 2.0
# Copies of the samples in float64 and in float32, and a coefficient per sample and other class.
_BYTES_PER_VALUE, _BYTES_PER_COEFFICIENT = 12, 8


def announce_cost(
    owner: str,
    estimator: BaseEstimator,
    X: ArrayLike | Sliceable,
    y: ArrayLike,
    *,
    kernel: str,
    memory_limit: int | str | None,
    n_fits: int = 1,
) -> None:
    """Warn if fitting will take long; raise if it will take more memory than the machine has.

    Parameters
    ----------
    owner : str
        Name of the class that fits.
    estimator : BaseEstimator
        Unfitted, for a trial.
    X : array-like of shape (n_samples, n_features)
        Nothing is said about anything without a shape, which is small.
    y : array-like of shape (n_samples,)
    kernel : str
    memory_limit : int, str or None
    n_fits : int, default=1
        Number of fits of a search.

    Raises
    ------
    MemoryError
        If the copies that the solver needs do not fit into the memory of this machine.

    Warns
    -----
    PerformanceWarning
    """
    shape = getattr(X, "shape", ())
    if len(shape) != 2:
        return
    n_samples, n_features = (int(size) for size in shape)
    copies = _BYTES_PER_VALUE * n_samples * n_features
    instead = "StreamedSVC reads the samples in passes, a block at a time, and copies none"
    if kernel != "precomputed":
        streamed = kernel if kernel in ("linear", "rbf") else "rbf"
        instead += f": StreamedSVC(kernel={streamed!r}) takes minutes for a million of them"
    needed = f"{_size(copies)} for copies of {n_samples:,} x {n_features:,} values"
    memory = _native.physical_memory()
    if copies > memory:
        raise MemoryError(
            f"{owner} would need {needed}, and this machine has {_size(memory)}. {instead}. Or "
            "fit on a part of the samples."
        )
    if n_samples < _MANY_SAMPLES or kernel == "precomputed":
        return
    trial = _try(estimator, X, y, n_samples)
    if trial is None:
        return
    n_tried, seconds, n_classes = trial
    low, high = (seconds * (n_samples / n_tried) ** power for power in _POWERS)
    if low < _LONG:
        return
    copies += _BYTES_PER_COEFFICIENT * n_samples * (n_classes - 1)
    rows = _size(_native.memory_in_bytes(memory_limit))
    each = f"Each of its {n_fits} fits" if n_fits > 1 else "It"
    shared = " by itself; together they share much of it" if n_fits > 1 else ""
    warnings.warn(
        f"{owner} solves {n_samples:,} samples exactly. {each} will take roughly {_duration(low)} "
        f"to {_duration(high)}{shared} ({n_tried:,} of the samples took {seconds:.2g} s); memory: "
        f"{_size(copies)} for copies of the samples and coefficients, and up to {rows} for rows of "
        f"the Gram matrix (memory_limit). {instead}.",
        PerformanceWarning,
        stacklevel=level_outside(),
    )


def _try(
    estimator: BaseEstimator, X: ArrayLike | Sliceable, y: ArrayLike, n_samples: int
) -> tuple[int, float, int] | None:
    """Fit a part of the samples; return their number, the seconds, and the number of classes.

    None if that fails.
    """
    labels = np.ravel(y)
    if len(labels) != n_samples:
        return None
    try:
        # In the order of the classes, so that each has its share.
        order = np.argsort(labels, kind="stable")
        part = np.sort(order[:: max(1, len(order) // _TRIAL_SAMPLES)])
        # scikit-learn cannot index what is sliced like an array, but is none.
        samples = X[part] if is_sliceable(X) else take(X, part)
        chosen = labels[part]
        start = time.perf_counter()
        with warnings.catch_warnings():
            # Whether a part of the samples converges says nothing about all of them.
            warnings.simplefilter("ignore")
            estimator.fit(samples, chosen)
    except Exception:  # the fit itself raises the same error, or one that fits better
        return None
    return len(part), time.perf_counter() - start, len(np.unique(chosen))


def _size(n_bytes: float) -> str:
    return f"{n_bytes / 2**30:.2g} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:.3g} MiB"


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds:.0f} seconds"
