"""Cells of CSV files that are safe to open with a spreadsheet.

Names of files and classes come from a disk, or with a stranger's model. Text that a spreadsheet
would run as a formula is therefore preceded by an apostrophe, unless it is a number.
"""

from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def safe_cell(cell: Any) -> Any:
    """Return the content of a cell, which no spreadsheet takes for a formula.

    Parameters
    ----------
    cell : object
        Anything but text is returned as it is.

    Examples
    --------
    >>> from penultimate._common.spreadsheets import safe_cell
    >>> safe_cell("=1+1"), safe_cell("-3.5"), safe_cell(-3.5)
    ("'=1+1", '-3.5', -3.5)
    """
    if not isinstance(cell, str) or not cell.startswith(_FORMULA):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell
