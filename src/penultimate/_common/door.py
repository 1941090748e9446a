"""How advice names a choice: as an option at the terminal, as an argument in Python.

Most messages are written far below the command line, where only this says who will read them.
"""

from collections.abc import Iterator
from contextlib import contextmanager

_at_terminal = False  # of the process: the command line is its only user


def spelled(option: str, argument: str) -> str:
    """Return the words that the user of this process can type.

    Parameters
    ----------
    option : str
        At the terminal, such as ``"--skip-corrupt"``.
    argument : str
        In Python, such as ``"skip_corrupt=True"``.

    Examples
    --------
    >>> from penultimate._common.door import at_terminal, spelled
    >>> spelled("--subsets", "subsets=True")
    'subsets=True'
    >>> with at_terminal():
    ...     spelled("--subsets", "subsets=True")
    '--subsets'
    """
    return option if _at_terminal else argument


@contextmanager
def at_terminal() -> Iterator[None]:
    """Name options in every message meanwhile."""
    global _at_terminal
    before, _at_terminal = _at_terminal, True
    try:
        yield
    finally:
        _at_terminal = before
