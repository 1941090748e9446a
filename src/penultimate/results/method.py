"""What a method of a comparison did: its predictions, what it chose, and how long it took."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass
class FitLog:
    """What a classifier chose, and how long it took; an entry a seed.

    Attributes
    ----------
    fit_seconds, head_seconds, predict_seconds : list of float
        To fit all of it from images, a shared network included; the part of it that is its own; and
        to predict its test samples from images.
    params : list of dict
        The head's chosen parameters.
    selection_scores : list of float or None
        Accuracy of the chosen head on the selection part.
    grids : list of dict or None
        The head's ``cv_results_``, reduced to ``params`` and ``score``.
    """

    fit_seconds: list[float] = field(default_factory=list)
    head_seconds: list[float] = field(default_factory=list)
    predict_seconds: list[float] = field(default_factory=list)
    params: list[dict[str, Any]] = field(default_factory=list)
    selection_scores: list[float | None] = field(default_factory=list)
    grids: list[dict[str, Any] | None] = field(default_factory=list)


@dataclass
class MethodResult:
    """What a method did on the test part, for each seed.

    Attributes
    ----------
    name : str
    control : bool
        As in `Method`.
    knows_subset : bool
        Whether it is told the subset of each sample, and chooses among that subset's classes only.
    predictions : ndarray of shape (n_seeds, n_test), int64
        Class indices.
    fits : dict of str or None to FitLog
        For each subset that has a classifier of its own; under None where there is one for all.
    probabilities : ndarray of shape (n_seeds, n_test, n_classes), float32, or None
        Of every class; zero outside a known subset. None where the method gives none.
    calibrated : bool
        Whether they were made from scores of samples of the selection part, or came from the
        method itself.
    """

    name: str
    control: bool
    knows_subset: bool
    predictions: NDArray[np.int64]
    fits: dict[str | None, FitLog]
    probabilities: NDArray[np.float32] | None = None
    calibrated: bool = False

    def seconds(self, subset: str | None) -> dict[str, float]:
        """Mean times over seeds, of the classifier of a subset, or (None) of all that there are.

        What all classifiers share, such as a network, counts once.
        """
        logs = [self.fits[subset]] if subset in self.fits else list(self.fits.values())
        fit, head, predict = (
            np.array([getattr(log, name) for log in logs])
            for name in ("fit_seconds", "head_seconds", "predict_seconds")
        )
        shared = (fit - head).max(axis=0)
        return {
            "fit_seconds": float((shared + head.sum(axis=0)).mean()),
            "head_seconds": float(head.sum(axis=0).mean()),
            "predict_seconds": float(predict.sum(axis=0).mean()),
        }

    def choices(self, subset: str | None) -> FitLog | None:
        """Return what the one classifier for a subset chose; None where there are several."""
        if subset in self.fits:
            return self.fits[subset]
        return self.fits.get(None)


@dataclass(frozen=True)
class HardCase:
    """A development sample that an SVM head has on the wrong side of its margin.

    Attributes
    ----------
    sample : int
        Position in the dataset.
    true, predicted : int
        Class indices: of its label, and of the highest score.
    margin : float
        The least decision value of its own class against another: below 1 within the margin,
        negative where it is taken for another class.
    """

    sample: int
    true: int
    predicted: int
    margin: float


@dataclass(frozen=True)
class LearningCurve:
    """What a head makes of fewer samples of the fit part, judged on the selection part.

    Attributes
    ----------
    method : str
    n_samples : list of int
    accuracies : list of float
    """

    method: str
    n_samples: list[int]
    accuracies: list[float]
