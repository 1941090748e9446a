"""The epochs of a training: their order, their augmented samples, and their steps.

Order and augmentation of an epoch are functions of the seed and the epoch's number, not of what
came before. So they can be computed ahead, on another thread during the steps of the previous
epoch, and a resumed training draws what the uninterrupted one would have drawn.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.protocols import Network
from penultimate.networks.frameworks.stepping import step_of
from penultimate.networks.training.augmentation import Augmentation


class DivergedError(Exception):
    """The loss of a step is no longer finite.

    Attributes
    ----------
    loss : float
    step, n_steps : int
        The step, from 1, and the number of steps in the epoch.
    """

    def __init__(self, loss: float, step: int, n_steps: int) -> None:
        super().__init__(loss, step, n_steps)
        self.loss, self.step, self.n_steps = loss, step, n_steps


def epochs(
    X: NDArray[Any],
    augmentation: Augmentation | None,
    *,
    seed: int,
    first: int,
    last: int,
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[Any]]]:
    """Yield the epochs from `first` to `last` - 1, augmenting the next one in the background.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
        Training samples.
    augmentation : Augmentation or None
    seed : int
        Controls order and warps, which depend only on it and on the epoch's number.
    first, last : int

    Yields
    ------
    epoch : int
    order : ndarray of shape (n_samples,), int64
    samples : ndarray of the shape and dtype of `X`
        The augmented samples, not yet in this order.
    """

    def prepare(epoch: int) -> tuple[int, NDArray[np.int64], NDArray[Any]]:
        # The 1 makes this stream different from that of the warps, which is seeded by [seed,
        # epoch].
        order = np.random.default_rng([seed, epoch, 1]).permutation(len(X))
        samples = X if augmentation is None else augmentation.warp(X, seed=seed, epoch=epoch)
        return epoch, order, samples

    if augmentation is None:  # drawing an order is cheaper than starting a thread
        yield from map(prepare, range(first, last))
        return
    # One epoch ahead is enough to hide the warps behind the steps, and bounds the memory.
    with ThreadPoolExecutor(1) as pool:
        upcoming: Future[Any] | None = None
        for epoch in range(first, last):
            current = prepare(epoch) if upcoming is None else upcoming.result()
            upcoming = pool.submit(prepare, epoch + 1) if epoch + 1 < last else None
            yield current


def run_epoch(
    model: Network,
    samples: NDArray[Any],
    codes: NDArray[np.integer],
    sample_weight: NDArray[np.floating] | None,
    order: NDArray[np.int64],
    batch_size: int,
    on_progress: Callable[[float], None] = lambda share: None,
) -> float:
    """Take one step per full mini-batch, and return the mean loss.

    Parameters
    ----------
    model : keras.Model
        A compiled model.
    samples : ndarray of shape (n_samples, ...)
    codes : ndarray of shape (n_samples,), int
    sample_weight : ndarray of shape (n_samples,) or None
    order : ndarray of int64
        Positions of the samples, in the order of the epoch.
    batch_size : int
    on_progress : callable, optional
        Called after every step but the last, with the completed fraction of the epoch.

    Returns
    -------
    float

    Raises
    ------
    DivergedError
        At the first step whose loss is NaN or infinite; the remaining steps are skipped.
    """
    take_step, targets = step_of(model), one_hot(codes, model.output_shape[-1])
    n_steps = len(order) // batch_size
    losses = []
    for step in range(n_steps):
        if step:
            on_progress(step / n_steps)
        chosen = order[step * batch_size : (step + 1) * batch_size]
        # Cast per batch: all samples as float32 would take four times the memory of bytes.
        batch = samples[chosen].astype(np.float32)
        weight = None if sample_weight is None else sample_weight[chosen]
        losses.append(take_step(batch, targets[chosen], weight))
        # Every later step would only spread the NaN.
        if not np.isfinite(losses[-1]):
            raise DivergedError(float(losses[-1]), step + 1, n_steps)
    return float(np.mean(losses))


def one_hot(codes: NDArray[np.integer], n_outputs: int) -> NDArray[np.float32]:
    """Return a one-hot row per class index; with two columns for a network with one output."""
    return np.eye(max(2, n_outputs), dtype=np.float32)[codes]
