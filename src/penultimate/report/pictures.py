"""The pictures of the page: its picture sections and the displays in each of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penultimate.displays.learning_curves import LearningCurvesDisplay
from penultimate.displays.reliability import ReliabilityDisplay
from penultimate.displays.risk_coverage import RiskCoverageDisplay
from penultimate.displays.search_and_training import SearchHeatmapDisplay, TrainingCurvesDisplay
from penultimate.results.answer import shown_method
from penultimate.results.outcome import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Section:
    """A section of the page that consists of pictures.

    Attributes
    ----------
    title, note : str
        Heading and introduction above the pictures.
    make_displays : callable
        Function of the comparison that returns displays keyed by caption; empty if there is
        nothing to show.
    width : float, default=5.2
        Width of each picture, in inches.
    """

    title: str
    note: str
    make_displays: Callable[[Outcome], dict[str, Any]]
    width: float = 5.2


def displays_by_section(comparison: Outcome) -> dict[str, dict[str, Any]]:
    """Make the displays of every section that has any.

    Parameters
    ----------
    comparison : Outcome

    Returns
    -------
    dict of str to dict
        Displays keyed by caption, for each section name as in `SECTIONS`.
    """
    made = {name: section.make_displays(comparison) for name, section in SECTIONS.items()}
    return {name: displays for name, displays in made.items() if displays}


def _heatmaps(comparison: Outcome) -> dict[str, Any]:
    return {
        m.name if subset is None else f"{m.name}, {subset}": SearchHeatmapDisplay.from_scores(
            *found
        )
        for m in comparison.methods
        if m.router is None  # routing reuses the same searches
        for subset, log in m.fits.items()
        if (found := log.mean_grid_scores()) is not None
    }


def _learning_curves(comparison: Outcome) -> dict[str, Any]:
    if not comparison.learning_curves:
        return {}
    return {"": LearningCurvesDisplay.from_comparison(comparison)}


def _training(comparison: Outcome) -> dict[str, Any]:
    if not comparison.histories:
        return {}
    return {"": TrainingCurvesDisplay.from_comparison(comparison)}


def _reliability(comparison: Outcome) -> dict[str, Any]:
    """Make a display for each of the verdict's two methods, over all samples and seeds."""
    return {
        # The caption is the name: in the legend of a small picture there is no room for it.
        m.title_of_probabilities: ReliabilityDisplay.from_comparison(comparison, m.name, name="")
        for m in comparison.methods
        if m.probabilities is not None and m.name in _of_verdict(comparison)
    }


def _of_verdict(comparison: Outcome) -> set[str]:
    """Return the names of the verdict's methods; without a verdict, of the best and its softmax."""
    name = shown_method(comparison)
    return {name, comparison.baseline(name)}


class _Together:
    """Several displays drawn on the same axes."""

    def __init__(self, displays: list[Any]) -> None:
        self.displays = displays

    def plot(self, ax: "Axes") -> None:
        for index, display in enumerate(self.displays):
            display.plot(ax, linestyle=("-", "--", "-.", ":")[index % 4])


def _risk_coverage(comparison: Outcome) -> dict[str, Any]:
    """Draw all methods with probabilities in one picture, for the first seed."""
    displays = [
        RiskCoverageDisplay.from_comparison(comparison, m.name)
        for m in comparison.methods
        if m.probabilities is not None
    ]
    return {"": _Together(displays)} if displays else {}


# To add a section to the page, write a function like those above and list it here.
SECTIONS = {
    "search": Section(
        "C and gamma",
        "Selection accuracy, averaged over seeds. The frame marks the best cell of the average; "
        "each seed makes its own selection.",
        _heatmaps,
    ),
    "learning-curves": Section(
        "Learning curves",
        "Accuracy of the heads on the selection part when fitted on fewer samples of the fit part, "
        "for the first seed. Heads on features share one network, trained on the whole fit "
        "part; heads on pixels use none. A curve that is still rising suggests that more samples "
        "would help.",
        _learning_curves,
        width=8.0,
    ),
    "reliability": Section(
        "Reliability",
        "Accuracy by confidence (the highest predicted probability), over all seeds. On the "
        "diagonal the two agree: the probabilities are calibrated.",
        _reliability,
        width=3.7,
    ),
    "risk-coverage": Section(
        "Risk and coverage",
        "Error rate among the accepted samples as a function of the fraction accepted, the most "
        "confident first; for the first seed.",
        _risk_coverage,
        width=8.0,
    ),
    "training": Section(
        "Training of the network",
        "The training loss is computed on augmented images, with dropout; validation uses a slice "
        "of the fit part, without augmentation or dropout. Dots mark the epochs whose weights were "
        "kept.",
        _training,
        width=8.0,
    ),
}
