"""Selection of some samples from parameters with one value per sample."""

from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing as take  # documented as public, despite its name

from penultimate._common.protocols import Sliceable


def take_rows(params: Mapping[str, Any], rows: NDArray[np.int64], n_samples: int) -> dict[str, Any]:
    """Return parameters of `fit`, with only these rows of those that have one value per sample.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate._common.per_sample import take_rows
    >>> take_rows({"sample_weight": [1, 2, 3], "verbose": 1}, np.array([0, 2]), 3)
    {'sample_weight': [1, 3], 'verbose': 1}
    """
    taken = {}
    for name, value in params.items():
        for_each = hasattr(value, "shape") or isinstance(value, (list, tuple))
        if for_each and np.shape(value)[:1] == (n_samples,):
            value = take(value, rows)
        taken[name] = value
    return taken


def is_sliceable(X: object) -> TypeGuard[Sliceable]:
    """Return whether a slice of `X` is an array of numbers, with the rest left where it is."""
    kind = getattr(getattr(X, "dtype", None), "kind", "")
    return (
        getattr(X, "ndim", 0) == 2
        and kind in ("b", "i", "u", "f")
        and hasattr(X, "__getitem__")
        and not issparse(X)
    )
