"""Checks of labels and of their numbers."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest
from sklearn.decomposition import PCA
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from penultimate._common.digits import percent, percent_interval
from penultimate._common.labels import is_one_hot
from penultimate._common.wording import quantity
from penultimate.evaluation.checks._check import Check
from penultimate.evaluation.intervals.accuracy import Interval, wilson_interval

_MOST_WIDTH = 0.025  # half-width of a 95 % interval
_IMBALANCE = 5  # ratio of the largest class to the smallest
_NEIGHBORS, _MOST_SAMPLES, _COMPONENTS = 5, 1000, 30
# Fewer samples cannot show that neighbors know nothing of the labels: with 37, even an accuracy 20
# points above the majority class is within chance. Photos are hard for neighbors, in any order.
FEWEST_TO_JUDGE = 100
_MOST_SKILL = 0.1  # accuracy above the majority class that may still be there, at most


def check_labels_form(y: ArrayLike) -> Check | None:
    """Look for one-hot labels.

    Parameters
    ----------
    y : array-like

    Returns
    -------
    Check or None

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.evaluation.checks import check_labels_form
    >>> check_labels_form(np.eye(3)).message
    'y has shape (3, 3), with one 1 per row and zeros elsewhere.'
    """
    y = np.asarray(y)
    if y.dtype == object or not is_one_hot(y):
        return None
    return Check(
        "one-hot-labels", f"y has shape {y.shape}, with one 1 per row and zeros elsewhere."
    )


def check_labels_order(X: ArrayLike, y: ArrayLike, *, seed: int = 0) -> Check | None:
    """Look for labels that are unrelated to the samples, for example in a different order.

    A classifier of five nearest neighbors on principal components must be more accurate than the
    majority class, in 5-fold cross-validation on at most 1,000 samples. Nothing is found with fewer
    than 100 samples, or if the 95 % interval of that accuracy reaches 10 percentage points above
    the majority class: so little evidence says nothing about the order of the labels.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
    y : array-like of shape (n_samples,)
    seed : int, default=0
        Seed of the draw of these samples.

    Returns
    -------
    Check or None

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from penultimate.evaluation.checks import check_labels_order
    >>> X, y = load_digits(return_X_y=True)
    >>> check_labels_order(X, y) is None, check_labels_order(X, y[::-1]).id
    (True, 'misordered-labels')
    """
    X, y = np.asarray(X), np.asarray(y)
    if len(y) < FEWEST_TO_JUDGE:
        return None
    chosen = np.random.default_rng(seed).permutation(len(y))[:_MOST_SAMPLES]
    rows, labels = X[chosen].reshape(len(chosen), -1).astype(np.float32), y[chosen]
    _, counts = np.unique(labels, return_counts=True)
    # Two classes in every fold are enough; rare classes must not reduce the number of folds.
    n_folds = min(5, int(np.sort(counts)[-2:].min()))
    if n_folds < 2:
        return None
    n_components = min(_COMPONENTS, rows.shape[1], len(rows) // 2)
    values = PCA(n_components, random_state=0).fit_transform(rows)
    neighbors = KNeighborsClassifier(min(_NEIGHBORS, len(rows) // 2))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        accuracy = cross_val_score(neighbors, values, labels, cv=n_folds).mean()
    majority = counts.max() / len(labels)
    # Any significant information about the labels shows that their order is right.
    right = round(accuracy * len(labels))
    if binomtest(right, len(labels), majority, alternative="greater").pvalue < 0.01:
        return None
    if wilson_interval(right, len(labels)).high > majority + _MOST_SKILL:
        return None
    return Check(
        "misordered-labels",
        f"Giving each of {len(labels):,} samples the label of those that look most like it is "
        f"right in {100 * accuracy:.0f} % of them; giving all the most frequent label, in "
        f"{100 * majority:.0f} %.",
    )


def check_balance(labels: ArrayLike, classes: Sequence[Any] | None = None) -> Check | None:
    """Look for classes so imbalanced that the accuracy is misleading.

    Parameters
    ----------
    labels : array-like of shape (n_samples,)
    classes : sequence, optional
        Class names, if the labels are indices into them.

    Returns
    -------
    Check or None

    Examples
    --------
    >>> from penultimate.evaluation.checks import check_balance
    >>> check_balance(["cat"] * 90 + ["dog"] * 10).message
    "'cat' has 90 samples, 'dog' 10: always predicting 'cat' has an accuracy of 90 %."
    """
    values, counts = np.unique(np.asarray(labels), return_counts=True)
    if counts.max() < _IMBALANCE * counts.min():
        return None
    names = [v if classes is None else classes[v] for v in values.tolist()]
    most, least = names[counts.argmax()], names[counts.argmin()]
    return Check(
        "class-imbalance",
        f"{most!r} has {counts.max():,} samples, {least!r} {counts.min():,}: always "
        f"predicting {most!r} has an accuracy of {100 * counts.max() / counts.sum():.0f} %.",
    )


def check_test_size(
    n_test: int, accuracy: float, *, interval: Interval | None = None, noun: str = "image"
) -> Check | None:
    """Look for a test set that leaves the accuracy uncertain by more than 2.5 percentage points.

    Parameters
    ----------
    n_test : int
        Number of test samples.
    accuracy : float
        Accuracy, as a fraction.
    interval : Interval, optional
        Its interval, to be named in the message where it is known to be wider, because there are
        several seeds or groups; by default Wilson's.
    noun : str, default="image"
        What a sample is called.

    Returns
    -------
    Check or None

    Examples
    --------
    >>> from penultimate.evaluation.checks import check_test_size
    >>> check_test_size(100, 0.95).message
    '100 test images: an accuracy of 95 % has a 95 % interval of 89 to 98 %.'
    >>> check_test_size(1000, 0.95)
    """
    of_samples = wilson_interval(round(accuracy * n_test), n_test)
    if of_samples.high - of_samples.low <= 2 * _MOST_WIDTH:
        return None
    shown = of_samples if interval is None else interval
    return Check(
        "few-test-samples",
        f"{quantity(n_test, f'test {noun}')}: an accuracy of "
        f"{percent(accuracy, n_test)} % has a 95 % interval of "
        f"{percent_interval((shown.low, shown.high), n_test)} %.",
    )
