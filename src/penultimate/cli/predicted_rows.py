"""The rows that ``penultimate predict`` writes: what is in them, and their three forms."""

import csv
import io
import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TextIO

from penultimate._common.spreadsheets import safe_cell
from penultimate.cli.app import print_reason, printable
from penultimate.cli.sources import Source

if TYPE_CHECKING:
    from penultimate.bundle import Predictions, Predictor
    from penultimate.bundle.watcher import Watcher

Row = dict[str, Any]


class Format(StrEnum):
    """How rows are written."""

    CSV = "csv"
    JSONL = "jsonl"
    TABLE = "table"


def rows_of(
    model: "Predictor",
    names: list[str],
    found: "Predictions",
    watcher: "Watcher | None" = None,
) -> list[Row]:
    """Return what is said of some samples."""
    from penultimate.bundle.predictions import columns_of

    columns = columns_of(found, model.classes_)
    if watcher is not None:
        columns["withdrawn"] = _watched(watcher, names, found)
    if model.signed_by is not None:
        columns["signed_by"] = [model.signed_by] * len(names)
    each = zip(*columns.values(), strict=True)
    return [
        {"file": name, **dict(zip(columns, values, strict=True)), "error": ""}
        for name, values in zip(names, each, strict=True)
    ]


def _watched(watcher: "Watcher", names: list[str], found: "Predictions") -> list[bool]:
    """Return of which samples the guarantee is withdrawn; say it once."""
    noted = watcher.note(found)
    for place in noted.telling:
        watcher.show(noted.first + place, names[place])
    if noted.is_alarm:
        telling = ", ".join(str(each.shown) for each in watcher.telling)
        print_reason(
            f"the guarantee is withdrawn, from sample {watcher.withdrawn_at:,} "
            f"({names[int(noted.withdrawn.argmax())]}) on: what comes in is not like the "
            f"{watcher.n_compared:,} samples that the model was calibrated with. Most telling: "
            f"{telling}."
        )
    return noted.withdrawn.tolist()


def bad_row(source: Source, reason: str) -> Row:
    """Return the row of an image that cannot be read."""
    return {"file": source.name, "error": " ".join(reason.split())}


def columns_for(
    model: "Predictor", subset: str | None, watcher: "Watcher | None" = None
) -> list[str]:
    """Return the columns of a model's rows, which its manifest and its graph decide."""
    has = {
        "score": model.gives("scores"),  # a head that only predicts has none
        "margin": model.gives("margins"),
        "probability": model.gives("probabilities"),
        "accepted": model.gives("accepted") and subset is None,
        "novel": model.gives("novel"),
        "subset": bool(model.subsets),
        "withdrawn": watcher is not None,
        "signed_by": model.signed_by is not None,
    }
    return ["file", "label", *(name for name, given in has.items() if given), "error"]


class _Csv:
    def __init__(self, columns: list[str]) -> None:
        self._columns = columns

    def begin(self, file: TextIO) -> None:
        self._file, self._line = file, io.StringIO(newline="")
        # With another end of lines than its own, CR LF, it would not quote a CR in a name.
        self._writer = csv.DictWriter(self._line, self._columns)
        self.write({name: name for name in self._columns})

    def write(self, row: Row) -> None:
        self._writer.writerow({key: _shown(value) for key, value in row.items()})
        self._file.write(self._line.getvalue().removesuffix("\r\n") + "\n")
        self._line.seek(0)
        self._line.truncate()


class _JsonLines:
    def __init__(self, columns: list[str]) -> None:
        pass  # a row names its own

    def begin(self, file: TextIO) -> None:
        self._file = file

    def write(self, row: Row) -> None:
        given = {key: value for key, value in row.items() if key != "error" or value}
        self._file.write(json.dumps(given, ensure_ascii=False) + "\n")


class _Table:
    """Aligned columns for the eye; widths are those of the first rows, as rows come one by one."""

    _WIDTH = 14

    def __init__(self, columns: list[str]) -> None:
        # Not who signed it, which is the same in every row, and 64 digits long.
        left_out = ("error", "signed_by")
        self._columns = [name for name in columns if name not in left_out]

    def begin(self, file: TextIO) -> None:
        self._file = file
        self._write({name: name for name in self._columns})

    def write(self, row: Row) -> None:
        if row["error"]:
            self._file.write(f"cannot be read: {printable(row['error'])}\n")
        else:
            self._write({key: _short(value) for key, value in row.items()})

    def _write(self, cells: dict[str, str]) -> None:
        values = [f"{cells[name]:<{self._WIDTH}}" for name in self._columns if name != "file"]
        self._file.write(f"{'  '.join(values)}  {printable(cells['file'])}\n")


WRITERS: dict[Format, Any] = {
    Format.CSV: _Csv,
    Format.JSONL: _JsonLines,
    Format.TABLE: _Table,
}


def _shown(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else safe_cell(value)


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
