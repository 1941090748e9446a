"""What watching needs, as a part of a bundle: ``watch/scores.safetensors``.

A few numbers of each sample that the model has not seen, such as the test set's: those by which
later samples are compared with them (`penultimate.evaluation.ExchangeabilityMonitor`). Which ones
they are, the manifest says. Here they are computed from what the graph puts out, for held-out
samples as for new ones, and the part is checked, without what writes it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate.bundle.errors import BundleError
from penultimate.bundle.manifest import Manifest
from penultimate.bundle.predictions import Predictions
from penultimate.bundle.tensors import check_both

WATCH = "watch/scores.safetensors"
TENSOR = "scores"
_PER_CLASS = ("margins", "scores", "probabilities")
_TINY = np.finfo(np.float32).tiny


def watchable(found: Predictions) -> list[str]:
    """Return the names of the scores that a model's predictions allow.

    Parameters
    ----------
    found : Predictions

    Returns
    -------
    list of str
        ``"doubt"``: how far the best class is from being ahead of the others.
        ``"unlikeness"``, or else ``"level"``: how high all classes are on average, which of two
        classes says nothing.
    """
    values = _per_class(found)
    if values is None:
        return []
    if found.unlikeness is not None:
        return ["doubt", "unlikeness"]
    return ["doubt", "level"] if values.shape[1] > 2 else ["doubt"]


def watched_scores(found: Predictions, names: Sequence[str]) -> NDArray[np.float32]:
    """Return scores of samples by their names, (n_samples, n_scores); see `check_gives`."""
    columns = []
    for name in names:
        values = found.unlikeness if name == "unlikeness" else _per_class(found)
        assert values is not None
        if name == "doubt":
            values = -values.max(axis=1)
        elif name == "level":
            values = values.mean(axis=1)
        columns.append(values)
    return np.stack(columns, axis=1).astype(np.float32)


def check_gives(names: Sequence[str], gives: Callable[[str], bool]) -> None:
    """Raise ``BundleError`` unless a graph gives what scores of these names are made of."""
    for name in names:
        if not any(map(gives, ("unlikeness",) if name == "unlikeness" else _PER_CLASS)):
            raise BundleError(f"The graph of the bundle gives no {name}, by which it is watched.")


def check_watching(manifest: Manifest, tensors: dict[str, dict[str, Any]] | None) -> None:
    """Raise unless a bundle's part for watching is what its manifest says of it.

    Parameters
    ----------
    manifest : Manifest
    tensors : dict of str to dict, or None
        Types and shapes in the part; None if there is none.

    Raises
    ------
    BundleError
        If one is there without the other, or they disagree.
    """
    check_both(manifest.watch, tensors, "watching")
    if manifest.watch is None or tensors is None:
        return
    shape = [manifest.watch["n_samples"], len(manifest.watch["scores"])]
    wanted = {TENSOR: {"dtype": "F32", "shape": shape}}
    if tensors != wanted:
        raise BundleError(
            f"{WATCH!r} in the bundle has {str(tensors)[:100]}, and its manifest says {wanted}."
        )


def _per_class(found: Predictions) -> NDArray[np.floating] | None:
    """Return the values of all classes: margins, or what comes nearest to them."""
    if found.margins is not None:
        return found.margins
    if found.scores is not None or found.probabilities is None:
        return found.scores
    return np.log(np.maximum(found.probabilities, _TINY))
