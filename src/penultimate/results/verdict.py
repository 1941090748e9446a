"""The verdict: the outcome of a comparison in a sentence or two.

It is about one head only, the one that the protocol names: picking the best of several heads by
their test accuracy would be a selection on the test set.
"""

from typing import Any

from penultimate._common.digits import points, points_interval
from penultimate._common.door import spelled
from penultimate.results.method import BASELINE, MASKED_BASELINE


def verdict(results: dict[str, Any]) -> str:
    """State whether the SVM head beat the softmax that has the same information.

    If the network did not train properly, there is no verdict, because any head looks good next to
    an undertrained softmax. With a single seed the verdict says that it compares two trained
    classifiers, since another training run may give a different result.

    Parameters
    ----------
    results : dict
        Returned by `Outcome.to_dict`.

    Returns
    -------
    str
        A sentence or two; empty if no SVM head was compared with a softmax.

    Examples
    --------
    >>> from penultimate.report import verdict
    >>> verdict({"dataset": {"n_test": 500}, "protocol": {"headline": "cnn+svm-rbf",
    ...     "seeds": [0, 1], "frozen": False}, "checks": [], "methods": [{"name": "cnn+svm-rbf",
    ...     "subset": None, "knows_subset": False, "inputs": "features", "family": "svm",
    ...     "router": None,
    ...     "vs_softmax": {"difference": 0.006, "ci95": [0.002, 0.01], "p": 0.01}}]})
    'On these data, cnn+svm-rbf is more accurate than cnn-softmax by 0.6 percentage points ...'
    """
    methods = {m["name"]: m for m in results["methods"] if m["subset"] is None}
    differences = {
        name: method["vs_softmax"]
        for name, method in methods.items()
        if method["vs_softmax"] is not None
    }
    protocol = results["protocol"]
    name = protocol["headline"]
    undertrained = [c for c in results["checks"] if c["id"] == "network-undertrained"]
    if undertrained:
        return (
            f"No verdict: the network did not train properly. {undertrained[0]['message']} A "
            "difference from such a baseline says nothing about a head."
        )
    if name not in differences:
        return ""
    softmax = differences[name].get(
        "baseline", MASKED_BASELINE if methods[name]["knows_subset"] else BASELINE
    )
    seeds = protocol["seeds"]
    n_test, noun = results["dataset"]["n_test"], results["dataset"].get("unit", "image")
    low, high = differences[name]["ci95"]
    difference = differences[name]["difference"]
    if low <= 0 <= high:
        words = (
            f"No significant difference between {name} and {softmax} on "
            f"{n_test:,} test {noun}s: {points(difference, n_test)} percentage points (95 % "
            f"interval: {points_interval((low, high), n_test)})."
        )
        if needed := differences[name].get("samples_needed"):
            about = float(f"{needed:.2g}")  # a guess that is exact to two digits at best
            words += (
                f" About {about:,.0f} test {noun}s would be needed to detect a difference of this "
                "size."
            )
        elif difference and len(seeds) > 1:
            words += (
                " The variation between seeds is too large to detect a difference of this size "
                f"with any number of test {noun}s: more seeds are needed."
            )
    else:
        # Both directions read as a positive amount: "less accurate by 1.00", not "by -1.00".
        word, sign = ("more", 1) if difference > 0 else ("less", -1)
        ends = min(sign * low, sign * high), max(sign * low, sign * high)
        words = (
            f"On these data, {name} is {word} accurate than {softmax} by "
            f"{points(sign * difference, n_test, signed=False)} percentage points (95 % interval: "
            f"{points_interval(ends, n_test, signed=False)})."
        )
    logistic = [
        difference["difference"]
        for other, difference in differences.items()
        if methods[other]["inputs"] == "features" and methods[other]["family"] == "logistic"
        # Only like the headline: with the same information, and thus the same baseline.
        if methods[other]["router"] is None
        if methods[other]["knows_subset"] == methods[name]["knows_subset"]
    ]
    if logistic:
        words += (
            " For comparison, refitting a logistic head, which has no margin, changes the accuracy "
            f"by {points(logistic[0], n_test)} percentage points."
        )
    if len(seeds) == 1 and not protocol["frozen"]:
        words += (
            " With a single seed, this compares two trained classifiers, not the methods: another "
            "training run may give a different result"
        )
        # Who was interrupted has asked for more.
        cut_short = any(check["id"] == "cut-short" for check in results["checks"])
        words += "." if cut_short else f" (use {spelled('--seeds 3', 'seeds=3')})."
    return words
