"""Results of several splits of the same data: per split, and averaged over splits.

Random splits and splits by group answer different questions (new images of known groups, new
groups), so they are never averaged with each other.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from penultimate.evaluation.intervals.accuracy import Interval, interval_across_splits


def split_table(comparisons: Sequence[Any]) -> list[dict[str, Any]]:
    """Summarize comparisons on several splits, separately for splits by group and random splits.

    Only the first seed of each split is used, so that all splits have the same weight.

    Parameters
    ----------
    comparisons : list of Outcome
        Comparisons of the same data and subsets.

    Returns
    -------
    list of dict
        ``by_group``, ``n_splits``, ``split_seeds`` and ``methods``: for each method and subset, the
        accuracy on every split, the mean accuracy with its interval, and the mean difference from
        the softmax with its interval (None if there is none).
    """
    table = []
    for by_group in sorted({c.protocol["groups"] for c in comparisons}):
        alike = [c for c in comparisons if c.protocol["groups"] == by_group]
        names = list(dict.fromkeys(name for c in alike for name in c.names()))
        table.append(
            {
                "by_group": by_group,
                "n_splits": len(alike),
                "split_seeds": [c.protocol["split_seed"] for c in alike],
                "methods": [
                    _row(name, subset, [c for c in alike if name in c.names()])
                    for name in names
                    for subset in (None, *alike[0].subsets)
                ],
            }
        )
    return table


def _row(name: str, subset: str | None, comparisons: list[Any]) -> dict[str, Any]:
    accuracies, differences = [], []
    for comparison in comparisons:
        accuracy = comparison.correct(name, subset)[0].mean()
        accuracies.append(float(accuracy))
        baseline = comparison.baseline(name)
        if baseline != name and baseline in comparison.names():
            softmax = comparison.correct(baseline, subset)[0].mean()
            differences.append(float(accuracy - softmax))
    n_test = float(np.mean([len(c.test) for c in comparisons]))
    n_development = float(np.mean([len(c.dataset.labels) for c in comparisons])) - n_test
    return {
        "name": name,
        "subset": subset,
        "knows_subset": comparisons[0].method(name).knows_subset,
        "accuracies": accuracies,
        **_as_dict("accuracy", interval_across_splits(accuracies, n_test / n_development)),
        "vs_softmax": _as_dict(
            "difference", interval_across_splits(differences, n_test / n_development)
        )
        if differences
        else None,
    }


def _as_dict(name: str, interval: Interval) -> dict[str, Any]:
    known = np.isfinite(interval.low)
    ends = [interval.low, interval.high]
    if name == "accuracy":  # few splits have wide intervals, but no accuracy is beyond these
        ends = np.clip(ends, 0, 1).tolist()
    values: dict[str, Any] = {name: interval.value, "ci95": ends if known else None}
    if name == "difference":
        values["p"] = interval.p if known else None
    return values
