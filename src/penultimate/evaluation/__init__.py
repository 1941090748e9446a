"""How sure a measured accuracy is, and a difference between two; features in the plane."""

from penultimate.evaluation.projections import possible_projections, project_features
from penultimate.evaluation.statistics import (
    Interval,
    accuracy_interval,
    compare_accuracies,
    interval_across_splits,
)

__all__ = [
    "Interval",
    "accuracy_interval",
    "compare_accuracies",
    "interval_across_splits",
    "possible_projections",
    "project_features",
]
