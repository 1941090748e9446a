"""Exports of a comparison's results: a data frame, JSON, Markdown."""

import json
from typing import TYPE_CHECKING, Any

from penultimate._common.imports import import_optional

if TYPE_CHECKING:
    from pandas import DataFrame


class Exports:
    """Mixin that adds exports to a class whose ``to_dict`` is that of `Comparison`."""

    def to_dict(self) -> dict[str, Any]:
        """Return all results as plain data."""
        raise NotImplementedError

    def to_json(self, *, indent: int | None = 2) -> str:
        """Return all results as JSON: the text of ``results.json``.

        Parameters
        ----------
        indent : int or None, default=2
            Indentation, as in `json.dumps`.

        Returns
        -------
        str
        """
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False)

    def to_frame(self) -> "DataFrame":
        """Return accuracies, differences and times as a data frame, one row per method and subset.

        Returns
        -------
        pandas.DataFrame
            Fractions and seconds, with the columns ``method``, ``subset`` (None for all samples),
            ``knows_subset``, ``control``, ``accuracy``, ``accuracy_low``, ``accuracy_high``,
            ``difference``, ``difference_low``, ``difference_high``, ``p`` (NaN if there is no
            softmax to compare with), ``fit_seconds``, ``head_seconds`` and ``predict_seconds``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pandas = import_optional("pandas", "pandas")
        return pandas.DataFrame([_flat(row) for row in self.to_dict()["methods"]])

    def to_markdown(self) -> str:
        """Return accuracies and differences as a Markdown table, for a README or an issue.

        Returns
        -------
        str
            Accuracies in percent and differences in percentage points, with 95 % confidence
            intervals in parentheses.
        """
        rows = self.to_dict()["methods"]
        by_subset = any(row["subset"] is not None for row in rows)
        difference = "vs softmax (percentage points)"
        head = ["Method", *["Subset"] * by_subset, "Accuracy, %", difference, "p"]
        lines = [head, ["---", *["---"] * by_subset, "---:", "---:", "---:"]]
        for row in rows:
            flat = _flat(row)
            compared = row["vs_softmax"] is not None
            lines.append(
                [
                    row["name"],
                    *[row["subset"] or "all"] * by_subset,
                    _with_interval(flat, "accuracy", ".2f"),
                    _with_interval(flat, "difference", "+.2f") if compared else "",
                    f"{flat['p']:.3f}" if compared else "",
                ]
            )
        return "\n".join(f"| {' | '.join(_escape(cell) for cell in line)} |" for line in lines)


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Flatten one row of the results."""
    difference = row["vs_softmax"] or {"difference": None, "ci95": [None, None], "p": None}
    return {
        "method": row["name"],
        "subset": row["subset"],
        "knows_subset": row["knows_subset"],
        "control": row["control"],
        "accuracy": row["accuracy"],
        "accuracy_low": row["ci95"][0],
        "accuracy_high": row["ci95"][1],
        "difference": difference["difference"],
        "difference_low": difference["ci95"][0],
        "difference_high": difference["ci95"][1],
        "p": difference["p"],
        "fit_seconds": row["fit_seconds"],
        "head_seconds": row["head_seconds"],
        "predict_seconds": row["predict_seconds"],
    }


def _with_interval(flat: dict[str, Any], name: str, form: str) -> str:
    value, low, high = (100 * flat[name + end] for end in ("", "_low", "_high"))
    return f"{value:{form}} ({low:{form}} to {high:{form}})"


def _escape(cell: str) -> str:
    return cell.replace("|", "\\|")
