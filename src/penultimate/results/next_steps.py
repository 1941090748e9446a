"""What to do next: at most three steps, each for a fact of the comparison.

No step is a guess: a comparison in which none of these facts holds has none. What makes the figures
wrong comes first, then what is cheap, then what takes another run.
"""

from typing import TYPE_CHECKING

import numpy as np

from penultimate._common.digits import percent
from penultimate._common.door import spelled
from penultimate._common.wording import quantity

if TYPE_CHECKING:
    from penultimate.results.outcome import Outcome

_MOST = 3
_FEW_PER_CLASS = 100  # below it, cross-fitting is worth its six networks; see docs/photos.md
_SEEN_BY_LOOK = {"duplicates-across-classes", "images-left-out"}

Step = dict[str, str]


def next_steps(outcome: "Outcome") -> list[Step]:
    """Return what to do next, the most useful first.

    Parameters
    ----------
    outcome : Outcome

    Returns
    -------
    list of dict
        ``what`` to do, ``why``, and the ``section`` of the page that it is about, if any.
    """
    makers = (_settle, _look, _labels, _few_images, _larger, _more_images)
    steps = [step for make in makers if (step := make(outcome)) is not None]
    return steps[:_MOST]


def _step(what: str, why: str, section: str = "") -> Step:
    return {"what": what, "why": why, "section": section}


def _settle(outcome: "Outcome") -> Step | None:
    if not any(check["level"] == "error" for check in outcome.checks):
        return None
    return _step(
        "Settle the error that the checks found, and compare again.",
        "Until then, the figures on this page do not hold.",
        "checks",
    )


def _look(outcome: "Outcome") -> Step | None:
    found = {check["id"] for check in outcome.checks} & _SEEN_BY_LOOK
    if not found or outcome.dataset.files is None:
        return None
    return _step(
        "Look at the data: penultimate look, with the same folder or manifest.",
        "It shows the files that could not be read, and all copies in different classes.",
    )


def _labels(outcome: "Outcome") -> Step | None:
    wrong = [case for case in outcome.hardest if case.margin < 0]
    if not wrong:
        return None
    images = quantity(len(wrong), f"training {outcome.dataset.noun}")
    return _step(
        f"Check the {'label' if len(wrong) == 1 else 'labels'} of {images}.",
        "An SVM that has learned them puts them into another class.",
        "hardest",
    )


def _few_images(outcome: "Outcome") -> Step | None:
    protocol, ways, reasons = outcome.protocol, [], []
    development = np.delete(outcome.dataset.labels, outcome.test)
    per_class = round(len(development) / len(np.unique(development)))
    nouns = f"{outcome.dataset.noun}s"
    trains = outcome.features is not None and not protocol["frozen"]
    if trains and protocol["selection"] == "heldout" and per_class < _FEW_PER_CLASS:
        crossfit = spelled("--selection crossfit", "Protocol(selection='crossfit')")
        ways.append(f"use all {nouns} to choose settings ({crossfit}, six networks per seed)")
        reasons.append(f"about {per_class} {nouns} per class to learn from")
    few_tested = any(check["id"] == "few-test-samples" for check in outcome.checks)
    if few_tested and not protocol["given_split"] and not outcome.others:
        splits = spelled("--splits 5", "a list of Holdouts")
        ways.append(f"test on several splits ({splits})")
        reasons.append(f"{quantity(len(outcome.test), outcome.dataset.noun)} to test on")
    if not ways:
        return None
    what = " and ".join(ways)
    return _step(f"{what[0].upper()}{what[1:]}.", f"There are {' and '.join(reasons)}.")


def _larger(outcome: "Outcome") -> Step | None:
    # Only the size chosen by default has a note that names another.
    default = [
        note
        for note in outcome.dataset.notes
        if note.startswith("Images were resized to ") and "Another size: " in note
    ]
    if not default or outcome.protocol["frozen"]:
        return None
    height, width = outcome.dataset.images.shape[1:3]
    larger = spelled(f"--image-size {2 * height}", f"load_data's image_size={2 * height}")
    return _step(
        f"If details matter, compare at twice the size ({larger}).",
        f"All images were reduced to {height} x {width} pixels, the default. Twice the side takes "
        "about four times as long.",
    )


def _more_images(outcome: "Outcome") -> Step | None:
    noun = outcome.dataset.noun
    for curve in outcome.learning_curves:
        if curve.method != outcome.protocol["headline"] or len(curve.accuracies) < 2:
            continue
        before, after = curve.accuracies[-2:]
        # Two standard errors of a difference, as if the two were measured on different images:
        # less may be chance.
        noise = 2 * np.sqrt((before * (1 - before) + after * (1 - after)) / max(curve.n_scored, 1))
        if not curve.n_scored or after - before < noise:
            continue
        few, many = curve.n_samples[-2:]
        return _step(
            f"Collect more {noun}s.",
            f"Fitted on {many:,} instead of {few:,} {noun}s, {curve.method} was right on "
            f"{percent(after, curve.n_scored)} % instead of {percent(before, curve.n_scored)} % of "
            f"the selection {noun}s.",
        )
    return None
