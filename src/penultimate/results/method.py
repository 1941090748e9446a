"""Results of one method of a comparison: predictions, selected hyper-parameters and times."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What messages call the baseline where none was compared.
BASELINE, MASKED_BASELINE = "cnn-softmax", "cnn-softmax-masked"


@dataclass
class FitLog:
    """Selected hyper-parameters and times of a classifier, with one entry per seed.

    Attributes
    ----------
    fit_seconds, head_seconds, predict_seconds : list of float
        Time to fit everything from images, including a shared network; the part of it that belongs
        to this classifier alone; and the time to predict its test samples from images.
    params : list of dict
        The head's selected hyper-parameters.
    selection_scores : list of float or None
        Accuracy of the selected head on the selection part.
    grids : list of dict or None
        The ``cv_results_`` of the head, reduced to ``params`` and ``score``.
    selected : list of dict or None
        The ``layer`` and the ``normalization`` that a head on features selected, and the ``scores``
        of all that it chose from; None for other methods.
    """

    fit_seconds: list[float] = field(default_factory=list)
    head_seconds: list[float] = field(default_factory=list)
    predict_seconds: list[float] = field(default_factory=list)
    params: list[dict[str, Any]] = field(default_factory=list)
    selection_scores: list[float | None] = field(default_factory=list)
    grids: list[dict[str, Any] | None] = field(default_factory=list)
    selected: list[dict[str, Any] | None] = field(default_factory=list)

    def mean_grid_scores(self) -> tuple[list[dict[str, Any]], NDArray[np.float64]] | None:
        """Return settings and their selection scores, averaged over seeds.

        Returns
        -------
        tuple or None
            None if the search was not over C and gamma.
        """
        grids = self.comparable_grids()
        if not grids or not all({"C", "gamma"} <= set(p) for grid in grids for p in grid["params"]):
            return None
        # Gamma's grid follows the features' variance, which differs slightly between seeds: the
        # grids are averaged point by point and labeled with the values of the first seed.
        return grids[0]["params"], np.mean([grid["score"] for grid in grids], axis=0)

    def comparable_grids(self) -> list[dict[str, Any]]:
        """Return the grids on the layer and normalization that the first seed selected."""
        # Of another layer or normalization, the same C or gamma means something else.
        pairs = [each and (each["layer"], each["normalization"]) for each in self.selected]
        pairs += [None] * (len(self.grids) - len(pairs))
        found = [(grid, pair) for grid, pair in zip(self.grids, pairs) if grid is not None]
        return [grid for grid, pair in found if pair == found[0][1]]

    def append(
        self,
        *,
        fit_seconds: float,
        head_seconds: float,
        predict_seconds: float,
        params: dict[str, Any],
        selection_score: float | None,
        grid: dict[str, Any] | None,
        selected: dict[str, Any] | None = None,
    ) -> None:
        """Add the entries of the next seed."""
        self.fit_seconds.append(fit_seconds)
        self.head_seconds.append(head_seconds)
        self.predict_seconds.append(predict_seconds)
        self.params.append(params)
        self.selection_scores.append(selection_score)
        self.grids.append(grid)
        self.selected.append(selected)


@dataclass
class MethodResult:
    """Results of a method on the test set, for each seed.

    Attributes
    ----------
    name : str
    control : bool
        Whether it is a control, as in `Method`.
    knows_subset : bool
        Whether it is given the subset of each sample and predicts among its classes only.
    predictions : ndarray of shape (n_seeds, n_test), int64
        Predicted class indices.
    fits : dict of str or None to FitLog
        Logs keyed by subset, one per classifier; the key is None for a single classifier of all
        classes.
    probabilities : ndarray of shape (n_seeds, n_test, n_classes), float32, or None
        Class probabilities; zero outside a known subset. None if the method has none.
    calibrated : bool
        Whether the probabilities were fitted to scores of samples of the selection part, rather
        than returned by the method itself.
    margins : ndarray of shape (n_seeds, n_test), float32, or None
        Smallest decision value of the predicted class against any other, of an SVM head: near zero
        where it hesitated. None if the method is no such head.
    inputs, family, router : str or None
        What it works on, what kind of classifier it is, and how it finds the subset of a sample; as
        in `Method`.
    """

    name: str
    control: bool
    knows_subset: bool
    predictions: NDArray[np.int64]
    fits: dict[str | None, FitLog]
    probabilities: NDArray[np.float32] | None = None
    calibrated: bool = False
    inputs: str = "features"
    family: str = "other"
    router: str | None = None
    margins: NDArray[np.float32] | None = None

    @property
    def uses_network(self) -> bool:
        """Whether it uses the network shared by the methods of a seed."""
        return self.inputs in ("probabilities", "features") or self.router == "network"

    @property
    def title_of_probabilities(self) -> str:
        """Its name, and whether its probabilities are what the method itself returned."""
        return self.name if self.calibrated else f"{self.name}, not calibrated"

    @property
    def is_softmax(self) -> bool:
        """Whether it is the network's own softmax, over all classes or those of a known subset."""
        return self.inputs == "probabilities" and self.router is None

    @property
    def is_logistic_head(self) -> bool:
        """Whether it is a logistic head on the network's features: its softmax, fitted anew."""
        is_logistic = self.family == "logistic" and self.router is None
        return self.inputs == "features" and is_logistic

    def seconds(self, subset: str | None) -> dict[str, float]:
        """Return mean times over seeds, of the classifier of a subset or (None) of all classifiers.

        Shared parts, such as a network, are counted once.
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
        """Return the log of the single classifier for a subset; None if there are several."""
        if subset in self.fits:
            return self.fits[subset]
        return self.fits.get(None)


@dataclass(frozen=True)
class HardCase:
    """A development sample on the wrong side of an SVM head's margin.

    Attributes
    ----------
    sample : int
        Position in the dataset.
    true, predicted : int
        Class indices of the label and of the highest score.
    margin : float
        The smallest decision value of its own class against any other: below 1 inside the margin,
        negative if another class is predicted.
    """

    sample: int
    true: int
    predicted: int
    margin: float


@dataclass(frozen=True)
class LearningCurve:
    """Accuracy of a head on the selection part when fitted on fewer samples of the fit part.

    Attributes
    ----------
    method : str
    n_samples : list of int
    accuracies : list of float
    n_scored : int
        Samples of the selection part; 0 if unknown.
    """

    method: str
    n_samples: list[int]
    accuracies: list[float]
    n_scored: int = 0
