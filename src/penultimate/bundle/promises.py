"""What a model that abstains promises, as its manifest states it and in words."""

from typing import Any

import numpy as np

from penultimate._common.protocols import Classifier
from penultimate.classifiers import AbstainingClassifier


def abstention_of(model: Classifier) -> dict[str, Any] | None:
    """Return what a manifest says of a model's abstention; None of one that answers always."""
    if not isinstance(model, AbstainingClassifier):
        return None
    finite = bool(np.isfinite(model.threshold_))
    statement = promised(
        model.threshold_,
        model.coverage_,
        model.n_heldout_,
        model.risk,
        model.level,
        model.risk_bound_,
    )
    if model.novelty is not None:
        detector = model.novelty_detector_
        statement += (
            f" Says of a sample that it is of none of the classes at a false-alarm rate of "
            f"{100 * model.novelty:g} %, calibrated with {detector.n_heldout_:,} held-out samples."
        )
    return {
        "threshold": float(model.threshold_) if finite else None,
        "risk": model.risk,
        "level": model.level,
        "coverage": float(model.coverage_),
        "bound": float(model.risk_bound_),
        "n_heldout": int(model.n_heldout_),
        "statement": statement,
    }


def promised(
    threshold: float,
    coverage: float,
    n_samples: int,
    risk: float | None,
    level: float,
    bound: float,
) -> str:
    """Return in words what a model that abstains promises.

    Parameters
    ----------
    threshold : float
        What the confidence of an answer exceeds; -inf accepts all, inf none.
    coverage : float
        Share of the held-out samples that get an answer.
    n_samples : int
        Number of these.
    risk : float or None
        What the threshold was set for, which the promise is then of.
    level : float
    bound : float
        On the error rate of the answers.
    """
    if threshold == np.inf:
        return f"It abstains from every sample: no threshold keeps errors below {risk}."
    where = f"where its confidence exceeds {threshold:.4g}"
    return (
        f"Answers {'always' if threshold == -np.inf else where}: {100 * coverage:.0f} % of "
        f"{n_samples:,} held-out samples. With {100 * level:g} % confidence, at most "
        f"{100 * (bound if risk is None else risk):.2g} % of the answers are wrong, for samples "
        "drawn like those."
    )
