"""The answer: how good the best method is, in words that need no statistics."""

from typing import Any

from penultimate._common.digits import percent, percent_interval

_NAMED = 3  # methods listed before the rest is counted


def answer(results: dict[str, Any]) -> str:
    """State how often the best method is right, next to guessing and to the other methods.

    Parameters
    ----------
    results : dict
        Returned by `Outcome.to_dict`.

    Returns
    -------
    str
        Two to four sentences; with several splits, one of them is on their mean.

    Examples
    --------
    >>> from penultimate.results.answer_text import answer
    >>> answer({"dataset": {"n_test": 92}, "answer": {"best": "cnn+rf", "accuracy": 0.587,
    ...     "ci95": [0.44, 0.73], "guessing": 0.174, "guess": "glass", "compared_with": ["knn"],
    ...     "not_shown_better_than": ["knn"]}})
    'cnn+rf is right on 59 % of the 92 test images (95 % interval: 44 to 73 %). Always ...'
    """
    found, n_test = results["answer"], results["dataset"]["n_test"]
    right = percent(found["accuracy"], n_test)
    ends = percent_interval(tuple(found["ci95"]), n_test)
    noun = results["dataset"].get("unit", "image")
    images = f"the only test {noun}" if n_test == 1 else f"the {n_test:,} test {noun}s"
    words = (
        f"{found['best']} is right on {right} % of {images} (95 % interval: {ends} %). Always "
        f"predicting {found['guess']} would be right on {percent(found['guessing'], n_test)} %"
    )
    beaten = found["ci95"][0] > found["guessing"]
    words += "." if beaten else ": this method is not shown to be better than guessing."
    if (mean := over_splits(results)) is not None:
        words += (
            f" That is one split; over {mean['n_splits']} {kind_of_splits(mean)} it is right on "
            f"{percent(mean['accuracy'], n_test)} % on average (95 % interval: "
            f"{percent_interval(tuple(mean['ci95']), n_test)} %)."
        )
    if standing := rank(results):
        words += f" {found['best']} {standing}."
    return words


def over_splits(results: dict[str, Any]) -> dict[str, Any] | None:
    """Return the mean accuracy of the best method over all splits of the first one's kind.

    Parameters
    ----------
    results : dict
        Returned by `Outcome.to_dict`.

    Returns
    -------
    dict or None
        ``n_splits``, ``by_group``, ``accuracy`` and ``ci95``; None if there is one split alone.
    """
    of_kind = [
        kind
        for kind in results.get("splits", [])
        if kind["by_group"] == results["protocol"]["groups"]
    ]
    rows = [row for kind in of_kind for row in kind["methods"] if row["subset"] is None]
    row = next((row for row in rows if row["name"] == results["answer"]["best"]), None)
    if row is None or row["ci95"] is None:
        return None
    return {
        "n_splits": len(row["accuracies"]),
        "by_group": of_kind[0]["by_group"],
        "accuracy": row["accuracy"],
        "ci95": row["ci95"],
    }


def kind_of_splits(mean: dict[str, Any]) -> str:
    """Return what kind of splits a mean is over, in words."""
    return "splits by group" if mean["by_group"] else "random splits"


def rank(results: dict[str, Any]) -> str:
    """State whether the best method is shown to be better than the others; empty without others.

    Parameters
    ----------
    results : dict
        Returned by `Outcome.to_dict`.

    Returns
    -------
    str
        The predicate of a sentence about the method, without a period.
    """
    found = results["answer"]
    n_others, undecided = len(found["compared_with"]), found["not_shown_better_than"]
    if not n_others:
        return ""
    alone = n_others == 1
    tied = enumerate_names(found.get("tied_with", []))
    if not undecided:
        others = "the other method" if alone else f"all {n_others} others"
        return f"is shown to be better than {others}"
    if len(undecided) == n_others:
        others = "the other method" if alone else f"any of the {n_others} others"
        if tied:
            return f"has the same accuracy as {tied}" + (
                "" if alone else f", and is not shown to be better than {others}"
            )
        return f"has the highest accuracy, but is not shown to be better than {others}"
    behind = [name for name in undecided if name not in found.get("tied_with", [])]
    return (
        (f"has the same accuracy as {tied}; it " if tied else "")
        + f"is shown to be better than {n_others - len(undecided)} of the {n_others} others"
        + (f"; its lead over {enumerate_names(behind)} may be chance" if behind else "")
    )


def enumerate_names(names: list[str]) -> str:
    """List names, the first few of many.

    Parameters
    ----------
    names : list of str

    Returns
    -------
    str
    """
    if len(names) > _NAMED + 1:
        names = [*names[:_NAMED], f"{len(names) - _NAMED} more"]
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
