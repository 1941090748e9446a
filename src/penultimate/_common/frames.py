"""Stack levels of warnings, so that they point to the user's line of code at any depth."""

import sys
from pathlib import Path

_PACKAGE = str(Path(__file__).resolve().parents[1])


def level_outside() -> int:
    """Return the ``stacklevel`` with which the caller's warning points outside the package.

    Python shows a warning once per line that it points to: a warning that pointed at a line of the
    package would be shown only once per program, whatever caused it.

    Examples
    --------
    >>> from penultimate._common.frames import level_outside
    >>> level_outside()
    1
    """
    level, frame = 1, sys._getframe(1)
    inside = (_PACKAGE, *_wrappers())
    while frame.f_back is not None and frame.f_code.co_filename.startswith(inside):
        level, frame = level + 1, frame.f_back
    return level


def _wrappers() -> tuple[str, ...]:
    """Return where scikit-learn's wrappers are, which lie between a method of ours and its caller.

    They are there only if it was imported; bundles are read without it.
    """
    base = sys.modules.get("sklearn.base")
    if base is None or base.__file__ is None:
        return ()
    return base.__file__, str(Path(base.__file__).parent / "callback")
