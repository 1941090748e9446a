"""The pictures of the page: its sections, and the displays that each of them shows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from penultimate.displays.learning_curves import LearningCurvesDisplay
from penultimate.displays.reliability import ReliabilityDisplay
from penultimate.displays.risk_coverage import RiskCoverageDisplay
from penultimate.displays.search_and_training import SearchHeatmapDisplay, TrainingCurvesDisplay
from penultimate.results.method import FitLog
from penultimate.results.outcome import Outcome


@dataclass(frozen=True)
class Section:
    """A section of the page that consists of pictures.

    Attributes
    ----------
    title, note : str
        What stands above them.
    displays : callable
        A function of the comparison that returns displays by their captions; none where there is
        nothing to show.
    width : float, default=5.2
        Of a picture, in inches.
    """

    title: str
    note: str
    displays: Callable[[Outcome], dict[str, Any]]
    width: float = 5.2


def displays_by_section(comparison: Outcome) -> dict[str, dict[str, Any]]:
    """Make the displays of every section that has any.

    Parameters
    ----------
    comparison : Outcome

    Returns
    -------
    dict of str to dict
        For the name of each section, as in `SECTIONS`, its displays by their captions.
    """
    made = {name: section.displays(comparison) for name, section in SECTIONS.items()}
    return {name: displays for name, displays in made.items() if displays}


def _heatmaps(comparison: Outcome) -> dict[str, Any]:
    return {
        m.name if subset is None else f"{m.name}, {subset}": display
        for m in comparison.methods
        if not m.name.endswith("routed")  # the same searches once more
        for subset, log in m.fits.items()
        if (display := _heatmap(log)) is not None
    }


def _heatmap(log: FitLog) -> SearchHeatmapDisplay | None:
    """Mean selection scores over seeds, where the search was over C and gamma."""
    grids = [grid for grid in log.grids if grid is not None]
    if not grids or not all({"C", "gamma"} <= set(p) for grid in grids for p in grid["params"]):
        return None
    # Gamma's grid follows the features' variance, which differs a little from seed to seed: the
    # grids are averaged point by point, and named by the first.
    scores = np.mean([grid["score"] for grid in grids], axis=0)
    return SearchHeatmapDisplay.from_scores(grids[0]["params"], scores)


def _learning_curves(comparison: Outcome) -> dict[str, Any]:
    if not comparison.learning_curves:
        return {}
    return {"": LearningCurvesDisplay.from_comparison(comparison)}


def _training(comparison: Outcome) -> dict[str, Any]:
    if not comparison.histories:
        return {}
    return {"": TrainingCurvesDisplay.from_histories(comparison.histories)}


def _reliability(comparison: Outcome) -> dict[str, Any]:
    """One for each method that gives probabilities, over all samples and seeds."""
    true = comparison.dataset.labels[comparison.test]
    classes = np.arange(len(comparison.dataset.classes))
    return {
        m.name
        if m.calibrated
        else f"{m.name}, not calibrated": ReliabilityDisplay.from_predictions(
            np.tile(true, len(m.probabilities)), np.concatenate(m.probabilities), classes=classes
        )
        for m in comparison.methods
        if m.probabilities is not None
    }


class _Together:
    """Several displays on the same axes."""

    def __init__(self, displays: list[Any]) -> None:
        self.displays = displays

    def plot(self, ax: Any) -> None:
        for index, display in enumerate(self.displays):
            display.plot(ax, linestyle=("-", "--", "-.", ":")[index % 4])


def _risk_coverage(comparison: Outcome) -> dict[str, Any]:
    """All methods that give probabilities in one picture, of the first seed."""
    displays = [
        RiskCoverageDisplay.from_predictions(
            comparison.correct(m.name)[0], m.probabilities[0].max(axis=1), name=m.name
        )
        for m in comparison.methods
        if m.probabilities is not None
    ]
    return {"": _Together(displays)} if displays else {}


# To add a section, write a function as those above, and name it here: the page follows.
SECTIONS = {
    "search": Section(
        "C and gamma",
        "Mean accuracy over seeds on the samples that heads were selected on. Framed: the best; "
        "each seed chooses for itself.",
        _heatmaps,
    ),
    "learning-curves": Section(
        "Learning curves",
        "What heads make of fewer samples of the fit part: accuracy on the selection part, for the "
        "first seed. The cnn heads stand on one network that was trained on the whole fit part; "
        "pca+svm-rbf uses none. A curve that still rises says that more samples would help.",
        _learning_curves,
        width=8.0,
    ),
    "reliability": Section(
        "Reliability",
        "How often a method is right where it says that it is so sure: on the diagonal it is right "
        "as often as it says. Over all seeds.",
        _reliability,
        width=3.7,
    ),
    "risk-coverage": Section(
        "Risk and coverage",
        "Samples answered, the surest first, and the errors among them; for the first seed.",
        _risk_coverage,
        width=8.0,
    ),
    "training": Section(
        "Training of the network",
        "Training loss is of augmented images, with dropout; validation is a slice of the fit "
        "part, as it is. Dots: the weights that were kept.",
        _training,
        width=8.0,
    ),
}
