"""The figures by class, written out for the page."""

from typing import Any

from penultimate._common.digits import percent, percent_interval

FIGURES = ("precision", "recall", "f1")


def class_table(results: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Write precision, recall and F1 of every class, by method.

    Parameters
    ----------
    results : dict
        Returned by `Outcome.to_dict`.

    Returns
    -------
    dict of str to list
        For each method one entry per class: ``class``, ``support``, and for each of ``precision``,
        ``recall`` and ``f1`` the percentage and its interval, as two texts. Where a figure is not
        defined, the texts are a dash and nothing.
    """
    n_test = results["dataset"]["n_test"]

    def write(row: dict[str, Any], figure: str) -> tuple[str, str]:
        if row[figure] is None:
            return "\u2013", ""
        return percent(row[figure], n_test), percent_interval(tuple(row[f"{figure}_ci95"]), n_test)

    return {
        method["name"]: [
            {"class": row["class"], "support": row["support"]}
            | {figure: write(row, figure) for figure in FIGURES}
            for row in method["per_class"]
        ]
        for method in results["methods"]
        if method["subset"] is None
    }
