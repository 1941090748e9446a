"""The answers for each test sample by name: the content of ``predictions.csv`` and ``errors.csv``.

The files are opened with a spreadsheet: no cell is a formula, and a byte order mark says that names
beyond ASCII are UTF-8.
"""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.spreadsheets import safe_cell
from penultimate.datasets import Dataset

if TYPE_CHECKING:
    from penultimate.results.method import MethodResult
    from penultimate.results.outcome import Outcome

Row = list[str | int | float | None]


def sample_names(data: Dataset, samples: NDArray[np.int64] | None = None) -> list[str]:
    """Return the names of samples, to be shown.

    Parameters
    ----------
    data : Dataset
    samples : ndarray of int, optional
        Positions in the dataset; all samples by default.

    Returns
    -------
    list of str
        The path within the folder that all files of the dataset share, with slashes; or, without
        files, ``"sample 17"``.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate import Dataset
    >>> from penultimate.results.samples import sample_names
    >>> sample_names(Dataset.from_arrays(np.zeros((2, 8, 8), np.uint8), ["cat", "dog"]))
    ['sample 0', 'sample 1']
    """
    if samples is None:
        samples = np.arange(len(data.labels))
    if data.files is None:
        return [f"sample {sample}" for sample in samples.tolist()]
    files = [os.fspath(file) for file in data.files.tolist()]
    folders = {os.path.dirname(file) for file in files}
    try:
        top = os.path.commonpath(folders)
    except ValueError:  # several drives, or absolute and relative paths
        top = ""
    names = [os.path.relpath(files[k], top) if top else files[k] for k in samples.tolist()]
    # Names of files may hold bytes that are not text.
    return [
        name.replace(os.sep, "/").encode("utf-8", "backslashreplace").decode() for name in names
    ]


def prediction_table(outcome: "Outcome") -> tuple[list[str], list[Row]]:
    """Tabulate every answer, one row per test sample.

    Parameters
    ----------
    outcome : Outcome

    Returns
    -------
    header : list of str
        ``file`` (or ``sample``, its position, if the data had no files), ``label``, and for each
        method and seed its prediction, ``probability`` and ``margin``, the last two if the method
        has them: the probability of the predicted class, and its smallest decision value against
        another one.
    rows : list of list
    """
    data = outcome.dataset
    header = [_subject(data), "label"]
    columns: list[Sequence[Any]] = [
        _places(data, outcome.test),
        _class_names(data, data.labels[outcome.test]),
    ]
    for method in outcome.methods:
        for row, seed in enumerate(outcome.seeds):
            name = f"{method.name} seed {seed}"
            header.append(name)
            columns.append(_class_names(data, method.predictions[row]))
            for what, values in _confidence(method, row).items():
                header.append(f"{name} {what}")
                columns.append(values)
    return header, [list(row) for row in zip(*columns)]


def error_table(outcome: "Outcome", method: str | None = None) -> tuple[list[str], list[Row]]:
    """Tabulate the wrong answers, one row each.

    Parameters
    ----------
    outcome : Outcome
    method : str, optional
        Only those of this method; by default those of all, in the order of the comparison.

    Returns
    -------
    header : list of str
        ``method``, ``seed``, ``file`` (or ``sample``), ``label``, ``prediction``, ``probability``
        and ``margin``; the last two are None where the method has none.
    rows : list of list
        By method, then the samples that most seeds got wrong first.
    """
    data = outcome.dataset
    names, true = _places(data, outcome.test), data.labels[outcome.test]
    labels = _class_names(data, true)
    rows: list[Row] = []
    for result in outcome.methods if method is None else [outcome.method(method)]:
        wrong = result.predictions != true
        confidence = [_confidence(result, row) for row in range(len(outcome.seeds))]
        predicted = [_class_names(data, answers) for answers in result.predictions]
        by_sample = wrong.sum(axis=0)
        for sample in np.argsort(-by_sample, kind="stable")[: int((by_sample > 0).sum())].tolist():
            for row in np.flatnonzero(wrong[:, sample]).tolist():
                of_row = confidence[row]
                rows.append(
                    [
                        result.name,
                        outcome.seeds[row],
                        names[sample],
                        labels[sample],
                        predicted[row][sample],
                        of_row["probability"][sample] if "probability" in of_row else None,
                        of_row["margin"][sample] if "margin" in of_row else None,
                    ]
                )
    header = ["method", "seed", _subject(data), "label", "prediction", "probability", "margin"]
    return header, rows


def to_csv(header: Sequence[str], rows: Iterable[Row]) -> str:
    """Write a table as CSV that is safe to open with a spreadsheet.

    Parameters
    ----------
    header : sequence of str
    rows : iterable of list
        None is written as an empty cell.

    Returns
    -------
    str
        Lines that end in CR LF, with a byte order mark if there is text beyond ASCII.

    Examples
    --------
    >>> from penultimate.results.samples import to_csv
    >>> to_csv(["file", "margin"], [["a,b.png", -0.5], ["=1+1.png", None]]).splitlines()
    ['file,margin', '"a,b.png",-0.5', "'=1+1.png,"]
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")  # RFC 4180; quotes a lone \r, too
    writer.writerow([safe_cell(cell) for cell in header])
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    text = buffer.getvalue()
    return text if text.isascii() else f"\ufeff{text}"


def _places(data: Dataset, samples: NDArray[np.int64]) -> Sequence[str | int]:
    return samples.tolist() if data.files is None else sample_names(data, samples)


def _subject(data: Dataset) -> str:
    return "sample" if data.files is None else "file"


def _class_names(data: Dataset, labels: NDArray[np.int64]) -> list[str]:
    # -1: a router sent the sample to a subset that predicts none of the classes.
    return [data.classes[label] if label >= 0 else "" for label in labels.tolist()]


def _confidence(method: "MethodResult", row: int) -> dict[str, list[float]]:
    """Return the probabilities and margins of the predicted classes, as far as there are any."""
    found: dict[str, list[float]] = {}
    if method.probabilities is not None:
        chosen = np.maximum(method.predictions[row], 0)[:, np.newaxis]
        sure = np.take_along_axis(method.probabilities[row], chosen, axis=1)[:, 0]
        found["probability"] = np.round(sure.astype(float), 4).tolist()
    if method.margins is not None:
        found["margin"] = np.round(method.margins[row].astype(float), 4).tolist()
    return found
