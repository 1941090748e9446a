"""Exports of a comparison's results: data frames, JSON, Markdown."""

import json
from math import nan
from typing import TYPE_CHECKING, Any

from penultimate._common.imports import import_optional
from penultimate.results.outcome import Outcome
from penultimate.results.samples import error_table

if TYPE_CHECKING:
    from pandas import DataFrame


class Exports(Outcome):
    """Exports of an outcome; a part of `Comparison`."""

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

    def errors(self, method: str | None = None) -> "DataFrame":
        """Return the wrong answers as a data frame, one row each: the content of ``errors.csv``.

        Parameters
        ----------
        method : str, optional
            Only those of this method; by default those of all, in the order of the comparison.

        Returns
        -------
        pandas.DataFrame
            By method, then the samples that most seeds got wrong first, with the columns
            ``method``, ``seed``, ``file`` (or ``sample``, its position, if the data had no files),
            ``label``, ``prediction``, ``probability`` (of the predicted class) and ``margin`` (its
            smallest decision value against another class). The last two are NaN where the method
            has none.

        Raises
        ------
        KeyError
            If the method was not compared.
        ImportError
            If pandas is not installed; `save` writes the table without it.

        Examples
        --------
        >>> import numpy as np
        >>> from penultimate import compare
        >>> X = np.random.default_rng(0).integers(0, 255, (60, 8, 8), dtype=np.uint8)
        >>> y = np.repeat(["cat", "dog"], 30)
        >>> result = compare(X, y, methods=["pca+svm-rbf"], seeds=1, verbose=0)
        >>> errors = result.errors()
        >>> list(errors.columns[:5])
        ['method', 'seed', 'sample', 'label', 'prediction']
        >>> bool((errors["label"] == errors["prediction"]).any())
        False
        """
        pandas = import_optional("pandas", "pandas")
        header, rows = error_table(self, method)
        # Without a type, a column that has no values at all would hold None instead of NaN.
        frame = pandas.DataFrame(rows, columns=header)
        return frame.astype({"probability": float, "margin": float})

    def per_class(self, method: str | None = None) -> "DataFrame":
        """Return how well each class is recognized as a data frame, one row per method and class.

        Parameters
        ----------
        method : str, optional
            Only the rows of this method; by default those of all.

        Returns
        -------
        pandas.DataFrame
            Fractions over all seeds and the ends of their 95 % intervals, with the columns
            ``method``, ``class``, ``support`` (test samples of the class), ``precision``,
            ``precision_low``, ``precision_high``, and the same for ``recall`` and ``f1``. NaN where
            a figure is not defined, such as the precision of a class that is never predicted.

        Raises
        ------
        KeyError
            If the method was not compared.
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from penultimate import compare
        >>> X = np.random.default_rng(0).integers(0, 100, (60, 8, 8), dtype=np.uint8)
        >>> X[30:] += 100
        >>> y = np.repeat(["cat", "dog"], 30)
        >>> result = compare(X, y, methods=["pca+svm-rbf"], seeds=1, verbose=0)
        >>> result.per_class()[["class", "support", "recall"]].values.tolist()
        [['cat', 6, 1.0], ['dog', 6, 1.0]]
        """
        pandas = import_optional("pandas", "pandas")
        names = self.names() if method is None else [method]
        rows = []
        for name in names:
            for figures in self.by_class(name):
                row: dict[str, Any] = {"method": name, "class": figures.name}
                row["support"] = figures.support
                for figure in ("precision", "recall", "f1"):
                    interval = getattr(figures, figure)
                    for end in ("value", "low", "high"):
                        column = figure if end == "value" else f"{figure}_{end}"
                        row[column] = nan if interval is None else getattr(interval, end)
                rows.append(row)
        return pandas.DataFrame(rows)

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
        difference = f"Difference from {self.reference} (percentage points)"
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
