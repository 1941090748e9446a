"""Public names of a package that load on first use (PEP 562), listed once, in its stub.

The stub, ``__init__.pyi``, is what editors and type checkers read. Reading it at run time as well
leaves no second list that could differ from it.
"""

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any


def load_lazily(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package with a stub.

    Parameters
    ----------
    package : str
        The ``__name__`` of the package.
    file : str
        Its ``__file__``. The names are those that ``__init__.pyi``, in the same folder, imports;
        each is loaded from the module that it is imported from there.

    Returns
    -------
    tuple

    Examples
    --------
    >>> import penultimate
    >>> from penultimate._common.lazy import load_lazily
    >>> get, _, names = load_lazily("penultimate", penultimate.__file__)
    >>> "SVC" in names, get("SVC") is penultimate.SVC
    (True, True)
    """
    stub = Path(file).with_name("__init__.pyi").read_text(encoding="utf-8")
    lines = ast.parse(stub).body
    where = {
        name.asname or name.name: (line.module, name.name)
        for line in lines
        if isinstance(line, ast.ImportFrom) and line.module is not None
        for name in line.names
    }
    # Declared in the stub, such as `__version__`, is what the package defines itself.
    own = [ast.unparse(line.target) for line in lines if isinstance(line, ast.AnnAssign)]

    def get(name: str) -> object:
        if name not in where:
            # Rooms load on first use, too: `penultimate.provenance.record` needs no second import.
            if not name.startswith("_") and Path(file).with_name(name).is_dir():
                return import_module(f"{package}.{name}")
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, original = where[name]
        return getattr(import_module(module), original)

    names = [*own, *where]
    return get, lambda: sorted(names), names
