"""Whose fault an error is: what the user gave, or this package.

Both come as a `ValueError` or a `TypeError`, as everywhere in scikit-learn and Keras, and users
may catch them as such. They differ in where they come from: what is wrong with the user's input
is said by a ``raise`` statement of ours, with what to do; a slip of ours surfaces where some
expression fails, in our code or in that of a library. So the innermost frame of the traceback
decides, and no raising function has to be told.
"""

import dis
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_RAISE = dis.opmap["RAISE_VARARGS"]


def is_from_input(error: BaseException) -> bool:
    """Say whether an error is about the user's input or machine, and no fault of this package.

    Parameters
    ----------
    error : BaseException
        With its traceback. One that has crossed processes has lost it, and counts as ours.

    Returns
    -------
    bool

    Examples
    --------
    >>> from penultimate._common.faults import is_from_input
    >>> from penultimate.datasets import load
    >>> try:
    ...     load("no/such/folder")
    ... except OSError as error:
    ...     print(is_from_input(error))
    True
    >>> try:
    ...     int("one")
    ... except ValueError as error:
    ...     print(is_from_input(error))
    False
    """
    if isinstance(error, OSError):
        # Of the user's files, disk or rights, wherever it surfaces; a file of ours is missing only
        # from a broken installation.
        return error.filename is None or not _is_ours(error.filename)
    if isinstance(error, ImportError):
        return not (error.name or "").startswith("penultimate")
    if isinstance(error, (ValueError, TypeError, NotImplementedError)):
        return _was_raised_by_us(error)
    return isinstance(error, MemoryError)


def _is_ours(filename: object) -> bool:
    try:
        return Path(str(filename)).resolve().is_relative_to(_PACKAGE)
    except (OSError, ValueError):
        return False


def _was_raised_by_us(error: BaseException) -> bool:
    """Say whether a ``raise`` statement of this package made the error."""
    traceback = error.__traceback__
    if traceback is None:
        return False
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    frame = traceback.tb_frame
    if frame.f_globals.get("__name__", "").partition(".")[0] != "penultimate":
        return False
    # The instruction that the frame stopped at: indexing and calls stop at others.
    return frame.f_code.co_code[traceback.tb_lasti] == _RAISE
