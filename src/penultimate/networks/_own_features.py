"""Whether the features that a network gives can be used: finite, and each sample's own.

A network may be any code, so it is asked: the first sample of a batch is passed through it in the
company of two others. Features that differ then depend on the other samples, on chance or on
earlier calls, and a head that was fitted on them would meet others when it predicts.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.frames import level_outside
from penultimate._common.wording import quantity
from penultimate.networks._cutting import CutNetwork

# Relative to the largest feature. Of batches of one size even the rounding is the same; networks
# that are quantized by batch differ by about 1 %, batch statistics and dropout by far more.
_NOTICED, _REFUSED = 0.001, 0.1


def check_own(network: CutNetwork, batch: Sequence[NDArray[Any]], n_samples: int) -> bool:
    """Return whether a batch could show that features are each sample's own.

    Parameters
    ----------
    network : CutNetwork
    batch : sequence of ndarray
    n_samples : int
        How many rows of the batch are samples.

    Raises
    ------
    ValueError
        If the features of a sample are not its own.

    Warns
    -----
    UserWarning
        If they depend on the others a little, as in a network that is quantized by batch.
    """
    # Two copies of a photo would be the same company.
    if n_samples < 3 or all(np.array_equal(each[1], each[n_samples - 1]) for each in batch):
        return not network.frozen.may_mix_samples
    if not network.frozen.may_mix_samples:
        return True
    one, other = (
        network.compute([each[[0, company]] for each in batch]) for company in (1, n_samples - 1)
    )
    for layer, given, again in zip(network.layers, one, other):
        largest = max(np.abs(given).max(initial=0), np.abs(again).max(initial=0))
        differs = float(np.abs(given[0] - again[0]).max(initial=0))
        if not differs > _NOTICED * largest:  # NaN is another matter
            continue
        what = (
            f"The features of a sample at {layer!r} of the network {network.frozen.name!r} depend "
            "on the other samples in its batch, or change from call to call: they differ by "
            f"{differs / largest:.2g} of the largest one"
        )
        if differs > _REFUSED * largest:
            raise ValueError(
                f"{what}. Look for batch statistics, for dropout or noise that is always on, or "
                "for a state that calls change; or name a layer before it."
            )
        warnings.warn(
            f"{what}, as where values are quantized by batch. Predictions may differ with the "
            "samples that are predicted together.",
            UserWarning,
            stacklevel=level_outside(),
        )
    return True


def check_finite(
    network: CutNetwork, features: Sequence[NDArray[np.float32]], start: int, n_samples: int
) -> None:
    """Raise ``ValueError`` for features that are NaN or infinite, of the samples from `start`."""
    for layer, each in zip(network.layers, features):
        rows = each[:n_samples]
        # One number is enough to see that all is well, and costs less than a mask.
        if np.isfinite(rows.sum(dtype=np.float64)):
            continue
        odd = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(odd):
            raise ValueError(
                f"The network {network.frozen.name!r} gives NaN or infinity at {layer!r} for "
                f"{quantity(len(odd), 'sample')} of {n_samples:,}, the first of them number "
                f"{start + int(odd[0])}. Its weights may hold NaN, values may overflow in half "
                "precision, or the samples may be on another scale than those of its training."
            )
