"""The verdict: the outcome of a comparison in a sentence or two."""

from typing import Any

from penultimate.results.outcome import BASELINE, MASKED_BASELINE

_HEADLINE = ("cnn+svm-rbf", "cnn+svm-linear")
_CONTROL = "cnn+logistic"


def verdict(results: dict[str, Any]) -> str:
    """Say in words whether the SVM head beat the softmax that knows as much as it does.

    Where the network did not train, no head is said to be better than its softmax. With one seed
    the words are about these two classifiers, for another training may turn out otherwise.

    Parameters
    ----------
    results : dict
        As `Outcome.to_dict` gives it.

    Returns
    -------
    str
        A sentence or two; empty where no SVM head was compared with a softmax.

    Examples
    --------
    >>> from penultimate.report import verdict
    >>> verdict({"dataset": {"n_test": 500}, "methods": [{"name": "cnn+svm-rbf",
    ...     "subset": None, "knows_subset": False,
    ...     "vs_softmax": {"difference": 0.006, "ci95": [0.002, 0.01], "p": 0.01}}]})
    'On this data cnn+svm-rbf is better than cnn-softmax by 0.60 points (95 % ...).'
    """
    methods = {m["name"]: m for m in results["methods"] if m["subset"] is None}
    differences = {
        name: method["vs_softmax"]
        for name, method in methods.items()
        if method["vs_softmax"] is not None
    }
    name = next((name for name in _HEADLINE if name in differences), None)
    undertrained = [c for c in results.get("checks", ()) if c["id"] == "network-undertrained"]
    if undertrained:
        return (
            f"No verdict: the network did not train properly. {undertrained[0]['message']} A "
            "difference from it says nothing about a head. Train longer (--epochs), use more "
            "images, or another network."
        )
    if name is None:
        return ""
    softmax = differences[name].get(
        "baseline", MASKED_BASELINE if methods[name]["knows_subset"] else BASELINE
    )
    seeds = results.get("protocol", {}).get("seeds", ())
    low, high = (100 * value for value in differences[name]["ci95"])
    points = 100 * differences[name]["difference"]
    if low <= 0 <= high:
        words = (
            f"Between {name} and {softmax} there is no difference that "
            f"{results['dataset']['n_test']:,} test samples could show: {points:+.2f} points "
            f"(95 % interval {low:+.2f} to {high:+.2f})."
        )
        if needed := differences[name].get("samples_needed"):
            words += (
                f" About {needed:,} test samples would be needed to show a difference of this size."
            )
        elif points and len(seeds) > 1:
            words += (
                " Seeds differ too much for any number of test samples to show a difference of "
                "this size: it takes more seeds."
            )
    else:
        word, sign = ("better", 1) if points > 0 else ("worse", -1)
        low, high = sorted((sign * low, sign * high))
        words = (
            f"On this data {name} is {word} than {softmax} by {sign * points:.2f} points "
            f"(95 % interval {low:.2f} to {high:.2f})."
        )
    if _CONTROL in differences:
        control = 100 * differences[_CONTROL]["difference"]
        words += f" Refitting a logistic head, with no margin, gives {control:+.2f} points."
    if len(seeds) == 1 and not results["protocol"].get("frozen"):
        words += (
            " With one seed this is about these two classifiers, not about the methods: another "
            "training may turn out otherwise (--seeds 3)."
        )
    return words
