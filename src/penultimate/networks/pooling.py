"""Pooling of feature maps: one value per channel, whatever the size of the map.

A map of 9 x 9 places with 320 channels flattens to 25,920 features, of which each belongs to one
place in the image. Heads learn from few samples: what counts is whether something is there, not
where. The generalized mean (GeM) lies between the average (p = 1) and the maximum (p infinite).

F. Radenovic, G. Tolias and O. Chum, "Fine-tuning CNN image retrieval with no human annotation",
IEEE TPAMI 41, 2019.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_GEM_POWER = 3.0  # where the authors' learned powers start, and near which they stay
_SMALLEST = 1e-6  # below which values count as this: GeM has no negative ones


def _gem(maps: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any]:
    powers = np.maximum(maps, _SMALLEST) ** _GEM_POWER
    return powers.mean(axis=axes) ** (1 / _GEM_POWER)


POOLINGS: dict[str, Callable[[NDArray[Any], tuple[int, ...]], NDArray[Any]]] = {
    "avg": lambda maps, axes: maps.mean(axis=axes),
    "max": lambda maps, axes: maps.max(axis=axes),
    "gem": _gem,
}


def pool(values: NDArray[Any], pooling: str | None, channel_axis: int = -1) -> NDArray[Any]:
    """Pool the values of a layer to one row per sample.

    Parameters
    ----------
    values : ndarray of shape (n_samples, ...)
        Vectors, which stay as they are; sequences of them; or maps.
    pooling : {"avg", "max", "gem"} or None
        None flattens.
    channel_axis : int, default=-1
        Axis that is kept.

    Returns
    -------
    ndarray of shape (n_samples, n_features)

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.networks.pooling import pool
    >>> maps = np.arange(8.0).reshape(1, 2, 2, 2)
    >>> pool(maps, "avg").tolist(), pool(maps, "max", channel_axis=1).tolist()
    ([[3.0, 4.0]], [[3.0, 7.0]])
    """
    if values.ndim <= 2 or pooling is None:
        return values.reshape(len(values), -1)
    kept = channel_axis % values.ndim
    axes = tuple(axis for axis in range(1, values.ndim) if axis != kept)
    return POOLINGS[pooling](values, axes)


def pooled_size(
    shape: tuple[int | None, ...], pooling: str | None, channel_axis: int = -1
) -> int | None:
    """Return the number of features of one sample's values; None where a size is open."""
    if len(shape) > 1 and pooling is not None:
        # The axis of the samples is not in the shape.
        return shape[channel_axis if channel_axis < 0 else channel_axis - 1]
    sizes = [size for size in shape if size is not None]
    return int(np.prod(sizes)) if len(sizes) == len(shape) else None
