from penultimate.evaluation.abstention.risk_coverage import (
    area_under_risk_coverage as area_under_risk_coverage,
)
from penultimate.evaluation.abstention.risk_coverage import confidence_scores as confidence_scores
from penultimate.evaluation.abstention.risk_coverage import (
    risk_coverage_curve as risk_coverage_curve,
)
from penultimate.evaluation.abstention.thresholds import certified_threshold as certified_threshold
from penultimate.evaluation.abstention.thresholds import error_free_samples as error_free_samples
from penultimate.evaluation.abstention.thresholds import risk_upper_bound as risk_upper_bound
from penultimate.evaluation.calibration import calibrate_scores as calibrate_scores
from penultimate.evaluation.calibration import calibrated as calibrated
from penultimate.evaluation.exchangeability.monitor import (
    ExchangeabilityMonitor as ExchangeabilityMonitor,
)
from penultimate.evaluation.intervals.accuracy import Interval as Interval
from penultimate.evaluation.intervals.accuracy import accuracy_interval as accuracy_interval
from penultimate.evaluation.intervals.accuracy import compare_accuracies as compare_accuracies
from penultimate.evaluation.intervals.accuracy import (
    interval_across_splits as interval_across_splits,
)
from penultimate.evaluation.intervals.accuracy import wilson_interval as wilson_interval
from penultimate.evaluation.intervals.significance import holm as holm
from penultimate.evaluation.intervals.significance import mcnemar as mcnemar
from penultimate.evaluation.intervals.significance import samples_needed as samples_needed
from penultimate.evaluation.novelty.detector import NoveltyDetector as NoveltyDetector
from penultimate.evaluation.reliability import ReliabilityCurve as ReliabilityCurve
from penultimate.evaluation.reliability import brier_score as brier_score
from penultimate.evaluation.reliability import (
    expected_calibration_error as expected_calibration_error,
)
from penultimate.evaluation.reliability import log_loss as log_loss
from penultimate.evaluation.reliability import reliability_curve as reliability_curve
from penultimate.evaluation.scoring import evaluate as evaluate
