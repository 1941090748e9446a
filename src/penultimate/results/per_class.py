"""How well each class is recognized: precision, recall and F1 with intervals; confusions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from penultimate.evaluation import Interval, accuracy_interval
from penultimate.evaluation.intervals.ratios import ratio_interval


@dataclass(frozen=True)
class ClassFigures:
    """How well a method recognizes one class, over all seeds.

    Attributes
    ----------
    name : str
    support : int
        Number of test samples of the class.
    n_predicted : int
        Number of answers, over all seeds, that are this class.
    precision : Interval or None
        Of the answers that are this class, the fraction that is right; None without any.
    recall : Interval or None
        Of the samples of this class, the fraction that is recognized; None without any.
    f1 : Interval or None
        Harmonic mean of the two; None if the class neither occurs nor is predicted.
    """

    name: str
    support: int
    n_predicted: int
    precision: Interval | None
    recall: Interval | None
    f1: Interval | None

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain data, as in ``results.json``.

        Returns
        -------
        dict
        """
        plain: dict[str, Any] = {
            "class": self.name,
            "support": self.support,
            "n_predicted": self.n_predicted,
        }
        for name in ("precision", "recall", "f1"):
            interval = getattr(self, name)
            plain[name] = None if interval is None else interval.value
            plain[f"{name}_ci95"] = None if interval is None else [interval.low, interval.high]
        return plain


def confusion_counts(
    true: NDArray[np.int64], predictions: NDArray[np.int64], n_classes: int
) -> NDArray[np.int64]:
    """Count the answers for the samples of each class, over all seeds.

    Parameters
    ----------
    true : ndarray of shape (n_test,), int
        Class indices of the test samples.
    predictions : ndarray of shape (n_seeds, n_test), int
        Answers that are no class (-1) are not counted.
    n_classes : int

    Returns
    -------
    ndarray of shape (n_classes, n_classes), int
        One row per true class, one column per answer.
    """
    every = np.tile(true, len(predictions))
    return confusion_matrix(every, predictions.ravel(), labels=range(n_classes))


def figures_by_class(
    true: NDArray[np.int64],
    predictions: NDArray[np.int64],
    classes: tuple[str, ...],
    *,
    groups: NDArray[Any] | None = None,
) -> list[ClassFigures]:
    """Compute the figures of every class.

    Parameters
    ----------
    true : ndarray of shape (n_test,), int
        Class indices of the test samples.
    predictions : ndarray of shape (n_seeds, n_test), int
    classes : tuple of str
        Class names in the order of their indices.
    groups : ndarray of shape (n_test,), optional
        Group of each test sample.

    Returns
    -------
    list of ClassFigures

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.results.per_class import figures_by_class
    >>> true, predictions = np.array([0, 0, 1, 1]), np.array([[0, 1, 1, 1]])
    >>> cat, dog = figures_by_class(true, predictions, ("cat", "dog"))
    >>> cat.recall.value, cat.precision.value, round(dog.f1.value, 2)
    (0.5, 1.0, 0.8)
    """
    figures = []
    for label, name in enumerate(classes):
        is_true, is_predicted = true == label, predictions == label
        hits = is_predicted & is_true
        recall = None
        if is_true.any():
            own = None if groups is None else groups[is_true]
            recall = accuracy_interval(is_predicted[:, is_true], groups=own)
        figures.append(
            ClassFigures(
                name,
                int(is_true.sum()),
                int(is_predicted.sum()),
                ratio_interval(hits, is_predicted, groups=groups),
                recall,
                # F1 = 2 TP / (2 TP + FP + FN): a hit counts twice, a miss or false alarm once.
                ratio_interval(2 * hits, is_predicted.astype(int) + is_true, groups=groups),
            )
        )
    return figures
