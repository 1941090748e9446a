"""The softmax of a pre-trained network: which of its outputs stands for which class.

A network does not record what its outputs mean, only how many there are. Labels from 0 to K - 1
are interpreted as output numbers. Class names are first assumed in their own order; some
development samples then show whether another order fits clearly better, such as that of a foreign
list of class names, or names sorted as text ("10" before "2"). The test set is never used for this.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix

from penultimate.networks import predict_probabilities

_MOST_SAMPLES = 1000  # enough to distinguish two orders, at a second of inference at most
# Another order is accepted if it beats the majority class beyond chance (p-value), and the given
# order by a wide margin of accuracy: one of K! orders always fits a little better.
_CLEARLY = 0.001
_BY = 0.1


@dataclass(frozen=True)
class OwnSoftmax:
    """A frozen network's outputs, matched to classes.

    Attributes
    ----------
    columns : ndarray of shape (n_classes,), int
        The output that stands for each class.
    message : str
        How outputs were matched to classes, for the report.
    in_doubt : bool
        Whether another order would fit clearly better than the one given by the labels.
    """

    columns: NDArray[np.int64]
    message: str
    in_doubt: bool = False

    @property
    def level(self) -> str:
        """Level of the message in the report."""
        return "warning" if self.in_doubt else "info"


def match_outputs(
    network: object,
    inputs: NDArray[Any],
    labels: NDArray[np.int64],
    classes: tuple[str, ...],
    *,
    seed: int = 0,
    batch_size: int = 256,
) -> OwnSoftmax:
    """Match the outputs of a network to the classes.

    Parameters
    ----------
    network : keras.Model
        A network with one output per class; see `networks.probabilities.numbers_classes`.
    inputs : ndarray of shape (n_samples, ...)
        Development samples.
    labels : ndarray of shape (n_samples,), int
        Class indices.
    classes : tuple of str
        Class names, in the order of the indices.
    seed : int, default=0
        Controls which samples are used for matching.
    batch_size : int, default=256
        Batch size for inference.

    Returns
    -------
    OwnSoftmax
    """
    # Development samples only: matched on the test set, the softmax would be fitted to it.
    n_classes = len(classes)
    rows = np.random.default_rng(seed).permutation(len(labels))[:_MOST_SAMPLES]
    outputs = predict_probabilities(network, inputs[rows], batch_size=batch_size)
    predicted = outputs.argmax(axis=1)
    counts = confusion_matrix(labels[rows], predicted, labels=range(n_classes))
    by_index, n_seen = np.arange(n_classes), len(rows)
    # The best of all K! orders is an assignment problem, solved by the Hungarian method.
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
                f" In another order its outputs would classify {most:,} of {n_seen:,} development "
                f"samples correctly, in this order {right:,}: check what each output means."
            )
        return OwnSoftmax(by_index, message, other_fits)
    # The rank of each class among the names sorted as text, where "10" comes before "2".
    as_text = np.argsort(np.argsort(classes))
    of_text = counts[by_index, as_text].sum()
    if most - of_text <= _BY * n_seen:  # the best of all orders also fits noise
        best, most, order = as_text, of_text, "sorted as text"
    else:
        shown = ", ".join(f"{k} is {classes[c]!r}" for c, k in enumerate(best[:3].tolist()))
        order = f"in the order that fits best (output {shown}{' ...' if n_classes > 3 else ''})"
    return OwnSoftmax(
        best.astype(np.int64),
        f"cnn-softmax is the network's own softmax; classes were matched to outputs {order}, which "
        f"classifies {most:,} of {n_seen:,} development samples correctly; the order of their "
        f"names classifies {right:,}. To set the order yourself, pass output numbers as labels.",
    )
