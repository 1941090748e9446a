"""Optional imports, and the debugging switch."""

import os
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


def import_optional(name: str, extra: str) -> ModuleType:
    """Import an optional package, or raise an error that names the extra to install.

    Parameters
    ----------
    name : str
        Module to import.
    extra : str
        Extra of this package that installs it.

    Raises
    ------
    ImportError
        If the package is not installed; the message names the extra.
    """
    if find_spec(name.partition(".")[0]) is None:
        raise ImportError(
            f"The package '{name.partition('.')[0]}' is not installed. "
            f"Install it with: pip install 'penultimate[{extra}]'"
        )
    return import_module(name)


def is_debugging() -> bool:
    """Return whether the user asked for tracebacks, with ``PENULTIMATE_DEBUG=1``."""
    return os.environ.get("PENULTIMATE_DEBUG", "") not in ("", "0")
