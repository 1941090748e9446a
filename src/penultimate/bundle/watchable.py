"""Writing what watching needs: scores of samples that the model has not seen.

They are computed by the graph itself, so that what is compared later was computed alike.
"""

import warnings
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray

from penultimate._common.frames import level_outside
from penultimate._common.per_sample import take
from penultimate.bundle.graph.unlikeness import add_unlikeness
from penultimate.bundle.parity import outputs_of
from penultimate.bundle.predictions import of_outputs
from penultimate.bundle.watching_part import TENSOR, watchable, watched_scores
from penultimate.networks.single_images import as_sequence, takes_one_by_one
from penultimate.provenance.leakage import LeakageWarning
from penultimate.provenance.unseen import seen_by

_MOST = 2000  # samples; more would say little more, and each is computed once again

Watching = tuple[dict[str, Any], dict[str, NDArray[np.float32]]]


def watching_parts(model: Any, graph: onnx.ModelProto, X: ArrayLike) -> Watching | None:
    """Return what a manifest says of watching, and the tensors of the part.

    Parameters
    ----------
    model : classifier
    graph : onnx.ModelProto
        Of the model; it gets an output more, if there is something to make it of.
    X : array-like of shape (n_samples, ...)
        Samples that the model was not fitted on.

    Returns
    -------
    (description, tensors), or None
        None if the model gives nothing that it could be watched by, or has seen all samples.

    Warns
    -----
    LeakageWarning
        If it has seen some of the samples, which are then left out.
    """
    if takes_one_by_one(model, X):
        X = as_sequence(X)
    seen = seen_by(model, X)
    if seen.any():
        warnings.warn(
            f"{seen.sum():,} of {len(seen):,} held-out samples equal training samples; the model "
            f"is watched by the other {(~seen).sum():,}.",
            LeakageWarning,
            stacklevel=level_outside(),
        )
    rows = np.random.default_rng(0).permutation(np.flatnonzero(~seen))[:_MOST]
    return None if not len(rows) else of_graph(graph, take(X, rows), model.classes_)


def of_graph(graph: onnx.ModelProto, X: ArrayLike, classes: NDArray[Any]) -> Watching | None:
    """Return the same of samples that were not seen."""
    add_unlikeness(graph)
    found = outputs_of(graph, X)
    names = [each.name for each in graph.graph.output]
    given = {name: found[name] for name in names if name != "subset_index"}
    predictions = of_outputs(given, len(found["label"]), classes, [])
    scores = watchable(predictions)
    if not scores:
        return None
    values = watched_scores(predictions, scores)
    return (
        {
            "scores": scores,
            "n_samples": len(values),
            "statement": (
                f"What comes in can be compared with {len(values):,} samples that the model was "
                "not fitted on: an alarm withdraws what is promised here, and is false with a "
                "probability of at most 1 %, however many samples come."
            ),
        },
        {TENSOR: np.ascontiguousarray(values)},
    )
