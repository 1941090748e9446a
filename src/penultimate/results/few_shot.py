"""Accuracies of methods by the number of samples per class."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.validation import check_choice
from penultimate.evaluation import Interval, accuracy_interval, compare_accuracies


@dataclass(frozen=True)
class LearningCurves:
    """The outcome of `learning_curves`.

    Attributes
    ----------
    methods : list of str
    sizes : list of int
        Samples of a class, ascending; the mean over classes where all samples are taken.
    classes : ndarray of shape (n_classes,)
    y_test : ndarray of shape (n_test,), int64
        Class indices.
    predictions : ndarray of shape (n_methods, n_sizes, n_seeds, n_test), int64
        Class indices.
    rows : list of dict
        For each method, size and seed the ``accuracy``, the ``layer`` and ``params`` that were
        selected (None where nothing was), and the ``seconds`` of fitting.
    """

    methods: list[str]
    sizes: list[int]
    classes: NDArray[Any]
    y_test: NDArray[np.int64]
    predictions: NDArray[np.int64]
    rows: list[dict[str, Any]]

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """Accuracy on the test part, of shape (n_methods, n_sizes, n_seeds)."""
        return (self.predictions == self.y_test).mean(axis=-1)

    def correct(self, method: str, size: int) -> NDArray[np.bool_]:
        """Tell which test samples a method got right.

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
            raise ValueError(f"There is no size {size!r}; there are {self.sizes}.")
        place = self.methods.index(method), self.sizes.index(size)
        return self.predictions[place] == self.y_test

    def accuracy(self, method: str, size: int) -> Interval:
        """Compute a method's accuracy, the mean over seeds, and its interval.

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
        """Compute a method's accuracy less that of another, paired by test sample and seed.

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
        """Return the results as plain data; ``pandas.DataFrame(curves.rows)`` makes a table of it.

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
