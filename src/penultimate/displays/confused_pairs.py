"""Pairs of classes that are confused, the most frequent first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penultimate._common.labels import check_labels
from penultimate._common.protocols import Head
from penultimate.datasets import natural_order
from penultimate.displays._axes import keep_names_literal, new_axes
from penultimate.displays._of_comparison import chosen_method
from penultimate.results.outcome import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class ConfusedPair:
    """A true class, the class predicted instead, and how often.

    Attributes
    ----------
    true, predicted : int
        Class indices.
    count : int
        Number of such predictions, over all samples and seeds.
    """

    true: int
    predicted: int
    count: int


def most_confused(counts: ArrayLike) -> list[ConfusedPair]:
    """List the errors in a confusion matrix, the most frequent first.

    Parameters
    ----------
    counts : array-like of shape (n_classes, n_classes), int
        Confusion matrix, with one row per true class and one column per predicted class.

    Returns
    -------
    list of ConfusedPair
        Pairs that occur; ties are ordered by true class, then by predicted class.

    Examples
    --------
    >>> from penultimate.displays import most_confused
    >>> [(pair.true, pair.predicted, pair.count) for pair in most_confused([[9, 1], [3, 7]])]
    [(1, 0, 3), (0, 1, 1)]
    """
    errors = np.array(counts)
    np.fill_diagonal(errors, 0)
    order = np.argsort(-errors, axis=None, kind="stable")[: np.count_nonzero(errors)]
    rows, columns = np.unravel_index(order, errors.shape)
    return [
        ConfusedPair(int(row), int(column), int(errors[row, column]))
        for row, column in zip(rows, columns)
    ]


class ConfusedPairsDisplay:
    """The classes that are most often confused.

    Parameters
    ----------
    counts : ndarray of shape (n_classes, n_classes), int
        Confusion matrix, with one row per true class and one column per predicted class.
    classes : list of str
        Class names.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that `plot` drew on.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from penultimate.displays import ConfusedPairsDisplay
    >>> display = ConfusedPairsDisplay.from_predictions(list("aabbb"), list("abaab"))
    >>> [text.get_text() for text in display.plot().ax_.get_yticklabels()]
    ['b → a', 'a → b']
    """

    def __init__(self, counts: NDArray[np.int64], classes: Sequence[str]) -> None:
        self.counts = counts
        self.classes = classes

    @classmethod
    def from_estimator(cls, estimator: Head, X: ArrayLike, y: ArrayLike) -> Self:
        """Predict the samples and count the errors.

        Parameters
        ----------
        estimator : classifier
            Fitted classifier.
        X : array-like of shape (n_samples, ...)
        y : array-like of shape (n_samples,)
            True labels.

        Returns
        -------
        ConfusedPairsDisplay
        """
        return cls.from_predictions(y, estimator.predict(X))

    @classmethod
    def from_predictions(cls, y_true: ArrayLike, y_pred: ArrayLike) -> Self:
        """Count the pairs of true and predicted labels.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_samples,)
            Labels of any type.

        Returns
        -------
        ConfusedPairsDisplay
        """
        from sklearn.metrics import confusion_matrix

        true = check_labels(y_true, len(np.asarray(y_pred))).astype(str)
        predicted = np.asarray(y_pred).astype(str)
        classes = natural_order([*true.tolist(), *predicted.tolist()])
        return cls(confusion_matrix(true, predicted, labels=classes), classes)

    @classmethod
    def from_comparison(cls, comparison: Outcome, method: str | None = None) -> Self:
        """Count the errors of a method of a comparison, over all seeds.

        Parameters
        ----------
        comparison : Comparison
        method : str, optional
            Its method; by default the one that the verdict is about, or the most accurate.

        Returns
        -------
        ConfusedPairsDisplay

        Raises
        ------
        KeyError
            If the method was not compared.
        """
        name = chosen_method(comparison, method).name
        return cls(comparison.confusion(name), comparison.dataset.classes)

    def plot(self, ax: "Axes | None" = None, *, n_pairs: int = 15) -> Self:
        """Draw a bar for each of the most frequent errors.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.
        n_pairs : int, default=15
            Maximum number of pairs shown.

        Returns
        -------
        self
        """
        ax = new_axes(ax)
        pairs = most_confused(self.counts)[:n_pairs]
        bars = ax.barh(range(len(pairs)), [pair.count for pair in pairs], color="C0")
        ax.bar_label(bars, padding=3)
        ax.set_yticks(
            range(len(pairs)),
            [f"{self.classes[pair.true]} \u2192 {self.classes[pair.predicted]}" for pair in pairs],
        )
        ax.invert_yaxis()
        ax.set_xlabel("errors (true \u2192 predicted)")
        ax.margins(x=0.1)
        keep_names_literal(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self
