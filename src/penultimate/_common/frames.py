"""Where a warning points to: the line of the user's that led to it, however deep we are."""

import sys
from pathlib import Path

_PACKAGE = str(Path(__file__).resolve().parents[1])


def level_outside() -> int:
    """Return the ``stacklevel`` with which our caller's warning points outside the package.

    Python shows a warning once for each line that it points to: one that points at a line of the
    package is shown once for a whole program, whatever led to it.

    Examples
    --------
    >>> from penultimate._common.frames import level_outside
    >>> level_outside()
    1
    """
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
