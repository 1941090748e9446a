"""Checks of how parameters were selected."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penultimate.evaluation.checks._check import Check
from penultimate.provenance.records import provenance_of


def check_selection(
    selection: str, *, network: Any = None, fingerprints: NDArray[np.uint64] | None = None
) -> Check | None:
    """Look for parameters that are selected on samples that the network was trained on.

    Parameters
    ----------
    selection : {"heldout", "crossfit", "resubstitution"}
        How they are selected.
    network : keras.Model, optional
        A frozen network, which may know what it has seen.
    fingerprints : ndarray of uint64, optional
        Of the samples to select on.

    Returns
    -------
    Check or None
    """
    name = "selection-on-training-samples"
    if selection == "resubstitution":
        return Check(
            name, "Parameters were selected by cross-validation on features of samples that the "
            "network was trained on (selection='resubstitution').",
        )  # fmt: skip
    if network is None or fingerprints is None:
        return None
    seen = provenance_of(network).holds(fingerprints)
    if not seen.any():
        return None
    return Check(
        name, f"The frozen network was trained on {seen.sum():,} of the {len(seen):,} samples that "
        "parameters were selected on.",
    )  # fmt: skip


def check_selection_duplicates(
    fit: NDArray[np.uint64], selection: NDArray[np.uint64]
) -> Check | None:
    """Look for samples of the selection part that are in the fit part, too.

    Parameters
    ----------
    fit, selection : ndarray of uint64
        Fingerprints.

    Returns
    -------
    Check or None
    """
    shared = np.isin(selection, fit).sum()
    if not shared:
        return None
    return Check(
        "duplicates-in-selection",
        f"{shared:,} of {len(selection):,} samples of the selection part are in the fit part, too.",
    )


def check_grid(
    params: Sequence[Mapping[str, Any]], scores: ArrayLike, n_samples: int, *, name: str = "search"
) -> Check | None:
    r"""Look for a grid whose best setting is clearly on its edge.

    It is, where the best score of a number's lowest or highest value exceeds that of all its other
    values by more than one standard error, :math:`\sqrt{p(1-p)/n}`. A count's lowest value of 1, as
    of neighbours, is no edge.

    Parameters
    ----------
    params : list of dict
        The settings.
    scores : array-like of shape (n_settings,)
        Their accuracies.
    n_samples : int
        How many samples were scored.
    name : str, default="search"
        What the message calls it.

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
                    f"{best:.1%} against {others:.1%} for the others.".replace("%", " %"),
                )
    return None
