"""The guarantee of a model that abstains, given again for taught heads, or refused.

The threshold was set for the head as it was. For a taught one it is set anew at promotion, on the
calibration samples in the bundle: no head was fitted on them, and those that were taught since are
left out. Whether a sample is novel is judged by its features alone, which teaching leaves as they
are; but what is taught as a new class is novel by that judgment, so a new class ends it.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np

from penultimate.bundle.promises import promised
from penultimate.classifiers._certification import Goal, Threshold, set_threshold
from penultimate.teaching.errors import TeachingError
from penultimate.teaching.heads import Heads


class Certified(NamedTuple):
    """A threshold of abstention for taught heads, and what was set for it.

    Attributes
    ----------
    threshold : Threshold
    goal : dict
        As the manifest states it, counted on.
    judges_novelty : bool
        Whether samples may still be called novel.
    """

    threshold: Threshold
    goal: dict[str, Any]
    judges_novelty: bool


def certify(heads: Heads, goal: dict[str, Any], judges_novelty: bool) -> Certified:
    """Set the threshold of taught heads.

    Parameters
    ----------
    heads : Heads
        Without what was taught among their calibration samples.
    goal : dict
        What the manifest says of it.
    judges_novelty : bool
        Whether samples may be called novel.

    Returns
    -------
    Certified

    Raises
    ------
    TeachingError
        If no threshold gives the guarantee.
    """
    right, confidence = [], []
    for head in heads.each:
        kept = head.calibration
        if judges_novelty:
            kept = kept.only(~kept.novel)
        right.append(head.rights(kept))
        confidence.append(head.confidence(kept, goal["criterion"]))
    wanted = Goal(goal["risk"], goal["coverage"], goal["level"])
    correct = np.concatenate(right)
    try:
        if not len(correct):
            raise ValueError("There are none.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # said below
            found = set_threshold(wanted, correct, np.concatenate(confidence))
    except ValueError as error:
        raise _refusal(len(correct), goal) from error
    if found.value == np.inf:
        raise _refusal(len(correct), goal)
    return Certified(found, {**goal, "n_times": goal["n_times"] + 1}, judges_novelty)


def in_manifest(found: Certified, new_classes: list[Any], was_novel: bool) -> dict[str, Any]:
    """Return what a manifest says of abstention, the limits of the guarantee in words."""
    threshold, goal = found.threshold, found.goal
    coverage = threshold.n_accepted / threshold.n_heldout
    words = [
        promised(
            threshold.value,
            coverage,
            threshold.n_heldout,
            goal["risk"],
            goal["level"],
            threshold.risk_bound,
        ),
        "The threshold was set anew for the taught head, on samples that it was not fitted on; "
        f"it is number {goal['n_times']} that was set on them, and a choice among versions by what "
        "they say makes the promise weaker.",
    ]
    if new_classes:
        words.append(
            f"None of them is of {', '.join(map(repr, new_classes))}: for these classes nothing is "
            "promised."
        )
    if found.judges_novelty:
        words.append(
            "Whether a sample is of none of the classes is judged as before, by the samples of the "
            "first version."
        )
    elif was_novel:
        words.append(
            "It no longer says of samples that they are of none of the classes: by what it knew, "
            "those of a new class were."
        )
    finite = bool(np.isfinite(threshold.value))
    return {
        "threshold": float(threshold.value) if finite else None,
        "risk": goal["risk"],
        "level": goal["level"],
        "coverage": coverage,
        "bound": threshold.risk_bound,
        "n_heldout": threshold.n_heldout,
        "statement": " ".join(words),
    }


def _refusal(n_samples: int, goal: dict[str, Any]) -> TeachingError:
    wanted = f"coverage={goal['coverage']}" if goal["risk"] is None else f"risk={goal['risk']:g}"
    return TeachingError(
        f"No threshold gives the guarantee ({wanted}, level={goal['level']:g}) for the taught head "
        f"on {n_samples:,} calibration samples, so nothing was promoted. Undo lessons that make it "
        "err on the other classes; or fit again, with more samples or a higher risk."
    )
