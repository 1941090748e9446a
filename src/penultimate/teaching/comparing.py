"""The taught head against the one that serves: on samples that neither was fitted on.

These are the test samples of the fit. Each look at them with a choice after it makes them a little
less of a test, so looks are counted and said. A held-out sample that was taught since does not
count for either head. Specialists are asked with the subset known; what a router makes of it is
said beside it.
"""

from typing import Any

import numpy as np

from penultimate.evaluation.intervals.accuracy import accuracy_interval, compare_accuracies
from penultimate.teaching.certifying import Certified
from penultimate.teaching.errors import TeachingError
from penultimate.teaching.heads import Heads
from penultimate.teaching.lesson import HeadComparison


def compare_heads(serving: Heads, taught: Heads, n_looks: int) -> HeadComparison:
    """Return how the two do on the same held-out samples.

    Parameters
    ----------
    serving : Heads
    taught : Heads
        With the held-out samples that were not taught.
    n_looks : int

    Returns
    -------
    HeadComparison

    Raises
    ------
    TeachingError
        If there are none.
    """
    kept = [head.held_out for head in taught.each]
    n_samples = sum(len(each.X) for each in kept)
    if not n_samples:
        raise TeachingError(
            "There are no held-out samples to compare on. Fit with a test set, or save with "
            "held_out=(X, y)."
        )
    right = np.concatenate([head.rights(own) for head, own in zip(taught.each, kept)])
    before = np.concatenate([head.rights(own) for head, own in zip(serving.each, kept)])
    routed = np.concatenate([each.routed for each in kept])
    known = {serving.classes[code] for each in kept for code in each.codes}
    return HeadComparison(
        taught=accuracy_interval(right),
        serving=accuracy_interval(before),
        difference=compare_accuracies(right, before),
        n_samples=n_samples,
        n_left_out=sum(len(head.held_out.X) for head in serving.each) - n_samples,
        n_looks=n_looks,
        new_classes=[label for label in taught.classes if label not in known],
        routed=accuracy_interval(right & routed) if taught.subsets else None,
    )


def expected_of(
    serving: Heads, taught: Heads, certified: Certified | None
) -> dict[str, Any] | None:
    """Return what a manifest says of the accuracy to expect; None without held-out samples.

    Of a model that abstains it is that of the samples that get an answer. Of specialists that
    abstain it is not known: what a wrong one would say of a sample that is sent to it is not kept.
    """
    if certified is not None and taught.subsets:
        return None
    right, answered = [], []
    for head in taught.each:
        kept = head.held_out
        right.append(head.rights(kept) & kept.routed)
        answers = np.ones(len(kept.X), bool)
        if certified is not None:
            sure = head.confidence(kept, certified.goal["criterion"]) > certified.threshold.value
            answers = sure & ~(kept.novel & certified.judges_novelty)
        answered.append(answers)
    every, counts = np.concatenate(right), np.concatenate(answered)
    if not counts.any():
        return None
    found = accuracy_interval(every[counts])
    what = "held-out samples, which were looked at while it was taught"
    if certified is not None:
        what += f"; of the {100 * counts.mean():.0f} % that get an answer"
    if taught.subsets:
        what += "; with the router's choice of the subset"
    if len(taught.classes) > len(serving.classes):
        what += "; none of the classes that are new"
    low, high, n = found.low, found.high, int(counts.sum())
    return {"accuracy": found.value, "low": low, "high": high, "what": what, "n": n}
