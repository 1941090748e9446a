"""Distinction between errors caused by the user's input and bugs in this package.

Both are a `ValueError` or a `TypeError`, as everywhere in scikit-learn and Keras, and users may
catch them as such. They differ in their origin: wrong input is reported by a ``raise`` statement of
this package, with advice; a bug surfaces where some expression fails, in our code or in a library.
So the innermost frame of the traceback decides, and raising functions need no special exception.
"""

import dis
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_RAISE = dis.opmap["RAISE_VARARGS"]


def is_from_input(error: BaseException) -> bool:
    """Return whether an error is about the user's input or machine rather than a bug here.

    Parameters
    ----------
    error : BaseException
        Error with its traceback. One from another process has lost it and counts as a bug.

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
        # About the user's files, disk or permissions, wherever it surfaces; a file of this package
        # is only missing from a broken installation.
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
    """Return whether a ``raise`` statement of this package raised the error."""
    traceback = error.__traceback__
    if traceback is None:
        return False
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    frame = traceback.tb_frame
    if frame.f_globals.get("__name__", "").partition(".")[0] != "penultimate":
        return False
    # The bytecode instruction at which the frame stopped; a failed index or call is another one.
    return frame.f_code.co_code[traceback.tb_lasti] == _RAISE
