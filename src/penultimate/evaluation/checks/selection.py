"""Checks of how hyper-parameters were selected."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penultimate.evaluation.checks._check import Check
from penultimate.provenance.records import provenance_of


def check_selection(
    selection: str,
    *,
    network: object | None = None,
    fingerprints: NDArray[np.uint64] | None = None,
) -> Check | None:
    """Look for a selection on samples that the network was trained on.

    Parameters
    ----------
    selection : {"heldout", "crossfit", "resubstitution"}
        How hyper-parameters are selected.
    network : keras.Model, optional
        Frozen network, whose training samples may be recorded.
    fingerprints : ndarray of uint64, optional
        Fingerprints of the samples used for selection.

    Returns
    -------
    Check or None
    """
    name = "selection-on-training-samples"
    if selection == "resubstitution":
        return Check(
            name, "Hyper-parameters were selected by cross-validation on features of samples that "
            "the network was trained on (selection='resubstitution').",
        )  # fmt: skip
    if network is None or fingerprints is None:
        return None
    seen = provenance_of(network).holds(fingerprints)
    if not seen.any():
        return None
    return Check(
        name, f"The frozen network was trained on {seen.sum():,} of the {len(seen):,} samples that "
        "hyper-parameters were selected on.",
    )  # fmt: skip


def check_selection_duplicates(
    fit: NDArray[np.uint64], selection: NDArray[np.uint64]
) -> Check | None:
    """Look for samples of the selection part that are also in the fit part.

    Parameters
    ----------
    fit, selection : ndarray of uint64
        Fingerprints of the samples of each part.

    Returns
    -------
    Check or None
    """
    shared = np.isin(selection, fit).sum()
    if not shared:
        return None
    return Check(
        "duplicates-in-selection",
        f"{shared:,} of {len(selection):,} samples of the selection part are also in the fit part.",
    )


def check_grid(
    params: Sequence[Mapping[str, Any]], scores: ArrayLike, n_samples: int, *, name: str = "search"
) -> Check | None:
    r"""Look for a grid whose best setting is clearly on its edge.

    This is the case if the best score at the lowest or highest value of a numeric hyper-parameter
    exceeds that of all its other values by more than one standard error, :math:`\sqrt{p(1-p)/n}`.
    The lowest value 1 of an integer, such as a number of neighbors, does not count as an edge.

    Parameters
    ----------
    params : list of dict
        Settings of the grid.
    scores : array-like of shape (n_settings,)
        Accuracy of each setting.
    n_samples : int
        Number of samples scored.
    name : str, default="search"
        Name of the search for the message.

    Returns
    -------
    Check or None

    References
    ----------
    L. Breiman et al., "Classification and regression trees", Wadsworth, 1984: the rule of one
    standard error.

    Examples
    --------
    >>> from penultimate.evaluation.checks import check_grid
    >>> check_grid([{"C": 0.01}, {"C": 0.1}, {"C": 1.0}], [0.6, 0.7, 0.8], 500).message
    'The best C of search, 1, is the highest that was tried: 80.0 % against 70.0 % for the others.'
    """
    scores = np.asarray(scores, float)
    best = scores.max()
    # The lower bound keeps the error positive at a score of 1.
    error = np.sqrt(max(best * (1 - best), 1 / n_samples) / n_samples)
    for key in dict.fromkeys(key for setting in params for key in setting):
        values = [setting.get(key) for setting in params]
        if not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
            continue
        numbers = np.array(values, float)
        for edge, word in ((numbers.min(), "lowest"), (numbers.max(), "highest")):
            on_edge = numbers == edge
            if on_edge.all() or (edge == 1 and word == "lowest" and isinstance(values[0], int)):
                continue
            others = scores[~on_edge].max()
            if scores[on_edge].max() > others + error:
                return Check(
                    "grid-edge",
                    f"The best {key} of {name}, {edge:.4g}, is the {word} that was tried: "
                    f"{100 * best:.1f} % against {100 * others:.1f} % for the others.",
                )
    return None
