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
    require(name.partition(".")[0], extra=extra)
    return import_module(name)


def require(*names: str, extra: str) -> None:
    """Raise what `import_optional` would, without an import: before work that would be lost.

    Parameters
    ----------
    *names : str
        Packages.
    extra : str
        Extra of this package that installs them.

    Raises
    ------
    ImportError
        If one is not installed; the message names the extra.
    """
    for name in names:
        if find_spec(name) is None:
            raise ImportError(
                f"The package '{name}' is not installed. "
                f"Install it with: pip install 'penultimate[{extra}]'"
            )


def is_debugging() -> bool:
    """Return whether the user asked for tracebacks, with ``PENULTIMATE_DEBUG=1``."""
    return os.environ.get("PENULTIMATE_DEBUG", "") not in ("", "0")
