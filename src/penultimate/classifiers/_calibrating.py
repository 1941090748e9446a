"""Calibration as a parameter of classifiers: its check, and what to do without enough samples."""

import warnings
from typing import Any

from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import Pipeline

from penultimate._common.frames import level_outside
from penultimate.evaluation.head_calibration import Parts, calibrate_head, chosen_estimator
from penultimate.svm.svc import SVC


def check_calibration(calibration: object, selection: str) -> None:
    """Raise ``ValueError`` unless a head can be calibrated in this way."""
    if calibration not in (None, "temperature"):
        raise ValueError(
            f"The 'calibration' parameter must be 'temperature' or None; got {calibration!r}."
        )
    if calibration is not None and selection == "resubstitution":
        raise ValueError(
            "calibration='temperature' needs held-out samples, and selection='resubstitution' "
            "holds out none. Use selection='heldout' or 'crossfit'."
        )


def calibrate_or_warn(
    pipeline: Pipeline,
    parts: Parts,
    y: NDArray[Any],
    sample_weight: NDArray[Any] | None,
) -> CalibratedClassifierCV | None:
    """Calibrate an SVM head; warn if too few samples are held out for it, and return None."""
    calibrator = calibrate_head(pipeline, parts, y, sample_weight)
    if calibrator is None and isinstance(chosen_estimator(pipeline), SVC):
        warnings.warn(
            "The head is not calibrated, and has no probabilities: not every class is among both "
            "the fitted and the held-out samples. Pass more samples per class.",
            UserWarning,
            stacklevel=level_outside(),
        )
    return calibrator
