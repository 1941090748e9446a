"""Plots of features, searches, training runs and results, as scikit-learn Displays."""

from penultimate.datasets.display import DatasetDisplay
from penultimate.displays.confused_pairs import ConfusedPair, ConfusedPairsDisplay, most_confused
from penultimate.displays.feature_map import FeatureMapDisplay
from penultimate.displays.learning_curves import LearningCurvesDisplay
from penultimate.displays.paired_differences import PairedDifferencesDisplay
from penultimate.displays.projections import possible_projections, project_features
from penultimate.displays.reliability import ReliabilityDisplay
from penultimate.displays.risk_coverage import RiskCoverageDisplay
from penultimate.displays.search_and_training import SearchHeatmapDisplay, TrainingCurvesDisplay

__all__ = [
    "ConfusedPair",
    "ConfusedPairsDisplay",
    "DatasetDisplay",
    "FeatureMapDisplay",
    "LearningCurvesDisplay",
    "PairedDifferencesDisplay",
    "ReliabilityDisplay",
    "RiskCoverageDisplay",
    "SearchHeatmapDisplay",
    "TrainingCurvesDisplay",
    "most_confused",
    "possible_projections",
    "project_features",
]
