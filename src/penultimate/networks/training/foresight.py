"""A guess of how long an epoch takes, made before the first step where steps are long.

A step on 64 photos of 512 x 384 pixels takes half a minute on two cores, and the first one has to
be compiled, too. A forward pass over two of them takes a second, and changes nothing of the model.
"""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.progress import Progress
from penultimate._common.protocols import Network
from penultimate.networks._forward import forward

# Values in a mini-batch, of 64 color images of 128 x 128: from here on, a step takes seconds.
_LONG_STEP = 64 * 128 * 128 * 3
_N_TRIED = 2
# A training step takes 5 times as long per image as a forward pass (4.9 to 5.2 times for `compact`
# on 512 x 384 x 3, 256 x 256 x 3 and 256 x 256 x 1, by processor time).
_TIMES_FORWARD = 5.0


def foresee_epoch(model: Network, X: NDArray[Any], batch_size: int, progress: Progress) -> None:
    """Report a guess of the seconds that an epoch takes, if its steps are long.

    Parameters
    ----------
    model : keras.Model
    X : ndarray of shape (n_samples, ...)
    batch_size : int
    progress : Progress
    """
    if batch_size * int(np.prod(X.shape[1:])) <= _LONG_STEP:
        return
    few = X[:_N_TRIED]
    for _ in range(2):  # the first pass is compiled, so the second one counts
        start = time.perf_counter()
        forward(model, few, batch_size=_N_TRIED)
        seconds = (time.perf_counter() - start) / len(few)
    progress.foresees("train network", _TIMES_FORWARD * seconds * len(X))
