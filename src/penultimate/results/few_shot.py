"""Accuracies of methods by the number of samples per class."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.validation import check_choice
from penultimate.evaluation.intervals.accuracy import (
    Interval,
    accuracy_interval,
    compare_accuracies,
)


@dataclass(frozen=True)
class LearningCurves:
    """Outcome of `learning_curves`.

    Attributes
    ----------
    methods : list of str
        Names of the methods.
    sizes : list of int
        Numbers of samples per class, ascending; if all samples are used, their mean over classes.
    classes : ndarray of shape (n_classes,)
    y_test : ndarray of shape (n_test,), int64
        Class indices of the test samples.
    predictions : ndarray of shape (n_methods, n_sizes, n_seeds, n_test), int64
        Predicted class indices.
    rows : list of dict
        For each method, size and seed, the ``accuracy``, the selected ``layer`` and ``params``
        (None if nothing was selected), and the ``seconds`` spent on fitting.
    """

    methods: list[str]
    sizes: list[int]
    classes: NDArray[Any]
    y_test: NDArray[np.int64]
    predictions: NDArray[np.int64]
    rows: list[dict[str, Any]]

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """Accuracy on the test set, of shape (n_methods, n_sizes, n_seeds)."""
        return (self.predictions == self.y_test).mean(axis=-1)

    def correct(self, method: str, size: int) -> NDArray[np.bool_]:
        """Return which test samples a method classified correctly.

        Parameters
        ----------
        method : str
            One of `methods`.
        size : int
            One of `sizes`.

        Returns
        -------
        ndarray of shape (n_seeds, n_test), bool
        """
        check_choice(method, "method", "LearningCurves", self.methods)
        if size not in self.sizes:
            raise ValueError(f"There is no size {size!r}; the sizes are {self.sizes}.")
        place = self.methods.index(method), self.sizes.index(size)
        return self.predictions[place] == self.y_test

    def accuracy(self, method: str, size: int) -> Interval:
        """Compute a method's mean accuracy over seeds, with its confidence interval.

        Parameters
        ----------
        method : str
            One of `methods`.
        size : int
            One of `sizes`.

        Returns
        -------
        Interval
        """
        return accuracy_interval(self.correct(method, size))

    def difference(self, method: str, other: str, size: int) -> Interval:
        """Compute a method's accuracy minus that of another, paired by test sample and seed.

        Parameters
        ----------
        method, other : str
            Two of `methods`.
        size : int
            One of `sizes`.

        Returns
        -------
        Interval
        """
        return compare_accuracies(self.correct(method, size), self.correct(other, size))

    def to_dict(self) -> dict[str, Any]:
        """Return the results as plain data; ``pandas.DataFrame(curves.rows)`` gives a table.

        Returns
        -------
        dict
        """
        return {
            "methods": list(self.methods),
            "sizes": list(self.sizes),
            "classes": self.classes.tolist(),
            "n_test": len(self.y_test),
            "rows": list(self.rows),
        }
