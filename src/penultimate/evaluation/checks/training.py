"""Check of the network's training: whether its softmax is a meaningful baseline.

Any of four signs is enough, per seed. The softmax is hardly better than the majority class. Or the
best epoch is one of the very first, before the network fits the data. Or a logistic head on the
same features is far better than the softmax: the features are good, but the last layer did not
converge. Or the seed is far below another one, which shows what the same network can reach.

None may hang on a single sample: where the first two compare bare figures, they have to hold if one
more had been right, and the last two are paired tests.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

from penultimate.evaluation.checks._check import Check
from penultimate.evaluation.intervals.significance import mcnemar

_LEAST_SKILL = 0.25  # of the way from the majority class to no error; below it, p decides
_CLEARLY = 0.01  # significance level of the tests
_FEWEST_EPOCHS = 10  # a shorter run may well be best in its second epoch
_EARLY = 0.1  # fraction of the epochs
_FITS = 0.9  # validation accuracy from which an early best epoch only means that data is easy
_FAR = 0.1  # accuracy gap between the softmax and a logistic head on its features
_FAR_BETWEEN_SEEDS = 0.2  # runs of one network on one test set rarely differ by half of this


def check_training(
    correct: NDArray[np.bool_] | None,
    labels: ArrayLike,
    *,
    seeds: Sequence[int] | None = None,
    validation_accuracy: Sequence[Sequence[float]] = (),
    best_epochs: Sequence[int] = (),
    head_correct: NDArray[np.bool_] | None = None,
    head: str = "cnn+logistic",
    name: str = "the softmax",
) -> Check | None:
    """Look for networks that did not train properly.

    Parameters
    ----------
    correct : ndarray of shape (n_seeds, n_test), bool, or None
        Which test samples each seed's own softmax classified correctly; None if unknown.
    labels : array-like of shape (n_test,)
        Labels of the test samples.
    seeds : sequence of int, optional
        Seeds, for the message; by default 0, 1, ...
    validation_accuracy : sequence of sequences of float, optional
        For each seed, the accuracy on the validation slice after each epoch.
    best_epochs : sequence of int, optional
        For each seed, the epoch (from 0) whose weights were kept.
    head_correct : ndarray of shape (n_seeds, n_test), bool, optional
        Like `correct`, for a head on the network's features: best a converged logistic one, which
        is what the last layer would be had it converged.
    head : str, default="cnn+logistic"
        Name of that head, for the message.
    name : str, default="the softmax"
        Name of the network's own classifier, for the message.

    Returns
    -------
    Check or None

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.evaluation.checks import check_training
    >>> labels = np.arange(90) % 6
    >>> print(check_training(np.arange(90)[None] % 6 == 0, labels).message)
    Seed 0: the softmax has an accuracy of 16.7 % on 90 test samples (majority class: 16.7 %).
    >>> check_training(np.ones((1, 90), bool), labels)
    """
    of_seeds = None if correct is None else np.atleast_2d(correct)
    rows = len(best_epochs) if of_seeds is None else len(of_seeds)
    found = []
    for row in range(rows):
        right = None if of_seeds is None else of_seeds[row]
        other = None if head_correct is None else np.atleast_2d(head_correct)[row]
        words = "" if right is None else _hardly_better(right, np.asarray(labels), name)
        if not words and row < len(best_epochs) and row < len(validation_accuracy):
            words = _best_at_once(validation_accuracy[row], best_epochs[row])
        if not words and right is not None and other is not None:
            words = _far_below(right, other, name, head)
        if not words and right is not None and of_seeds is not None:
            words = _below_other_seeds(right, of_seeds, name)
        if words:
            found.append(f"Seed {row if seeds is None else seeds[row]}: {words}")
    return Check("network-undertrained", " ".join(found), "error") if found else None


def _hardly_better(right: NDArray[np.bool_], labels: NDArray[Any], name: str) -> str:
    """Compare the softmax with the majority class."""
    _, counts = np.unique(labels, return_counts=True)
    accuracy, majority, n_test = right.mean(), counts.max() / len(labels), len(labels)
    one_more = min(int(right.sum()) + 1, n_test)
    skill = (one_more / n_test - majority) / max(1 - majority, 1 / n_test)
    p = binomtest(int(right.sum()), n_test, majority, alternative="greater").pvalue
    if skill >= _LEAST_SKILL or p < _CLEARLY:
        return ""
    return (
        f"{name} has an accuracy of {100 * accuracy:.1f} % on {n_test:,} test samples "
        f"(majority class: {100 * majority:.1f} %)."
    )


def _best_at_once(accuracies: Sequence[float], best: int) -> str:
    """Check whether the weights that were kept are those of one of the first epochs."""
    n_epochs = len(accuracies)
    if n_epochs < _FEWEST_EPOCHS or best >= max(2, round(_EARLY * n_epochs)):
        return ""
    # The slice is not known here, but the smallest step between accuracies is at least a sample.
    one_more = np.diff(np.unique([0.0, *accuracies, 1.0])).min()
    if accuracies[best] + one_more >= _FITS:
        return ""
    return (
        f"the best epoch was {best + 1} of {n_epochs}, with a validation accuracy of "
        f"{100 * accuracies[best]:.0f} %."
    )


def _far_below(right: NDArray[np.bool_], other: NDArray[np.bool_], name: str, head: str) -> str:
    """Compare the softmax with a head on the same features."""
    accuracy, of_head = right.mean(), other.mean()
    if of_head - accuracy < _FAR or mcnemar(other, right) >= _CLEARLY:
        return ""
    judge = (
        ""
        if head == "cnn+logistic"
        else " Compare cnn+logistic, too: it shows whether the softmax failed to converge."
    )
    return (
        f"{name} has an accuracy of {100 * accuracy:.1f} %, but {head} on the same features has "
        f"{100 * of_head:.1f} %.{judge}"
    )


def _below_other_seeds(right: NDArray[np.bool_], all_seeds: NDArray[np.bool_], name: str) -> str:
    """Compare a seed's softmax with that of the best seed."""
    best = all_seeds[all_seeds.mean(axis=1).argmax()]
    if best.mean() - right.mean() < _FAR_BETWEEN_SEEDS or mcnemar(best, right) >= _CLEARLY:
        return ""
    return (
        f"{name} has an accuracy of {100 * right.mean():.1f} %, but that of the best seed has "
        f"{100 * best.mean():.1f} %."
    )
