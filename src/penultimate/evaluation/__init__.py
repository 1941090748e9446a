"""How sure a measured accuracy is, and a difference between two; features in the plane."""

from penultimate.evaluation.projections import possible_projections, project_features
from penultimate.evaluation.significance import holm, mcnemar, samples_needed
from penultimate.evaluation.statistics import (
    Interval,
    accuracy_interval,
    compare_accuracies,
    interval_across_splits,
    wilson_interval,
)

__all__ = [
    "Interval",
    "accuracy_interval",
    "compare_accuracies",
    "holm",
    "interval_across_splits",
    "mcnemar",
    "possible_projections",
    "project_features",
    "samples_needed",
    "wilson_interval",
]
