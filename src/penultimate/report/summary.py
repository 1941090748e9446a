"""A comparison as plain data for the page; everything that the page shows is computed here."""

from dataclasses import astuple
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from penultimate.displays.confused_pairs import most_confused
from penultimate.report.forest import forest
from penultimate.report.hard_cases import hard_cases
from penultimate.report.map_section import feature_map
from penultimate.report.methods_text import methods_paragraph
from penultimate.report.pictures import displays_by_section
from penultimate.report.sprites import make_sprite_sheet
from penultimate.report.verdicts import verdict
from penultimate.results.outcome import Outcome

MAX_THUMBNAILS = 400
MAX_PAIRS = 20


def summarize(comparison: Outcome, results: dict[str, Any]) -> dict[str, Any]:
    """Compute everything that the report shows.

    Parameters
    ----------
    comparison : Outcome
    results : dict
        Returned by `Outcome.to_dict`.

    Returns
    -------
    dict
        ``results``, ``verdict``, ``methods_paragraph``, ``alarms`` (the checks above level info,
        errors first), ``overall`` (the rows of ``results`` for all samples), ``forest`` (their
        differences from the softmax), ``by_subset`` (all rows, by method and subset),
        ``split_rows`` (methods and subsets in the table of splits), ``confusion`` (counts over
        seeds, by method), ``pairs`` (the most confused classes, by method), ``errors`` (the
        misclassified images), ``n_errors``, ``sprites``, ``hard_cases``, ``feature_map``,
        ``pictures`` (displays by section and caption) and ``seeds``.
    """
    data = comparison.dataset
    true = data.labels[comparison.test]
    wrong = np.stack([~comparison.correct(m.name) for m in comparison.methods])
    # The page holds a limited number of images: those that most methods and seeds got wrong.
    by_sample = wrong.sum(axis=(0, 1))
    order = np.argsort(-by_sample, kind="stable")[: int((by_sample > 0).sum())]
    shown = order[:MAX_THUMBNAILS]
    overall = [row for row in results["methods"] if row["subset"] is None]
    confusion = {
        m.name: _confusion(true, m.predictions, len(data.classes)) for m in comparison.methods
    }
    return {
        "results": results,
        "verdict": verdict(results),
        "methods_paragraph": methods_paragraph(results),
        "alarms": [
            check
            for level in ("error", "warning")
            for check in results["checks"]
            if check["level"] == level
        ],
        "overall": overall,
        "forest": forest(overall),
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
        "confusion": confusion,
        "pairs": {
            name: [astuple(pair) for pair in most_confused(counts)[:MAX_PAIRS]]
            for name, counts in confusion.items()
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
        "hard_cases": hard_cases(comparison),
        "feature_map": feature_map(comparison),
        "pictures": displays_by_section(comparison),
        "seeds": comparison.seeds,
    }


def _confusion(
    true: NDArray[np.int64], predictions: NDArray[np.int64], n_classes: int
) -> list[list[int]]:
    counts = confusion_matrix(
        np.tile(true, len(predictions)), predictions.ravel(), labels=range(n_classes)
    )
    return counts.tolist()
