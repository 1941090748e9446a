"""A comparison as plain data for the page; everything that the page shows is computed here."""

from dataclasses import astuple
from typing import Any

from penultimate.displays.confused_pairs import most_confused
from penultimate.evaluation.novelty.strangers import in_words
from penultimate.report.class_table import class_table
from penultimate.report.forest import forest
from penultimate.report.gallery import gallery
from penultimate.report.hard_cases import hard_cases
from penultimate.report.map_section import feature_map
from penultimate.report.methods_text import methods_paragraph
from penultimate.report.pictures import displays_by_section
from penultimate.results.answer import shown_method
from penultimate.results.answer_text import answer, over_splits, rank
from penultimate.results.check_list import alarms
from penultimate.results.outcome import Outcome
from penultimate.results.overview import called_cnn
from penultimate.results.verdict import verdict

MAX_PAIRS = 12


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
        ``results``, ``answer`` and ``rank`` (how good the best method is, in words),
        ``over_splits`` (its mean accuracy over several splits), ``called_cnn`` (what is
        called so in the methods' names),
        ``reference`` (what differences are from), ``verdict``,
        ``methods_paragraph``, ``alarms`` (the checks above level info, the most harmful first),
        ``overall`` (the rows of ``results`` for all samples), ``forest`` (their differences from
        the softmax), ``by_subset`` (all rows, by method and subset), ``split_rows`` (methods and
        subsets in the table of splits), ``confusion`` (counts over seeds, by method), ``pairs``
        (the most confused classes, by method), ``class_rows`` (figures by class, by method),
        ``strangers`` (which classes would be noticed, in words; None unless asked for),
        ``opening`` (the method that the errors open on), ``gallery`` (the misclassified images),
        ``hard_cases``, ``feature_map``, ``pictures`` (displays by section and caption) and
        ``seeds``.
    """
    overall = [row for row in results["methods"] if row["subset"] is None]
    confusion = {name: comparison.confusion(name).tolist() for name in comparison.names()}
    return {
        "results": results,
        "answer": answer(results),
        "over_splits": over_splits(results),
        "reference": comparison.reference,
        "rank": rank(results),
        "called_cnn": called_cnn(comparison),
        "verdict": verdict(results),
        "methods_paragraph": methods_paragraph(results),
        "alarms": alarms(results["checks"]),
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
        "class_rows": class_table(results),
        "strangers": results["novelty"] and in_words(results["novelty"]),
        "opening": shown_method(comparison),
        "gallery": gallery(comparison),
        "hard_cases": hard_cases(comparison),
        "feature_map": feature_map(comparison),
        "pictures": displays_by_section(comparison),
        "seeds": comparison.seeds,
    }
