"""Reading of CSV files as written by spreadsheets and other programs: header and rows."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.columns import normalized

_DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Table:
    """Text of a CSV file, with its delimiter and columns.

    Attributes
    ----------
    path : Path
    text : str
        Text, starting at the header.
    delimiter : str
    columns : list of str
        Names in the header, stripped and in lower case.
    n_above : int
        Number of lines above the header.
    """

    path: Path
    text: str
    delimiter: str
    columns: list[str]
    n_above: int

    @property
    def header(self) -> list[str]:
        """Names as they are written, without blanks around them."""
        line = self.text.split("\n", 1)[0].rstrip("\r")
        return [name.strip() for name in next(csv.reader([line], delimiter=self.delimiter), [])]

    def rows(self) -> list[tuple[int, list[str]]]:
        """Return the line number and entries of each row, without empty rows.

        Raises
        ------
        ValueError
            If a row has more or fewer entries than the header.
        """
        return list(self._each_row())

    def count_rows(self) -> int:
        """Return the number of rows, after checking that all are complete; see `rows`.

        What `load` reads has to be checked first: it takes columns by their positions, which are
        others in a row with a delimiter too many.
        """
        return sum(1 for _ in self._each_row())

    def _each_row(self) -> Iterator[tuple[int, list[str]]]:
        lines = io.StringIO(self.text, newline="")
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        ended = 0
        try:
            for number, row in enumerate(reader):
                began, ended = self.n_above + ended + 1, reader.line_num
                if number == 0 or not any(entry.strip() for entry in row):
                    continue
                if len(row) != len(self.columns):
                    raise ValueError(
                        f"{str(self.path)!r}, line {began} has "
                        f"{'more' if len(row) > len(self.columns) else 'fewer'} entries than the "
                        "header; quote entries with commas in them."
                    )
                yield began, row
        except csv.Error as error:
            raise ValueError(
                f"The manifest {str(self.path)!r} is not CSV in UTF-8: {error} "
                f"(line {self.n_above + reader.line_num})."
            ) from error

    def load(self, columns: Sequence[int], dtype: type) -> NDArray[Any]:
        """Return some columns as a matrix of one type.

        Raises
        ------
        ValueError
            If an entry is not of this type, or a row is incomplete.
        """
        # Empty lines at the end are common, and NumPy would warn of them.
        return np.loadtxt(
            io.StringIO(self.text.rstrip("\r\n")),
            dtype,
            delimiter=self.delimiter,
            quotechar='"',
            comments=None,
            skiprows=1,
            usecols=columns,
            ndmin=2,
        )


def _without_blanks_before_quotes(text: str, delimiter: str) -> str:
    """Return the text so that `` "cat"`` after a delimiter is a quoted entry, as its writer meant.

    The csv module takes such quotes for part of the entry, and a delimiter in it for one.
    """
    if ' "' not in text:
        return text
    quoted_or_blanks = rf'"(?:[^"]|"")*"|(?<![^{re.escape(delimiter)}\r\n]) +(?=")'
    return re.sub(quoted_or_blanks, lambda match: match[0].strip(" "), text)


def read_table(path: Path) -> Table:
    """Read a CSV file; the delimiter is the one that is most frequent in the header.

    Raises
    ------
    ValueError
        If it is not text in UTF-8 (or in UTF-16 with a byte order mark), or if two columns have the
        same name.
    """
    content = path.read_bytes()
    utf_16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))  # Excel's "Unicode text"
    try:
        text = content.decode("utf-16" if utf_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"The manifest {str(path)!r} is not CSV in UTF-8: {error}. Save it again, as "
            "'CSV UTF-8'."
        ) from error
    if "\n" not in text:
        text = text.replace("\r", "\n")  # line ends of old Macs
    first, _, rest = text.partition("\n")
    n_above, delimiters = 0, _DELIMITERS
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:
        text, n_above, delimiters = rest, 1, first.strip()[4]  # Excel's delimiter line
    header = text.split("\n", 1)[0]
    delimiter = max(delimiters, key=lambda d: header.count(d))
    text = _without_blanks_before_quotes(text, delimiter)
    table = Table(path, text, delimiter, [], n_above)
    columns = [normalized(name) for name in table.header]
    twice = [name for name in columns if name and columns.count(name) > 1]
    if twice:
        raise ValueError(
            f"The header of {str(path)!r} names the column {twice[0]!r} more than once."
        )
    return replace(table, columns=columns)
