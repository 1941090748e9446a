"""A comparison as plain data for the page: everything shown is computed here."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from penultimate._method_result import FitLog
from penultimate.report.displays import SearchHeatmapDisplay
from penultimate.report.map_section import feature_map
from penultimate.report.sprites import make_sprite_sheet
from penultimate.results import BASELINE, MASKED_BASELINE, Comparison

MAX_THUMBNAILS = 400
_HEADLINE = ("cnn+svm-rbf", "cnn+svm-linear")
_CONTROL = "cnn+logistic"


def verdict(results: dict[str, Any]) -> str:
    """Say in words whether the SVM head beat the softmax that knows as much as it does.

    Parameters
    ----------
    results : dict
        As `Comparison.to_dict` gives it.

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
    if name is None:
        return ""
    softmax = MASKED_BASELINE if methods[name]["knows_subset"] else BASELINE
    low, high = (100 * value for value in differences[name]["ci95"])
    points = 100 * differences[name]["difference"]
    if low <= 0 <= high:
        words = (
            f"Between {name} and {softmax} there is no difference that "
            f"{results['dataset']['n_test']:,} test samples could show: {points:+.2f} points "
            f"(95 % interval {low:+.2f} to {high:+.2f})."
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
    return words


def summarise(comparison: Comparison, results: dict[str, Any]) -> dict[str, Any]:
    """Compute all that the report shows.

    Parameters
    ----------
    comparison : Comparison
    results : dict
        As `Comparison.to_dict` gives it.

    Returns
    -------
    dict
        ``results``, ``verdict``, ``overall`` (the rows of ``results`` that are no subset's),
        ``by_subset`` (all rows, by method and subset), ``split_rows`` (what is told of several
        splits), ``confusion`` (counts over seeds, by method), ``errors`` (the misclassified
        images), ``sprites``, ``feature_map``, ``heatmaps``, ``histories`` and
        ``seeds``.
    """
    data = comparison.dataset
    true = data.labels[comparison.test]
    wrong = np.stack([~comparison.correct(m.name) for m in comparison.methods])
    by_sample = wrong.sum(axis=(0, 1))
    order = np.argsort(-by_sample, kind="stable")[: int((by_sample > 0).sum())]
    shown = order[:MAX_THUMBNAILS]
    return {
        "results": results,
        "verdict": verdict(results),
        "overall": [row for row in results["methods"] if row["subset"] is None],
        "by_subset": {
            name: {row["subset"]: row for row in results["methods"] if row["name"] == name}
            for name in comparison.names()
        },
        "split_rows": list(
            dict.fromkeys(
                (row["name"], row["subset"])
                for kind in results["splits"]
                for row in kind["methods"]
            )
        ),
        "confusion": {
            m.name: _confusion(true, m.predictions, len(data.classes)) for m in comparison.methods
        },
        "errors": [
            {
                "true": int(true[sample]),
                "sample": int(comparison.test[sample]),
                "predicted": {
                    m.name: m.predictions[:, sample].tolist() for m in comparison.methods
                },
            }
            for sample in shown
        ],
        "n_errors": len(order),
        "sprites": make_sprite_sheet(data.images[comparison.test[shown]]),
        "feature_map": feature_map(comparison),
        "heatmaps": {
            m.name if subset is None else f"{m.name}, {subset}": display
            for m in comparison.methods
            if not m.name.endswith("routed")  # the same searches once more
            for subset, log in m.fits.items()
            if (display := _heatmap(log)) is not None
        },
        "histories": comparison.histories,
        "seeds": comparison.seeds,
    }


def _confusion(
    true: NDArray[np.int64], predictions: NDArray[np.int64], n_classes: int
) -> list[list[int]]:
    counts = confusion_matrix(
        np.tile(true, len(predictions)), predictions.ravel(), labels=range(n_classes)
    )
    return counts.tolist()


def _heatmap(log: FitLog) -> SearchHeatmapDisplay | None:
    """Mean selection scores over seeds, where the search was over C and gamma."""
    grids = [grid for grid in log.grids if grid is not None]
    if not grids or not all({"C", "gamma"} <= set(p) for grid in grids for p in grid["params"]):
        return None
    # Gamma's grid follows the features' variance, which differs a little from seed to seed: the
    # grids are averaged point by point, and named by the first.
    scores = np.mean([grid["score"] for grid in grids], axis=0)
    return SearchHeatmapDisplay.from_scores(grids[0]["params"], scores)
