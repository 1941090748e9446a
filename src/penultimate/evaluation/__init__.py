"""How sure a measured accuracy is, a probability, an answer; features in the plane."""

from penultimate.evaluation.calibration import calibrate_scores, calibrated
from penultimate.evaluation.projections import possible_projections, project_features
from penultimate.evaluation.rejection import AbstainingClassifier
from penultimate.evaluation.reliability import (
    ReliabilityCurve,
    brier_score,
    expected_calibration_error,
    log_loss,
    reliability_curve,
)
from penultimate.evaluation.risk_coverage import (
    area_under_risk_coverage,
    confidence_scores,
    risk_coverage_curve,
)
from penultimate.evaluation.scoring import evaluate
from penultimate.evaluation.significance import holm, mcnemar, samples_needed
from penultimate.evaluation.statistics import (
    Interval,
    accuracy_interval,
    compare_accuracies,
    interval_across_splits,
    wilson_interval,
)
from penultimate.evaluation.thresholds import (
    certified_threshold,
    error_free_samples,
    risk_upper_bound,
)

__all__ = [
    "AbstainingClassifier",
    "Interval",
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
    "possible_projections",
    "project_features",
    "reliability_curve",
    "risk_coverage_curve",
    "risk_upper_bound",
    "samples_needed",
    "wilson_interval",
]
