"""The report of a comparison, and the pictures in it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penultimate.report.confused_pairs import (
        ConfusedPair,
        ConfusedPairsDisplay,
        most_confused,
    )
    from penultimate.report.displays import SearchHeatmapDisplay, TrainingCurvesDisplay
    from penultimate.report.feature_map import FeatureMapDisplay
    from penultimate.report.files import write_report
    from penultimate.report.folder import check_folder
    from penultimate.report.learning_curves import LearningCurvesDisplay
    from penultimate.report.methods_text import methods_paragraph
    from penultimate.report.paired_differences import PairedDifferencesDisplay
    from penultimate.report.reliability import ReliabilityDisplay
    from penultimate.report.risk_coverage import RiskCoverageDisplay
    from penultimate.report.summary import summarise
    from penultimate.report.verdicts import verdict

_WHERE = {
    "ConfusedPair": "confused_pairs",
    "ConfusedPairsDisplay": "confused_pairs",
    "PairedDifferencesDisplay": "paired_differences",
    "most_confused": "confused_pairs",
    "methods_paragraph": "methods_text",
    "LearningCurvesDisplay": "learning_curves",
    "FeatureMapDisplay": "feature_map",
    "ReliabilityDisplay": "reliability",
    "RiskCoverageDisplay": "risk_coverage",
    "SearchHeatmapDisplay": "displays",
    "TrainingCurvesDisplay": "displays",
    "check_folder": "folder",
    "summarise": "summary",
    "verdict": "verdicts",
    "write_report": "files",
}

__all__ = [
    "ConfusedPair",
    "ConfusedPairsDisplay",
    "FeatureMapDisplay",
    "LearningCurvesDisplay",
    "PairedDifferencesDisplay",
    "ReliabilityDisplay",
    "RiskCoverageDisplay",
    "SearchHeatmapDisplay",
    "TrainingCurvesDisplay",
    "check_folder",
    "methods_paragraph",
    "most_confused",
    "summarise",
    "verdict",
    "write_report",
]


def __getattr__(name: str) -> Any:
    # Lazy, so that the command line can check the output folder before it loads anything heavy.
    if name not in _WHERE:
        raise AttributeError(f"module 'penultimate.report' has no attribute {name!r}")
    return getattr(import_module(f"penultimate.report.{_WHERE[name]}"), name)
