"""The softmax of a network that came trained: which of its outputs stands for which class.

A network does not say what its outputs mean, only how many there are. Labels from 0 to K - 1 are
taken for the outputs' own numbers. Names are taken in their order, and on some samples of
development it is seen whether another order fits clearly better: a list of class names from
somewhere else, or names sorted as text ("10" before "2"). The test set has no part in it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.special import expit, softmax
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix

from penultimate.networks._forward import forward
from penultimate.networks._keras import ends_in_logits

_MOST_SAMPLES = 1000  # enough to tell two orders apart, and a second of inference at most
# Another order is believed where it beats always answering the most frequent class beyond chance
# (p), and the given order by a wide margin: one of K! orders always fits a little better.
_CLEARLY = 0.001
_BY = 0.1


@dataclass(frozen=True)
class OwnSoftmax:
    """A frozen network's outputs, matched to classes.

    Attributes
    ----------
    columns : ndarray of shape (n_classes,), int
        For each class the output that stands for it.
    message : str
        How they were matched, for the report.
    in_doubt : bool
        Whether another order would fit the samples clearly better, though the labels say this one.
    """

    columns: NDArray[np.int64]
    message: str
    in_doubt: bool = False


def numbers_classes(network: Any, n_classes: int) -> bool:
    """Say whether a network has one output for each class, or a single one for two classes."""
    outputs = getattr(network, "outputs", None) or []
    if len(outputs) != 1 or len(outputs[0].shape) != 2:
        return False
    return outputs[0].shape[-1] == n_classes or (outputs[0].shape[-1], n_classes) == (1, 2)


def own_probabilities(network: Any, X: NDArray[Any], *, batch_size: int = 256) -> NDArray[Any]:
    """Compute the probabilities that a network gives each of its classes.

    Parameters
    ----------
    network : keras.Model
    X : ndarray of shape (n_samples, ...)
    batch_size : int, default=256

    Returns
    -------
    ndarray of shape (n_samples, n_classes), float32
        A single output becomes two columns. Outputs that may be negative are taken for logits, and
        sigmoids of several classes are scaled to add up to one: their order stays what it was.
    """
    outputs = forward(network, X, batch_size=batch_size, step="predict with the network")
    are_logits = ends_in_logits(network) or bool((outputs < 0).any())
    if outputs.shape[1] == 1:
        positive = expit(outputs) if are_logits else outputs
        return np.hstack([1 - positive, positive])
    if are_logits:
        return softmax(outputs, axis=1)
    total = outputs.sum(axis=1, keepdims=True)
    return outputs / np.maximum(total, np.finfo(np.float32).tiny)


def match_outputs(
    network: Any,
    inputs: NDArray[Any],
    labels: NDArray[np.int64],
    classes: tuple[str, ...],
    *,
    seed: int = 0,
    batch_size: int = 256,
) -> OwnSoftmax:
    """Find which output stands for which class.

    Parameters
    ----------
    network : keras.Model
        With as many outputs as there are classes, see `numbers_classes`.
    inputs : ndarray of shape (n_samples, ...)
        Of development.
    labels : ndarray of shape (n_samples,), int
        Class indices.
    classes : tuple of str
        Names, in the order of the indices.
    seed : int, default=0
        Controls the draw of the samples that are looked at.
    batch_size : int, default=256
        As in `own_probabilities`.

    Returns
    -------
    OwnSoftmax
    """
    n_classes = len(classes)
    rows = np.random.default_rng(seed).permutation(len(labels))[:_MOST_SAMPLES]
    outputs = own_probabilities(network, inputs[rows], batch_size=batch_size)
    predicted = outputs.argmax(axis=1)
    counts = confusion_matrix(labels[rows], predicted, labels=range(n_classes))
    by_index, n_seen = np.arange(n_classes), len(rows)
    # The best of all orders, by the Hungarian method.
    _, best = linear_sum_assignment(counts, maximize=True)
    right, most = counts[by_index, by_index].sum(), counts[by_index, best].sum()
    majority = counts.sum(axis=1).max() / n_seen
    beyond_chance = binomtest(int(most), n_seen, majority, alternative="greater").pvalue < _CLEARLY
    other_fits = bool(beyond_chance and most - right > _BY * n_seen)
    are_numbers = list(classes) == [str(k) for k in range(n_classes)]
    if are_numbers or not other_fits:
        how = "labels are output numbers" if are_numbers else "in the order of their names"
        message = f"cnn-softmax is the network's own softmax; its outputs are the classes, {how}."
        if other_fits:
            message += (
                f" In another order its outputs would be right for {most:,} of {n_seen:,} "
                f"development samples, and so they are for {right:,}: check what each output means."
            )
        return OwnSoftmax(by_index, message, other_fits)
    as_text = np.argsort(np.argsort(classes))
    if counts[by_index, as_text].sum() == most:
        best, order = as_text, "sorted as text"
    else:
        shown = ", ".join(f"{k} is {classes[c]!r}" for c, k in enumerate(best[:3].tolist()))
        order = f"in the order that fits best (output {shown}{' ...' if n_classes > 3 else ''})"
    return OwnSoftmax(
        best.astype(np.int64),
        f"cnn-softmax is the network's own softmax; classes were matched to outputs {order}: right "
        f"for {most:,} of {n_seen:,} development samples, and in the order of their names for "
        f"{right:,}. To name the order yourself, pass labels that are the outputs' numbers.",
    )
