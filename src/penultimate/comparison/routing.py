"""Routing: which subset a test sample belongs to, if the method is not given it.

By the shared network's softmax, summed over the classes of each subset; or by a further head, with
the subsets as its classes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from penultimate.comparison.fit import HeadFit, SeedData, fit_head_of
from penultimate.comparison.method import Method
from penultimate.comparison.plan import Part


def route(
    method: Method, parts: Sequence[Part], data: SeedData
) -> tuple[list[NDArray[np.int64]], tuple[str, ...], HeadFit | None]:
    """Return the test samples that a method assigns to each part.

    Parameters
    ----------
    method : Method
        A method with a router.
    parts : list of Part
    data : SeedData

    Returns
    -------
    positions : list of ndarray of int
        Positions within the test set, one array per part; every sample is in one of them.
    warnings : tuple of str
        Warnings from fitting the router.
    head : HeadFit or None
        The head that routes; None for the network.
    """
    if method.router == "network":
        # A subset's probability is the sum over its classes: the largest class alone would favor
        # subsets with few classes.
        shares = [data.shared.probabilities[:, part.classes].sum(axis=1) for part in parts]
        chosen = np.argmax(shares, axis=0)
        warnings: tuple[str, ...] = ()
        head = None
    else:
        # Every class is in exactly one subset (`check_subsets`), so no entry stays empty.
        subset_of = np.empty(len(data.plan.dataset.classes), np.int64)
        for index, part in enumerate(parts):
            subset_of[part.classes] = index
        # Selected and refitted like any head of this method, but with the subsets as labels.
        router = fit_head_of(method, data.plan.whole, data, subset_of[data.plan.codes])
        chosen, warnings = router.predict(data.plan.whole.test), router.warnings
        head = router.head
    return [np.flatnonzero(chosen == index) for index in range(len(parts))], warnings, head
