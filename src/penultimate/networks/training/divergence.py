"""Errors for a training whose loss or weights became NaN or infinite, with advice."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.protocols import Network
from penultimate.networks.frameworks.keras_models import takes_pixels
from penultimate.networks.training.epochs import DivergedError
from penultimate.networks.training.recipe import Training

_LARGE = 10  # absolute value that inputs should not exceed if no layer rescales them


@contextmanager
def explaining_divergence(
    epoch: int, model: Network, X: NDArray[Any], training: Training, hint: str = ""
) -> Iterator[None]:
    """Raise ``ValueError`` if the epoch that runs in this context diverges.

    Parameters
    ----------
    epoch : int
        Index of the epoch, from 0.
    model : keras.Model
    X : ndarray of shape (n_samples, ...)
        Training samples.
    training : Training
    hint : str, default=""
        Last sentence of the message.
    """
    place, what = f"epoch {epoch + 1} of {training.epochs}", ""
    try:
        yield
    except DivergedError as error:
        step = f"step {error.step} of {error.n_steps}"
        what = f"The training loss is {error.loss:g} in {place}, at {step}."
    # The loss of a step is computed before its update, so no loss shows the effect of the last one.
    if not what and not all(np.isfinite(weights).all() for weights in model.get_weights()):
        what = f"The last step of {place} left weights that are NaN or infinite."
    if what:
        raise ValueError(" ".join(filter(None, [what, _advise(model, X, training), hint])))


def _advise(model: Network, X: NDArray[Any], training: Training) -> str:
    """Return advice, the most likely remedy first."""
    if X.dtype.kind == "f":
        n_broken = int(np.sum(~np.isfinite(X).all(axis=tuple(range(1, X.ndim)))))
        # Then nothing else helps: one such sample makes every weight NaN.
        if n_broken:
            return f"{n_broken} of the {len(X)} training samples hold NaN or infinity: drop them."
    ways = []
    low, high = float(X.min()), float(X.max())
    if max(-low, high) > _LARGE and not takes_pixels(model):
        ways.append(
            f"scale the inputs, which go from {low:.3g} to {high:.3g}, to about -1 to 1 (a "
            "Rescaling or Normalization layer at the start of the network does that)"
        )
    # One order of magnitude, so that a single attempt shows whether it was the rate.
    rate = f"{training.learning_rate / 10:.3g}"
    ways.append(
        f"lower the learning rate from {training.learning_rate:.3g}: Training(learning_rate={rate})"
    )
    if training.precision != "float32":
        ways.append("compute in full precision: Training(precision='float32')")
    return f"What to try: {'; '.join(ways)}."
