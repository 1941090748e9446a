"""Confidence intervals, calibration, selective classification, and checks of an evaluation."""

from penultimate.evaluation.abstention.risk_coverage import (
    area_under_risk_coverage,
    confidence_scores,
    risk_coverage_curve,
)
from penultimate.evaluation.abstention.thresholds import (
    certified_threshold,
    error_free_samples,
    risk_upper_bound,
)
from penultimate.evaluation.calibration import calibrate_scores, calibrated
from penultimate.evaluation.intervals.accuracy import (
    Interval,
    accuracy_interval,
    compare_accuracies,
    interval_across_splits,
    wilson_interval,
)
from penultimate.evaluation.intervals.significance import holm, mcnemar, samples_needed
from penultimate.evaluation.novelty import NoveltyDetector
from penultimate.evaluation.reliability import (
    ReliabilityCurve,
    brier_score,
    expected_calibration_error,
    log_loss,
    reliability_curve,
)
from penultimate.evaluation.scoring import evaluate

__all__ = [
    "Interval",
    "NoveltyDetector",
    "ReliabilityCurve",
    "accuracy_interval",
    "area_under_risk_coverage",
    "brier_score",
    "calibrate_scores",
    "calibrated",
    "certified_threshold",
    "compare_accuracies",
    "confidence_scores",
    "error_free_samples",
    "evaluate",
    "expected_calibration_error",
    "holm",
    "interval_across_splits",
    "log_loss",
    "mcnemar",
    "reliability_curve",
    "risk_coverage_curve",
    "risk_upper_bound",
    "samples_needed",
    "wilson_interval",
]


def __getattr__(name: str) -> object:
    # It stood here before classifiers had a room of their own. The top level knows where it is now,
    # so that this room still imports none above it.
    if name == "AbstainingClassifier":
        import penultimate

        return penultimate.AbstainingClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
