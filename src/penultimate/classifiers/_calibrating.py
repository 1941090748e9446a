"""Calibration as a parameter of classifiers: its check, and what to do without enough samples."""

import warnings
from collections.abc import Callable
from typing import Any, Protocol

from numpy.typing import NDArray
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import Pipeline

from penultimate._common.frames import level_outside
from penultimate._common.protocols import Head
from penultimate.evaluation.head_calibration import (
    Parts,
    calibrate_head,
    calibrated_probabilities,
    chosen_estimator,
)
from penultimate.selection.heldout import FittedHead
from penultimate.svm.svc import SVC


class _HasHead(Protocol):
    calibration: str | None
    # There are these once it is fitted.
    head_: Pipeline
    calibrator_: CalibratedClassifierCV | None

    def _make_head(self) -> Head: ...


def head_has(method: str) -> Callable[[Any], bool]:
    """Return a check for ``available_if``: whether the head, fitted if possible, has a method."""

    def check(classifier: _HasHead) -> bool:
        fitted = hasattr(classifier, "head_")
        calibrated = (classifier.calibrator_ if fitted else classifier.calibration) is not None
        head = classifier.head_["head"] if fitted else classifier._make_head()
        return hasattr(head, method) or (method == "predict_proba" and calibrated)

    return check


def ask_calibrated(
    fitted: FittedHead,
    calibrator: CalibratedClassifierCV | None,
    method: str,
    features: NDArray[Any],
) -> NDArray[Any]:
    """Ask a head for values of features; for probabilities by its calibration, if it has one."""
    if method != "predict_proba" or calibrator is None:
        return fitted.ask(method, features)
    # As in `FittedHead.ask`: transformers return arrays, whatever is configured by now.
    with config_context(transform_output="default"):
        return calibrated_probabilities(fitted.pipeline, calibrator, features)


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
