"""How sure a measured accuracy is, and a difference between two."""

from penultimate.evaluation.statistics import (
    Interval,
    accuracy_interval,
    compare_accuracies,
    interval_across_splits,
)

__all__ = ["Interval", "accuracy_interval", "compare_accuracies", "interval_across_splits"]
