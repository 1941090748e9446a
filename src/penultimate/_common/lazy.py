"""Public names of a package that load on first use (PEP 562)."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def load_lazily(package: str, where: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package.

    Parameters
    ----------
    package : str
        Name of the package.
    where : mapping of str to str
        For each public name, the module that defines it, relative to the package.

    Returns
    -------
    callable

    Examples
    --------
    >>> from penultimate._common.lazy import load_lazily
    >>> load_lazily("collections", {"Sized": "abc"})("Sized")
    <class 'collections.abc.Sized'>
    """

    def get(name: str) -> Any:
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{where[name]}"), name)

    return get
